"""Streams with holes, new beginnings and new parameters cut at every kind of border, each clip proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.pictures import WHY_LOST, WHY_MISSING
from agent.demo.clip_proof import How
from tests.simulators.logged_streams import CodedPicture, Filmed, Sort, encode, film, log_of, without_chunk
from tests.simulators.proven_cuts import cut_and_prove, windows

RecordProperty = Callable[[str, object], None]
PLAIN = Sort(gops_s=(2.0,), seconds=8.0, rate="12.5")
WITH_B = replace(PLAIN, b_frames="two")
PLAIN_STEP_NS = SECOND_NS * 2 // 25
PYRAMID = replace(PLAIN, b_frames="pyramid")
H264_OPEN = replace(PYRAMID, gops_s=(2.0, 1.84), is_open=True)
SLICED = replace(PLAIN, profile="main", slices=3)
H265 = replace(PLAIN, codec="h265", profile="main", b_frames="pyramid")
H265_OPEN = replace(H265, is_open=True, b_frames="two")
JPEG = replace(PLAIN, codec="jpeg", profile="baseline")
BASELINE = replace(PLAIN, profile="baseline")
Lost = Callable[[int, CodedPicture], bool]
LOSSES: dict[str, Lost] = {
    "a picture of the first group": lambda _, picture: picture.number == 12,
    "the key picture of the second group": lambda _, picture: picture.number == 25,
    "the last picture of a group": lambda _, picture: picture.number == 49,
    "every 97th packet": lambda packet, _: packet % 97 == 50,
    "all of a second": lambda _, picture: 37 <= picture.number < 50,
}
RUNS: dict[str, tuple[Sort, Sort]] = {
    "the same again": (PLAIN, PLAIN),
    "other entropy coding": (PLAIN, BASELINE),
    "other slices and profile": (WITH_B, SLICED),
    "from B pictures to none": (WITH_B, PLAIN),
    "H.265 with other parameters": (H265, replace(H265, b_frames="two", slices=2)),
    "H.265 open groups twice": (H265_OPEN, H265_OPEN),
    "JPEG twice": (JPEG, JPEG),
    "another size": (PLAIN, replace(PLAIN, width=320, height=192)),
}


def merged(first: Filmed, second: Filmed) -> Filmed:
    """Return both runs' pictures as one, to choose windows by."""
    return replace(first, logged=first.logged + second.logged)


@pytest.mark.parametrize("sort", [PLAIN, WITH_B, SLICED, H265, H265_OPEN], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_loss_spoils_is_withheld_and_nothing_else_comes_instead(
    sort: Sort, loss: str, record_property: RecordProperty
) -> None:
    """No picture outside, every copied slice the camera's, and each missing picture is counted and in a gap."""
    filmed = film(sort, lost=LOSSES[loss])
    cells, withheld = windows(film(sort)), 0
    for name, window in cells.items():
        done = cut_and_prove([filmed], window)
        assert (name, done.proof.outside, done.proof.faults) == (name, (), ())
        assert (name, done.said) == (name, done.done)
        assert (name, done.unexplained(filmed)) == (name, [])
        withheld += len(done.proof.missing)
    assert withheld > 0  # else nothing was lost
    record_property("cut_cells", len(cells))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("sort", [PLAIN, WITH_B, PYRAMID, H264_OPEN, H265, H265_OPEN], ids=str)
def test_pictures_lost_as_a_whole_before_a_key_picture_are_in_a_gap(sort: Sort, count: int) -> None:
    """Nothing of them arrived, and nothing behind them is withheld: only numbers of packets tell. The gap is short."""
    sent = encode(sort).pictures
    keys = [place for place, picture in enumerate(sent) if picture.is_key][1:]
    gone = {picture.number for key in keys for picture in sent[key - count : key]}
    filmed = film(sort, lost=lambda _, picture: picture.number in gone)
    done = cut_and_prove([filmed], Window(filmed.times[0], WallTime(filmed.times[-1] + 1)))
    assert len(done.proof.missing) >= count * len(keys)
    assert (done.proof.outside, done.unexplained(filmed)) == ((), [])
    stretches = len(done.proof.missing) + 3 * len(keys)  # each gap has one more than it has missing pictures
    assert sum(gap.end - gap.start for gap in done.report.gaps) <= stretches * PLAIN_STEP_NS
    assert all(WHY_MISSING in gap.why or WHY_LOST in gap.why for gap in done.report.gaps)


@pytest.mark.parametrize("sort", [PLAIN, WITH_B, H265], ids=str)
def test_a_chunk_that_the_ring_lost_is_a_hole(sort: Sort, record_property: RecordProperty) -> None:
    """Pictures behind it wait for the next key picture; those before it are all there."""
    whole = film(sort)
    filmed, cells = without_chunk(whole, 3), windows(whole)
    for name, window in cells.items():
        done = cut_and_prove([filmed], window)
        assert (name, done.proof.outside, done.proof.faults) == (name, (), ())
        assert (name, done.said) == (name, done.done)
        assert (name, done.unexplained(filmed)) == (name, [])
    assert cut_and_prove([filmed], cells["longer than the ring"]).proof.missing
    record_property("cut_cells", len(cells))


@pytest.mark.parametrize("kind", RUNS)
def test_a_window_over_two_runs_is_exact(kind: str, record_property: RecordProperty) -> None:
    """The camera came back after 3 s, perhaps with other parameters: all pictures of both are there, no other."""
    before, after = RUNS[kind]
    runs = (film(before, run=1), film(after, run=2, start_s=11))
    cells = windows(merged(*runs))
    for name, window in cells.items():
        done = cut_and_prove(runs, window)
        assert (name, done.proof.outside, done.proof.missing, done.proof.faults) == (name, (), (), ())
        assert (name, done.said, done.report.refused) == (name, done.done, 0)
    record_property("cut_cells", len(cells))


def test_slices_under_renumbered_parameters_are_the_cameras() -> None:
    """Of the second run only the number of the parameter set is written anew, and the proof says so."""
    runs = (film(PLAIN, run=1), film(BASELINE, run=2, start_s=11))
    done = cut_and_prove(runs, windows(merged(*runs))["longer than the ring"])
    assert (done.proof.count(How.COPIED), done.proof.count(How.RENUMBERED)) == (100, 100)
    assert done.proof.is_exact
    assert len(log_of(*runs).pictures) == len(done.proof.accounts) == 200
