"""The ring's two sides without a thread: a test fills, says when the writer takes a step, and sees what came of it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.acquire.stream import CameraId
from agent.buffer.chunk import CHUNK_HEADER_BYTES, unpack_chunk_header
from agent.buffer.recovery import Recovered, read_slab_header, recover
from agent.buffer.ring import RingSettings
from agent.buffer.slab import ChunkOpener, Cipher, Lane, unwrap_key
from agent.errors import BadInputError
from agent.outside.slab_batches import BatchQueue
from agent.outside.slab_places import SlabPlaces
from agent.outside.slab_sealing import Sealing, StreamPayload, resumed_slab
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_volume import SlabVolume
from agent.outside.slab_writer import SlabWriter, WriterStats
from tests.simulators.ring_content import CAMERA, StillClock, media, stream
from tests.simulators.ring_log import EVERYTHING, KEK, SETTINGS, payload

Nonce = tuple[int, bytes, int]
"""Slab id, session, counter."""


class RingParts:
    """Volume, queue, shelf, places, writer and sealing of one ring, as the daemon puts them together."""

    def __init__(
        self,
        directory: Path,
        settings: RingSettings = SETTINGS,
        clock: StillClock | None = None,
        *,
        resumes: bool = True,
    ) -> None:
        self.directory, self.clock, self.is_closed = directory, clock or StillClock(), False
        self.volume = SlabVolume(directory, KEK)
        self.queue = BatchQueue(settings.pending_bytes_max)
        self.shelf = SlabShelf(KEK)
        self.places = SlabPlaces(self.volume, self.shelf, settings, self.clock)
        self.stats = WriterStats()
        self.writer = SlabWriter(
            self.volume, self.queue, self.shelf, self.places, self.clock, KEK, self.stats, retry_s=0.0
        )
        self.sealing = Sealing(self.queue, settings, Cipher.CHACHA20_POLY1305, self.clock)
        self.found: Recovered = recover(self.volume.slots(), self.volume.reading, self.volume.id, KEK)
        self.shelf.load(self.found)
        slabs = {}
        for lane, place in self.found.open.items() if resumes else ():
            header = self.found.headers[place.slot]
            slabs[lane] = resumed_slab(header, unwrap_key(header, KEK), place, self.clock)
            self.writer.resume(slabs[lane], place.slot, header)
        self.sealing.resume(slabs)

    def append(
        self, *sequences: int, lane: Lane = Lane.SHARED, camera: CameraId = CAMERA, run: int = 1, size: int = 20_000
    ) -> None:
        """Append chunks of a run."""
        for sequence in sequences:
            header = StreamPayload(*stream(camera, run))
            self.sealing.append(lane, media(sequence, camera=camera, run=run), payload(sequence, size), header)

    def commit(self) -> None:
        """Commit, and let the writer do all that it can."""
        self.sealing.commit(is_urgent=True)
        self.drain()

    def drain(self, steps_max: int = 1000) -> None:
        """Let the writer do what waits."""
        while steps_max and not self.queue.wait_until_empty(0):
            self.writer.step(0)
            steps_max -= 1

    def sequences(self, camera: CameraId = CAMERA) -> list[int]:
        """Return what the index has of a camera and can be read."""
        found = []
        for chunk in self.shelf.footage(camera, EVERYTHING).chunks:
            slot, opener = self.shelf.opener(chunk.slab)
            opened, content = opener.open(self.volume.read(slot, chunk.offset, chunk.length))
            assert opened.meta.sequence == chunk.meta.sequence
            assert content == payload(chunk.meta.sequence, len(content))
            found.append(chunk.meta.sequence)
        return found

    def close(self) -> None:
        """Be gone, as a process that is killed: nothing more is written."""
        if self.is_closed:
            return
        self.is_closed = True
        self.writer.close()
        self.queue.free()
        self.volume.close()


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file grow, and no write go, beyond `size`: the kernel stops within a write, then refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def nonces(volume: SlabVolume) -> dict[Nonce, bytes]:
    """Return every nonce on the disk under which something whole was sealed, and what that is."""
    found: dict[Nonce, bytes] = {}
    for slot in volume.slots():
        with volume.reading(slot) as read, suppress(BadInputError):
            header = read_slab_header(read, volume.id)
            opener = ChunkOpener(header, unwrap_key(header, KEK))
            raw = read(0, header.size)
            place = raw.find(b"TRCH")
            while place >= 0:
                with suppress(BadInputError):
                    chunk = unpack_chunk_header(raw[place : place + CHUNK_HEADER_BYTES])
                    sealed = raw[place : place + chunk.stored_bytes]
                    opener.open(sealed)
                    nonce = chunk.slab, chunk.session, chunk.counter
                    assert found.setdefault(nonce, sealed) == sealed, "a nonce came twice"
                place = raw.find(b"TRCH", place + 1)
    return found
