"""A slab: a preallocated file of sealed chunks under one data key, which is destroyed with the slab's first block.

Rules of this file: FORMAT.md is the specification; randomness comes in as an argument, as everything else does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from agent.buffer.chunk import (
    CHUNK_HEADER_BYTES,
    SESSION_BYTES,
    TAG_BYTES,
    ChunkHeader,
    ChunkMeta,
    pack_header_fields,
    unpack_chunk_header,
)
from agent.clock import WallTime
from agent.crypto import Secret, hkdf_sha256
from agent.errors import BadInputError

BLOCK_BYTES: Final = 4096
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
VOLUME_ID_BYTES: Final = 16
SLAB_BYTES_MIN: Final = 8 * 1024 * 1024  # the largest chunk, its stream header and the index always fit
SLAB_BYTES_MAX: Final = 1024 * 1024 * 1024

_MAGIC: Final = b"TRANSLAB"
_VERSION: Final = 1
_BOUND: Final = struct.Struct("<8sHBBIQqQQ16s")  # what the wrapped key is bound to
_HEADER_BYTES: Final = 128
_CHECKSUM_AT: Final = 124
_SESSIONS_CACHED_MAX: Final = 64
_SESSION_INFO: Final = b"transom slab session v1"


class Cipher(IntEnum):
    """The AEADs a slab's chunks may be sealed with; the hub takes the one that is faster on it."""

    AES_256_GCM = 1
    CHACHA20_POLY1305 = 2


Aead = AESGCM | ChaCha20Poly1305
_CIPHERS: Final = {int(cipher): cipher for cipher in Cipher}


class Lane(IntEnum):
    """Whose chunks a slab takes. Each lane has at most one slab that is written to."""

    SHARED = 0  # all cameras'
    APART = 1  # those of cameras that send so much that they would push the others' footage out


_LANES: Final = {int(lane): lane for lane in Lane}


@dataclass(frozen=True, slots=True)
class SlabHeader:
    """The slab's first block. Without it nothing in the slab can be read by anyone."""

    number: int  # rises for ever: the order of the slabs
    id: int  # random, 64 bit: names the slab in its chunks
    volume: bytes  # the ring's 16 random bytes
    cipher: Cipher
    lane: Lane
    created: WallTime
    size: int  # bytes of the slab, this block included
    wrapped_key: bytes = b""  # nonce, then the data key sealed by the key-encryption key


class ChunkSealer:
    """Seals one writer session's chunks for the slab of the id `slab`; counts the nonces, so that none comes twice."""

    def __init__(self, slab: int, cipher: Cipher, data_key: Secret, session: bytes) -> None:
        if len(session) != SESSION_BYTES:
            raise BadInputError(f"a session is {SESSION_BYTES} bytes")
        self._slab = slab
        self._session = session
        self._encrypt_into = _session_aead(cipher, data_key, session).encrypt_into
        self._counter = 0

    def seal(self, meta: ChunkMeta, payload: bytes | bytearray | memoryview, target: memoryview) -> int:
        """Write header, sealed payload and tag to the start of `target` and return how many bytes that are.

        The two do not overlap. Raises BadInputError if there is no room or a value is outside the limits of a chunk.
        """
        end = CHUNK_HEADER_BYTES + len(payload) + TAG_BYTES
        if end > len(target):
            raise BadInputError(f"a chunk of {end} bytes for {len(target)} bytes of room")
        counter = self._counter
        header = pack_header_fields(meta, len(payload), self._slab, self._session, counter)
        self._counter = counter + 1
        target[:CHUNK_HEADER_BYTES] = header
        self._encrypt_into(chunk_nonce(counter), payload, header, target[CHUNK_HEADER_BYTES:end])
        return end


class ChunkOpener:
    """Opens the sealed chunks of one slab."""

    def __init__(self, header: SlabHeader, data_key: Secret) -> None:
        self._header = header
        self._data_key = data_key
        self._aeads: dict[bytes, Aead] = {}

    def open(self, raw: bytes | memoryview) -> tuple[ChunkHeader, bytes]:
        """Return header and payload of the chunk that fills `raw`; raises BadInputError if a byte of it is wrong."""
        header = unpack_chunk_header(raw)
        if header.slab != self._header.id:
            raise BadInputError("a chunk of another slab")
        if header.stored_bytes != len(raw):
            raise BadInputError("a chunk of another length than its header says")
        view = memoryview(raw)
        try:
            payload = self._aead(header.session).decrypt(
                chunk_nonce(header.counter), view[CHUNK_HEADER_BYTES:], view[:CHUNK_HEADER_BYTES]
            )
        except InvalidTag as error:
            raise BadInputError("a chunk whose tag does not hold: it is damaged or forged") from error
        return header, payload

    def _aead(self, session: bytes) -> Aead:
        if session not in self._aeads:
            if len(self._aeads) >= _SESSIONS_CACHED_MAX:
                self._aeads.clear()
            self._aeads[session] = _session_aead(self._header.cipher, self._data_key, session)
        return self._aeads[session]


