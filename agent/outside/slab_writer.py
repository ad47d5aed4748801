"""The ring's side of the disk: batches to slab files, one sync per commit, and what to do when the disk fails.

Rules of this file: one thread; what could not be written waits and is written again, the same sealed bytes at the same
place; a chunk is published after its sync; a slab that is left costs no sync of its own; a failing place on the disk is
left, a failing disk is waited for.
"""

from __future__ import annotations

import logging
import mmap
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from agent.buffer.chunk import ChunkKind
from agent.buffer.slab import BLOCK_BYTES, SlabHeader, padded
from agent.clock import Clock
from agent.crypto import Secret
from agent.errors import BadInputError, TransomError
from agent.outside.open_slabs import OpenSlabs
from agent.outside.slab_batches import (
    BATCH_BYTES,
    Batch,
    BatchQueue,
    Commit,
    Item,
    Placed,
    RunKey,
    SealedStream,
    Slab,
    SlabEnd,
)
from agent.outside.slab_file import SlabFile
from agent.outside.slab_last_words import write_last_words
from agent.outside.slab_moves import SlabMoves, find_stream
from agent.outside.slab_places import EXPIRY_CHECK_S, PLACE_ERRORS, SlabPlaces
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_unsynced import Unsynced
from agent.outside.slab_volume import SlabVolume

RETRY_S: Final = 1.0
PATIENCE: Final = 3  # errors of a place until another one is tried; then ten times as many

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class WriterStats:
    """What the disk has taken and refused."""

    bytes_written: int = 0  # filler, headers and indexes included
    commits: int = 0  # syncs that brought something
    errors: int = 0  # writes and syncs that failed; each is repeated
    last_error: str = ""  # empty while the disk works
    lost_chunks: int = 0  # written, but gone when the sync failed
    is_direct: bool = False  # past the page cache


