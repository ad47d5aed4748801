"""What stands on a disk that decayed, was torn or was written by a stranger: nothing of it is believed too early.

Rules of this file: a target asks for what callers rely on, by public names only, and raises AssertionError where it
does not hold. A checksum finds damage and stops nobody, so headers are also tried with theirs made right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from zlib import crc32

from agent.buffer.chunk import (
    CHUNK_HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    ChunkKind,
    StoredChunk,
    pack_chunk_header,
    unpack_chunk_header,
)
from agent.buffer.recovery import ReadAt, Recovered, recover
from agent.buffer.ring import RingIndex
from agent.buffer.slab import BLOCK_BYTES, ChunkOpener, pack_slab_header, unpack_slab_header, unwrap_key
from agent.buffer.slab_index import pack_footer, pack_slab_index, unpack_footer, unpack_slab_index
from agent.clock import WallTime, Window
from agent.errors import BadInputError
from tests.fuzz.seeds_ring import FOOTER_BYTES, KEY, NUMBER, OFFSETS, SLAB_BYTES, VOLUME, WRITTEN
from tests.simulators.ring_content import CAMERA, START

_CHUNK_CHECKSUM_AT: Final = CHUNK_HEADER_BYTES - 4
_SLAB_CHECKSUM_AT: Final = 124
_FOOTER_CHECKSUM_AT: Final = FOOTER_BYTES - 4
_EVERYTHING: Final = Window(WallTime(0), WallTime(2 * START))


def mended(raw: bytes, checksum_at: int, start: int = 0) -> bytes:
    """Make the checksum of the header at `start` right, so that what stands behind that check is reached."""
    fields = raw[start : start + checksum_at].ljust(checksum_at, b"\0")
    return (
        raw[:start].ljust(start, b"\0") + fields + crc32(fields).to_bytes(4, "little") + raw[start + checksum_at + 4 :]
    )


def chunk_header(raw: bytes) -> None:
    """Check that a chunk header that is read is written back as the same bytes, within the limits."""
    for octets in (raw, mended(raw, _CHUNK_CHECKSUM_AT)):
        with suppress(BadInputError):
            header = unpack_chunk_header(octets)
            assert header.payload_bytes <= PAYLOAD_BYTES_MAX
            assert pack_chunk_header(header) == octets[:CHUNK_HEADER_BYTES]
    unpack_chunk_header(raw)


def slab_header(raw: bytes) -> None:
    """Check that a slab header that is read is written back as the same bytes."""
    for octets in (raw, mended(raw, _SLAB_CHECKSUM_AT)):
        with suppress(BadInputError):
            header = unpack_slab_header(octets)
            assert header.size % BLOCK_BYTES == 0
            assert pack_slab_header(header)[: _SLAB_CHECKSUM_AT + 4] == octets[: _SLAB_CHECKSUM_AT + 4]
    unpack_slab_header(raw)


def slab_footer(raw: bytes) -> None:
    """Check that a footer that is read is written back as the same bytes."""
    for octets in (raw, mended(raw, _FOOTER_CHECKSUM_AT)):
        with suppress(BadInputError):
            footer = unpack_footer(octets)
            assert pack_footer(footer.slab, footer.offset, footer.length)[:FOOTER_BYTES] == octets[:FOOTER_BYTES]
    unpack_footer(raw)


def slab_index(raw: bytes) -> None:
    """Check that an index is written back as the same bytes, and that the ring can be asked about all of it."""
    assert pack_slab_index(unpack_slab_index(raw)) == raw
    ring = RingIndex()
    ring.load_slab(NUMBER, raw)
    for span in ring.spans():
        assert span.camera in ring.usage()
        for chunk in ring.footage(span.camera, _EVERYTHING).chunks:
            assert chunk.slab == NUMBER
            assert chunk.meta.kind is ChunkKind.MEDIA
    ring.forget(NUMBER)
    assert not ring.spans()
    assert not ring.usage()


def recovery(raw: bytes) -> None:
    """Check that a start brings back what was written, never another byte, and that writing goes on behind it.

    Byte 0 chooses which checksums are made right; then the slab's beginning, and at the end its last block's.
    """
    choices, image, footer = raw[:1], raw[1:-FOOTER_BYTES], raw[1:][-FOOTER_BYTES:]
    choice = choices[0] if choices else 0
    image = mended(image, _SLAB_CHECKSUM_AT) if choice & 1 else image
    for offset in OFFSETS if choice & 2 else ():
        image = mended(image, _CHUNK_CHECKSUM_AT, offset)
    footer = mended(footer, _FOOTER_CHECKSUM_AT) if choice & 4 else footer

    def read(offset: int, length: int) -> bytes:
        if offset >= SLAB_BYTES - BLOCK_BYTES:
            return footer.ljust(BLOCK_BYTES, b"\0")[:length]
        return image[offset : offset + length].ljust(length, b"\0")

    @contextmanager
    def open_slot(_: int) -> Iterator[ReadAt]:
        yield read

    result = recover((0,), open_slot, VOLUME, KEY)
    if not result.headers:
        assert not result.index.spans()
        return
    _check_recovered(result, read)


def _check_recovered(result: Recovered, read: ReadAt) -> None:
    header = unpack_slab_header(read(0, BLOCK_BYTES))
    opener = ChunkOpener(header, unwrap_key(header, KEY))
    footage = result.index.footage(CAMERA, _EVERYTHING)
    found = [*footage.headers, *footage.chunks]
    assert len(set(found)) == len(found)
    for chunk in found:
        _check_chunk(chunk, opener, read, was_scanned=result.scanned > 0)
    assert result.next_number > header.number
    for place in result.open.values():
        assert place.end % BLOCK_BYTES == 0
        assert all(chunk.offset + chunk.length <= place.end for chunk in found)
        assert place.chunks >= len(found)


def _check_chunk(chunk: StoredChunk, opener: ChunkOpener, read: ReadAt, *, was_scanned: bool) -> None:
    payload = WRITTEN[chunk.meta]  # a KeyError here: a chunk that nobody wrote
    try:
        _, opened = opener.open(read(chunk.offset, chunk.length))
    except BadInputError:
        assert not was_scanned  # who was scanned had its tag checked; behind a sealed index a chunk may have decayed
    else:
        assert opened == payload
