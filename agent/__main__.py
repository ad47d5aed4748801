"""The command `transom`: the daemon, and the few things a person asks of it.

Exit codes: 0 done, 1 it did not work or the answer is no, 2 a person must mend the call, the configuration or a file.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from agent import daemon
from agent.audit_commands import add_parsers as add_audit_parsers
from agent.camera_commands import CALLS
from agent.camera_options import add_parsers
from agent.clock import Instant
from agent.config import STATUS_FILE, load
from agent.errors import BadInputError, ConfigurationError, TransomError, UnavailableError
from agent.opener import describe, open_clip
from agent.outside.logs import configure_logging
from agent.outside.shown_file import read_shown
from agent.outside.snapshots import read_snapshot
from agent.vitals import VITALS_BYTES_MAX, decode_vitals, encode_vitals
from provisioning.errors import ConfigurationError as ProvisioningConfigurationError
from provisioning.errors import ProvisioningError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.call is not _run:
        logging.getLogger().addHandler(logging.NullHandler())  # what a command has to say, it says
    try:
        return int(options.call(options))
    except (ConfigurationError, ProvisioningConfigurationError) as error:
        print(f"transom: {error}", file=sys.stderr)
        return 2
    except (TransomError, ProvisioningError) as error:
        print(f"transom: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    config = load(options.config)
    configure_logging(config.log_level)
    try:
        asyncio.run(daemon.run(config))
    except* (TransomError, ProvisioningError) as group:
        first = next(_leaves(group))
        logging.getLogger("transom").critical("%s", first)
        raise first from group
    return 0


def _leaves(group: BaseExceptionGroup[Any]) -> Any:  # noqa: ANN401 - a generator of the errors at the group's leaves
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _status(options: argparse.Namespace) -> int:
    path = load(options.config).status_file if options.config else STATUS_FILE
    try:
        vitals = decode_vitals(read_shown(path, VITALS_BYTES_MAX), Instant(time.monotonic_ns()))
    except (UnavailableError, BadInputError) as error:
        cure = "see `systemctl status transom`, or ask as root or in the group transom"
        raise ConfigurationError(str(error), cure=cure) from error
    if options.json:
        print(encode_vitals(vitals).decode())
    else:
        from rich.console import Console  # noqa: PLC0415 - the daemon draws nothing

        from agent.status_table import status_table  # noqa: PLC0415 - the daemon draws nothing

        Console().print(status_table(vitals))
    return 1 if vitals.warnings else 0


def _snapshot(options: argparse.Namespace) -> int:
    jpeg = read_snapshot(load(options.config).snapshot_dir, options.camera)
    try:
        options.output.write_bytes(jpeg)
    except OSError as error:
        raise ConfigurationError(f"{options.output}: {error.strerror}", cure="choose another place") from error
    return 0


def _open_clip(options: argparse.Namespace) -> int:
    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            share = done / max(total, 1)
            end = "\n" if done >= total else ""
            print(f"\rchecking and opening [{'#' * int(share * 40):40}] {share:4.0%}", end=end, file=sys.stderr)

    opened = open_clip(options.source, options.identity, options.output, options.known_hubs, progress)
    print(msgspec.json.encode(opened).decode() if options.json else describe(opened))
    return 0


def _prove_clip(options: argparse.Namespace) -> int:
    from agent.demo.clip_verdict import prove_files, save_ends  # noqa: PLC0415 - it decodes: the daemon never does

    proof, words = prove_files(options.video, options.camera_log, options.window)
    if options.pictures:
        save_ends(options.video, options.pictures)
    print(msgspec.json.encode(proof).decode() if options.json else words)
    return 0 if proof.is_exact else 1


def _demo(options: argparse.Namespace) -> int:
    try:
        from agent.demo.story import main as run_demo  # noqa: PLC0415 - needs the demo extra
    except ModuleNotFoundError as error:
        cure = "pip install 'transom[demo]'"
        raise ConfigurationError(f"the demo needs a package that is not installed: {error.name}", cure=cure) from error
    return run_demo(options.rest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="transom", description="The edge agent of a camera hub.")
    parser.add_argument("--version", action="version", version=f"transom {version('transom')}")
    commands = parser.add_subparsers(title="commands", required=True)

    run = commands.add_parser("run", help="run the daemon until SIGTERM or Ctrl-C")
    run.add_argument("--config", type=Path, required=True, metavar="FILE")
    run.set_defaults(call=_run)

    status = commands.add_parser("status", help="how the hub does: 0 all is well, 1 there are warnings, 2 not running")
    status.add_argument("--config", type=Path, metavar="FILE", help="if it names another status_file than the default")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(call=_status)

    cameras = commands.add_parser("cameras", help="the site's cameras").add_subparsers(required=True)
    add_parsers(cameras, CALLS, print)

    _add_snapshot(cameras)

    clip = commands.add_parser("clip", help="clips that a hub has sent").add_subparsers(required=True)
    opener = clip.add_parser("open", help="check a clip, decrypt it, and say what it is")
    opener.add_argument("source", type=Path, help="the clip's folder, its manifest, or one of its parts")
    opener.add_argument("--identity", type=Path, required=True, metavar="KEYFILE", help="an age identity file")
    opener.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mp4")
    opener.add_argument("--known-hubs", type=Path, metavar="FILE", help="default: known_hubs beside the identity file")
    opener.add_argument("--json", action="store_true", help="for programs")
    opener.set_defaults(call=_open_clip)

    proven = clip.add_parser("prove", help="judge opened videos by the log of the camera: 0 if exact, to the last byte")
    proven.add_argument("video", type=Path, nargs="+", help="the videos of one clip, all that it has")
    proven.add_argument("--camera-log", type=Path, required=True, metavar="LOG", help="what the camera says it sent")
    proven.add_argument("--window", default="", metavar="START/END", help="what was asked for, in RFC 3339")
    proven.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write first.png and last.png of the clip there"
    )
    proven.add_argument("--json", action="store_true", help="every sample explained, for programs")
    proven.set_defaults(call=_prove_clip)

    audit = commands.add_parser("audit", help="the log of everything the hub decided").add_subparsers(required=True)
    add_audit_parsers(audit, print)

    demo = commands.add_parser("demo", help="try all of it on this machine", add_help=False)
    demo.add_argument("rest", nargs=argparse.REMAINDER)
    demo.set_defaults(call=_demo)
    return parser


def _add_snapshot(cameras: Any) -> None:  # noqa: ANN401 - argparse names no type of it
    snapshot = cameras.add_parser("snapshot", help="what a camera shows: its newest key picture, a minute old at most")
    snapshot.add_argument("camera", help="its name, as in the hub's state message")
    snapshot.add_argument("--config", type=Path, required=True, metavar="FILE")
    snapshot.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.jpg")
    snapshot.set_defaults(call=_snapshot)


if __name__ == "__main__":
    sys.exit(main())
