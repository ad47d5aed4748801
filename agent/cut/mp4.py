"""The finished pictures become one MP4 file (ISO/IEC 14496-12), front to back, with nothing in it but them.

Rules of this file: one video track with one sample entry and no edit list, and at most one track of sound, whose only
edit may be an empty one; no free space, no metadata, no times of day; every byte of `mdat` belongs to a sample. Whoever
audits a clip needs to check only that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from typing import Final

from msgspec import Struct

from agent.clock import SECOND_NS
from agent.cut.codec import ClipForm
from agent.cut.h264_ids import AVC
from agent.cut.mp4_sound import SoundTrack, delay_edits, interleaved, sample_entry

TIMESCALE_HZ: Final = 90_000
_CHUNK_S: Final = 0.5  # pictures and sound take turns in the file, so that it plays while it comes
_MATRIX: Final = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
_UNDETERMINED: Final = 0x55C4  # the language "und"
_LARGE_HEADER_BYTES: Final = 16


class Sample(Struct, frozen=True):
    """One coded picture in decode order: when it is shown, whether decoding can start here, its bytes."""

    shown_at: int  # ticks of TIMESCALE_HZ, unique within the movie, the earliest is 0
    is_sync: bool
    payload: bytes  # NAL units, each behind its 4-byte length


class VideoTrack(Struct, frozen=True):
    """A track of one sample entry."""

    width: int
    height: int
    configuration: bytes  # content of avcC or hvcC
    samples: Sequence[Sample]
    last_duration: int  # ticks the last shown picture stays
    form: ClipForm = AVC


def write_movie(track: VideoTrack, sound: SoundTrack | None = None) -> Iterator[bytes]:
    """Yield the file's bytes in order: ftyp and moov in one piece, mdat's header, then one piece per sample.

    The movie begins with the first picture or the first sound, whichever is earlier.
    """
    payloads = [[sample.payload for sample in track.samples], list(sound.blocks) if sound else []]
    chunks = _chunks(track, sound)
    head = movie_head(track, sound, chunks, [list(map(len, each)) for each in payloads])
    yield head[:-_LARGE_HEADER_BYTES]
    yield head[-_LARGE_HEADER_BYTES:]
    for number, begin, end in chunks:
        yield from payloads[number][begin:end]


Chunk = tuple[int, int, int]
"""Samples that lie together in the file: 0 pictures or 1 sound, first sample, end."""


def movie_head(
    track: VideoTrack, sound: SoundTrack | None, chunks: Sequence[Chunk], sizes: Sequence[Sequence[int]]
) -> bytes:
    """Build all that stands before the samples: ftyp, moov and mdat's header.

    `chunks` are in file order; `sizes` are the samples' of both tracks, in bytes: payloads are not looked at. The head
    of the same samples has the same length, whatever their sizes are.
    """
    ftyp = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso4" + track.form.sample_entry + b"mp41")
    lengths = [sum(sizes[number][begin:end]) for number, begin, end in chunks]
    first = (
        len(ftyp) + len(_moov(track, sound, chunks, lengths, sizes, 0)) + _LARGE_HEADER_BYTES
    )  # the same size with any offset
    mdat = struct.pack(">I4sQ", 1, b"mdat", _LARGE_HEADER_BYTES + sum(lengths))
    return ftyp + _moov(track, sound, chunks, lengths, sizes, first) + mdat


def _chunks(track: VideoTrack, sound: SoundTrack | None) -> list[Chunk]:
    if sound is None:
        return [(0, 0, len(track.samples))]
    origin = min(sound.start_ns, 0) / SECOND_NS
    pictures = [at / TIMESCALE_HZ - origin for at in sorted(sample.shown_at for sample in track.samples)]
    begins = sound.start_ns / SECOND_NS - origin
    blocks = [begins + end / sound.rate_hz for end in accumulate(sound.durations)]
    return interleaved([pictures, blocks], _CHUNK_S)


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full_box(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)


def _table(kind: bytes, row: str, rows: Sequence[tuple[int, ...]], version: int = 0) -> bytes:
    body = b"".join(struct.pack(f">{row}", *values) for values in rows)
    return _full_box(kind, version, 0, struct.pack(">I", len(rows)), body)


def _run_lengths(values: Sequence[int]) -> list[tuple[int, ...]]:
    return [(len(list(group)), value) for value, group in groupby(values)]


def _moov(
    track: VideoTrack,
    sound: SoundTrack | None,
    chunks: Sequence[Chunk],
    lengths: Sequence[int],
    sizes: Sequence[Sequence[int]],
    first: int,
) -> bytes:
    begins = list(accumulate(lengths, initial=first))[:-1]
    places = [
        [(begins[place], end - begin) for place, (number, begin, end) in enumerate(chunks) if number == which]
        for which in (0, 1)
    ]
    start = _ticks(sound.start_ns) if sound else 0
    lasts, traks = [], []
    shown = sorted(sample.shown_at for sample in track.samples)
    total = shown[-1] - shown[0] + track.last_duration + max(0, -start)
    tkhd = _track_header(1, total, 0, track.width, track.height)
    mdhd = _full_box(b"mdhd", 1, 0, struct.pack(">16xIQHxx", TIMESCALE_HZ, total, _UNDETERMINED))
    stbl = _sample_table(track, shown, max(0, -start), sizes[0], places[0])
    lasts.append(total)
    traks.append(_box(b"trak", tkhd, _media(mdhd, b"vide", _full_box(b"vmhd", 0, 1, bytes(8)), stbl)))
    if sound:
        delay, played = max(0, start), -(-sound.total * TIMESCALE_HZ // sound.rate_hz)
        edits = _box(b"edts", _box(b"elst", delay_edits(delay, played))) if delay else b""
        mdhd = _full_box(b"mdhd", 1, 0, struct.pack(">16xIQHxx", sound.rate_hz, sound.total, _UNDETERMINED))
        media = _media(mdhd, b"soun", _full_box(b"smhd", 0, 0, bytes(4)), _sound_table(sound, sizes[1], places[1]))
        lasts.append(delay + played)
        traks.append(_box(b"trak", _track_header(2, lasts[-1], 1 << 8, 0, 0), edits, media))
    mvhd = _full_box(
        b"mvhd", 0, 0,
        struct.pack(">8xIIIH10x", TIMESCALE_HZ, max(lasts), 1 << 16, 1 << 8), _MATRIX,
        struct.pack(">24xI", len(traks) + 1),
    )  # fmt: skip
    return _box(b"moov", mvhd, *traks)


def _track_header(number: int, duration: int, volume: int, width: int, height: int) -> bytes:
    return _full_box(
        b"tkhd", 0, 3,
        struct.pack(">8xI4xI12xH2x", number, duration, volume), _MATRIX, struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip


def _media(mdhd: bytes, kind: bytes, header: bytes, stbl: bytes) -> bytes:
    hdlr = _full_box(b"hdlr", 0, 0, struct.pack(">4x4s13x", kind))
    dref = _full_box(b"dref", 0, 0, struct.pack(">I", 1), _full_box(b"url ", 0, 1))
    return _box(b"mdia", mdhd, hdlr, _box(b"minf", header, _box(b"dinf", dref), stbl))


def _sample_table(
    track: VideoTrack, shown: list[int], delay: int, sizes: Sequence[int], places: Sequence[tuple[int, int]]
) -> bytes:
    """Build `stbl`. Decode times are the sorted presentation times, so offsets may be negative (ctts version 1).

    Where sound comes first, all offsets are larger by `delay`.
    """
    samples = track.samples
    durations = [after - before for before, after in pairwise(shown)] + [track.last_duration]
    entry = _box(
        track.form.sample_entry,
        struct.pack(">6xH16xHHII4xH32xHh", 1, track.width, track.height, 0x480000, 0x480000, 1, 24, -1),
        _box(track.form.configuration_box, track.configuration),
    )
    boxes = [
        _full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        _table(b"stts", "II", _run_lengths(durations)),
        *_places(sizes, places),
    ]
    offsets = [sample.shown_at - decoded_at + delay for sample, decoded_at in zip(samples, shown, strict=True)]
    if any(offsets):
        boxes.append(_table(b"ctts", "Ii", _run_lengths(offsets), version=1))
    if not all(sample.is_sync for sample in samples):
        boxes.append(_table(b"stss", "I", [(number,) for number, s in enumerate(samples, 1) if s.is_sync]))
    return _box(b"stbl", *boxes)


def _sound_table(sound: SoundTrack, sizes: Sequence[int], places: Sequence[tuple[int, int]]) -> bytes:
    return _box(
        b"stbl",
        _full_box(b"stsd", 0, 0, struct.pack(">I", 1), _box(b"mp4a", sample_entry(sound, sizes))),
        _table(b"stts", "II", _run_lengths(sound.durations)),
        *_places(sizes, places),
    )


def _places(sizes: Sequence[int], places: Sequence[tuple[int, int]]) -> list[bytes]:
    """Build the boxes that say where samples lie; `places` are the offset and the samples of each chunk."""
    counts = [count for _, count in places]
    changes = [n for n in range(len(counts)) if not n or counts[n] != counts[n - 1]]
    return [
        _table(b"stsc", "III", [(n + 1, counts[n], 1) for n in changes]),
        _full_box(b"stsz", 0, 0, struct.pack(f">II{len(sizes)}I", 0, len(sizes), *sizes)),
        _table(b"co64", "Q", [(offset,) for offset, _ in places]),
    ]


def _ticks(span_ns: int) -> int:
    return (2 * span_ns * TIMESCALE_HZ + SECOND_NS) // (2 * SECOND_NS)
