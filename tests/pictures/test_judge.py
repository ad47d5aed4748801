"""What is wrong with a picture: said once it has lasted, one fault for one cause, and taken back when it is over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.clock import SECOND_NS, Instant, WallTime
from agent.cut.look import EDGE_BYTES, SAMPLES, Signs
from agent.pictures.judge import (
    ACCEPTED_S,
    CLEARED_BY_LOOKS,
    LASTS_S,
    SHARPNESS_LOOKS_MIN,
    Fault,
    PictureJudge,
)

WELL = Signs(
    taken=WallTime(0),
    width=1920,
    height=1080,
    brightness=100,
    lightest=150,
    white=3,
    detail=380,
    sharpness=600,
    colour=6,
    edges=bytes([40]) * EDGE_BYTES,
    samples=bytes(SAMPLES),
    likeness=(1000,),
    changed=600,
)
ILL: dict[Fault, dict[str, Any]] = {
    Fault.BLACK: {"lightest": 5, "detail": 6, "sharpness": None, "likeness": (90,), "changed": 0},
    Fault.BLINDED: {"lightest": 254, "detail": 5, "white": 980, "likeness": (60,), "sharpness": 100},
    Fault.FROZEN: {"changed": 0},
    Fault.MOVED: {"likeness": (200,), "sharpness": 100},
    Fault.BLURRED: {"sharpness": 250},
}


def looked(judge: PictureJudge, minutes: range, **changes: Any) -> list[tuple[Fault, ...]]:  # noqa: ANN401 - of Signs
    """Look once a minute; return the faults after each look."""
    faults = []
    for minute in minutes:
        taken = WallTime(minute * 60 * SECOND_NS)
        judge.judge(replace(WELL, taken=taken, **changes), Instant(taken))
        faults.append(judge.faults)
    return faults


def experienced() -> PictureJudge:
    """Return a judge that knows a camera for half an hour."""
    judge = PictureJudge()
    assert looked(judge, range(30)) == [()] * 30
    return judge


@pytest.mark.parametrize("fault", list(ILL))
def test_a_fault_is_said_once_it_has_lasted_and_taken_back_after_two_good_looks(fault: Fault) -> None:
    """Not at the first look that shows it, and no other fault beside it."""
    judge = experienced()
    before = -(-LASTS_S[fault] // 60)
    assert looked(judge, range(30, 32 + before), **ILL[fault]) == [()] * before + [(fault,)] * 2
    assert looked(judge, range(60, 60 + CLEARED_BY_LOOKS)) == [(fault,)] * (CLEARED_BY_LOOKS - 1) + [()]


@pytest.mark.parametrize("fault", list(ILL))
def test_what_passes_is_not_said(fault: Fault) -> None:
    """One good look between, and the time begins anew."""
    judge, looks = experienced(), -(-LASTS_S[fault] // 60)
    for start in (30, 30 + looks + 1):
        assert set(looked(judge, range(start, start + looks), **ILL[fault])) == {()}
        assert looked(judge, range(start + looks, start + looks + 1)) == [()]


def test_looks_in_quick_succession_prove_nothing() -> None:
    """Time counts, not the number of looks."""
    judge = experienced()
    for second in range(100):
        judge.judge(replace(WELL, **ILL[Fault.BLACK]), Instant((1800 + second) * SECOND_NS))
    assert judge.faults == ()


def test_a_picture_whose_clock_goes_on_is_frozen_and_one_that_changes_elsewhere_too_is_not() -> None:
    """What counts is most of its parts, and that all others together are no more than a clock."""
    assert looked(experienced(), range(30, 36), changed=90, changed_within=0)[-1] == (Fault.FROZEN,)
    assert set(looked(experienced(), range(30, 36), changed=300, changed_within=0)) == {()}
    assert set(looked(experienced(), range(30, 36), changed=90, changed_within=80)) == {()}


def test_the_same_picture_again_is_not_a_frozen_one() -> None:
    """Only a later picture that is the same stands still."""
    judge = PictureJudge()
    for minute in range(10):
        judge.judge(replace(WELL, changed=0), Instant(minute * 60 * SECOND_NS))
    assert judge.faults == ()


def test_what_cannot_be_judged_is_said_and_changes_nothing_else() -> None:
    """A warning that stood goes on to stand."""
    judge = experienced()
    looked(judge, range(30, 40), **ILL[Fault.MOVED])
    for minute in range(40, 47):
        judge.cannot_judge("no key picture could be decoded", Instant(minute * 60 * SECOND_NS))
    assert judge.faults == (Fault.MOVED, Fault.UNJUDGED)
    assert judge.why_unjudged == "no key picture could be decoded"
    looked(judge, range(47, 50))
    assert (judge.faults, judge.why_unjudged) == ((), "")


def test_focus_is_judged_once_it_is_known() -> None:
    """A camera that was never sharp is not warned of."""
    judge = PictureJudge()
    looked(judge, range(SHARPNESS_LOOKS_MIN - 5))
    assert set(looked(judge, range(20, 30), sharpness=250)) == {()}
    assert set(looked(PictureJudge(), range(60), sharpness=250)) == {()}


def test_rain_does_not_raise_the_bar() -> None:
    """What looks sharper than a lens can be is not taken for usual."""
    judge = PictureJudge()
    looked(judge, range(200), sharpness=1000)
    assert set(looked(judge, range(200, 260), sharpness=450)) == {()}


def test_a_camera_that_was_turned_on_purpose_is_accepted_after_a_day() -> None:
    """Then what it sees is learnt anew."""
    judge = experienced()
    minutes = range(30, 30 + ACCEPTED_S // 60 + 1)
    faults = looked(judge, minutes, likeness=(200,), edges=bytes([90]) * EDGE_BYTES)
    assert faults[100:-1] == [(Fault.MOVED,)] * (len(minutes) - 101)
    assert faults[-1] == ()
    assert judge.order(0).scenes == (bytes([90]) * EDGE_BYTES,)


def test_night_is_learnt_beside_day() -> None:
    """A grey picture of the same place is a second scene; a cloth before the lens is none."""
    judge = experienced()
    looked(judge, range(30, 40), **ILL[Fault.BLINDED])
    assert len(judge.order(0).scenes) == 1
    looked(judge, range(40, 50), colour=0, likeness=(650,), edges=bytes([60]) * EDGE_BYTES)
    assert judge.order(0).scenes == (WELL.edges, bytes([60]) * EDGE_BYTES)


def test_a_scene_is_learnt_slowly_and_in_full() -> None:
    """A look moves it by a sixteenth; in the end it is what is seen."""
    judge = PictureJudge()
    looked(judge, range(1), edges=bytes(EDGE_BYTES))
    looked(judge, range(1, 2), edges=bytes([160]) * EDGE_BYTES)
    assert judge.order(0).scenes == (bytes([10]) * EDGE_BYTES,)
    looked(judge, range(2, 200), edges=bytes([160]) * EDGE_BYTES)
    assert judge.order(0).scenes == (bytes([160]) * EDGE_BYTES,)


@given(st.lists(st.tuples(st.sampled_from([None, "cannot", *ILL]), st.integers(1, 4)), max_size=40))
def test_no_fault_is_said_before_its_time(steps: list[tuple[Fault | str | None, int]]) -> None:
    """Whatever came before it."""
    judge, minute = experienced(), 30
    seen: dict[Fault, int] = {}
    for step, passed in steps:
        minute += passed
        now = Instant(minute * 60 * SECOND_NS)
        if step == "cannot":
            judge.cannot_judge("x", now)
            seen.setdefault(Fault.UNJUDGED, minute)
        else:
            changes = ILL[step] if isinstance(step, Fault) else {}
            judge.judge(replace(WELL, taken=WallTime(now), **changes), now)
            if isinstance(step, Fault):
                seen.setdefault(step, minute)
        assert all((minute - seen[fault]) * 60 >= LASTS_S[fault] for fault in judge.faults)
