"""A stranger's reading of a clip's boxes: ours have no fault, and each thing that must not be there is named."""

from __future__ import annotations

import random
import struct
import time

import pytest

from agent.cut.mp4 import Sample, VideoTrack, write_movie
from agent.cut.mp4_sound import SoundTrack
from agent.errors import BadInputError
from agent.opening.clip_boxes import BOXES_MAX, SAMPLES_MAX, TRACKS_MAX, take_apart
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


def table(kind: bytes, row: str, rows: list[tuple[int, ...]]) -> bytes:
    """Write a table's box."""
    content = b"".join(struct.pack(row, *each) for each in rows)
    return struct.pack(">I4sII", 16 + len(content), kind, 0, len(rows)) + content


def boxed(kind: bytes, *contents: bytes) -> bytes:
    """Write a box."""
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def movie_of(*traks: bytes) -> bytes:
    """Write a file with these tracks and no media."""
    return boxed(b"ftyp", b"isom") + boxed(b"moov", *traks) + struct.pack(">I4sQ", 1, b"mdat", 16)


def track_of(samples: int = 1, *, chunks: bytes = b"", kind: bytes = b"vide", entry: bytes = b"") -> bytes:
    """Write a track of so many samples of one byte, all of them the first one of the file."""
    places = chunks or table(b"stsc", ">III", [(1, samples, 1)]) + table(b"stco", ">I", [(0,)])
    sizes = boxed(b"stsz", struct.pack(">III", 0, 1, samples)) + table(b"stts", ">II", [(samples, 1)])
    described = boxed(b"stsd", struct.pack(">II", 0, 1), entry or boxed(b"avc1", bytes(78)))
    header, handler = boxed(b"mdhd", struct.pack(">5I", 0, 0, 0, 90_000, 0)), boxed(b"hdlr", bytes(8), kind, bytes(12))
    tables = boxed(b"minf", boxed(b"stbl", described, sizes, places))
    return boxed(b"trak", boxed(b"tkhd", bytes(84)), boxed(b"mdia", header, handler, tables))


MANY = 200_000
CHUNKS = table(b"stsc", ">III", [(1, 0, 1), *((MANY + n, 0, 1) for n in range(MANY - 1))])
CHUNKS += table(b"stco", ">I", [(0,)] * MANY)
DISORDER = table(b"stsc", ">III", [(2, 1, 1), (1, 1, 1)]) + table(b"stco", ">I", [(0,)])
ENDLESS = boxed(b"mp4a", bytes(28), boxed(b"esds", bytes(4), b"\x03", b"\xff" * 400_000, b"\0"))
BOMBS = {
    "tracks": (movie_of(*[track_of(SAMPLES_MAX)] * 40), f"more than {TRACKS_MAX} tracks"),
    "chunks": (movie_of(track_of(chunks=CHUNKS)), "samples without a place"),
    "disorder": (movie_of(track_of(chunks=DISORDER)), "do not rise"),
    "length": (movie_of(track_of(kind=b"soun", entry=ENDLESS)), "a descriptor whose length has no end"),
    "boxes": (movie_of(track_of(), *[boxed(b"free")] * BOXES_MAX), f"more than {BOXES_MAX} boxes"),
    "rows": (movie_of(track_of(chunks=table(b"stco", ">I", [(0,)] * (SAMPLES_MAX + 1)))), "rows"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_table_costs_more_than_its_bytes(name: str) -> None:
    """Some hundred kilobytes took a hub's word for what they hold, minutes and gigabytes: now they are refused."""
    clip, why = BOMBS[name]
    began_s = time.thread_time()
    with pytest.raises(BadInputError, match=why):
        take_apart(clip)
    assert time.thread_time() - began_s < 4
    assert len(take_apart(movie_of(track_of(3))).video.samples) == 3
