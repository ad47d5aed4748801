"""The encrypted ring on disk: chunks from the recorder's thread to slab files, and back for a cut.

Rules of this file: the recorder's thread seals and never waits for the disk; one writer thread owns the disk; while the
disk is away, what is recorded waits in memory, and the oldest of it gives way.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.acquire.camera_event import CameraEvent, decode_events
from agent.acquire.stream import STREAM_HEADER_BYTES_MAX, CameraId
from agent.buffer.chunk import ChunkKind, ChunkMeta, StoredChunk
from agent.buffer.recovery import Recovered, recover
from agent.buffer.retention import Rates, apart_bytes, noisy_cameras
from agent.buffer.ring import SLABS_MIN, CameraSpan, CameraUsage, Footage, RingSettings
from agent.buffer.slab import KEY_BYTES, Cipher, Lane, chunk_nonce, make_aead, unwrap_key
from agent.clock import SECOND_NS, Clock, Window
from agent.crypto import Secret
from agent.errors import BadInputError, TransomError, UnavailableError
from agent.outside.slab_batches import BatchQueue, Slab
from agent.outside.slab_places import SlabPlaces
from agent.outside.slab_readahead import read_ahead
from agent.outside.slab_sealing import Sealing, StreamPayload, resumed_slab
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_volume import SlabVolume, VolumeAwayError
from agent.outside.slab_writer import RETRY_S, SlabWriter, WriterStats

RATES_EVERY_S: Final = 60
_MEASURED_BYTES: Final = 256 * 1024
_MEASURED_ROUNDS: Final = 4
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RingStats:
    """How the ring is doing."""

    bytes_written: int  # since the start, filler included
    commits: int  # syncs that brought something
    errors: int  # writes that failed; each is repeated
    last_error: str  # empty while the disk works
    dropped_chunks: int  # given up since the disk was away or too slow
    damaged_chunks: int  # found torn at the start
    waiting_bytes: int  # in memory, not on disk yet
    slabs: int  # with footage
    cipher: Cipher
    is_direct: bool  # past the page cache
    noisy: frozenset[CameraId]  # cameras that are kept apart, since they would push the others' footage out
    spans: tuple[CameraSpan, ...]
    usage: dict[CameraId, CameraUsage]


class SlabLog:
    """`ports.ChunkSink` and `ports.ChunkSource` on slab files in one directory.

    `append` and `commit` belong to one thread, the rest to any.

    Opening rebuilds the index. `known` is a file elsewhere that remembers which disk is the ring's: while that disk is
    not there, the ring holds what is recorded in memory and waits for it. With `keep` False everything that is found
    is destroyed: it belongs to an earlier owner. Raises ConfigurationError if another process has the ring or it was
    recorded under another key.
    """

    def __init__(
        self,
        directory: Path,
        key_encryption_key: Secret,
        settings: RingSettings,
        clock: Clock,
        known: Path | None = None,
        *,
        keep: bool = True,
        retry_s: float = RETRY_S,
    ) -> None:
        self._directory, self._key_encryption_key, self._known = directory, key_encryption_key, known
        self._settings, self._clock, self._keep = settings, clock, keep
        self._retry_s = retry_s
        self._cipher = pick_cipher()
        self._shelf = SlabShelf(key_encryption_key)
        self._queue = BatchQueue(settings.pending_bytes_max)
        self._sealing = Sealing(self._queue, settings, self._cipher, clock)
        self._runs: dict[CameraId, StreamPayload] = {}
        self._rates, self._rated_at = Rates(), clock.instant()
        self._noisy: frozenset[CameraId] = frozenset()
        self._stats = WriterStats()
        self._damaged = 0
        self._volume: SlabVolume | None = None
        self._writer: SlabWriter | None = None
        try:
            self._sealing.resume(self._attach())
        except VolumeAwayError as error:
            self._stats.last_error = str(error)
        self._thread = threading.Thread(target=self._serve, name="ring-writer", daemon=True)
        self._thread.start()

    def append(self, meta: ChunkMeta, payload: bytes | bytearray | memoryview) -> None:
        """Take one chunk; the recorder sends each run's stream chunk before its media chunks.

        A stream chunk goes to disk with the first media chunk of its run; events need none. Raises BadInputError
        outside the limits.
        """
        if meta.kind is ChunkKind.STREAM:
            if len(payload) > STREAM_HEADER_BYTES_MAX:
                raise BadInputError(f"a stream chunk of {len(payload)} bytes (limit {STREAM_HEADER_BYTES_MAX})")
            self._runs[meta.camera] = StreamPayload(meta, bytes(payload))
            return
        if meta.kind is ChunkKind.EVENTS:
            self._sealing.append(Lane.SHARED, meta, payload)
            return
        run = self._runs.get(meta.camera)
        if run is None or run.meta.run != meta.run:
            raise BadInputError(f"a media chunk of {meta.camera} before the stream chunk of its run")
        self._sealing.append(Lane.APART if meta.camera in self._noisy else Lane.SHARED, meta, payload, run)
        self._rates.add(meta.camera, len(payload))

    def commit(self) -> None:
        """Hand what was appended to the writer thread; returns at once."""
        if not self._thread.is_alive():
            raise RuntimeError("the ring's writer thread has died: restart the hub's software")
        self._sealing.commit()
        passed_s = (self._clock.instant() - self._rated_at) / SECOND_NS
        if passed_s >= RATES_EVERY_S:
            self._rated_at = self._clock.instant()
            self._share_out(passed_s)

    def wait_until_written(self, timeout_s: float) -> bool:
        """Commit, and wait until everything is on the disk; say whether it is. Belongs to the thread that appends."""
        self._sealing.commit(is_urgent=True)
        return self._queue.wait_until_empty(timeout_s)

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed for a window."""
        return self._shelf.footage(camera, window)

    def events(self, camera: CameraId, window: Window) -> tuple[CameraEvent, ...]:
        """Return a camera's committed events that may have happened in a window; damaged chunks are left out."""
        found: list[CameraEvent] = []
        for chunk in self._shelf.events(camera, window):
            with suppress(UnavailableError, BadInputError):
                found += decode_events(self.read(chunk))
        return tuple(
            event
            for event in found
            if event.at - event.error_ns < window.end and window.start <= event.at + event.error_ns
        )

    def read(self, chunk: StoredChunk) -> bytes:
        """Read and decrypt one chunk's payload. Raises UnavailableError if it is gone or damaged."""
        slot, opener = self._shelf.opener(chunk.slab)
        if self._volume is None:
            raise UnavailableError("the ring's disk is not there", cure="mount it")
        try:
            opened, payload = opener.open(self._volume.read(slot, chunk.offset, chunk.length))
        except BadInputError as error:
            raise UnavailableError(f"a chunk of {chunk.meta.camera} cannot be read: {error}") from error
        if _place(opened.meta) != _place(chunk.meta):
            raise UnavailableError(f"a chunk of {chunk.meta.camera} is not where it was")
        return payload

    @property
    def last_run(self) -> int:
        """The highest run number in the ring: new runs are numbered above it."""
        return self._shelf.last_run

    def stats(self) -> RingStats:
        """Return the figures as they are now."""
        return RingStats(
            bytes_written=self._stats.bytes_written,
            commits=self._stats.commits,
            errors=self._stats.errors,
            last_error=self._stats.last_error,
            dropped_chunks=self._queue.dropped_chunks + self._stats.lost_chunks,
            damaged_chunks=self._damaged,
            waiting_bytes=self._queue.waiting_bytes,
            slabs=len(self._shelf.headers()),
            cipher=self._cipher,
            is_direct=self._stats.is_direct,
            noisy=self._noisy,
            spans=self._shelf.spans(),
            usage=dict(self._shelf.usage()),
        )

    def close(self) -> None:
        """Write what is left, once, and let another process have the ring."""
        self._sealing.commit(is_urgent=True)
        self._queue.close()
        self._thread.join()
        self._queue.free()
        if self._volume is not None:
            self._volume.close()

    def _attach(self) -> dict[Lane, Slab]:
        """Open the ring's disk and rebuild the index; return the slabs that writing can go on in."""
        volume = SlabVolume(self._directory, self._key_encryption_key, self._known)
        try:
            if not self._keep:
                for slot in volume.slots():
                    volume.destroy(slot)
            slots = volume.slots()
            read_ahead(volume, slots)
            found = recover(slots, volume.reading, volume.id, self._key_encryption_key)
        except OSError as error:
            volume.close()
            raise VolumeAwayError(f"the ring cannot be opened: {error.strerror}", cure="check its disk") from error
        except BaseException:
            volume.close()
            raise
        places = SlabPlaces(volume, self._shelf, self._settings, self._clock)
        writer = SlabWriter(
            volume, self._queue, self._shelf, places, self._clock, self._key_encryption_key, self._stats, self._retry_s
        )
        slabs = self._resumed(writer, found)
        self._damaged = found.damaged
        self._shelf.load(found)
        self._volume, self._writer = volume, writer
        return slabs

    def _resumed(self, writer: SlabWriter, found: Recovered) -> dict[Lane, Slab]:
        slabs: dict[Lane, Slab] = {}
        for lane, place in found.open.items():
            header = found.headers[place.slot]
            slab = resumed_slab(header, unwrap_key(header, self._key_encryption_key), place, self._clock)
            try:
                writer.resume(slab, place.slot, header)
            except OSError as error:  # it is read all the same; writing goes on in a new one
                _log.warning("slab file %d cannot be gone on with: %s", place.slot, error.strerror)
            else:
                slabs[lane] = slab
        return slabs

    def _serve(self) -> None:
        """Be the writer thread; wait for the disk first if it is away."""
        while self._writer is None and not self._queue.is_closed:
            try:
                left = self._attach()
            except (TransomError, OSError) as error:
                self._stats.last_error = str(error)
                self._queue.put_off(self._retry_s)
                continue
            self._stats.last_error = ""
            self._finish(left.values())
        if self._writer is not None:
            self._writer.run()

    def _finish(self, slabs: Iterable[Slab]) -> None:
        """Leave the slabs of before: recording goes on in slabs of its own by now."""
        for slab in slabs:
            try:
                if self._writer is not None:  # always
                    self._writer.finish(slab)
            except OSError as error:
                _log.warning("a slab was left without its index: %s", error.strerror)

    def _share_out(self, passed_s: float) -> None:
        """See which cameras send so much that the others would lose what they must keep."""
        rates = self._rates.update(passed_s)
        size, floor_s = self._settings.bytes_max, self._settings.floor_s
        # A ring of few slabs pushes nobody's footage out yet, or its disk has no room for a slab per lane.
        is_small = len(self._shelf.headers()) < SLABS_MIN
        self._noisy = frozenset() if is_small else noisy_cameras(rates, size, floor_s, self._noisy)
        if self._writer is not None:
            self._writer.places.apart_bytes_max = apart_bytes(rates, self._noisy, size, floor_s)


def pick_cipher() -> Cipher:
    """Return the cipher this machine is faster with, measured in about 20 ms."""
    plain = bytes(_MEASURED_BYTES)
    sealed = bytearray(_MEASURED_BYTES + 16)
    took: dict[Cipher, float] = {}
    for cipher in Cipher:
        aead = make_aead(cipher, Secret(os.urandom(KEY_BYTES)))
        rounds: list[float] = []
        for counter in range(_MEASURED_ROUNDS):
            start = time.perf_counter()
            aead.encrypt_into(chunk_nonce(counter), plain, None, sealed)
            rounds.append(time.perf_counter() - start)
        took[cipher] = min(rounds)
    return min(took, key=took.__getitem__)


def _place(meta: ChunkMeta) -> tuple[CameraId, ChunkKind, int, int]:
    return meta.camera, meta.kind, meta.run, meta.sequence
