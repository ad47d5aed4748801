"""`./bench NAME`: one module per bench, with `SUMMARY`, `add_arguments` and `run`."""

from __future__ import annotations

import argparse
import sys
from compileall import compile_dir
from typing import Final, Protocol

from rich.console import Console

from agent.errors import TransomError
from tests.bench import (
    busy,
    clip,
    clocks,
    cold,
    command,
    cut,
    faults,
    flood,
    hostile,
    pictures,
    poison,
    powercut,
    record,
    recovery,
    torn,
    uplink,
)
from tests.bench.contenders import ROOT


class Bench(Protocol):
    """What a bench's module has."""

    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say what the bench can be told."""

    def run(self, arguments: argparse.Namespace, console: Console) -> None:
        """Measure and print; a missed bar is a result, not an error. Raises TransomError if it cannot measure."""


BENCHES: Final[dict[str, Bench]] = {
    "record": record,
    "cut": cut,
    "clip": clip,
    "busy": busy,
    "uplink": uplink,
    "recovery": recovery,
    "powercut": powercut,
    "torn": torn,
    "pictures": pictures,
    "poison": poison,
    "time": clocks,
    "cold": cold,
    "hostile": hostile,
    "command": command,
    "flood": flood,
    "faults": faults,
}


def main() -> int:
    """Run one bench; return 0 if it could measure."""
    parser = argparse.ArgumentParser("./bench", description="Measures Transom; tests/bench/README.md says how.")
    commands = parser.add_subparsers(dest="bench", required=True, metavar="NAME")
    for name, bench in BENCHES.items():
        bench.add_arguments(commands.add_parser(name, help=bench.SUMMARY, description=bench.SUMMARY))
    arguments = parser.parse_args()
    console = Console()
    compile_dir(ROOT / "agent", quiet=1)  # installed software is compiled: a cutter's child would do it at each start
    try:
        BENCHES[arguments.bench].run(arguments, console)
    except TransomError as error:
        console.print(f"bench: {error}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
