"""What `transom` does on a hub: the daemon, and the few things a person asks of it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from agent import daemon
from agent.cli.audit import add_parsers as add_audit_parsers
from agent.cli.camera_options import add_parsers as add_camera_parsers
from agent.cli.cameras import CALLS
from agent.cli.policy import add_policy_parsers
from agent.clock import Instant
from agent.config import STATUS_FILE, load
from agent.errors import BadInputError, ConfigurationError, TransomError, UnavailableError
from agent.health.vitals import VITALS_BYTES_MAX, HubVitals, decode_vitals, encode_vitals
from agent.outside.interface_addresses import EVERY_ADDRESS, own_addresses
from agent.outside.logs import configure_logging
from agent.outside.shown_file import read_shown
from agent.outside.snapshots import read_snapshot
from provisioning.errors import ProvisioningError


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


def _vitals(options: argparse.Namespace) -> HubVitals:
    path = load(options.config).status_file if options.config else STATUS_FILE
    try:
        return decode_vitals(read_shown(path, VITALS_BYTES_MAX), Instant(time.monotonic_ns()))
    except (UnavailableError, BadInputError) as error:
        cure = "see `systemctl status transom`, or ask as root or in the group transom"
        raise ConfigurationError(str(error), cure=cure) from error


def _status(options: argparse.Namespace) -> int:
    vitals = _vitals(options)
    if options.json:
        print(encode_vitals(vitals).decode())
    else:
        from rich.console import Console  # noqa: PLC0415 - the daemon draws nothing

        from agent.health.status_table import status_table  # noqa: PLC0415 - the daemon draws nothing

        Console().print(status_table(vitals))
    return 1 if vitals.warnings else 0


def _owner(options: argparse.Namespace) -> int:
    page = _vitals(options).page
    if page is None:
        cure = "see owner_page in the configuration; a hub that is not enrolled has none yet"
        raise ConfigurationError("the owner's page is not served", cure=cure)
    addresses = [page.address] if page.address != EVERY_ADDRESS else own_addresses() or ["ADDRESS-OF-THIS-HUB"]
    urls = [f"https://[{one}]:{page.port}/" if ":" in one else f"https://{one}:{page.port}/" for one in addresses]
    if options.json:
        print(msgspec.json.encode({"urls": urls, "sha256": page.fingerprint}).decode())
        return 0
    print("The owner's page, for browsers in this hub's network:")
    print("".join(f"  {url}\n" for url in urls), end="")
    print(
        "The browser will warn, since nobody but the hub vouches for it. Let it show the certificate, and go on only if"
    )
    print("its SHA-256 fingerprint is")
    half = len(page.fingerprint) // 2 + 1
    print(f"  {page.fingerprint[:half]}\n  {page.fingerprint[half:]}")
    return 0


def _snapshot(options: argparse.Namespace) -> int:
    jpeg = read_snapshot(load(options.config).snapshot_dir, options.camera)
    try:
        options.output.write_bytes(jpeg)
    except OSError as error:
        raise ConfigurationError(f"{options.output}: {error.strerror}", cure="choose another place") from error
    return 0


def _demo(options: argparse.Namespace) -> int:
    try:
        from agent.demo.story import main as run_demo  # noqa: PLC0415 - needs the demo extra
    except ModuleNotFoundError as error:
        cure = "pip install 'transom[demo]'"
        raise ConfigurationError(f"the demo needs a package that is not installed: {error.name}", cure=cure) from error
    return run_demo(options.rest)


def add_parsers(commands: Any) -> None:  # noqa: ANN401 - argparse names no type of it
    """Describe the commands to argparse; `call` of what it parses runs one and gives the exit code."""
    run = commands.add_parser("run", help="run the daemon until SIGTERM or Ctrl-C")
    run.add_argument("--config", type=Path, required=True, metavar="FILE")
    run.set_defaults(call=_run, is_daemon=True)

    status = commands.add_parser("status", help="how the hub does: 0 all is well, 1 there are warnings, 2 not running")
    status.add_argument("--config", type=Path, metavar="FILE", help="if it names another status_file than the default")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(call=_status)

    owner = commands.add_parser("owner", help="where the owner's page is, and its certificate's fingerprint")
    owner.add_argument("--config", type=Path, metavar="FILE", help="if it names another status_file than the default")
    owner.add_argument("--json", action="store_true", help="for programs")
    owner.set_defaults(call=_owner)

    cameras = commands.add_parser("cameras", help="the site's cameras").add_subparsers(required=True)
    add_camera_parsers(cameras, CALLS, print)

    _add_snapshot(cameras)

    audit = commands.add_parser("audit", help="the log of everything the hub decided").add_subparsers(required=True)
    add_audit_parsers(audit, print)

    policy = commands.add_parser("policy", help="what an owner's policy shares").add_subparsers(required=True)
    add_policy_parsers(policy, print)

    demo = commands.add_parser("demo", help="try all of it on this machine", add_help=False)
    demo.add_argument("rest", nargs=argparse.REMAINDER)
    demo.set_defaults(call=_demo)


def _add_snapshot(cameras: Any) -> None:  # noqa: ANN401 - argparse names no type of it
    snapshot = cameras.add_parser("snapshot", help="what a camera shows: its newest key picture, a minute old at most")
    snapshot.add_argument("camera", help="its name, as in the hub's state message")
    snapshot.add_argument("--config", type=Path, required=True, metavar="FILE")
    snapshot.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.jpg")
    snapshot.set_defaults(call=_snapshot)