def wrap_key(header: SlabHeader, data_key: Secret, key_encryption_key: Secret, nonce: bytes) -> SlabHeader:
    """Return the header with its data key sealed by the key-encryption key (AES-256-GCM), bound to the other fields.

    `nonce` is `NONCE_BYTES` random bytes, new for each slab.
    """
    aead = AESGCM(key_encryption_key.reveal())
    return replace(header, wrapped_key=nonce + aead.encrypt(nonce, data_key.reveal(), _bound(header)))


def unwrap_key(header: SlabHeader, key_encryption_key: Secret) -> Secret:
    """Return the slab's data key; raises BadInputError if the header was changed or the key is another."""
    nonce, sealed = header.wrapped_key[:NONCE_BYTES], header.wrapped_key[NONCE_BYTES:]
    try:
        return Secret(AESGCM(key_encryption_key.reveal()).decrypt(nonce, sealed, _bound(header)))
    except (InvalidTag, ValueError) as error:
        raise BadInputError("a slab whose key does not open with this hub's key") from error


def pack_slab_header(header: SlabHeader) -> bytes:
    """Write the header as the slab's first block of `BLOCK_BYTES` (FORMAT.md, Slab header)."""
    fields = _bound(header) + header.wrapped_key
    if len(fields) != _CHECKSUM_AT:
        raise BadInputError("a slab header without its wrapped key")
    return (fields + crc32(fields).to_bytes(4, "little")).ljust(BLOCK_BYTES, b"\0")


def unpack_slab_header(raw: bytes) -> SlabHeader:
    """Read a slab's first block; raises BadInputError if it is blank, torn or of another version."""
    # 1. Size, magic, version.
    if len(raw) < _HEADER_BYTES or raw[:8] != _MAGIC:
        raise BadInputError("not a slab header")
    _, version, cipher, lane, block_bytes, number, created, size, slab, volume = _BOUND.unpack_from(raw)
    if version != _VERSION or block_bytes != BLOCK_BYTES:
        raise BadInputError(f"a slab of version {version}; this program reads version {_VERSION}")
    # 2. Checksum.
    if crc32(raw[:_CHECKSUM_AT]) != int.from_bytes(raw[_CHECKSUM_AT:_HEADER_BYTES], "little"):
        raise BadInputError("a slab header whose checksum does not hold")
    # 3. Cipher, lane and size.
    if cipher not in _CIPHERS or lane not in _LANES or not is_slab_size(size):
        raise BadInputError("a slab header with an unknown cipher or lane or outside the limits of version 1")
    wrapped_key = bytes(raw[_BOUND.size : _CHECKSUM_AT])
    return SlabHeader(number, slab, volume, _CIPHERS[cipher], _LANES[lane], WallTime(created), size, wrapped_key)


def is_slab_size(size: int) -> bool:
    """Say whether a slab may have `size` bytes."""
    return SLAB_BYTES_MIN <= size <= SLAB_BYTES_MAX and size % BLOCK_BYTES == 0


def padded(size: int) -> int:
    """Return `size` rounded up to whole blocks: what a batch of `size` bytes takes in the slab."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def chunk_nonce(counter: int) -> bytes:
    """Return the AEAD nonce of a session's chunk number `counter`."""
    return counter.to_bytes(NONCE_BYTES, "little")


def make_aead(cipher: Cipher, key: Secret) -> Aead:
    """Return the cipher under a 32-byte key."""
    return AESGCM(key.reveal()) if cipher is Cipher.AES_256_GCM else ChaCha20Poly1305(key.reveal())


def _bound(header: SlabHeader) -> bytes:
    try:
        return _BOUND.pack(
            _MAGIC,
            _VERSION,
            header.cipher,
            header.lane,
            BLOCK_BYTES,
            header.number,
            header.created,
            header.size,
            header.id,
            header.volume,
        )
    except struct.error as error:
        raise BadInputError(f"a slab header holds a number that does not fit: {error}") from error


def _session_aead(cipher: Cipher, data_key: Secret, session: bytes) -> Aead:
    return make_aead(cipher, hkdf_sha256(data_key, info=_SESSION_INFO, salt=session))
