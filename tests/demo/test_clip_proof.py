"""An exact clip is proven; each way in which a clip may lie is caught."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.clock import WallTime, Window
from agent.demo.camera_log import LoggedPicture, SliceMark
from agent.demo.clip_proof import How, find_middles, prove
from agent.errors import BadInputError
from tests.simulators.damaged_clips import grown, in_track, rewritten, samples_of
from tests.simulators.logged_streams import Sort, encode, film, log_of
from tests.simulators.proven_cuts import cut_and_prove, windows

FILMED = film(Sort(slices=3, seconds=3.6))
LOG = log_of(FILMED)
WINDOW = windows(FILMED)["on pictures"]
WIDER = Window(WallTime(WINDOW.start - 40_000_000), WallTime(WINDOW.end + 40_000_000))
CUT = cut_and_prove([FILMED], WINDOW)
CLIP = CUT.clip


def nals_of(sample: bytes) -> list[bytes]:
    """Split a sample's NAL units, lengths included."""
    out, at = [], 0
    while at < len(sample):
        size = 4 + int.from_bytes(sample[at : at + 4], "big")
        out.append(sample[at : at + size])
        at += size
    return out


def outside_slice() -> bytes:
    """Return a slice of a picture before the window, long enough to be known again."""
    return max(encode(Sort(slices=3, seconds=3.6)).pictures[3].nals, key=len)


def length_of(nal: bytes) -> bytes:
    """Put a NAL unit behind its length."""
    return len(nal).to_bytes(4, "big") + nal


def test_an_exact_clip_is_proven_and_every_sample_is_explained() -> None:
    """Copied and re-encoded samples are told apart, and each has its picture."""
    proof = CUT.proof
    assert proof.is_exact
    assert {account.how for account in proof.accounts} == {How.COPIED, How.REENCODED}
    assert [account.picture for account in proof.accounts] == [
        p.ticks for p in LOG.pictures if LOG.hub_time(p.ticks) in WINDOW
    ]


def test_without_a_window_a_clip_is_judged_within_itself() -> None:
    """Nothing between its first and last picture is missing; its borders are not judged."""
    proof = prove([CLIP], LOG)
    assert proof.is_exact
    assert proof.start == WINDOW.start
    samples = samples_of(CLIP)
    assert prove([rewritten(CLIP, samples[:-1])], LOG).is_exact
    assert not prove([rewritten(CLIP, samples[:-1])], LOG, WINDOW).is_exact


