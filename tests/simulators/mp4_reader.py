"""A stranger's reader of MP4 files, written from ISO/IEC 14496-12 alone: it shares nothing with the writer."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_CONTAINERS = {"moov", "trak", "mdia", "minf", "dinf", "stbl", "edts"}


@dataclass(frozen=True)
class ReadSample:
    """A sample as a player would find it."""

    shown_at: int
    is_sync: bool
    payload: bytes

    @property
    def nals(self) -> list[bytes]:
        """NAL units behind 4-byte lengths."""
        out, position = [], 0
        while position < len(self.payload):
            size = int.from_bytes(self.payload[position : position + 4], "big")
            out.append(self.payload[position + 4 : position + 4 + size])
            position += 4 + size
        assert position == len(self.payload)
        return out


@dataclass(frozen=True)
class ReadSound:
    """A track of sound taken apart."""

    entries: list[str]
    samples: list[ReadSample]
    durations: list[int]  # in ticks of `rate_hz`
    rate_hz: int
    edits: list[tuple[int, int]]  # (duration in movie ticks, media time; -1: nothing is shown)


@dataclass(frozen=True)
class ReadMovie:
    """A file taken apart."""

    boxes: list[str]  # at the top
    all_boxes: set[str]
    entries: list[str]
    samples: list[ReadSample]  # of the pictures
    duration: int
    sounds: list[ReadSound]
    has_video_edits: bool


def _boxes(content: bytes, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    while begin < end:
        size, kind = struct.unpack_from(">I4s", content, begin)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", content, begin + 8)[0], 16
        assert size >= head
        assert begin + size <= end
        yield kind.decode(), begin + head, begin + size
        begin += size


def _walk(content: bytes, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    for kind, first, last in _boxes(content, begin, end):
        yield kind, first, last
        if kind in _CONTAINERS:
            yield from _walk(content, first, last)


def _runs(content: bytes, begin: int, row: str) -> list[int]:
    (count,) = struct.unpack_from(">I", content, begin + 4)
    rows = [struct.unpack_from(row, content, begin + 8 + 8 * n) for n in range(count)]
    return [value for times, value in rows for _ in range(times)]


def read_movie(content: bytes) -> ReadMovie:
    """Read a file; asserts that `mdat` is the samples of its tracks and nothing else, each byte once."""
    found = {kind: (begin, end) for kind, begin, end in _walk(content, 0, len(content))}
    tracks = [
        {kind: (begin, end) for kind, begin, end in _walk(content, *span)}
        for name, *span in _walk(content, 0, len(content))
        if name == "trak"
    ]
    video, *sounds = tracks
    samples, places = _read_samples(content, video)
    for sound in sounds:
        places += _read_samples(content, sound)[1]
    at, end = found["mdat"]
    for begin, stop in sorted(places):
        assert begin == at
        at = stop
    assert at == end
    begin, end = video["stsd"]
    return ReadMovie(
        [kind for kind, _, _ in _boxes(content, 0, len(content))],
        set(found),
        [kind for kind, _, _ in _boxes(content, begin + 8, end)],
        samples,
        struct.unpack_from(">Q", content, video["mdhd"][0] + 24)[0],
        [_read_sound(content, sound) for sound in sounds],
        "edts" in video,
    )


def _read_sound(content: bytes, track: dict[str, tuple[int, int]]) -> ReadSound:
    begin, end = track["stsd"]
    edits = []
    if "elst" in track:
        (count,) = struct.unpack_from(">I", content, track["elst"][0] + 4)
        edits = [struct.unpack_from(">IiI", content, track["elst"][0] + 8 + 12 * n)[:2] for n in range(count)]
    return ReadSound(
        [kind for kind, _, _ in _boxes(content, begin + 8, end)],
        _read_samples(content, track)[0],
        _runs(content, track["stts"][0], ">II"),
        struct.unpack_from(">I", content, track["mdhd"][0] + 20)[0],
        edits,
    )


def _read_samples(content: bytes, found: dict[str, tuple[int, int]]) -> tuple[list[ReadSample], list[tuple[int, int]]]:
    """Return a track's samples and where each lies."""
    count = struct.unpack_from(">I", content, found["stsz"][0] + 8)[0]
    sizes = struct.unpack_from(f">{count}I", content, found["stsz"][0] + 12)
    chunks = struct.unpack_from(">I", content, found["co64"][0] + 4)[0]
    offsets = struct.unpack_from(f">{chunks}Q", content, found["co64"][0] + 8)
    rows = struct.unpack_from(">I", content, found["stsc"][0] + 4)[0]
    groups = [struct.unpack_from(">III", content, found["stsc"][0] + 8 + 12 * n) for n in range(rows)]
    starts: list[int] = []
    for number, offset in enumerate(offsets, 1):
        position = offset
        in_chunk = next(per for first, per, _ in reversed(groups) if first <= number)
        for size in sizes[len(starts) : len(starts) + in_chunk]:
            starts.append(position)
            position += size
    durations = _runs(content, found["stts"][0], ">II")
    shifts = _runs(content, found["ctts"][0], ">Ii") if "ctts" in found else [0] * count
    syncs = set(range(1, count + 1))
    if "stss" in found:
        (sync_count,) = struct.unpack_from(">I", content, found["stss"][0] + 4)
        syncs = set(struct.unpack_from(f">{sync_count}I", content, found["stss"][0] + 8))
    samples, decoded_at = [], 0
    for number, (start, size, duration, shift) in enumerate(zip(starts, sizes, durations, shifts, strict=True), 1):
        samples.append(ReadSample(decoded_at + shift, number in syncs, content[start : start + size]))
        decoded_at += duration
    return samples, [(start, start + size) for start, size in zip(starts, sizes, strict=True)]
