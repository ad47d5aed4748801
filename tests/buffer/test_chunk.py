"""The chunk header: every field comes back, everything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import (
    CHUNK_HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    ChunkHeader,
    ChunkKind,
    ChunkMeta,
    pack_chunk_header,
    unpack_chunk_header,
)
from agent.clock import WallTime
from agent.errors import BadInputError
from tests.simulators.ring_content import media
from tests.vectors.buffer.make import TARGET, vectors

VECTORS: list[dict[str, Any]] = [v for v in json.loads(TARGET.read_text()) if v["of"] == "chunk header"]
U32, U64, I64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1).map(WallTime)
METAS = st.builds(
    ChunkMeta,
    camera=st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True).map(CameraId),
    kind=st.sampled_from(ChunkKind),
    is_key=st.booleans(),
    run=U64,
    sequence=U64,
    first_arrival=I64,
    last_arrival=I64,
    first_rtp=U32,
    last_rtp=U32,
    anchor=st.builds(Anchor, U32, I64, U64, st.sampled_from(ClockSource)),
)


@given(st.builds(ChunkHeader, METAS, st.integers(0, PAYLOAD_BYTES_MAX), U64, st.binary(min_size=16, max_size=16), U64))
@settings(max_examples=100)
def test_every_header_comes_back(header: ChunkHeader) -> None:
    """Whatever fits into a header is read back as it was."""
    packed = pack_chunk_header(header)
    assert len(packed) == CHUNK_HEADER_BYTES
    assert unpack_chunk_header(packed) == header


@given(st.binary(max_size=200) | st.binary(max_size=160).map(lambda tail: b"TRCH\x01\x00\xa0\x00" + tail))
def test_noise_is_refused(raw: bytes) -> None:
    """Random bytes are never a header and raise nothing but BadInputError."""
    with pytest.raises(BadInputError):
        unpack_chunk_header(raw)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """The good vector is read; each bad one is refused for its one failure."""
    raw = bytes.fromhex(vector["hex"])
    if vector["failure"]:
        with pytest.raises(BadInputError):
            unpack_chunk_header(raw)
    else:
        assert pack_chunk_header(unpack_chunk_header(raw)) == raw


def test_the_vectors_are_what_the_script_makes() -> None:
    """The committed file was made by the committed script."""
    made = [{"of": of, "name": name, "failure": why, "hex": raw.hex()} for of, name, why, raw in vectors()]
    assert json.loads(TARGET.read_text()) == made


@pytest.mark.parametrize(
    "header",
    [
        ChunkHeader(replace(media(1), camera=CameraId("Front Door")), 1, 1, bytes(16), 0),
        ChunkHeader(replace(media(1), camera=CameraId("ä")), 1, 1, bytes(16), 0),
        ChunkHeader(replace(media(1), camera=CameraId("a" * 33)), 1, 1, bytes(16), 0),
        ChunkHeader(replace(media(1), first_rtp=2**32), 1, 1, bytes(16), 0),
        ChunkHeader(replace(media(1), run=-1), 1, 1, bytes(16), 0),
        ChunkHeader(media(1), PAYLOAD_BYTES_MAX + 1, 1, bytes(16), 0),
        ChunkHeader(media(1), 1, 1, bytes(15), 0),
        ChunkHeader(media(1), 1, 2**64, bytes(16), 0),
    ],
)
def test_a_header_that_does_not_fit_is_refused(header: ChunkHeader) -> None:
    """A value outside the limits is refused when it is written, not when it is read."""
    with pytest.raises(BadInputError):
        pack_chunk_header(header)
