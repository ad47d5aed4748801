"""The encrypted ring on disk: chunks from the recorder's thread to slab files, and back for a cut.

Rules of this file: a chunk enters the index after its sync and leaves it before its slab's key is destroyed. The
recorder's thread never waits for the disk; one writer thread owns the slab that is written to.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.acquire.stream import STREAM_HEADER_BYTES_MAX, CameraId
from agent.buffer.chunk import SESSION_BYTES, ChunkHeader, ChunkKind, ChunkMeta, StoredChunk
from agent.buffer.chunk import pack_chunk_header as check_chunk
from agent.buffer.recovery import recover
from agent.buffer.ring import CameraSpan, Footage, RingSettings, expired_slabs
from agent.buffer.slab import (
    KEY_BYTES,
    NONCE_BYTES,
    ChunkOpener,
    Cipher,
    SlabHeader,
    unwrap_key,
    wrap_key,
)
from agent.clock import SECOND_NS, Clock, Instant, Window
from agent.crypto import Secret
from agent.errors import BadInputError, UnavailableError
from agent.outside.backlog import Backlog, StreamPayload, WaitingChunk
from agent.outside.slab_volume import SlabVolume
from agent.outside.slab_writer import BATCH_BYTES_MAX, SlabWriter, pick_cipher

EXPIRY_CHECK_S: Final = 60
PATIENCE: Final = 3  # input/output errors until the next slab is tried, for a bad block; then ten times as many
_NO_SESSION: Final = bytes(SESSION_BYTES)


@dataclass(frozen=True, slots=True)
class RingStats:
    """How the ring is doing."""

    bytes_written: int  # since the start, filler included
    commits: int  # writes that were synced
    errors: int  # writes that failed; each is repeated
    last_error: str  # empty while the disk works
    dropped_chunks: int  # given up since the disk was too slow or failed
    damaged_chunks: int  # found torn at the start
    waiting_bytes: int  # in memory, not on disk yet
    slabs: int  # with footage
    cipher: Cipher
    is_direct: bool  # past the page cache
    spans: tuple[CameraSpan, ...]


class SlabLog:
    """`ports.ChunkLog` on slab files in one directory. `append` and `commit` belong to one thread, the rest to any.

    Opening rebuilds the index; raises ConfigurationError if the directory cannot be used or another process has it.
    """

    def __init__(self, directory: Path, key_encryption_key: Secret, settings: RingSettings, clock: Clock) -> None:
        self._key_encryption_key = key_encryption_key
        self._settings = settings
        self._clock = clock
        self._volume = SlabVolume(directory, key_encryption_key)
        slots = self._volume.slots()
        found = recover({slot: self._volume.reader(slot) for slot in slots}, self._volume.id, key_encryption_key)
        self._lock = threading.Lock()  # guards the index, the slots and the figures below
        self._index = found.index
        self._headers = dict(found.headers)
        self._next_number = found.next_number
        self._damaged = found.damaged
        self._bytes_written = self._commits = self._errors = 0
        self._last_error = ""
        self._cipher = pick_cipher()
        self._streams: dict[CameraId, StreamPayload] = {}
        self._backlog = Backlog(settings.pending_bytes_max)
        self._buffer = mmap.mmap(-1, BATCH_BYTES_MAX)
        self._writer: SlabWriter | None = None
        self._is_direct = False
        self._failures = 0  # input/output errors in a row
        self._patience = PATIENCE
        self._resume = (found.newest, found.end)
        self._is_full = False  # a new slab file could not be made: the ring stays as large as it is
        self._doomed: set[int] = set()  # slots whose key must still be destroyed
        self._next_expiry_check = clock.instant()
        self._thread = threading.Thread(target=self._write_until_closed, name="ring-writer", daemon=True)
        self._thread.start()

    def append(self, meta: ChunkMeta, payload: bytes | bytearray | memoryview) -> None:
        """Take one chunk; the recorder sends each run's stream chunk before its media chunks.

        A stream chunk goes to disk with the first media chunk of its run. Raises BadInputError outside the limits.
        """
        check_chunk(ChunkHeader(meta, len(payload), 0, _NO_SESSION, 0))
        if meta.kind is ChunkKind.STREAM:
            if len(payload) > STREAM_HEADER_BYTES_MAX:
                raise BadInputError(f"a stream chunk of {len(payload)} bytes (limit {STREAM_HEADER_BYTES_MAX})")
            self._streams[meta.camera] = StreamPayload(meta, bytes(payload))
            return
        stream = self._streams.get(meta.camera)
        if stream is None or stream.meta.run != meta.run:
            raise BadInputError(f"a media chunk of {meta.camera} before the stream chunk of its run")
        self._backlog.put(WaitingChunk(meta, memoryview(payload), stream))

    def commit(self) -> None:
        """Hand what was appended to the writer thread; returns at once."""
        if not self._thread.is_alive():
            raise RuntimeError("the ring's writer thread has died: restart the hub's software")
        self._backlog.release()

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed for a window."""
        with self._lock:
            return self._index.footage(camera, window)

    def read(self, chunk: StoredChunk) -> bytes:
        """Read and decrypt one chunk's payload. Raises UnavailableError if it is gone or damaged."""
        with self._lock:
            slot, header = next(
                ((slot, header) for slot, header in self._headers.items() if header.number == chunk.slab), (0, None)
            )
        if header is None:
            raise UnavailableError("this footage has left the ring")
        raw = self._volume.read(slot, chunk.offset, chunk.length)
        try:
            opened, payload = ChunkOpener(header, unwrap_key(header, self._key_encryption_key)).open(raw)
        except BadInputError as error:
            raise UnavailableError(f"a chunk of {chunk.meta.camera} cannot be read: {error}") from error
        if _place(opened.meta) != _place(chunk.meta):
            raise UnavailableError(f"a chunk of {chunk.meta.camera} is not where it was")
        return payload

    def stats(self) -> RingStats:
        """Return the figures as they are now."""
        with self._lock:
            return RingStats(
                bytes_written=self._bytes_written,
                commits=self._commits,
                errors=self._errors,
                last_error=self._last_error,
                dropped_chunks=self._backlog.dropped,
                damaged_chunks=self._damaged,
                waiting_bytes=self._backlog.waiting_bytes,
                slabs=len(self._headers),
                cipher=self._cipher,
                is_direct=self._is_direct,
                spans=self._index.spans(),
            )

    def clear(self) -> None:
        """Destroy the keys of all there is, before recording: it belongs to an earlier owner of the hub."""
        for slot in list(self._headers):
            self._forget(slot)
            self._volume.destroy(slot)
        self._resume = (None, 0)

    def close(self) -> None:
        """Write what is left, once, and let another process have the ring."""
        self._backlog.close()
        self._thread.join()
        self._buffer.close()
        self._volume.close()

    def _write_until_closed(self) -> None:
        is_closed = False
        while not is_closed:
            is_closed = self._backlog.wait(EXPIRY_CHECK_S)
            try:
                self._expire()
                while self._write_batch():
                    pass
            except OSError as error:
                self._fail(error)
        self._leave_slab()

    def _write_batch(self) -> bool:
        """Bring the oldest waiting chunks to disk; return whether there were any. After an OSError they still wait."""
        waiting = self._backlog.take(BATCH_BYTES_MAX)
        written = 0
        try:
            if not waiting:
                return False
            writer = self._writer_with_room()
            batch = writer.append(waiting)
            if batch.taken:
                self._publish(batch.stored, batch.size, is_direct=writer.is_direct)
                written = batch.taken
            else:
                self._leave_slab()
        finally:
            self._backlog.settle(written)
        return True

    def _publish(self, stored: tuple[StoredChunk, ...], size: int, *, is_direct: bool) -> None:
        self._failures, self._patience = 0, PATIENCE
        with self._lock:
            for chunk in stored:
                self._index.add(chunk)
            self._bytes_written += size
            self._commits += 1
            self._last_error = ""
            self._is_direct = is_direct

    def _fail(self, error: OSError) -> None:
        with self._lock:
            self._errors += 1
            self._last_error = error.strerror or type(error).__name__
        # A full or read-only disk is waited for; a bad block is passed by, but a dying disk must not recycle the ring.
        self._failures += error.errno == errno.EIO
        if self._failures >= self._patience:
            self._patience *= 10
            self._leave_slab()

    def _writer_with_room(self) -> SlabWriter:
        """Return the slab to write to: the one at hand, the one of before the restart, or the next."""
        if self._writer and self._clock.now() - self._writer.created > self._settings.slab_s_max * SECOND_NS:
            self._leave_slab()
        if self._writer is None:
            slot, end = self._resume
            self._resume = (None, 0)
            self._writer = self._next_slab() if slot is None else self._same_slab(slot, end)
        return self._writer

    def _same_slab(self, slot: int, end: int) -> SlabWriter:
        """Go on in the slab of before the restart, under a new session, so that restarts do not use the ring up."""
        header = self._headers[slot]
        data_key = unwrap_key(header, self._key_encryption_key)
        return SlabWriter(self._volume.path(slot), header, data_key, self._buffer, end=end)

    def _next_slab(self) -> SlabWriter:
        """Make a slab in a free place, a new file or the oldest slab's place."""
        slot, is_new = self._place_for_slab()
        data_key = Secret(os.urandom(KEY_BYTES))
        header = SlabHeader(
            number=self._next_number,
            volume=self._volume.id,
            cipher=self._cipher,
            created=self._clock.now(),
            size=self._settings.slab_bytes,
        )
        # Counted before the attempt: two files with one number would hide each other after a restart.
        self._next_number += 1
        header = wrap_key(header, data_key, self._key_encryption_key, os.urandom(NONCE_BYTES))
        try:
            writer = SlabWriter.create(self._volume.path(slot), header, data_key, self._buffer)
        except OSError:
            if is_new:
                self._is_full = bool(self._headers)
                self._volume.path(slot).unlink(missing_ok=True)
            raise
        self._volume.sync()
        self._doomed.discard(slot)
        with self._lock:
            self._headers[slot] = header
        return writer

    def _place_for_slab(self) -> tuple[int, bool]:
        slots = self._volume.slots()
        # A ring made smaller gives its oldest slabs back to the disk.
        while len(slots) > self._settings.slab_count:
            slots.remove(self._retire_oldest(slots))
        free = [slot for slot in slots if slot not in self._headers]
        if free:
            return free[0], False
        has_room = self._volume.free_bytes() - self._settings.slab_bytes >= self._settings.free_bytes_min
        if len(slots) < self._settings.slab_count and ((has_room and not self._is_full) or not slots):
            return next(slot for slot in range(len(slots) + 1) if slot not in slots), True
        oldest = min(self._headers, key=lambda slot: self._headers[slot].number)
        self._forget(oldest)
        return oldest, False

    def _retire_oldest(self, slots: list[int]) -> int:
        """Remove the file of a free slot, else of the oldest slab; return the slot."""
        slot = min(slots, key=lambda slot: self._headers[slot].number if slot in self._headers else -1)
        self._forget(slot)
        self._volume.remove(slot)
        return slot

    def _expire(self) -> None:
        """Destroy what is older than the owner wants it."""
        if self._clock.instant() < self._next_expiry_check:
            return
        self._next_expiry_check = Instant(self._clock.instant() + EXPIRY_CHECK_S * SECOND_NS)
        known = self._index.newest_arrivals()
        arrivals = {header.number: known.get(header.number, header.created) for header in self._headers.values()}
        expired = expired_slabs(
            arrivals, self._clock.now(), self._settings.age_s_max, is_clock_trusted=self._clock.is_trusted()
        )
        for slot in [slot for slot, header in self._headers.items() if header.number in expired]:
            if self._writer and self._writer.number == self._headers[slot].number:
                self._leave_slab()
            if self._resume[0] == slot:
                self._resume = (None, 0)
            self._forget(slot)
            self._doomed.add(slot)
        for slot in tuple(self._doomed):
            self._volume.destroy(slot)
            self._doomed.discard(slot)

    def _forget(self, slot: int) -> None:
        with self._lock:
            header = self._headers.pop(slot, None)
            if header:
                self._index.forget(header.number)

    def _leave_slab(self) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None


def _place(meta: ChunkMeta) -> tuple[CameraId, ChunkKind, int, int]:
    return meta.camera, meta.kind, meta.run, meta.sequence
