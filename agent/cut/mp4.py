"""The finished pictures become one MP4 file (ISO/IEC 14496-12), front to back, with nothing in it but them.

Rules of this file: one video track with one sample entry; no edit list, no free space, no metadata, no times of day;
every byte of `mdat` belongs to a sample. Whoever audits a clip needs to check only that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from agent.cut.codec import ClipForm
from agent.cut.h264_ids import AVC

TIMESCALE_HZ: Final = 90_000
_MOVIE_TIMESCALE_HZ: Final = 1000
_MATRIX: Final = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
_UNDETERMINED: Final = 0x55C4  # the language "und"
_LARGE_HEADER_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """One coded picture in decode order: when it is shown, whether decoding can start here, its bytes."""

    shown_at: int  # ticks of TIMESCALE_HZ, unique within the movie, the earliest is 0
    is_sync: bool
    payload: bytes  # NAL units, each behind its 4-byte length


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A track of one sample entry."""

    width: int
    height: int
    configuration: bytes  # content of avcC or hvcC
    samples: Sequence[Sample]
    last_duration: int  # ticks the last shown picture stays
    form: ClipForm = AVC


def write_movie(track: VideoTrack) -> Iterator[bytes]:
    """Yield the file's bytes in order: ftyp and moov in one piece, mdat's header, then one piece per sample."""
    ftyp = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso4" + track.form.sample_entry + b"mp41")
    size = sum(len(sample.payload) for sample in track.samples)
    first = len(ftyp) + len(_moov(track, 0)) + _LARGE_HEADER_BYTES  # co64: moov's size does not depend on it
    yield ftyp + _moov(track, first)
    yield struct.pack(">I4sQ", 1, b"mdat", _LARGE_HEADER_BYTES + size)
    for sample in track.samples:
        yield sample.payload


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


def _moov(track: VideoTrack, first_offset: int) -> bytes:
    shown = sorted(sample.shown_at for sample in track.samples)
    total = shown[-1] - shown[0] + track.last_duration
    total_ms = round(total * _MOVIE_TIMESCALE_HZ / TIMESCALE_HZ)
    mvhd = _full_box(
        b"mvhd", 0, 0,
        struct.pack(">8xIIIH10x", _MOVIE_TIMESCALE_HZ, total_ms, 1 << 16, 1 << 8), _MATRIX, struct.pack(">24xI", 2),
    )  # fmt: skip
    tkhd = _full_box(
        b"tkhd", 0, 3,
        struct.pack(">8xI4xI16x", 1, total_ms), _MATRIX, struct.pack(">II", track.width << 16, track.height << 16),
    )  # fmt: skip
    mdhd = _full_box(b"mdhd", 1, 0, struct.pack(">16xIQHxx", TIMESCALE_HZ, total, _UNDETERMINED))
    hdlr = _full_box(b"hdlr", 0, 0, struct.pack(">4x4s13x", b"vide"))
    dref = _full_box(b"dref", 0, 0, struct.pack(">I", 1), _full_box(b"url ", 0, 1))
    minf = _box(
        b"minf", _full_box(b"vmhd", 0, 1, bytes(8)), _box(b"dinf", dref), _sample_table(track, shown, first_offset)
    )
    return _box(b"moov", mvhd, _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf)))


def _sample_table(track: VideoTrack, shown: list[int], first_offset: int) -> bytes:
    """Build `stbl`. Decode times are the sorted presentation times, so offsets may be negative (ctts version 1)."""
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
        _table(b"stsc", "III", [(1, len(samples), 1)]),
        _full_box(
            b"stsz", 0, 0, struct.pack(f">II{len(samples)}I", 0, len(samples), *(len(s.payload) for s in samples))
        ),
        _table(b"co64", "Q", [(first_offset,)]),
    ]
    offsets = [sample.shown_at - decoded_at for sample, decoded_at in zip(samples, shown, strict=True)]
    if any(offsets):
        boxes.append(_table(b"ctts", "Ii", _run_lengths(offsets), version=1))
    if not all(sample.is_sync for sample in samples):
        boxes.append(_table(b"stss", "I", [(number,) for number, s in enumerate(samples, 1) if s.is_sync]))
    return _box(b"stbl", *boxes)