@dataclass(slots=True)
class SlabWriter:
    """Writes what the queue holds until it is closed; `run` is the thread's target."""

    volume: SlabVolume
    queue: BatchQueue
    shelf: SlabShelf
    places: SlabPlaces
    clock: Clock
    key_encryption_key: Secret
    stats: WriterStats
    retry_s: float = RETRY_S
    _left: list[Slab] = field(default_factory=list)  # get their index with the next commit
    _at_work: Slab | None = None  # whose file is written or synced
    _failures: int = 0  # errors of a place in a row
    _patience: int = PATIENCE
    _moves: SlabMoves = field(init=False)
    _open: OpenSlabs = field(init=False)
    _unsynced: Unsynced = field(init=False)

    def __post_init__(self) -> None:
        self._moves = SlabMoves(self.clock)
        self._open = OpenSlabs(self.volume, self.shelf, self.places, self.key_encryption_key)
        self._unsynced = Unsynced(self.shelf)

    def resume(self, slab: Slab, slot: int, header: SlabHeader) -> None:
        """Go on in a slab of before a restart. Raises OSError."""
        self._open.resume(slab, slot, header)

    def finish(self, slab: Slab) -> None:
        """Give a slab its index that nobody goes on with. Raises OSError; the slab is left all the same."""
        try:
            self._finish(slab)
        finally:
            self._open.close(slab)

    def run(self) -> None:
        """Write until the queue is closed and empty; after closing, the first failure ends it."""
        while self.step(EXPIRY_CHECK_S):
            pass
        self.close()

    def step(self, timeout_s: float) -> bool:
        """Bring the next item to the disk, or fail to; return whether there is more to do."""
        item = self.queue.first(timeout_s)
        self._expire()
        if item is None:
            return not self.queue.is_closed
        try:
            self._act(item)
        except OSError as error:
            self._fail(error)
            if self.queue.is_closed:
                return False
            self.queue.put_off(self.retry_s)
        return True

    def close(self) -> None:
        """Close all files."""
        self._open.close_all()

    def _act(self, item: Item) -> None:
        self._at_work = None
        match item:
            case Batch():
                self._write(item)
            case Commit():
                self._sync()
                self._finish_left()
            case SlabEnd(slab):
                self._left.append(slab)
        self.queue.done()
        self._failures, self._patience, self.stats.last_error = 0, PATIENCE, ""

    def _expire(self) -> None:
        """Destroy what is too old; if that fails, recording goes on, and it is tried again in a minute."""
        try:
            self.places.expire(self._open.slots)
        except OSError as error:
            self._note(error)

    def _write(self, batch: Batch) -> None:
        slab = self._at_work = self._moves.settle(batch)
        file = self._file(slab)
        streams = self._missing_streams(batch)
        size = padded(sum(len(stream.sealed) for stream in streams)) + padded(batch.length)
        if file.end + size > file.header.size - BLOCK_BYTES:  # possible only where streams came again or slabs moved
            self._give_up(slab)
            self._write(batch)
            return
        if streams:
            with mmap.mmap(-1, BATCH_BYTES, flags=mmap.MAP_PRIVATE) as memory:
                first = Batch(slab, memory)
                for stream in streams:
                    first.add(stream.meta, stream.sealed)
                self._append(first, file)
        self._append(batch, file)

    def _append(self, batch: Batch, file: SlabFile) -> None:
        with batch.blocks() as blocks:
            offset = file.append(blocks)
            self.stats.bytes_written += len(blocks)
        self.stats.is_direct = file.is_direct
        self._unsynced.note(batch, offset)
        batch.slab.in_file |= {_run(placed) for placed in batch.chunks if placed.meta.kind is ChunkKind.STREAM}

    def _missing_streams(self, batch: Batch) -> list[SealedStream]:
        """Return the stream chunks that a batch needs and its slab's file lacks: their batch was dropped or lost."""
        there = {_run(placed) for placed in batch.chunks if placed.meta.kind is ChunkKind.STREAM}
        missing = {_run(placed) for placed in batch.chunks} - there - batch.slab.in_file
        found = [find_stream(batch.slab, run) for run in sorted(missing)]
        return [stream for stream in found if stream is not None]

    def _sync(self) -> None:
        """Bring everything written to the disk, then let readers find it."""
        slabs = self._unsynced.slabs
        for slab in slabs:
            self._at_work = slab
            try:
                self._open.files[slab].sync()
            except OSError:
                self._unsynced.doubt(slab)
                raise
        self.stats.commits += bool(slabs)
        for slab in slabs:
            self._publish(slab)

    def _publish(self, slab: Slab) -> None:
        self.stats.lost_chunks += self._unsynced.publish(slab, self._open.files[slab])

    def _finish_left(self) -> None:
        """Give the slabs that were left their indexes: all that is in them has been synced."""
        while self._left:
            self._finish(self._moves.last(self._left[0]))
            self._moves.end(self._left.pop(0))

    def _finish(self, slab: Slab) -> None:
        """Append the slab's index, so that the next start need not scan it."""
        self._at_work = slab
        file = self._open.files.get(slab)
        if file is None:
            return  # nothing ever came to it
        with suppress(BadInputError):  # more rows than an index holds: the slab is scanned
            rows = self.shelf.pack(file.header.number)
            self.stats.bytes_written += write_last_words(file, slab, rows, self.clock.now())
        self._open.close(slab)

    def _file(self, slab: Slab) -> SlabFile:
        """Return the slab's file, made now if this is its first batch."""
        if slab in self._open.files:
            return self._open.files[slab]
        if self._left and not self.places.has_more(self._open.slots):
            self._sync()  # the slab that was just left may have to make room for this one
            self._finish_left()
        return self._open.make(slab, is_last_try=self._failures + 1 >= self._patience)

    def _note(self, error: OSError) -> None:
        self.stats.errors += 1
        self.stats.last_error = error.strerror or type(error).__name__

    def _fail(self, error: OSError) -> None:
        """Note a failure; see whether the disk is still there; leave a bad place on it after some patience.

        A full, read-only or absent disk is waited for; a dying one must not recycle the ring, so patience grows.
        """
        self._note(error)  # at once: a dying disk may hold up what comes next
        try:
            is_back = self.volume.renew()
        except (TransomError, OSError) as away:
            self.stats.last_error = str(away)
            return
        if is_back:
            self._reopen()
            return
        self._failures += error.errno in PLACE_ERRORS
        if self._failures >= self._patience:
            self._patience *= 10
            if self._at_work is not None and (file := self._open.files.get(self._at_work)):
                _log.warning("slab file %d cannot be written: another one is begun", file.slot)
                self._give_up(self._at_work)

    def _give_up(self, slab: Slab) -> None:
        """Leave a slab where it is; what waits for it goes to another one."""
        try:
            self._open.files[slab].sync()
        except OSError:
            self._unsynced.doubt(slab)
        self._publish(slab)
        self._open.close(slab)
        self._moves.give_up(slab)

    def _reopen(self) -> None:
        """Open the files again of a disk that was taken out and put back in; keep what is really there."""
        _log.warning("the ring's disk is back")
        for slab, file in list(self._open.files.items()):
            try:
                self._open.open_again(slab)
            except OSError as error:
                _log.warning("slab file %d did not come back: %s", file.slot, error.strerror)
                self.stats.lost_chunks += self._unsynced.lose(slab)
                self._open.close(slab)
                self._moves.give_up(slab)
            else:
                self._unsynced.doubt(slab)


def _run(placed: Placed) -> RunKey:
    return placed.meta.camera, placed.meta.run
