"""Two small slabs as they are written, one still open and one that was left, and the headers and indexes in them."""

from __future__ import annotations

import random
from typing import Final

from agent.buffer.chunk import ChunkMeta, StoredChunk
from agent.buffer.ring import RingIndex
from agent.buffer.slab import (
    BLOCK_BYTES,
    SLAB_BYTES_MIN,
    ChunkSealer,
    Cipher,
    Lane,
    SlabHeader,
    pack_slab_header,
    padded,
    wrap_key,
)
from agent.buffer.slab_index import index_meta, pack_footer
from agent.crypto import Secret
from tests.simulators.ring_content import START, at, media, stream
from tests.vectors.buffer.make import vectors

KEY: Final = Secret(bytes(range(32)))
VOLUME: Final = bytes(range(16))
NUMBER: Final = 3
SLAB_BYTES: Final = SLAB_BYTES_MIN
FOOTER_BYTES: Final = 36
_SLAB_ID: Final = 0x1122_3344_5566_7788
_DATA_KEY: Final = Secret(bytes(range(32, 64)))
_BATCHES: Final = ((stream()[0], media(4), media(5)), (media(6),), (media(7), media(8)))


def _payload(meta: ChunkMeta) -> bytes:
    return random.Random(meta.sequence).randbytes(300 + meta.sequence * 70)  # noqa: S311 - repeatable test content


WRITTEN: Final = {meta: _payload(meta) for batch in _BATCHES for meta in batch}


def _slab(*, is_left: bool) -> tuple[bytes, tuple[int, ...]]:
    """Write a slab: its bytes up to the last batch, its footer if it was left, and where its chunks begin."""
    blank = SlabHeader(NUMBER, _SLAB_ID, VOLUME, Cipher.AES_256_GCM, Lane.SHARED, START, SLAB_BYTES)
    raw = bytearray(pack_slab_header(wrap_key(blank, _DATA_KEY, KEY, bytes(12)))).ljust(16 * BLOCK_BYTES, b"\0")
    sealer, index = ChunkSealer(_SLAB_ID, Cipher.AES_256_GCM, _DATA_KEY, bytes(16)), RingIndex()
    position, places = BLOCK_BYTES, []
    for batch in _BATCHES:
        for meta in batch:
            length = sealer.seal(meta, WRITTEN[meta], memoryview(raw)[position:])
            index.add(StoredChunk(meta, NUMBER, position, length))
            places.append(position)
            position += length
        position = padded(position)
    footer = bytes(FOOTER_BYTES)
    if is_left:
        length = sealer.seal(index_meta(at(9)), index.pack_slab(NUMBER), memoryview(raw)[position:])
        footer = pack_footer(_SLAB_ID, position, length)[:FOOTER_BYTES]
        places.append(position)
        position += length
    return bytes(raw[:position]) + footer, tuple(places)


_OPEN, _ = _slab(is_left=False)
_LEFT, OFFSETS = _slab(is_left=True)
SLABS: Final = tuple(bytes([choice]) + slab for slab in (_OPEN, _LEFT) for choice in (0, 7))

_VECTORS: Final = tuple(vectors())
CHUNK_HEADERS: Final = tuple(raw for of, _, _, raw in _VECTORS if of == "chunk header")
SLAB_HEADERS: Final = tuple(raw for of, _, _, raw in _VECTORS if of == "slab header")
INDEXES: Final = tuple(raw for of, _, _, raw in _VECTORS if of == "index")
FOOTERS: Final = tuple(raw for of, _, _, raw in _VECTORS if of == "footer")
