"""What a person writes behind `transom cameras`, and the login that the call gives."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.errors import ConfigurationError

PASSWORD_BYTES_MAX: Final = 4096

Options = argparse.Namespace
Say = Callable[[str], object]
Call = Callable[[Options, Say], int]


def add_parsers(cameras: Any, calls: Mapping[str, Call], say: Say) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """Describe the commands to argparse; `call` of what it parses runs one."""

    def command(name: str, words: str, *parts: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = cameras.add_parser(name, help=words)
        _add_options(parser, parts)
        parser.set_defaults(call=partial(_run, calls[name], say))
        return parser

    command("discover", "list the ONVIF cameras on this network", "search", "login", "json")
    command("list", "the cameras this hub knows", "config", "json")
    command("add", "record a camera that no search finds", "config", "login", "json").add_argument(
        "address", metavar="ADDRESS", help="192.168.5.20, 192.168.5.20:8000, [fd00::20] or its device service's URL"
    )
    stream = ("--stream", "the name or token of the profile, if not the one that is recorded")
    trying = command("test", "try a camera step by step", "camera", "may config", "search", "login", "json")
    trying.add_argument(stream[0], help=stream[1])
    login = command("login", "keep the login of a camera, or of all, sealed", "may camera", "config", "login")
    login.add_argument("--site", action="store_true", help="the login of all cameras that have none of their own")
    login.add_argument("--remove", action="store_true", help="forget it instead")
    login.add_argument("--even-if-unknown", action="store_true", help="for a camera that was not found yet")
    forgetting = command("forget", "believe a camera's new certificate, after a reset", "camera", "config")
    forgetting.add_argument(
        "--all", action="store_true", help="forget its login, its marks, and its address if it was added, too"
    )
    tuning = command("tune", "set a camera's encoder or clock", "camera", "may config", "search", "login", "json")
    tuning.add_argument("--key-interval", type=float, metavar="S", help="seconds from one key picture to the next")
    tuning.add_argument("--bitrate", type=int, metavar="KBPS", help="the limit, in kbit/s")
    tuning.add_argument("--ntp", metavar="SERVER", help="where it takes its time from")
    tuning.add_argument(stream[0], help=stream[1])


def _run(call: Call, say: Say, options: Options) -> int:
    return call(options, say)


def _add_options(parser: argparse.ArgumentParser, parts: Iterable[str]) -> None:
    add_one = parser.add_argument
    for part in parts:
        match part:
            case "camera":
                add_one("camera", metavar="CAMERA", help="its name, as in `list` and `discover`, or its address")
            case "may camera":
                add_one("camera", nargs="?", metavar="CAMERA", help="its name, as in `list` and `discover`")
            case "config" | "may config":
                add_one("--config", type=Path, required=part == "config", metavar="FILE")
            case "search":
                add_one("--interface", action="append", help="search here only (repeatable); default: all that are up")
                add_one("--seconds", type=float, default=4.0, help="how long to listen (default %(default)s)")
            case "login":
                add_one("--user", help="log in with this user instead of the login that is kept")
                add_one("--password-file", type=Path, metavar="FILE", help="the password as its only line; - for stdin")
            case "json":
                add_one("--json", action="store_true", help="for programs")


def given_login(options: Options) -> Login | None:
    """Read the login that the call gives; the password from a file (`-`: standard input), else from a prompt."""
    if not options.user:
        return None
    if not options.user.isprintable():
        raise ConfigurationError(
            "a user with characters that are no text", cure="write the name as on the camera's page"
        )
    if options.password_file is None:
        if not sys.stdin.isatty():
            raise ConfigurationError("no password was given", cure="give --password-file FILE, or - for standard input")
        return Login(options.user, Secret(getpass.getpass("Password: ")))
    try:
        if str(options.password_file) == "-":
            content = sys.stdin.buffer.readline(PASSWORD_BYTES_MAX)
        else:
            content = options.password_file.read_bytes()[:PASSWORD_BYTES_MAX]
    except OSError as error:
        raise ConfigurationError(f"{options.password_file} cannot be read", cure="check its name and mode") from error
    return Login(options.user, Secret(content.rstrip(b"\r\n")))
