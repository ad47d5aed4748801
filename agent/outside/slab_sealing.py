"""The recorder's side of the ring: chunks are sealed straight out of the receive buffer into the batch of their slab.

Rules of this file: one thread; nothing here touches a disk or waits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from agent.buffer.chunk import SESSION_BYTES, ChunkMeta
from agent.buffer.recovery import OpenPlace
from agent.buffer.ring import RingSettings
from agent.buffer.slab import BLOCK_BYTES, KEY_BYTES, ChunkSealer, Cipher, Lane, SlabHeader, padded
from agent.buffer.slab_index import index_bytes_max
from agent.clock import SECOND_NS, Clock
from agent.crypto import Secret
from agent.errors import BadInputError
from agent.outside.slab_batches import BATCH_BYTES, CHUNK_EXTRA_BYTES, Batch, BatchQueue, Commit, Slab, SlabEnd


@dataclass(frozen=True, slots=True)
class StreamPayload:
    """A run's stream chunk, kept while the run lasts; written once to each slab the run reaches."""

    meta: ChunkMeta
    payload: bytes


class Sealing:
    """Seals chunks into batches and decides where one slab ends and the next begins, per lane."""

    def __init__(self, queue: BatchQueue, settings: RingSettings, cipher: Cipher, clock: Clock) -> None:
        self._queue, self._settings, self._cipher, self._clock = queue, settings, cipher, clock
        self._slabs: dict[Lane, Slab] = {}
        self._has_news = False

    def resume(self, slabs: Mapping[Lane, Slab]) -> None:
        """Go on in the slabs of before a restart, so that restarts do not use the ring up."""
        self._slabs = dict(slabs)

    def append(
        self,
        lane: Lane,
        meta: ChunkMeta,
        payload: bytes | bytearray | memoryview,
        run: StreamPayload | None = None,
    ) -> None:
        """Seal a chunk, before it its run's stream chunk, if it has one and its slab has none. Raises BadInputError."""
        if len(payload) + CHUNK_EXTRA_BYTES > BATCH_BYTES:
            raise BadInputError(f"a chunk of {len(payload)} bytes does not fit a batch of {BATCH_BYTES}")
        slab = self._slab(lane, len(payload), len(run.payload) if run else 0)
        if run is None:
            slab.runs += 1  # its camera's group in the slab's index, or one more than that
        elif (meta.camera, meta.run) not in slab.streams:
            batch = self._batch(slab, len(run.payload))
            slab.keep(run.meta, batch.sealed(batch.seal(run.meta, run.payload)))
            slab.chunks += 1
            slab.runs += 1
        self._batch(slab, len(payload)).seal(meta, payload)
        slab.chunks += 1
        self._has_news = True

    def commit(self, *, is_urgent: bool = False) -> None:
        """Hand over all there is; a slab that has become old is ended even if nothing comes.

        While the disk is behind, a batch that is not full waits on here, or it would take the memory of a full one.
        """
        for lane, slab in list(self._slabs.items()):
            if slab.is_given_up or self._is_old(slab):
                self._end(lane)
        if self._queue.is_behind and not is_urgent:
            return
        for batch in list(self._queue.growing.values()):
            self._put(batch)
        if self._has_news:
            self._queue.put(Commit())
            self._has_news = False

    def _slab(self, lane: Lane, payload_bytes: int, stream_bytes: int) -> Slab:
        """Return the lane's slab, a new one if a media chunk and its stream chunk do not fit."""
        slab = self._slabs.get(lane)
        if slab is not None and (slab.is_given_up or not self._has_room(slab, payload_bytes, stream_bytes)):
            self._end(lane)
            slab = None
        if slab is None:
            slab = self._slabs[lane] = new_slab(lane, self._cipher, self._settings.slab_bytes, self._clock)
        return slab

    def _batch(self, slab: Slab, payload_bytes: int) -> Batch:
        """Return the slab's growing batch, a new one if a chunk does not fit."""
        batch = self._queue.growing.get(slab.lane)
        if batch is not None and batch.has_room(payload_bytes):
            return batch
        if batch is not None:
            self._put(batch)
        return self._queue.batch(slab)

    def _has_room(self, slab: Slab, payload_bytes: int, stream_bytes: int) -> bool:
        """Whether the slab can take two more chunks, be it in batches of their own, and its index, in one batch."""
        batch = self._queue.growing.get(slab.lane)
        chunks = padded(payload_bytes + CHUNK_EXTRA_BYTES) + padded(stream_bytes + CHUNK_EXTRA_BYTES)
        index_bytes = index_bytes_max(slab.chunks + 2, slab.runs + 1)
        end = slab.end + padded(batch.length if batch else 0) + chunks + index_bytes
        return end <= slab.size and index_bytes <= BATCH_BYTES

    def _is_old(self, slab: Slab) -> bool:
        """By either clock: after a boot with a wrong one, the other still ends it in time."""
        age_ns_max = self._settings.slab_s_max * SECOND_NS
        return max(self._clock.now() - slab.created, self._clock.instant() - slab.opened) > age_ns_max

    def _end(self, lane: Lane) -> None:
        slab, batch = self._slabs.pop(lane), self._queue.growing.get(lane)
        if batch is not None:
            self._put(batch)
        self._queue.put(SlabEnd(slab))
        self._has_news = True

    def _put(self, batch: Batch) -> None:
        batch.slab.end += padded(batch.length)
        self._queue.put(batch)


def new_slab(lane: Lane, cipher: Cipher, size: int, clock: Clock) -> Slab:
    """Make up a slab: a random id and a random key that never was used before."""
    identity, key = int.from_bytes(os.urandom(8)), Secret(os.urandom(KEY_BYTES))
    sealer = ChunkSealer(identity, cipher, key, os.urandom(SESSION_BYTES))
    return Slab(identity, lane, cipher, size, clock.now(), clock.instant(), key, sealer, BLOCK_BYTES)


def resumed_slab(header: SlabHeader, data_key: Secret, place: OpenPlace, clock: Clock) -> Slab:
    """Go on in a slab under a new session: nobody knows which nonces a lost write has used."""
    return Slab(
        id=header.id,
        lane=header.lane,
        cipher=header.cipher,
        size=header.size,
        created=header.created,
        opened=clock.instant(),
        data_key=data_key,
        sealer=ChunkSealer(header.id, header.cipher, data_key, os.urandom(SESSION_BYTES)),
        end=place.end,
        chunks=place.chunks,
        runs=place.runs,
    )
