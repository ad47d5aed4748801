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
class ReadMovie:
    """A file taken apart."""

    boxes: list[str]  # at the top
    all_boxes: set[str]
    entries: list[str]
    samples: list[ReadSample]
    duration: int


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
    """Read a file of one track; asserts that `mdat` is the samples and nothing else."""
    found = {kind: (begin, end) for kind, begin, end in _walk(content, 0, len(content))}
    count = struct.unpack_from(">I", content, found["stsz"][0] + 8)[0]
    sizes = struct.unpack_from(f">{count}I", content, found["stsz"][0] + 12)
    chunks, (first_chunk, per_chunk, entry) = (
        struct.unpack_from(">II", content, found["co64"][0]),
        struct.unpack_from(">III", content, found["stsc"][0] + 8),
    )
    assert (chunks[1], first_chunk, per_chunk, entry) == (1, 1, count, 1)
    position = struct.unpack_from(">Q", content, found["co64"][0] + 8)[0]
    assert (position, position + sum(sizes)) == found["mdat"]
    durations = _runs(content, found["stts"][0], ">II")
    offsets = _runs(content, found["ctts"][0], ">Ii") if "ctts" in found else [0] * count
    syncs = set(range(1, count + 1))
    if "stss" in found:
        (sync_count,) = struct.unpack_from(">I", content, found["stss"][0] + 4)
        syncs = set(struct.unpack_from(f">{sync_count}I", content, found["stss"][0] + 8))
    samples, decoded_at = [], 0
    for number, (size, duration, offset) in enumerate(zip(sizes, durations, offsets, strict=True), 1):
        samples.append(ReadSample(decoded_at + offset, number in syncs, content[position : position + size]))
        position, decoded_at = position + size, decoded_at + duration
    begin, end = found["stsd"]
    return ReadMovie(
        [kind for kind, _, _ in _boxes(content, 0, len(content))],
        set(found),
        [kind for kind, _, _ in _boxes(content, begin + 8, end)],
        samples,
        struct.unpack_from(">Q", content, found["mdhd"][0] + 24)[0],
    )
