"""`transom clip`: open clips, make the key that opens them, prove them; for officers and owners, without a hub.

Rules of this file: nothing of the hub's libraries is loaded but by `prove`, which is for whoever has them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.clock import WallTime
from agent.deliver.age import generate_identity
from agent.errors import BadInputError, ConfigurationError
from agent.opener import open_clip
from agent.opening.check import FaultyClipError
from agent.opening.meter import Progress
from agent.opening.plain import as_json
from agent.opening.report import refusal_page, report_page
from agent.opening.words import Opened, describe


def add_parsers(commands: Any) -> None:  # noqa: ANN401 - argparse names no type of it
    """Describe the commands to argparse; `call` of what it parses runs one and gives the exit code."""
    clip = commands.add_parser("clip", help="clips that a hub has sent").add_subparsers(required=True)
    _add_open(clip)

    key = clip.add_parser("key", help="make a key: a file to keep, and the line to give to the agency or the hub")
    key.add_argument("-o", "--output", type=Path, required=True, metavar="KEYFILE")
    key.add_argument(
        "--post-quantum",
        action="store_true",
        help="stays shut to quantum computers; all recipients must have such keys",
    )
    key.set_defaults(call=_make_key)

    proven = clip.add_parser("prove", help="judge opened videos by the log of the camera: 0 if exact, to the last byte")
    proven.add_argument("video", type=Path, nargs="+", help="the videos of one clip, all that it has")
    proven.add_argument("--camera-log", type=Path, required=True, metavar="LOG", help="what the camera says it sent")
    proven.add_argument("--window", default="", metavar="START/END", help="what was asked for, in RFC 3339")
    proven.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write first.png and last.png of the clip there"
    )
    proven.add_argument(
        "--sound",
        action=argparse.BooleanOptionalAction,
        help="its sound was shared, or was not (default: judge what is there)",
    )
    proven.add_argument("--json", action="store_true", help="every sample explained, for programs")
    proven.set_defaults(call=_prove_clip)


def _add_open(clip: Any) -> None:  # noqa: ANN401 - argparse names no type of it
    opener = clip.add_parser("open", help="check a clip, decrypt and join it, and say what it is")
    opener.add_argument("source", type=Path, nargs="+", help="the clip's folder, its manifest, or some of its parts")
    opener.add_argument("--identity", type=Path, required=True, metavar="KEYFILE", help="an age identity file")
    opener.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mp4")
    opener.add_argument("--report", type=Path, metavar="OUT.html", help="a page about the clip, to look at and print")
    opener.add_argument("--known-hubs", type=Path, metavar="FILE", help="default: known_hubs beside the identity file")
    opener.add_argument("--known-stores", type=Path, metavar="FILE", help="default: known_stores beside it")
    opener.add_argument("--json", action="store_true", help="for programs")
    opener.set_defaults(call=_open_clip)


def _open_clip(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing half-written is left
    if options.report:
        _check_report(options.report, options.output)
    now = WallTime(time.time_ns())
    try:
        with _progress_bar() as progress:
            opened = open_clip(
                options.source, options.identity, options.output, options.known_hubs, options.known_stores, progress
            )
    except FaultyClipError as error:
        if options.report:
            _write(options.report, refusal_page(error.manifest, error.faults, now))
        if options.json:
            print(as_json({"faults": error.faults}))
        raise
    except BadInputError as error:
        if options.json:
            print(as_json({"faults": [str(error)]}))
        raise
    if options.report:
        _write(options.report, report_page(opened, now))
    print(as_json(opened) if options.json else _shown(opened))
    return 0


def _check_report(report: Path, output: Path) -> None:
    """Refuse a place that will not do while nothing is opened yet."""
    if report.exists():
        raise ConfigurationError(f"{report} exists already", cure="choose another name, or move it away")
    if report == output or not report.parent.is_dir():
        raise ConfigurationError(
            f"{report} cannot be the report", cure="choose a name of its own, in a folder that exists"
        )


def _shown(opened: Opened) -> str:
    """Fold long rows where a person watches; programs and files get one line a row."""
    if not sys.stdout.isatty():
        return describe(opened)
    from rich.console import Console  # noqa: PLC0415 - only where somebody watches

    from agent.opening.told import clip_table  # noqa: PLC0415 - the same

    console = Console()
    with console.capture() as capture:
        console.print(clip_table(opened))
    return capture.get().rstrip("\n")


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich import progress as rich_progress  # noqa: PLC0415 - the same
    from rich.console import Console  # noqa: PLC0415 - only where somebody watches

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Checking", total=None)

        def show(done: int, total: int) -> None:
            words = "Checking" if done * 2 <= total else "Opening"
            bar.update(task, completed=done, total=total, description=words)

        yield show


def _write(path: Path, page: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", cure="choose another place") from error


def _make_key(options: argparse.Namespace) -> int:
    identity, recipient = generate_identity(is_post_quantum=options.post_quantum)
    content = b"# Whoever has this file can open the clips that are sealed to it. Public key:\n# "
    content += recipient.encode() + b"\n" + identity.reveal() + b"\n"
    try:
        with os.fdopen(os.open(options.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigurationError(f"{options.output}: {error.strerror}", cure="choose another name") from error
    print(recipient)
    return 0


def _prove_clip(options: argparse.Namespace) -> int:
    from agent.demo.clip_verdict import prove_files, save_ends  # noqa: PLC0415 - it decodes: the daemon never does

    proof, words = prove_files(options.video, options.camera_log, options.window, has_sound=options.sound)
    if options.pictures:
        save_ends(options.video, options.pictures)
    print(as_json(proof) if options.json else words)
    return 0 if proof.is_exact else 1
