"""A slab's index and footer: what was packed comes back, anything else is refused and nothing is believed of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.buffer.chunk import PAYLOAD_BYTES_MAX, ChunkKind, StoredChunk
from agent.buffer.ring import RingIndex
from agent.buffer.row import ROW_BYTES, pack_row, unpack_row
from agent.buffer.slab import BLOCK_BYTES, ChunkOpener, padded
from agent.buffer.slab_index import (
    Figures,
    SlabFooter,
    SlabRun,
    index_bytes_max,
    index_meta,
    pack_footer,
    pack_slab_index,
    unpack_footer,
    unpack_slab_index,
)
from agent.clock import Window
from agent.errors import BadInputError
from tests.buffer.test_chunk import METAS
from tests.simulators.ring_content import CAMERA, at, media
from tests.vectors.buffer.make import DATA_KEY, META, SLAB_ID, TARGET, contents, slab_header

VECTORS: list[dict[str, Any]] = json.loads(TARGET.read_text())
PLACES = st.builds(
    StoredChunk, METAS, st.just(7), st.integers(4096, 2**32 - 1), st.integers(176, 4 * 1024 * 1024 + 176)
)


def of(kind: str) -> pytest.MarkDecorator:
    """Return the vectors of one kind as parameters."""
    return pytest.mark.parametrize("vector", [v for v in VECTORS if v["of"] == kind], ids=lambda v: v["name"])


@of("index")
def test_index_vector(vector: dict[str, Any]) -> None:
    """The good payloads are read and written again; each bad one is refused for its one failure."""
    raw = bytes.fromhex(vector["hex"])
    if vector["failure"]:
        with pytest.raises(BadInputError):
            unpack_slab_index(raw)
    else:
        assert pack_slab_index(unpack_slab_index(raw)) == raw


@of("index chunk")
def test_index_chunk_vector(vector: dict[str, Any]) -> None:
    """A sealed index says which chunks its slab has."""
    opened, payload = ChunkOpener(slab_header(), DATA_KEY).open(bytes.fromhex(vector["hex"]))
    assert opened.meta == index_meta(META.last_arrival)
    index = RingIndex()
    index.load_slab(5, payload)
    footage = index.footage(META.camera, Window(at(-(10**6)), at(10**6)))
    assert [*footage.headers, *footage.chunks] == contents()[:3]
    assert index.usage()[CameraId("yard")].bytes == 5000


@of("footer")
def test_footer_vector(vector: dict[str, Any]) -> None:
    """The good footer is read and written again; each bad one is refused for its one failure."""
    raw = bytes.fromhex(vector["hex"])
    if vector["failure"]:
        with pytest.raises(BadInputError):
            unpack_footer(raw)
    else:
        assert unpack_footer(raw) == SlabFooter(SLAB_ID, 7 * 4096, 5000)
        assert pack_footer(SLAB_ID, 7 * 4096, 5000) == raw.ljust(BLOCK_BYTES, b"\0")


@given(PLACES, st.sampled_from([ChunkKind.STREAM, ChunkKind.MEDIA]))
@settings(max_examples=60)
def test_every_row_comes_back(chunk: StoredChunk, kind: ChunkKind) -> None:
    """Whatever fits into a chunk header fits into a row."""
    row = pack_row(chunk)
    assert len(row) == ROW_BYTES
    back = unpack_row(b"x" * ROW_BYTES + row, 1, kind, chunk.meta.camera, chunk.meta.run, 7)
    assert pack_row(back) == row
    assert (back.slab, back.offset, back.length) == (7, chunk.offset, chunk.length)
    assert back.meta.anchor == chunk.meta.anchor


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda rest: b"\x01" + bytes(7) + b"door" + rest))
def test_noise_is_refused(raw: bytes) -> None:
    """Random bytes raise nothing but BadInputError."""
    for read in (unpack_slab_index, unpack_footer):
        try:
            read(raw)
        except BadInputError:
            continue
        assert raw == bytes(8)


@given(st.data())
@settings(max_examples=150)
def test_a_changed_index_breaks_nothing(data: st.DataObject) -> None:
    """A payload with wrong bytes is refused, or read and asked without an error."""
    good = bytes.fromhex(next(v["hex"] for v in VECTORS if v["of"] == "index"))
    raw = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    index = RingIndex()
    try:
        index.load_slab(5, bytes(raw))
    except BadInputError:
        return
    index.footage(META.camera, Window(at(-(10**6)), at(10**6)))
    index.spans()
    index.forget(5)
    assert (index.spans(), index.usage()) == ((), {})


@pytest.mark.parametrize(("cameras", "chunks"), [(0, 0), (1, 1), (3, 40), (8, 200)])
def test_the_room_kept_for_an_index_is_enough(cameras: int, chunks: int) -> None:
    """Padded to blocks and with its footer an index takes what was said, when every run has a stream chunk."""
    index = RingIndex()
    for camera in range(cameras):
        for sequence in range(chunks):
            kind = ChunkKind.MEDIA if sequence else ChunkKind.STREAM
            meta = replace(media(sequence, camera=CameraId(f"c{camera}")), kind=kind)
            index.add(StoredChunk(meta, 1, 4096, 300))
    payload = index.pack_slab(1)
    assert padded(len(payload) + 176) + BLOCK_BYTES == index_bytes_max(cameras * chunks, cameras)


def test_an_index_that_is_too_long_is_not_written() -> None:
    """A slab with so many chunks is scanned instead."""
    rows = bytes(ROW_BYTES) * (PAYLOAD_BYTES_MAX // ROW_BYTES)
    with pytest.raises(BadInputError):
        pack_slab_index([SlabRun(CAMERA, 1, b"", rows, Figures(0, at(0), at(0), 0))])
