"""A clip's MP4 file taken apart by a stranger: what is in it, where each sample lies, and what should not be there.

Rules of this file: written from ISO/IEC 14496-12 alone, it shares nothing with the writer. A file that cannot be read
raises BadInputError; one that can be read but is not as FORMAT.md of the cut demands has faults. Time and memory grow
with the bytes that are read, whatever they say: the hub has signed them, a camera may have written them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from agent.errors import BadInputError

SAMPLES_MAX: Final = 200_000  # of a track, and rows of a table
TRACKS_MAX: Final = 4  # a clip has two
BOXES_MAX: Final = 64  # in one box
LENGTH_BYTES_MAX: Final = 4  # of a descriptor's length (ISO/IEC 14496-1 8.3.3)
TOP: Final = ("ftyp", "moov", "mdat")
_INSIDE: Final[Mapping[str, frozenset[str]]] = {
    "moov": frozenset({"mvhd", "trak"}),
    "trak": frozenset({"tkhd", "edts", "mdia"}),
    "mdia": frozenset({"mdhd", "hdlr", "minf"}),
    "minf": frozenset({"vmhd", "smhd", "dinf", "stbl"}),
    "dinf": frozenset({"dref"}),
    "stbl": frozenset({"stsd", "stts", "stsc", "stsz", "stco", "co64", "ctts", "stss"}),
}
"""Every box that contains others, and what a clip may have in it."""
_HEADERS: Final = frozenset({"mvhd", "tkhd", "mdhd"})
CODECS: Final = {"avc1": "h264", "hvc1": "h265", "mp4v": "jpeg", "jpeg": "jpeg", "mjpg": "jpeg"}
"""What a video sample entry holds."""
_CONFIGURATIONS: Final = ("avcC", "hvcC")
_DELAY_BYTES: Final = 40  # an elst box of version 0 with two edits (ISO/IEC 14496-12 8.6.6)
_SOUND_BYTES: Final = 28  # of an audio sample entry before the boxes in it (12.2.3)
_SPECIFIC: Final = 5  # tag of DecoderSpecificInfo
_VISUAL_BYTES: Final = 78  # of a visual sample entry before the boxes in it (ISO/IEC 14496-12 12.1.3)


class Box(NamedTuple):
    """One box: its kind and where its content lies in the file."""

    kind: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class BoxedSample:
    """One sample of a track, in decode order."""

    begin: int  # where its bytes lie in the file
    end: int
    shown_at: int  # in ticks of the track's time scale
    is_sync: bool


@dataclass(frozen=True, slots=True)
class BoxedTrack:
    """One track."""

    kind: str  # "vide" or "soun"
    entry: str  # of its one sample entry, as "avc1"
    configuration: bytes  # content of avcC or hvcC, or AudioSpecificConfig, else empty
    timescale_hz: int
    samples: tuple[BoxedSample, ...]
    total: int  # how long all samples last, in ticks
    size: tuple[int, int]  # width and height in pixels, or channels and 0
    delay: int  # of the track's first sample, by its edit list, in ticks of the movie


@dataclass(frozen=True, slots=True)
class BoxedMovie:
    """A file taken apart."""

    tracks: tuple[BoxedTrack, ...]
    faults: tuple[str, ...]

    @property
    def video(self) -> BoxedTrack:
        """The video track."""
        return next(track for track in self.tracks if track.kind == "vide")


def take_apart(content: bytes, size: int | None = None) -> BoxedMovie:
    """Read a file, or the head of one that has `size` bytes. Raises BadInputError if it is damaged or has no video."""
    try:
        return _take_apart(content, len(content) if size is None else size)
    except (struct.error, UnicodeDecodeError, IndexError, KeyError, StopIteration) as error:
        raise BadInputError("not a whole MP4 file") from error


def _take_apart(content: bytes, size: int) -> BoxedMovie:
    top = list(_boxes(content, 0, size))
    faults = [] if tuple(box.kind for box in top) == TOP else [f"the file is {', '.join(box.kind for box in top)}"]
    moov, mdat = _one(top, "moov"), _one(top, "mdat")
    faults += _strangers(content, moov)
    tracks = []
    traks = [box for box in _boxes(content, moov.begin, moov.end) if box.kind == "trak"]
    if len(traks) > TRACKS_MAX:
        raise BadInputError(f"more than {TRACKS_MAX} tracks")
    for trak in traks:
        track, more = _track(content, trak)
        tracks.append(track)
        faults += [*more, *_edits(content, trak, track.kind)]
    if not all(track.timescale_hz for track in tracks):
        raise BadInputError("a track whose time stands still")
    kinds = [track.kind for track in tracks]
    if kinds.count("vide") != 1:
        raise BadInputError("a file without exactly one video track")
    if kinds not in (["vide"], ["vide", "soun"]):
        faults.append(f"the tracks are {', '.join(kinds)}")
    faults += _uncovered(mdat, [sample for track in tracks for sample in track.samples])
    return BoxedMovie(tuple(tracks), tuple(faults))


def _boxes(content: bytes, begin: int, end: int) -> Iterator[Box]:
    found = 0
    while begin < end:
        if (found := found + 1) > BOXES_MAX:
            raise BadInputError(f"more than {BOXES_MAX} boxes in one")
        size, kind = struct.unpack_from(">I4s", content, begin)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", content, begin + 8)[0], 16
        if not head <= size <= end - begin:
            raise BadInputError("a box that does not fit into the file")
        yield Box(kind.decode("latin-1"), begin + head, begin + size)
        begin += size


def _one(boxes: Sequence[Box], kind: str) -> Box:
    found = [box for box in boxes if box.kind == kind]
    if len(found) != 1:
        raise BadInputError(f"a file with {len(found)} {kind} boxes")
    return found[0]


def _strangers(content: bytes, parent: Box) -> Iterator[str]:
    """Name the boxes that a clip must not have, and headers that tell a time of day."""
    for box in _boxes(content, parent.begin, parent.end):
        if box.kind not in _INSIDE[parent.kind]:
            yield f"there is a box {parent.kind}/{box.kind}"
        elif box.kind in _INSIDE:
            yield from _strangers(content, box)
        elif box.kind in _HEADERS and any(content[box.begin + 4 : box.begin + (20 if content[box.begin] else 12)]):
            yield f"{box.kind} tells a time of day"
        elif box.kind == "hdlr" and content[box.begin + 24 : box.end].strip(b"\0"):
            yield "hdlr holds a text"


def _track(content: bytes, trak: Box) -> tuple[BoxedTrack, list[str]]:
    mdia = _inside(content, trak, "mdia")
    header, hdlr = _inside(content, mdia, "mdhd"), _inside(content, mdia, "hdlr")
    tables = _inside(content, _inside(content, mdia, "minf"), "stbl")
    kind = content[hdlr.begin + 8 : hdlr.begin + 12].decode("latin-1")
    timescale = struct.unpack_from(">I", content, header.begin + (20 if content[header.begin] else 12))[0]
    stsd = _inside(content, tables, "stsd")
    entries = list(_boxes(content, stsd.begin + 8, stsd.end))
    faults = [] if len(entries) == 1 else [f"{len(entries)} sample entries"]
    configuration, size = b"", (0, 0)
    if kind == "soun":
        size = (struct.unpack_from(">H", content, entries[0].begin + 16)[0], 0)
        esds = _one(list(_boxes(content, entries[0].begin + _SOUND_BYTES, entries[0].end)), "esds")
        configuration = _specific_of(content[esds.begin + 4 : esds.end])
    if kind == "vide":
        size = struct.unpack_from(">HH", content, entries[0].begin + 24)
        inner = list(_boxes(content, entries[0].begin + _VISUAL_BYTES, entries[0].end))
        known = [box for box in inner if box.kind in _CONFIGURATIONS]
        configuration = content[known[0].begin : known[0].end] if known else b""
        faults += [f"there is a box {entries[0].kind}/{box.kind}" for box in inner if box not in known]
    samples, total = _samples(content, tables)
    delay = _delay(content, trak)
    return BoxedTrack(kind, entries[0].kind, configuration, timescale, samples, total, size, delay), faults


def _specific_of(esds: bytes) -> bytes:
    """Find a decoder's own configuration in a descriptor of an elementary stream (ISO/IEC 14496-1 7.2.6)."""
    at, fixed = 0, {3: 3, 4: 13}  # bytes of these descriptors before those in them
    while True:
        tag, length, at, begin = esds[at], 0, at + 1, at + 1
        while esds[at] & 0x80:
            length, at = length << 7 | esds[at] & 0x7F, at + 1
            if at - begin >= LENGTH_BYTES_MAX:
                raise BadInputError("a descriptor whose length has no end")
        length, at = length << 7 | esds[at], at + 1
        if tag == _SPECIFIC:
            return esds[at : at + length]
        at += fixed[tag]


