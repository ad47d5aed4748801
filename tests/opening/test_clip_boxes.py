"""A stranger's reading of a clip's boxes: ours have no fault, and each thing that must not be there is named."""

from __future__ import annotations

import random
import struct

import pytest

from agent.cut.mp4 import Sample, VideoTrack, write_movie
from agent.cut.mp4_sound import SoundTrack
from agent.errors import BadInputError
from agent.opening.clip_boxes import take_apart
from tests.simulators.damaged_clips import grown, in_track
from tests.simulators.logged_streams import Sort, film
from tests.simulators.mp4_reader import read_movie
from tests.simulators.proven_cuts import cut_and_prove, windows

FILMED = film(Sort(b_frames="two"))
CLIP = cut_and_prove([FILMED], windows(FILMED)["on pictures"]).clip


def test_our_clips_have_no_fault_and_are_read_as_another_reader_does() -> None:
    """Two readers that share nothing find the same samples at the same times."""
    movie = take_apart(CLIP)
    track, other = movie.video, read_movie(CLIP)
    assert movie.faults == ()
    assert (track.entry, track.timescale_hz, len(movie.tracks)) == ("avc1", 90_000, 1)
    assert [CLIP[s.begin : s.end] for s in track.samples] == [s.payload for s in other.samples]
    assert [(s.shown_at, s.is_sync) for s in track.samples] == [(s.shown_at, s.is_sync) for s in other.samples]


@pytest.mark.parametrize(
    ("clip", "fault"),
    [
        (CLIP + struct.pack(">I4s", 8, b"free"), "the file is ftyp, moov, mdat, free"),
        (CLIP + struct.pack(">I4s4s", 12, b"uuid", b"seen"), "the file is ftyp, moov, mdat, uuid"),
        (grown(CLIP, ("moov",), struct.pack(">I4s", 8, b"udta")), "there is a box moov/udta"),
        (in_track(CLIP, struct.pack(">I4sI4sIIiiI", 36, b"edts", 28, b"elst", 0, 1, 5, 9, 1 << 16)), "trak/edts"),
        (grown(CLIP, ("moov", "trak", "mdia", "minf", "stbl"), struct.pack(">I4s", 8, b"sgpd")), "box stbl/sgpd"),
        (grown(CLIP, ("mdat",), b"slack"), "5 bytes of mdat at"),
        (CLIP.replace(b"mvhd" + bytes(8), b"mvhd" + bytes(7) + b"\1"), "mvhd tells a time of day"),
    ],
    ids=["free space", "a box of one's own", "metadata", "edit list", "unknown table", "slack", "time of day"],
)
def test_what_must_not_be_there_is_named(clip: bytes, fault: str) -> None:
    """One fault each."""
    assert clip != CLIP
    faults = take_apart(clip).faults
    assert len(faults) == 1
    assert fault in faults[0]


def test_samples_that_overlap_are_named() -> None:
    """A byte cannot belong to two pictures."""
    sizes = CLIP.index(b"stsz") + 16
    first = int.from_bytes(CLIP[sizes : sizes + 4], "big")
    longer = CLIP[:sizes] + (first + 9).to_bytes(4, "big") + CLIP[sizes + 4 :]
    assert any("overlap" in fault for fault in take_apart(longer).faults)


def test_any_damage_is_a_fault_or_bad_input() -> None:
    """Bytes changed at random never raise anything else."""
    drawn = random.Random(11)  # noqa: S311 - repeatable damage
    end = CLIP.index(b"mdat")
    for _ in range(400):
        clip = bytearray(CLIP)
        for _ in range(drawn.randrange(1, 4)):
            clip[drawn.randrange(end)] = drawn.randrange(256)
        try:
            take_apart(bytes(clip))
        except BadInputError:
            continue


def with_sound(start_ns: int, edits: bytes | None = None) -> bytes:
    """Write the clip's samples with a track of sound; `edits` replaces its edits."""
    track = take_apart(CLIP).video
    samples = [Sample(s.shown_at, s.is_sync, CLIP[s.begin : s.end]) for s in track.samples]
    sound = SoundTrack(16_000, 1, bytes.fromhex("1408"), [b"block"] * 9, [1024] * 9, start_ns)
    written = b"".join(write_movie(VideoTrack(160, 96, track.configuration, samples, 3600), sound))
    at = written.find(b"elst") + 12
    return written if edits is None else written[:at] + edits + written[at + len(edits) :]


@pytest.mark.parametrize("start_ns", [-500_000_000, 0, 500_000_000])
def test_sound_may_stand_beside_the_pictures(start_ns: int) -> None:
    """Before them, with them, or behind them by an edit that hides nothing."""
    movie = take_apart(with_sound(start_ns))
    assert movie.faults == ()
    assert [(track.kind, track.entry) for track in movie.tracks] == [("vide", "avc1"), ("soun", "mp4a")]
    sound = movie.tracks[1]
    assert (len(sound.samples), sound.configuration, sound.total) == (9, bytes.fromhex("1408"), 9 * 1024)
    assert sound.delay == max(start_ns, 0) * 90_000 // 1_000_000_000


@pytest.mark.parametrize("edits", [struct.pack(">Ii", 45_000, 0), struct.pack(">IiIIi", 45_000, -1, 1 << 16, 9, 1024)])
def test_an_edit_that_hides_sound_is_named(edits: bytes) -> None:
    """Everything but an empty edit and then all of the track."""
    assert take_apart(with_sound(500_000_000, edits)).faults == ("there is a box trak/edts in the track soun",)
