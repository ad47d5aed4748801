"""What the daemon believes of a report: only what fits the order and what came."""

from __future__ import annotations

import msgspec
import pytest

from agent.clock import WallTime
from agent.cut.answer import read_report
from agent.cut.clip import ClipReport, CutOrder, Gap, PictureRun
from agent.errors import BadInputError
from tests.simulators.clips import cut, window_of
from tests.simulators.h264_source import Recipe, film, without_packets

SOURCE = film(Recipe())
ORDER = CutOrder(window_of(0.5, 1.9), (SOURCE.header,))
INSIDE, END = WallTime(ORDER.window.start + 1), ORDER.window.end
RUN = PictureRun(INSIDE, INSIDE, 1)
FACTS = ClipReport(2, 1, 1, INSIDE, INSIDE, 64, 64, "h264", (Gap(INSIDE, END, "lost"),), 3, 5, "sr")
GOOD = msgspec.structs.replace(FACTS, reencoded_at=(RUN,))
NOTHING = ClipReport(0, 0, 0, None, None)


def read(report: ClipReport, order: CutOrder = ORDER, written: int = 1) -> ClipReport:
    """Read a report as it comes from the child."""
    return read_report(msgspec.msgpack.encode(report), order, written)


def test_true_reports_are_read() -> None:
    """Those of real cuts, after losses too, and of nothing at all."""
    assert read(GOOD) == GOOD
    assert read(NOTHING, written=0) == NOTHING
    for source in (SOURCE, without_packets(SOURCE, range(20, 90, 7))):
        clip, report = cut([source], ORDER.window)
        assert read(report, written=len(clip)) == report


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"pictures": 3}, "sum"),
        ({"copied": -1, "reencoded": 3}, "counts"),
        ({"refused": 40_001}, "counts"),
        ({"first_picture": None}, "times"),
        ({"last_picture": END}, "times"),
        ({"first_picture": WallTime(INSIDE + 1)}, "times"),
        ({"width": 0}, "shape"),
        ({"height": 8193}, "shape"),
        ({"codec": ""}, "codec"),
        ({"codec": "h264\n"}, "codec"),
        ({"source": "gps"}, "clock"),
        ({"error_ns": -1}, "clock"),
        ({"error_ns": 2**53}, "clock"),
        ({"gaps": (Gap(END, END, "x"),)}, "gaps"),
        ({"gaps": (Gap(INSIDE, WallTime(END + 1), "x"),)}, "gaps"),
        ({"gaps": (Gap(INSIDE, END, "\x1b[2J"),)}, "gaps"),
        ({"gaps": (Gap(INSIDE, END, "x" * 301),)}, "gaps"),
        ({"reencoded_at": ()}, "runs"),
        ({"reencoded_at": (RUN, PictureRun(INSIDE, INSIDE, 0))}, "runs"),
        ({"reencoded_at": (PictureRun(INSIDE, END, 1),)}, "runs"),
        ({"reencoded_at": (PictureRun(WallTime(0), INSIDE, 1),)}, "runs"),
        ({"clear_sha256": "ca" * 32}, "digest"),
        ({"masks": (((0, 0), (1, 0), (0, 1)),)}, "masks"),
    ],
)
def test_a_report_that_cannot_be_true_is_refused(changes: dict[str, object], what: str) -> None:
    """The error says which word of it."""
    with pytest.raises(BadInputError, match=f"its {what}"):
        read(msgspec.structs.replace(GOOD, **changes))


def test_bytes_and_pictures_belong_together() -> None:
    """A report of pictures without a file, or of none with one, is about another clip."""
    for report, written in ((GOOD, 0), (NOTHING, 1)):
        with pytest.raises(BadInputError, match="its size"):
            read(report, written=written)
    with pytest.raises(BadInputError, match="its times"):
        read(msgspec.structs.replace(NOTHING, first_picture=INSIDE), written=0)


def test_what_is_no_report_is_bad_input() -> None:
    """Whatever the bytes are."""
    with pytest.raises(BadInputError, match="schema"):
        read_report(b"\xc0", ORDER, 1)