def _delay(content: bytes, trak: Box) -> int:
    """Return how long an empty edit lets a track wait; other edits are faults."""
    edits = [box for box in _boxes(content, trak.begin, trak.end) if box.kind == "edts"]
    if not edits:
        return 0
    ticks, media = struct.unpack_from(">Ii", content, edits[0].begin + 16)
    return int(ticks) if media == -1 else 0


def _edits(content: bytes, trak: Box, kind: str) -> Iterator[str]:
    """Name every edit but the one that may be: sound that begins later than the picture, and is then played whole."""
    for box in _boxes(content, trak.begin, trak.end):
        if box.kind != "edts":
            continue
        version, count, *edits = struct.unpack_from(">IIIiIIiI", content, box.begin + 8)
        is_delay = (version, count, edits[1:3], edits[4:]) == (0, 2, [-1, 1 << 16], [0, 1 << 16])
        if kind != "soun" or box.end - box.begin != _DELAY_BYTES or not is_delay:
            yield f"there is a box trak/edts in the track {kind}"


def _inside(content: bytes, parent: Box, kind: str) -> Box:
    return _one(list(_boxes(content, parent.begin, parent.end)), kind)


def _samples(content: bytes, tables: Box) -> tuple[tuple[BoxedSample, ...], int]:
    found = {box.kind: box for box in _boxes(content, tables.begin, tables.end)}
    fixed, count = struct.unpack_from(">II", content, found["stsz"].begin + 4)
    if count > SAMPLES_MAX:
        raise BadInputError(f"more than {SAMPLES_MAX} samples in a track")
    sizes = [fixed] * count if fixed else list(struct.unpack_from(f">{count}I", content, found["stsz"].begin + 12))
    begins = _begins(content, found, sizes)
    durations = _expanded(content, found["stts"], ">II", count)
    offsets = _expanded(content, found["ctts"], ">Ii", count) if "ctts" in found else [0] * count
    syncs = {row[0] for row in _rows(content, found["stss"], ">I")} if "stss" in found else set(range(1, count + 1))
    decoded = list(accumulate(durations, initial=0))
    return tuple(
        BoxedSample(begins[n], begins[n] + sizes[n], decoded[n] + offsets[n], n + 1 in syncs) for n in range(count)
    ), decoded[-1]


