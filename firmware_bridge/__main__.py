"""Start the bridge: hardware from a tree of files, updates by RAUC, questions over a UNIX socket, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from firmware_bridge.closed_memory import close_memory
from firmware_bridge.errors import BridgeError
from firmware_bridge.logind import LogindMachine
from firmware_bridge.rauc import RaucUpdater
from firmware_bridge.restarts import Restarts, boot_id
from firmware_bridge.server import BridgeServer
from firmware_bridge.tree import HardwareTree
from firmware_bridge.updates import Updates

EXIT_CONFIGURATION = 2


def program() -> int:
    """Be the program `transom-bridge`."""
    close_memory()
    return main()


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(options))
    except BridgeError as error:
        print(f"transom-bridge: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    return 0


async def _run(options: argparse.Namespace) -> None:
    hardware = HardwareTree(options.tree, options.disk)
    updater, machine = RaucUpdater(options.dbus), LogindMachine(options.dbus)
    updates = Updates(updater, state=options.state, bundles=options.bundles)
    server = BridgeServer(hardware, updates, Restarts(updater, machine, state=options.state, boot=boot_id()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve(options.socket)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="transom-bridge", description=__doc__)
    parser.add_argument("--socket", type=Path, default=Path("/run/transom-bridge/bridge.sock"), metavar="PATH")
    parser.add_argument(
        "--tree", type=Path, default=Path("/"), metavar="DIR", help="where sys/ and run/ are; default /"
    )
    parser.add_argument("--disk", type=Path, default=Path("/var/lib"), metavar="DIR", help="whose free space counts")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/transom-bridge"), metavar="DIR")
    parser.add_argument("--bundles", type=Path, default=Path("/var/lib/transom-bundles"), metavar="DIR")
    parser.add_argument("--dbus", metavar="ADDRESS", help="the bus of RAUC and logind; default: the system bus")
    return parser


if __name__ == "__main__":
    sys.exit(program())
