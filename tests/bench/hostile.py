"""What a network of hostile and odd answers does to a hub's search and questions: nothing, if all is well."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Final

from rich.console import Console

from agent.errors import UnavailableError

SUMMARY: Final = "thousands of hostile discovery datagrams and SOAP answers"
ARENAS: Final = {"MALLOC_ARENA_MAX": "2"}
"""As systemd/transom.service has it: else glibc keeps what each thread once took, up to 8 times as many as cores."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the bench can be told."""
    parser.add_argument("--answers", type=int, default=2000, help="half datagrams, half SOAP (default %(default)s)")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError if it could not be measured."""
    told = measure_hostile(arguments.answers)
    console.print(
        f"{told['answers']} hostile answers in {told['seconds']} s, CPU {told['cpu_s']} s:"
        f" good cameras found in every round {told['good_found']} of {told['good']},"
        f" foreign errors {told['foreign_errors']}, latest {told['late_s_max']} s after its deadline,"
        f" memory {int(told['memory_before']) >> 20} MiB, then {int(told['memory_after']) >> 20} MiB"
    )


def measure_hostile(answers: int) -> dict[str, int | float]:
    """Run the hostile network in a process of its own; return `Figures` of `tests.simulators.hostile_network`."""
    command = [sys.executable, "-m", "tests.simulators.hostile_network", str(answers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, env={**os.environ, **ARENAS})
    if done.returncode:
        raise UnavailableError("the hostile network broke off", cure="see what it has said")
    figures: dict[str, int | float] = json.loads(done.stdout)
    return figures
