"""The command `transom`: on a hub, and on an officer's computer that has none of the hub's libraries.

Exit codes: 0 done, 1 it did not work or the answer is no, 2 a person must mend the call, the configuration or a file.
"""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.metadata import version
from io import TextIOWrapper

from agent.cli import clips
from agent.errors import ConfigurationError, TransomError
from agent.opening.plain import printable
from agent.outside.closed_memory import close_memory
from provisioning.errors import ConfigurationError as ProvisioningConfigurationError
from provisioning.errors import ProvisioningError


def program() -> int:
    """Be the program `transom`: whatever it is asked, it may come to hold a password or a key."""
    close_memory()
    return main()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a camera's name may have letters that a Windows code page has not
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser(given).parse_args(given)
        if not getattr(options, "is_daemon", False):
            logging.getLogger().addHandler(logging.NullHandler())  # what a command has to say, it says
        return int(options.call(options))
    except (ConfigurationError, ProvisioningConfigurationError) as error:
        print(f"transom: {_shown(error)}", file=sys.stderr)
        return 2
    except (TransomError, ProvisioningError) as error:
        print(f"transom: {_shown(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _shown(error: Exception) -> str:
    """Write an error for a terminal: files and messages of strangers may have put anything into it but new lines."""
    return "\n".join(map(printable, str(error).split("\n")))


def _parser(given: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="transom", description="The edge agent of a camera hub.")
    parser.add_argument("--version", action="version", version=f"transom {version('transom')}")
    commands = parser.add_subparsers(title="commands", required=True)
    clips.add_parsers(commands)
    if given[:1] not in (["clip"], ["--version"]):
        _add_hub_parsers(commands, is_help=given[:1] in ([], ["-h"], ["--help"]))
    return parser


def _add_hub_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser], *, is_help: bool) -> None:
    try:
        from agent.cli import hub  # noqa: PLC0415 - an officer's computer has not what this needs
    except ModuleNotFoundError as error:
        if is_help:
            return
        cure = "on a hub: pip install 'transom[hub]'; clips are opened without it, by `transom clip`"
        raise ConfigurationError(f"this needs a package that is not installed: {error.name}", cure=cure) from error
    hub.add_parsers(commands)


if __name__ == "__main__":
    sys.exit(program())
