"""The cut's bars are judged by the cut they are set for, inside one round."""

from __future__ import annotations

import pytest

from tests.bench.cut_contenders import CutMeasured
from tests.bench.cut_figures import COPY, ENCODE, LEAST, OURS, YARDSTICK, figures
from tests.bench.figures import MIB, Verdict


def cut(
    name: str, wall_s: float, *, window_s: float = 60.0, edge_s: float = 2.0, outside: int | None = 0
) -> CutMeasured:
    """Make up a cut."""
    return CutMeasured(name, YARDSTICK[0], window_s, edge_s, wall_s, wall_s, 100 * MIB, wall_s / 2, 1800, outside, 1)


def judged(*rounds: list[CutMeasured]) -> dict[str, tuple[float | None, Verdict]]:
    """Return figures by name."""
    return {figure.what: (figure.measured, figure.verdict) for figure in figures(rounds)}


def test_ratios_are_taken_inside_a_round() -> None:
    """A machine that was slow in one round was slow for both."""
    found = judged([cut(OURS, 1), cut(ENCODE, 40), cut(LEAST, 0.8)], [cut(OURS, 3), cut(ENCODE, 60), cut(LEAST, 2)])
    for what, value in (("full re-encoding", (1 / 40 + 1 / 20) / 2), ("bytes and edge alone", (1.25 + 1.5) / 2)):
        ratio, verdict = found[f"time beside {what}"]
        assert ratio == pytest.approx(value)
        assert verdict is Verdict.MUST_MET


def test_a_picture_outside_is_a_missed_bar_for_us_and_a_figure_for_others() -> None:
    """In any window of any footage."""
    found = judged([cut(OURS, 1), cut(OURS, 1, window_s=10.0, outside=1), cut(COPY, 1, outside=60)])
    assert found["pictures outside, in our clips"] == (1, Verdict.MISSED)
    assert found["pictures outside, ffmpeg -c copy"] == (60, Verdict.NO_BAR)


def test_what_was_not_measured_is_said_so() -> None:
    """Neither met nor missed."""
    found = judged([cut(OURS, 1)])
    assert found["time beside full re-encoding"] == (None, Verdict.NOT_MEASURED)
    assert found["first byte, aligned"] == (None, Verdict.NOT_MEASURED)
    assert found["first byte, 2 s edge"] == (0.5, Verdict.MET)
    assert found["memory, 10 min beside 1 min"] == (None, Verdict.NOT_MEASURED)


def test_memory_must_not_grow_with_the_window() -> None:
    """Ten minutes beside one."""
    found = judged([cut(OURS, 1), cut(OURS, 9, window_s=600.0)])
    assert found["memory, 10 min beside 1 min"] == (1.0, Verdict.MET)
    assert found["peak memory of the child, 1080p"] == (100.0, Verdict.MET)
