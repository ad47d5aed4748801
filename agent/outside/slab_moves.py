"""Slabs that were given up: what waits for one is sealed again for another.

Rules of this file: one thread (the writer's). The slabs made here are sealed for by that thread alone: a sealer counts
its nonces for one thread.
"""

from __future__ import annotations

from agent.buffer.chunk import ChunkMeta
from agent.buffer.slab import ChunkOpener, SlabHeader
from agent.clock import Clock
from agent.outside.slab_batches import Batch, RunKey, SealedStream, Slab
from agent.outside.slab_sealing import new_slab


class SlabMoves:
    """Knows for each slab that was given up, until it is ended, which one takes its batches."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._targets: dict[Slab, Slab] = {}

    def give_up(self, slab: Slab) -> None:
        """Begin another slab for what comes for this one from now on."""
        slab.is_given_up = True
        target = new_slab(slab.lane, slab.cipher, slab.size, self._clock)
        target.before = slab
        self._targets |= {known: target for known, last in self._targets.items() if last is slab}
        self._targets[slab] = target

    def last(self, slab: Slab) -> Slab:
        """Return the slab that took the last of this one's batches: another, or itself."""
        return self._targets.get(slab, slab)

    def end(self, slab: Slab) -> None:
        """Note that nothing comes for a slab any more."""
        last = self.last(slab)
        self._targets = {known: target for known, target in self._targets.items() if target is not last}

    def settle(self, batch: Batch) -> Slab:
        """Return the slab that takes a batch, which is sealed for it now."""
        target = self._targets.get(batch.slab)
        if target is not None:
            for placed in batch.chunks:
                sealed = _sealed_for(target, placed.meta, batch.sealed(placed), batch.slab)
                batch.memory[placed.offset : placed.offset + placed.length] = sealed
            batch.slab = target
        return batch.slab


def find_stream(slab: Slab, run: RunKey) -> SealedStream | None:
    """Return a run's stream chunk as it is sealed for a slab, if it is still known."""
    if run not in slab.streams and slab.before is not None:
        known = find_stream(slab.before, run)
        if known is not None:
            slab.keep(known.meta, _sealed_for(slab, known.meta, known.sealed, slab.before))
    return slab.streams.get(run)


def _sealed_for(slab: Slab, meta: ChunkMeta, sealed: bytes, before: Slab) -> bytes:
    header = SlabHeader(0, before.id, b"", before.cipher, before.lane, before.created, before.size)
    _, payload = ChunkOpener(header, before.data_key).open(sealed)
    target = bytearray(len(sealed))
    with memoryview(target) as view:
        slab.sealer.seal(meta, payload, view)
    return bytes(target)
