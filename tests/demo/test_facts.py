"""A demo that cannot fail proves nothing: each wrong fact alone makes the run fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.demo.facts import CameraFacts, Facts, Refused

ATTEMPTS = ("bad_signature", "replayed", "window_too_long")


def good() -> Facts:
    """Return the facts of a run in which everything held."""
    return Facts(
        hub="hub-1",
        broker="mosquitto",
        is_client_certificate_checked=True,
        window=["2026-11-22T14:00:00.000Z", "2026-11-22T14:00:12.000Z"],
        cameras=[
            CameraFacts(
                camera=name, name=name, frames=180, frames_expected=180, copied=150, reencoded=30, parts=3, bytes=1
            )
            for name in ("Front door", "Back yard")
        ],
        frames_outside=0,
        frames_missing=0,
        alarm_to_first_byte_s=0.5,
        alarm_to_receipt_s=4.5,
        clip_status="SUCCEEDED",
        refusals=[Refused(reason, reason, "REJECTED", reason) for reason in ATTEMPTS],
        audit_entries=12,
        is_audit_intact=True,
        stop_s=0.4,
        total_s=25,
    )


def test_a_good_run_has_no_problems() -> None:
    """Else the cases below would prove nothing."""
    assert good().problems == []


def test_an_empty_run_is_full_of_problems() -> None:
    """What is not known did not hold."""
    assert len(Facts().problems) >= 6


def _set(**changes: object) -> Callable[[Facts], object]:
    return lambda facts: [setattr(facts, name, value) for name, value in changes.items()]


def _camera(**changes: object) -> Callable[[Facts], object]:
    return lambda facts: [setattr(facts.cameras[1], name, value) for name, value in changes.items()]


def _refusal(**changes: object) -> Callable[[Facts], object]:
    return lambda facts: [setattr(facts.refusals[2], name, value) for name, value in changes.items()]


WRONG: dict[str, Callable[[Facts], Any]] = {
    "something failed": _set(failure="the broker did not start"),
    "the job failed": _set(clip_status="FAILED"),
    "the job was partial": _set(clip_status="PARTIAL"),
    "the job never ended": _set(clip_status=""),
    "one camera": lambda facts: facts.cameras.pop(),
    "no camera": lambda facts: facts.cameras.clear(),
    "three cameras": lambda facts: facts.cameras.append(facts.cameras[0]),
    "an empty clip": _camera(frames=0, frames_expected=0),
    "a picture outside": _camera(frames_outside=1),
    "a picture missing": _camera(frames_missing=1),
    "a picture unreadable": _camera(frames_unreadable=1),
    "a picture twice": _camera(frames_doubled=1),
    "fewer pictures than there were": _camera(frames=179),
    "outside and missing that cancel out": _camera(frames_outside=1, frames_missing=-1),
    "nobody looked for pictures outside": _set(frames_outside=-1),
    "nobody looked for missing pictures": _set(frames_missing=-1),
    "the sum says outside": _set(frames_outside=1),
    "the sum says missing": _set(frames_missing=2),
    "no byte reached the store": _set(alarm_to_first_byte_s=-1.0),
    "no receipt": _set(alarm_to_receipt_s=-1.0),
    "a bad command succeeded": _refusal(status="SUCCEEDED", reason=""),
    "a bad command failed otherwise": _refusal(status="FAILED"),
    "refused for another reason": _refusal(reason="expired"),
    "two bad commands": lambda facts: facts.refusals.pop(),
    "no bad command": lambda facts: facts.refusals.clear(),
    "a changed audit log": _set(is_audit_intact=False),
    "an empty audit log": _set(audit_entries=0),
    "a slow end": _set(stop_s=2.5),
    "no end": _set(stop_s=-1.0),
    "an end nobody measured": _set(stop_s=float("nan")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_each_wrong_fact_alone_fails_the_run(wrong: str) -> None:
    """One thing is wrong, so there is a problem, and it says something."""
    facts = good()
    WRONG[wrong](facts)
    assert facts.problems
    assert all(facts.problems)