def test_parts_are_judged_together() -> None:
    """Two clips that follow each other are one, and a picture that both have is there twice."""
    middle = WallTime((WINDOW.start + WINDOW.end) // 2)
    first = cut_and_prove([FILMED], Window(WINDOW.start, middle)).clip
    second = cut_and_prove([FILMED], Window(middle, WINDOW.end)).clip
    assert prove([first, second], LOG, WINDOW).is_exact
    assert any("2 times" in fault for fault in prove([first, second, second], LOG, WINDOW).faults)


def test_a_picture_too_many_is_outside() -> None:
    """One before the window and one after it."""
    proof = prove([cut_and_prove([FILMED], WIDER).clip], LOG, WINDOW)
    assert (len(proof.outside), proof.missing) == (2, ())
    assert not proof.is_exact


def test_a_picture_too_few_is_missing() -> None:
    """It is named by its tick."""
    proof = prove([rewritten(CLIP, samples_of(CLIP)[:-1])], LOG, WINDOW)
    assert proof.missing == (CUT.proof.accounts[-1].picture,)


def smuggled_as_sample() -> bytes:
    """Add the picture behind the window as one more sample."""
    (last, _), wide = samples_of(CLIP)[-1], cut_and_prove([FILMED], WIDER).clip
    return rewritten(CLIP, [*samples_of(CLIP), (replace(last, shown_at=last.shown_at + 3600), samples_of(wide)[-1][1])])


def swapped_slice() -> bytes:
    """Put the second slice of one copied picture into the next."""
    samples = samples_of(CLIP)
    (_, before), (place, after) = samples[-3], samples[-2]
    mixed = nals_of(after)[:1] + nals_of(before)[1:2] + nals_of(after)[2:]
    return rewritten(CLIP, [*samples[:-2], (place, b"".join(mixed)), samples[-1]])


def foreign_slices() -> bytes:
    """Give a copied sample the slices of another picture of the window, all of them."""
    samples = samples_of(CLIP)
    return rewritten(CLIP, [*samples[:-2], (samples[-2][0], samples[-3][1]), samples[-1]])


def beside_a_slice() -> bytes:
    """Hide an outside slice behind the end of a re-encoded one, where a decoder does not look."""
    samples = samples_of(CLIP)
    nals = nals_of(samples[0][1])
    longer = length_of(nals[-1][4:] + outside_slice())
    return rewritten(CLIP, [(samples[0][0], b"".join([*nals[:-1], longer])), *samples[1:]])


def one_more_unit(nal: bytes) -> bytes:
    """Add a NAL unit to a copied sample."""
    samples = samples_of(CLIP)
    return rewritten(CLIP, [*samples[:-1], (samples[-1][0], samples[-1][1] + length_of(nal))])


def shown_late() -> bytes:
    """Show the second half of the clip a tenth of a second late."""
    samples = samples_of(CLIP)
    half = len(samples) // 2
    late = [(replace(s, shown_at=s.shown_at + 9000), content) for s, content in samples[half:]]
    return rewritten(CLIP, samples[:half] + late)


EDIT_LIST = struct.pack(">I4sI4sIIiiI", 36, b"edts", 28, b"elst", 0, 1, 5, 9, 1 << 16)


def undecodable() -> bytes:
    """Break the headers of the slices of one sample."""
    samples = samples_of(CLIP)
    return rewritten(CLIP, [*samples[:-1], (samples[-1][0], length_of(b"\x41\xff\xff\xff\xff\x80"))])


LIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "an outside picture as a sample": (smuggled_as_sample, "outside"),
    "an outside picture as slack": (lambda: grown(CLIP, ("mdat",), outside_slice()), "belong to no sample"),
    "an outside picture behind a slice": (beside_a_slice, "which is not in the window"),
    "an outside slice more in a sample": (lambda: one_more_unit(outside_slice()), "some of the slices"),
    "an edit list": (lambda: in_track(CLIP, EDIT_LIST), "trak/edts"),
    "free space": (lambda: CLIP + struct.pack(">I4s", 12, b"free") + b"past", "free"),
    "a slice of another picture": (swapped_slice, "some of the slices"),
    "another picture's slices": (foreign_slices, "times"),
    "user data": (lambda: one_more_unit(b"\x06\x05\x11" + bytes(16) + b"!\x80"), "does not belong"),
    "a parameter set in a sample": (lambda: one_more_unit(b"\x68\xee\x3c\x80"), "parameter set"),
    "a sample that nobody can decode": (undecodable, "0 pictures are decoded"),
    "pictures shown late": (shown_late, "ticks too late"),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_caught(lie: str) -> None:
    """And named as what it is."""
    make, fault = LIES[lie]
    clip = make()
    assert clip != CLIP
    proof = prove([clip], LOG, WINDOW)
    assert not proof.is_exact
    said = [*proof.faults, *(f"outside: {ticks}" for ticks in proof.outside)]
    assert any(fault in each for each in said), said


def test_a_clip_of_another_camera_is_not_exact() -> None:
    """None of its slices is in the log, and what is drawn was never taken."""
    proof = prove([CLIP], log_of(film(Sort(seconds=3.6, rate="29.97"), start_s=77)))
    assert not proof.count(How.COPIED)
    assert proof.outside
    assert not proof.is_exact


def test_a_file_that_is_not_whole_is_bad_input() -> None:
    """Nobody can say what is in it."""
    for broken in (b"", CLIP[:-1], CLIP[:40], b"no video at all"):
        with pytest.raises(BadInputError):
            prove([broken], LOG, WINDOW)


def test_a_middle_is_found_at_every_place() -> None:
    """At each of the four ways bytes may be aligned, and at both ends."""
    middle = bytes(range(100, 132))
    stranger = LoggedPicture(7, is_key=False, slices=(SliceMark("", "", middle.hex()), SliceMark("", "", "")))
    for place in (0, 1, 2, 3, 50, 401, 68):
        content = bytes(place) + middle + bytes(100 - place % 100)
        assert list(find_middles(content, [stranger])) == [(7, place)]
    assert list(find_middles(bytes(50) + middle[:-1] + bytes(9), [stranger])) == []
