"""Strangers' bytes do nothing but what is allowed: some seconds of it in every run; `long.py` goes on for longer."""

from __future__ import annotations

import random
import sys
import time
from typing import Final

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.edits import BYTES_MAX, mutations, random_mutation
from tests.fuzz.smaller import failure_of, smaller
from tests.fuzz.targets import CRASHES, TARGETS

SECONDS_EACH: Final = 1.0
EXAMPLES_PER_ROUND: Final = 50
SHOWN_BYTES_MAX: Final = 2000
NAMES: Final = sorted(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_good_messages_and_old_crashes_are_taken(name: str) -> None:
    """What all others are made from passes, some of it without an error, and so does what once broke a target."""
    target = TARGETS[name]
    assert sum(target.attempt(raw) for raw in target.seeds) > 0  # else nothing behind the first check is tested
    for raw in (b"", *(path.read_bytes() for path in target.crashes())):
        target.attempt(raw)


@pytest.mark.parametrize("name", NAMES)
def test_edited_messages_do_no_harm(name: str) -> None:
    """For a second, other messages in each run: nothing but BadInputError, and what the target promises holds."""
    until_s = time.monotonic() + SECONDS_EACH
    target, rounds, broken = TARGETS[name], random.SystemRandom(), list[bytes]()
    drawn = mutations(target.seeds)
    while not broken and time.monotonic() < until_s:

        @seed(rounds.getrandbits(32))
        @settings(
            max_examples=EXAMPLES_PER_ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(drawn)
        def one_round(raw: bytes) -> None:
            is_over = broken or time.monotonic() >= until_s
            if not is_over and failure_of(target.attempt, raw) is not None:
                broken.append(raw)

        one_round()
    for raw in broken:  # made smaller by pieces of the input, not of the edits: that is what a person can read
        small = smaller(target.attempt, raw)
        shown = small.hex() if len(small) <= SHOWN_BYTES_MAX else f"{len(small)} bytes; `tests.fuzz.long` stores such"
        sys.stdout.write(f"to replay it, store as {target.crash(small).name}: {shown}\n")
        target.attempt(small)
        target.attempt(raw)  # what was too slow is just fast enough when it is small


def test_every_crash_belongs_to_a_target() -> None:
    """A file whose target was renamed would never be replayed."""
    known = {path for target in TARGETS.values() for path in target.crashes()}
    assert set(CRASHES.glob("*.bin")) - known == set()


def test_edits_stay_within_their_limit() -> None:
    """No edited message is longer than a message can be, and the plain generator repeats itself for the same seed."""
    seeds = TARGETS["wire"].seeds
    drawn = [random_mutation(seeds, random.Random(n)) for n in range(200)]  # noqa: S311 - repeatable test content
    assert max(len(raw) for raw in drawn) <= BYTES_MAX
    assert drawn[7] == random_mutation(seeds, random.Random(7))  # noqa: S311 - repeatable test content
    assert len(set(drawn)) > 150


def test_a_crash_is_made_smaller() -> None:
    """What has nothing to do with a failure is taken out."""

    def check(raw: bytes) -> None:
        assert b"\r\n\r\n" not in raw or b"9" not in raw

    assert smaller(check, b"x" * 500 + b"\r\n\r\n" + b"y" * 300 + b"9" + b"z" * 20) == b"\r\n\r\n9"
