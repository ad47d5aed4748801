"""A child that a camera has taken over: what it can still do to its parent is to fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.consent.mask import Masks
from agent.cut.clip import CutOrder
from agent.cut.look import NOTHING_KNOWN
from agent.cut.messages import Job, Kind, Work, message_frame
from agent.errors import BadInputError, UnavailableError
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from tests.simulators.clips import shown_by_pyav, window_of
from tests.simulators.eventually import until
from tests.simulators.h264_source import Recipe, film
from tests.simulators.poison_taster import GROWTH_BYTES_MAX, own_bytes, peak_bytes, taste
from tests.simulators.poisoned_streams import KINDS, huge_pictures, many_slices, poison

SOURCE = film(Recipe())
ORDER = CutOrder(window_of(0.5, 1.9), (SOURCE.header,))
MASK: Masks = (((0, 0), (9999, 0), (0, 9999)),)
ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
CASES_OF_A_KIND = 4
SEED = 7


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    children = Path("/proc/thread-self/children")
    before = children.read_text()
    yield
    assert children.read_text() == before


def broken(behaviour: str, deadline_s: float = 20) -> ChildCutter:
    """Return a cutter whose child behaves so."""
    return ChildCutter(ChildLimits(deadline_s=deadline_s), ("tests.simulators.broken_worker", behaviour))


def test_a_child_that_crashes_is_told_as_that() -> None:
    """What it had said of its clip counts for nothing; the signal is named."""
    with pytest.raises(UnavailableError, match=r"status -11 \(it crashed\)"):
        broken("crash").cut(ORDER, SOURCE.chunks, lambda _: None)


def test_a_child_that_hangs_is_ended_at_its_deadline() -> None:
    """It neither reads nor speaks nor hears SIGTERM."""
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match="longer than 1 s"):
        broken("hang", deadline_s=1).cut(ORDER, SOURCE.chunks * 50, lambda _: None)
    assert time.monotonic() - began_s < 20  # it would hang for minutes


@pytest.mark.parametrize("behaviour", ["flood", "trickle", "empty frames", "orders", "complaints"])
def test_a_child_that_talks_without_end_is_ended_long_before_its_deadline(behaviour: str) -> None:
    """Its parent's time and memory are the recording's: there is a limit on bytes, frames and complaints."""
    before, began_s = own_bytes(), time.monotonic()
    with pytest.raises(UnavailableError, match="more than"):
        broken(behaviour, deadline_s=60).cut(ORDER, SOURCE.chunks, lambda _: None)
    assert time.monotonic() - began_s < 40
    assert own_bytes() - before < GROWTH_BYTES_MAX


@pytest.mark.parametrize(
    "behaviour",
    [
        *("another sum", "minus", "too many", "no size", "a word", "a novel", "another clock", "beyond JSON"),
        *("gap outside", "other masks", "nothing made"),
    ],
)
def test_a_report_that_cannot_be_true_is_not_believed(behaviour: str) -> None:
    """It would end up in the journal, in the manifest and on screens."""
    with pytest.raises(UnavailableError, match="not ordered"):
        broken(behaviour).cut(ORDER, SOURCE.chunks, lambda _: None)


@pytest.mark.parametrize(
    ("behaviour", "what"),
    [
        ("look of another time", "looked at another picture"),
        ("look with more", "looked at another picture"),
        ("look beyond white", "cannot be read"),
        ("look with a snapshot", "larger snapshot"),
        ("look as a novel", "cannot be read"),
        ("good", "more than was ordered"),
        ("crash", "more than was ordered"),
    ],
)
def test_a_look_that_was_not_ordered_is_not_believed(behaviour: str, what: str) -> None:
    """Numbers in their ranges, of the picture that was asked for, and no snapshot unless one was."""
    assert broken("look").look(ORDER, NOTHING_KNOWN, SOURCE.chunks).jpeg == b""
    with pytest.raises(UnavailableError, match=what):
        broken(behaviour).look(ORDER, NOTHING_KNOWN, SOURCE.chunks)


def test_copies_are_not_believed_where_none_were_allowed() -> None:
    """The same report is good for an order without masks and with leave to copy, and for no other."""
    assert broken("good").cut(ORDER, SOURCE.chunks, lambda _: None).copied == 1
    for order in (CutOrder(*_of(ORDER), may_copy=False), CutOrder(*_of(ORDER), masks=MASK)):
        with pytest.raises(UnavailableError, match="its copies"):
            broken("good").cut(order, SOURCE.chunks, lambda _: None)


def _of(order: CutOrder) -> tuple[object, object]:
    return order.window, order.headers


def test_the_second_try_may_go_where_the_first_crashed() -> None:
    """A decoder that fails only over what is copied does its work when nothing is."""
    cutter, pieces = broken("crash at copies"), []
    with pytest.raises(UnavailableError, match="crashed"):
        cutter.cut(ORDER, SOURCE.chunks, lambda _: None)
    report = cutter.cut(CutOrder(*_of(ORDER), may_copy=False), SOURCE.chunks, pieces.append)
    assert (report.pictures, report.copied) == (35, 0)
    assert [number for _, number in shown_by_pyav(b"".join(pieces))] == list(range(13, 48))


def test_a_child_does_not_outlive_its_parent() -> None:
    """A hub that is killed leaves nobody behind who holds its memory, however deep the child sleeps."""
    parent = "import subprocess, sys, time\n"
    parent += "child = subprocess.Popen([sys.executable, '-m', 'agent.cut.worker'], stdin=subprocess.PIPE)\n"
    parent += "child.stdin.write(sys.stdin.buffer.read()); child.stdin.flush(); print(child.pid, flush=True)\n"
    parent += "time.sleep(60)"
    job = message_frame(Kind.JOB, Job(Work.CUT, ORDER))
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    ) as hub:
        assert hub.stdin
        assert hub.stdout
        hub.stdin.write(job)
        hub.stdin.close()
        child = int(hub.stdout.readline())
        until(lambda: "Seccomp:\t2" in Path(f"/proc/{child}/status").read_text())
        os.kill(child, signal.SIGSTOP)  # so deep that it does not see the end of its input
        hub.kill()
    until(lambda: not _is_alive(child))


def _is_alive(child: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{child}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_poisoned_streams_end_in_a_clip_or_one_clear_failure(kind: str) -> None:
    """In time, in bounded memory, and nobody is left; `./bench poison` does the same two thousand times."""
    before = own_bytes()
    numbers = range(KINDS.index(kind), CASES_OF_A_KIND * len(KINDS), len(KINDS))
    tasted = [taste(number, poison(number, SEED)) for number in numbers]
    assert {one.kind for one in tasted} == {kind}
    assert [(one.number, one.said, one.wrong) for one in tasted if one.wrong] == []
    assert own_bytes() - before < GROWTH_BYTES_MAX


def test_pictures_beyond_the_limit_are_withheld_unseen() -> None:
    """A parameter set that asks for 16 384 by 16 384 pixels costs no memory, and no picture under it is shown."""
    header, chunks = huge_pictures(16_384, 16)
    report = ChildCutter(ChildLimits(memory_bytes=512 * MIB)).cut(
        CutOrder(window_of(0, 1), (header,)), chunks, lambda _: None
    )
    assert (report.pictures, report.refused) == (0, 25)


def test_pictures_that_fill_all_memory_are_one_clear_failure() -> None:
    """Just within the limit, 30 pictures of 100 MB in 267 KB; what is not there is not taken from the recording."""
    header, chunks = huge_pictures(8192, 16)
    order = CutOrder(window_of(0, 1), (header,), masks=MASK)
    with pytest.raises((BadInputError, UnavailableError), match=r"8192x8192|memory|killed"):
        ChildCutter(ChildLimits(memory_bytes=768 * MIB)).cut(order, chunks, lambda _: None)
    assert peak_bytes() < 1024 * MIB


def test_ten_thousand_slices_are_refused_by_their_number() -> None:
    """Before a decoder sees one of them."""
    header, chunks = many_slices(SOURCE, 10_000, are_good=False)
    with pytest.raises(BadInputError, match="more than 1024 NAL units in one picture"):
        ChildCutter().cut(CutOrder(window_of(0, 1), (header,)), chunks, lambda _: None)
