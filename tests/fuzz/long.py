"""The same targets for as long as one likes: `python -m tests.fuzz.long --minutes M [TARGET...]`.

With Atheris (`pip install '.[fuzz]'`; Linux on x86-64) inputs are sought that reach new code, and kept in `.cache/fuzz`
for the next run; without it, or with `--plain`, good messages are edited at random. An input that breaks a target is
made smaller and stored in `crashes/`, where every `./check` replays it; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.crypto import sha256_hex
from tests.fuzz.edits import random_mutation
from tests.fuzz.smaller import failure_of, smaller
from tests.fuzz.targets import CRASHES, TARGETS, Target

ROOT: Final = Path(__file__).parents[2]
CORPUS: Final = ROOT / ".cache" / "fuzz"
START_S_MAX: Final = 120  # for the guided process, on top of its time: it reads the whole corpus first
_RUNS: Final = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")


@dataclass(frozen=True)
class Outcome:
    """What running one target gave."""

    runs: int
    seconds: float
    broken: bytes | None


def main() -> int:
    """Run the targets one after the other; return 1 if one broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.long", description="Fuzz the agent's entrances.")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together (default 10)")
    parser.add_argument("--plain", action="store_true", help="edit at random, even if Atheris is there")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one or more of: {', '.join(sorted(TARGETS))}")
    asked = parser.parse_args()
    if unknown := set(asked.targets) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    is_guided = not asked.plain and importlib.util.find_spec("atheris") is not None
    chosen = [TARGETS[name] for name in asked.targets or TARGETS]
    seconds = max(1.0, asked.minutes * 60 / len(chosen))
    _say(f"{len(chosen)} targets, {seconds:.0f} s each, {'guided by Atheris' if is_guided else 'edited at random'}")
    is_broken = False
    for target in chosen:
        outcome = _run_guided(target, seconds) if is_guided else _run_plain(target, seconds)
        _say(f"{target.name:16} {outcome.runs:>10} runs {outcome.runs / outcome.seconds:>8.0f} a second")
        if outcome.broken is not None:
            is_broken = True
            _store(target, outcome.broken)
    return int(is_broken)


def _run_plain(target: Target, seconds: float) -> Outcome:
    rnd, began_s, runs = random.Random(), time.monotonic(), 0  # noqa: S311 - other messages in each run, no secrets
    while (passed_s := time.monotonic() - began_s) < seconds:
        raw = random_mutation(target.seeds, rnd)
        runs += 1
        if failure_of(target.attempt, raw) is not None:
            return Outcome(runs, passed_s or seconds, raw)
    return Outcome(runs, seconds, None)


def _run_guided(target: Target, seconds: float) -> Outcome:
    corpus = CORPUS / target.file_name
    corpus.mkdir(parents=True, exist_ok=True)
    for raw in target.seeds:
        (corpus / sha256_hex(raw)[:40]).write_bytes(raw)
    with tempfile.TemporaryDirectory() as finds:
        command = [sys.executable, "-m", "tests.fuzz.guided", target.name, str(corpus), finds, f"{seconds:.0f}"]
        began_s = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=seconds + START_S_MAX, check=False)
        found = sorted(Path(finds).iterdir())
        if done.returncode and not found:
            _say(done.stderr[-2000:].decode(errors="replace"))
            raise SystemExit(f"{target.name}: Atheris could not run")
        counted = _RUNS.search(done.stderr)
        broken = found[0].read_bytes() if found else None
        return Outcome(int(counted[1]) if counted else 0, time.monotonic() - began_s, broken)


def _store(target: Target, raw: bytes) -> None:
    failure = failure_of(target.attempt, raw)
    if failure is None:
        _say("   an input took very long under Atheris; without it, it does not")
        return
    small = smaller(target.attempt, raw)
    CRASHES.mkdir(exist_ok=True)
    path = target.crash(small)
    path.write_bytes(small)
    _say(f"   BROKEN: {failure[0].__name__} in {failure[1]}, stored as {path.relative_to(ROOT)} ({len(small)} bytes)")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