def _begins(content: bytes, found: Mapping[str, Box], sizes: Sequence[int]) -> list[int]:
    """Find where each sample begins, from the chunks' places and how many samples each chunk has."""
    is_long = "co64" in found
    places = [row[0] for row in _rows(content, found["co64" if is_long else "stco"], ">Q" if is_long else ">I")]
    rows = _rows(content, found["stsc"], ">III")
    if not rows or rows[0][0] != 1 or any(after[0] <= before[0] for before, after in pairwise(rows)):
        raise BadInputError("a table stsc whose chunks do not rise from the first")
    begins: list[int] = []
    row = 0
    for number, place in enumerate(places, 1):
        while row + 1 < len(rows) and rows[row + 1][0] <= number:
            row += 1
        in_chunk = rows[row][1]
        for size in sizes[len(begins) : len(begins) + in_chunk]:
            begins.append(place)
            place += size  # noqa: PLW2901 - the place moves on within the chunk
    if len(begins) != len(sizes):
        raise BadInputError("samples without a place in the file")
    return begins


def _rows(content: bytes, table: Box, row: str) -> list[tuple[int, ...]]:
    count, size = struct.unpack_from(">I", content, table.begin + 4)[0], struct.calcsize(row)
    if count > SAMPLES_MAX:
        raise BadInputError(f"a table {table.kind} with more than {SAMPLES_MAX} rows")
    if table.begin + 8 + count * size != table.end:
        raise BadInputError(f"a table {table.kind} that is not as long as it says")
    return [struct.unpack_from(row, content, table.begin + 8 + n * size) for n in range(count)]


def _expanded(content: bytes, table: Box, row: str, count: int) -> list[int]:
    rows = _rows(content, table, row)
    if sum(times for times, _ in rows) != count:
        raise BadInputError(f"a table {table.kind} that is not of this track's samples")
    return [value for times, value in rows for _ in range(times)]


def _uncovered(mdat: Box, samples: Sequence[BoxedSample]) -> Iterator[str]:
    """Name the bytes of mdat that belong to no sample, and those that belong to two."""
    spans = [(mdat.begin, mdat.begin), *sorted((sample.begin, sample.end) for sample in samples), (mdat.end, mdat.end)]
    for (_, before), (after, _) in pairwise(spans):
        if before < after:
            yield f"{after - before} bytes of mdat at {before} belong to no sample"
        elif before > after:
            yield f"samples overlap at {after}"
