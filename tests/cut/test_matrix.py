"""Every sort of stream cut at every kind of border, each clip proven against the camera's log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from agent.clock import Window
from agent.cut.clip import WireChunk
from agent.cut.codec import PictureKind
from agent.cut.depacketize import depacketize
from agent.demo.clip_proof import How
from tests.simulators.logged_streams import RATES, Filmed, Sort, film
from tests.simulators.proven_cuts import cut_and_prove, windows

RecordProperty = Callable[[str, object], None]
GOPS = {
    "1 s": Sort(gops_s=(1.0,), seconds=4.0),
    "4 s": Sort(gops_s=(4.0,), seconds=10.0),
    "10 s": Sort(gops_s=(10.0,), seconds=21.0),
    "open": Sort(gops_s=(2.0, 1.2, 1.84), seconds=6.0, is_open=True),  # of 0 to 3 leading pictures
    "smart": Sort(gops_s=(0.6, 3.0, 1.2, 5.0), seconds=9.0),
}
B_FRAMES = ("none", "two", "pyramid")
PROFILES = {"none": ("baseline", "main", "high"), "two": ("main", "high"), "pyramid": ("high", "main")}


def sorts() -> list[Sort]:
    """Name every combination of key pictures, B pictures and rates; profiles and slices go round among them."""
    found = []
    for number, (gop, b_frames, rate) in enumerate(product(GOPS.values(), B_FRAMES, RATES)):
        profile = PROFILES[b_frames][number % len(PROFILES[b_frames])]
        slices = 3 if number % 4 == 3 else 1
        h264 = Sort("h264", profile, gop.gops_s, gop.is_open, b_frames, rate, gop.seconds, slices)
        if gop is GOPS["10 s"] and rate not in SLOW:
            continue
        found.append(h264)
        if rate == RATES[number // len(RATES) % len(RATES)]:
            found.append(replace(h264, codec="h265", profile="main"))
    return [*found, *(Sort("jpeg", "baseline", rate=rate, seconds=3.0) for rate in RATES)]


SLOW = ("5", "12.5", "variable")  # of long groups, which take long
SORTS = sorts()
CELLS_MIN = 850


@pytest.mark.parametrize("sort", SORTS, ids=str)
def test_every_window_is_cut_exactly(sort: Sort, record_property: RecordProperty) -> None:
    """No picture outside, none missing, every copied slice the camera's, and the report says what is true."""
    filmed = film(sort)
    cells = windows(filmed)
    for name, window in cells.items():
        done = cut_and_prove([filmed], window)
        assert (name, done.proof.outside, done.proof.missing, done.proof.faults) == (name, (), (), ())
        assert (name, done.said) == (name, done.done)
        inside = [moment for moment in filmed.times if moment in window]
        assert (len(inside), done.report.refused) == (done.report.pictures, 0)
        assert done.proof.count(How.RENUMBERED) <= int(sort.codec == "h265" and sort.is_open)  # a CRA becomes a BLA
    record_property("cut_cells", len(cells))


@pytest.mark.parametrize("sort", [s for s in SORTS if s.is_open and s.b_frames != "none"], ids=str)
def test_a_ring_that_begins_within_open_groups_is_cut_exactly(sort: Sort, record_property: RecordProperty) -> None:
    """All that is shown behind its first key picture is there; what leads that picture is withheld, and said."""
    filmed = film(sort)
    opened = next(number for number, chunk in enumerate(filmed.chunks) if is_open_key(filmed, chunk))
    ring = replace(filmed, chunks=filmed.chunks[opened:])
    key = next(moment for moment in ring.key_times if moment > ring.times[0])
    cells = windows(filmed)
    for name, window in cells.items():
        done = cut_and_prove([ring], window)
        assert (name, done.proof.outside, done.proof.faults) == (name, (), ())
        assert (name, done.said) == (name, done.done)
        inside = [moment for moment in ring.times if moment in window and moment >= key]
        assert (name, done.report.pictures) == (name, len(inside))
        assert len(done.proof.missing) == sum(moment in window and moment < key for moment in ring.times)
    record_property("cut_cells", len(cells))


def is_open_key(filmed: Filmed, chunk: WireChunk) -> bool:
    """Say whether a chunk begins with a picture that leading ones may precede, when shown."""
    kind = depacketize([filmed.header], [chunk])[0].kind
    return kind in (PictureKind.OPEN, PictureKind.RECOVERY)


@pytest.mark.parametrize("sort", [s for s in SORTS if not s.is_open and s.codec != "jpeg"], ids=str)
def test_a_window_from_key_picture_to_key_picture_is_copied_whole(sort: Sort) -> None:
    """Nothing is encoded anew where nothing has to be; with B pictures a few before the end must be."""
    filmed = film(sort)
    report = cut_and_prove([filmed], windows(filmed)["key to key"]).report
    assert report.reencoded == 0
    assert report.copied == report.pictures > 0


def test_the_matrix_is_as_large_as_it_says() -> None:
    """Whoever takes sorts or windows away must say so here."""
    assert len(SORTS) * len(windows(film(SORTS[0]))) >= CELLS_MIN
    assert len(set(map(str, SORTS))) == len(SORTS)
    assert all(isinstance(window, Window) for window in windows(film(SORTS[0])).values())
