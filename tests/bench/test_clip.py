"""The bars of the clip bench are judged by the cases they are set for."""

from __future__ import annotations

from tests.bench.clip import Case, CaseMeasured, ClipReport, figures
from tests.bench.clip_pipeline import Taken
from tests.bench.conditions import Conditions
from tests.bench.figures import Verdict

HERE = Conditions("a processor", 2, "6.1", "3.11", "5.1", 0.0)


def measured(case: Case, first_byte_s: float, *, ratio: float = 1.0, growth: int = 0) -> CaseMeasured:
    """Make up a case."""
    taken = Taken(first_byte_s, 2 * first_byte_s)
    return CaseMeasured(case, taken, Taken(0.1, 0.2), Taken(0.1, 0.2), growth, ratio)


def judged(*cases: CaseMeasured, dropped: int = 0) -> dict[str, tuple[float | None, Verdict]]:
    """Return figures by name."""
    return {one.what: (one.measured, one.verdict) for one in figures(ClipReport(HERE, cases, dropped))}


def test_each_bar_is_judged_by_its_own_case() -> None:
    """A minute of one camera: on a key picture, and two seconds before one; others only count for memory."""
    found = judged(
        measured(Case(60, 1, 0.0), 0.4, ratio=1.2),
        measured(Case(60, 1, 2.0), 1.6),
        measured(Case(10, 1, 0.0), 9.0, growth=61_000_000),
    )
    assert found["first byte, on a key picture"] == (0.4, Verdict.MUST_MET)
    assert found["first byte, 2 s to encode anew"] == (1.6, Verdict.MISSED)
    assert found["last receipt"] == (0.8, Verdict.MET)
    assert found["last receipt beside ffmpeg, age and curl"] == (1.2, Verdict.MISSED)
    assert found["the daemon grows by"] == (61.0, Verdict.MISSED)


def test_one_picture_that_was_not_taken_is_a_missed_bar() -> None:
    """Recording comes first, whatever is cut beside it."""
    assert judged()["pictures that the hub did not take"] == (0, Verdict.MET)
    assert judged(dropped=1)["pictures that the hub did not take"] == (1, Verdict.MISSED)


def test_what_was_not_measured_is_said_so() -> None:
    """A report without the case is neither met nor missed."""
    assert judged()["last receipt"] == (None, Verdict.NOT_MEASURED)
