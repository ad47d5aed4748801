"""Slab headers, wrapped keys and sealed chunks: what is not exactly what the hub wrote is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkMeta
from agent.buffer.slab import (
    BLOCK_BYTES,
    SLAB_BYTES_MIN,
    ChunkOpener,
    ChunkSealer,
    Cipher,
    pack_slab_header,
    padded,
    unpack_slab_header,
    unwrap_key,
)
from agent.crypto import Secret
from agent.errors import BadInputError
from tests.vectors.buffer.make import (
    DATA_KEY,
    KEY_ENCRYPTION_KEY,
    META,
    SESSION,
    SLAB_ID,
    TARGET,
    sealed,
    slab_header,
)

VECTORS: list[dict[str, Any]] = json.loads(TARGET.read_text())


def of(prefix: str) -> pytest.MarkDecorator:
    """Return the vectors of one kind as parameters."""
    chosen = [v for v in VECTORS if v["of"].startswith(prefix)]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=lambda v: f"{v['of']} {v['name']}")


@of("slab header")
def test_slab_header_vector(vector: dict[str, Any]) -> None:
    """The good header is read and written again; each bad one is refused."""
    raw = bytes.fromhex(vector["hex"])
    if vector["failure"]:
        with pytest.raises(BadInputError):
            unpack_slab_header(raw)
    else:
        assert unpack_slab_header(raw) == slab_header()
        assert pack_slab_header(slab_header()) == raw.ljust(BLOCK_BYTES, b"\0")


@of("wrapped key")
def test_wrapped_key_vector(vector: dict[str, Any]) -> None:
    """A data key opens only with the header it was sealed with."""
    header = unpack_slab_header(bytes.fromhex(vector["hex"]))
    if vector["failure"]:
        with pytest.raises(BadInputError):
            unwrap_key(header, KEY_ENCRYPTION_KEY)
    else:
        assert unwrap_key(header, KEY_ENCRYPTION_KEY).reveal() == DATA_KEY.reveal()


@of("sealed")
def test_sealed_chunk_vector(vector: dict[str, Any]) -> None:
    """A chunk opens only if every byte of header, payload and tag is as it was sealed."""
    cipher = Cipher[vector["of"].split()[1].upper()]
    opener = ChunkOpener(slab_header(cipher), DATA_KEY)
    raw = bytes.fromhex(vector["hex"])
    if vector["failure"]:
        with pytest.raises(BadInputError):
            opener.open(raw)
    else:
        assert opener.open(raw)[0].meta == META


def test_another_key_opens_nothing() -> None:
    """Without the hub's key the data key stays closed, and the error does not show either."""
    with pytest.raises(BadInputError) as caught:
        unwrap_key(slab_header(), Secret(bytes(32)))
    assert DATA_KEY.reveal().hex() not in str(caught.value)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.sampled_from(Cipher))
@settings(max_examples=40)
def test_what_is_sealed_is_opened(payloads: list[bytes], cipher: Cipher) -> None:
    """Chunks sealed one after the other come back, each under its own nonce."""
    sealer, opener = ChunkSealer(SLAB_ID, cipher, DATA_KEY, SESSION), ChunkOpener(slab_header(cipher), DATA_KEY)
    counters = []
    for payload in payloads:
        room = memoryview(bytearray(len(payload) + 200))
        length = sealer.seal(META, payload, room)
        opened, back = opener.open(room[:length])
        assert (opened.meta, opened.slab, back) == (META, SLAB_ID, payload)
        assert length == opened.stored_bytes == len(payload) + 176
        assert not any(room[length:])
        counters.append(opened.counter)
    assert counters == list(range(len(payloads)))


@given(st.data())
@settings(max_examples=60)
def test_a_flipped_bit_anywhere_is_refused(data: st.DataObject) -> None:
    """No single bit of a sealed chunk can change unnoticed."""
    room = bytearray(sealed(Cipher.AES_256_GCM, META, bytes(200)))
    bit = data.draw(st.integers(0, len(room) * 8 - 1))
    room[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadInputError):
        ChunkOpener(slab_header(), DATA_KEY).open(bytes(room))


def test_two_sessions_never_share_a_key_stream() -> None:
    """The same payload under the same counter in two sessions has nothing in common on disk."""
    streams = []
    for session in (bytes(16), bytes([1] * 16)):
        room = bytearray(64 + 176)
        ChunkSealer(SLAB_ID, Cipher.AES_256_GCM, DATA_KEY, session).seal(META, bytes(64), memoryview(room))
        streams.append(bytes(room[160:224]))
    assert not set(zip(*[iter(streams[0])] * 8, strict=True)) & set(zip(*[iter(streams[1])] * 8, strict=True))


@pytest.mark.parametrize(
    ("meta", "payload", "room"),
    [
        (META, bytes(100), 275),
        (META, bytes(4 * 1024 * 1024 + 1), 5 * 1024 * 1024),
        (replace(META, run=-1), b"", 176),
        (replace(META, camera=CameraId("Door")), b"", 176),
    ],
)
def test_a_chunk_that_cannot_be_sealed_uses_no_nonce(meta: ChunkMeta, payload: bytes, room: int) -> None:
    """What has no room or is outside the limits is refused before anything is written."""
    sealer = ChunkSealer(SLAB_ID, Cipher.AES_256_GCM, DATA_KEY, SESSION)
    target = bytearray(room)
    with pytest.raises(BadInputError):
        sealer.seal(meta, payload, memoryview(target))
    assert not any(target)
    sealer.seal(META, b"", memoryview(target))
    assert ChunkOpener(slab_header(), DATA_KEY).open(bytes(target[:176]))[0].counter == 0


def test_a_chunk_is_sealed_for_another_slab_by_opening_it() -> None:
    """What waits for a slab that failed is opened and sealed for the next one."""
    _, payload = ChunkOpener(slab_header(), DATA_KEY).open(sealed(Cipher.AES_256_GCM, META, b"wire"))
    other, key = replace(slab_header(), id=1, cipher=Cipher.CHACHA20_POLY1305), Secret(bytes(32))
    room = bytearray(180)
    ChunkSealer(1, other.cipher, key, bytes(16)).seal(META, payload, memoryview(room))
    assert ChunkOpener(other, key).open(bytes(room))[1] == b"wire"
    with pytest.raises(BadInputError):
        ChunkOpener(slab_header(), DATA_KEY).open(bytes(room))


@pytest.mark.parametrize("change", [{"number": -1}, {"id": 2**64}, {"wrapped_key": b""}])
def test_a_header_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    """A slab header is checked when it is written."""
    with pytest.raises(BadInputError):
        pack_slab_header(replace(slab_header(), **change))


def test_a_session_has_16_bytes() -> None:
    """A sealer without a proper session is not made."""
    with pytest.raises(BadInputError):
        ChunkSealer(SLAB_ID, Cipher.AES_256_GCM, DATA_KEY, bytes(15))


def test_many_sessions_keep_the_cache_small() -> None:
    """A slab with more sessions than are cached still opens."""
    opener = ChunkOpener(slab_header(), DATA_KEY)
    for number in range(70):
        room = bytearray(4 + 176)
        sealer = ChunkSealer(SLAB_ID, Cipher.AES_256_GCM, DATA_KEY, number.to_bytes(16))
        sealer.seal(META, b"wire", memoryview(room))
        assert opener.open(bytes(room))[1] == b"wire"


def test_padding_is_whole_blocks() -> None:
    """A batch takes whole blocks."""
    assert [padded(size) for size in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]
    assert padded(SLAB_BYTES_MIN) == SLAB_BYTES_MIN
