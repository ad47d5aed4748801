"""Held footage: copies of exactly a window's chunks, each hold in slabs and under keys of its own, beside the ring.

Rules of this file: a hold is written down before anything is copied, and struck out before anything is destroyed; the
ring and its recording never wait for it; a full quota refuses the hold, it does not shrink another.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind, StoredChunk
from agent.buffer.hold import NAME, Hold, HoldRefusedError, HoldSettings, decode_hold, encode_hold, missing_chunks
from agent.buffer.ring import Footage, RingSettings
from agent.clock import Clock, Window
from agent.crypto import Secret
from agent.errors import BadInputError, TransomError, UnavailableError
from agent.outside.folders import sync_folder
from agent.outside.slab_files import SlabLog
from agent.ports import ChunkSource

SLAB_BYTES: Final = 16 * 1024 * 1024
BATCH_CHUNKS: Final = 32  # are read, sealed and synced together
PATIENCE_S: Final = 10.0  # for one such batch to reach the disk
_MARK: Final = "hold.json"
_FOR_EVER_S: Final = 100 * 365 * 24 * 3600
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HoldState:
    """One hold as it is now."""

    hold: Hold
    bytes: int  # on the disk
    is_whole: bool  # everything that was found in the ring was copied


class HeldLog:
    """All holds of this hub. Every method may be called from any thread and may take as long as the disk does."""

    def __init__(
        self, directory: Path, key_encryption_key: Secret, settings: HoldSettings, ring: ChunkSource, clock: Clock
    ) -> None:
        self._directory, self._key_encryption_key, self._settings = directory, key_encryption_key, settings
        self._ring, self._clock = ring, clock
        self._lock = threading.RLock()
        self._logs: dict[str, SlabLog] = {}  # open ones
        self._states: dict[str, HoldState] = {}
        for path in sorted(directory.iterdir()) if directory.is_dir() else []:
            self._take_up(path)

    def hold(self, hold: Hold) -> HoldState:
        """Hold a window's footage from now on, and copy what there is of it; the same hold again changes nothing.

        Raises HoldRefusedError with the reason, BadInputError if it is none or its name is taken by another.
        """
        text = encode_hold(hold)
        with self._lock:
            known = self._states.get(hold.name)
            if known is not None and known.hold != hold:
                raise BadInputError(f"another hold has the name {hold.name}")
            if known is None:
                self._check_room(hold)
                self._write_down(hold, text)
                self._states[hold.name] = HoldState(hold, 0, is_whole=False)
            return self.top_up(hold.name)

    def top_up(self, name: str) -> HoldState:
        """Copy what the ring has of a hold's window and the hold has not yet; what is copied stays if this raises.

        Raises HoldRefusedError if there is no room for it, UnavailableError if there is no such hold.
        """
        with self._lock:
            state = self._state(name)
            log = self._log(name)
            is_whole = True
            for camera in state.hold.cameras:
                is_whole &= self._copy(log, camera, state.hold.window)
            size = log.stats().slabs * SLAB_BYTES
            self._states[name] = HoldState(state.hold, size, is_whole)
            return self._states[name]

    def release(self, name: str) -> None:
        """Destroy a hold's keys and files; without such a hold, do nothing."""
        with self._lock:
            if name in self._states:
                self._strike_out(self._directory / name)
                del self._states[name]
                self._destroy(name)

    def expire(self) -> tuple[Hold, ...]:
        """Release what has expired and return it; nothing while the clock is not trusted."""
        with self._lock:
            if not self._clock.is_trusted():
                return ()
            now = self._clock.now()
            over = [state.hold for state in self._states.values() if state.hold.is_over(now, self._settings)]
            for hold in over:
                self.release(hold.name)
            return tuple(over)

    def states(self) -> tuple[HoldState, ...]:
        """Return all holds, by name."""
        with self._lock:
            return tuple(state for _, state in sorted(self._states.items()))

    def held(self) -> tuple[Hold, ...]:
        """Return what all holds are, by name; unlike `states`, without waiting for a copy that is under way."""
        return tuple(state.hold for _, state in sorted(self._states.copy().items()))

    def footage(self, name: str, camera: CameraId, window: Window) -> Footage:
        """Return what a hold has of a camera and window, as the ring would. Raises UnavailableError."""
        return self._opened(name).footage(camera, window)

    def read(self, name: str, chunk: StoredChunk) -> bytes:
        """Read and decrypt one held chunk. Raises UnavailableError if it is gone or damaged."""
        return self._opened(name).read(chunk)

    def close(self) -> None:
        """Leave the disk alone; what is held stays."""
        with self._lock:
            while self._logs:
                self._logs.popitem()[1].close()

    def _state(self, name: str) -> HoldState:
        state = self._states.get(name)
        if state is None:
            raise UnavailableError(f"nothing is held under the name {name[:64]!r}")
        return state

    def _opened(self, name: str) -> SlabLog:
        """Return a hold's log for reading, without waiting for a copy into it that is under way."""
        self._state(name)
        log = self._logs.get(name)
        if log is None:
            with self._lock:
                self._state(name)
                log = self._log(name)
        return log

    def _log(self, name: str) -> SlabLog:
        if name not in self._logs:
            settings = RingSettings(
                slab_bytes=SLAB_BYTES,
                bytes_max=max(self._settings.bytes_max, 4 * SLAB_BYTES),
                age_s_max=_FOR_EVER_S,
                free_bytes_min=self._settings.free_bytes_min,
                pending_bytes_max=SLAB_BYTES,
                floor_s=0,
                keeps_all=True,
            )
            self._logs[name] = SlabLog(self._directory / name, self._key_encryption_key, settings, self._clock)
        return self._logs[name]

    def _copy(self, log: SlabLog, camera: CameraId, window: Window) -> bool:
        """Copy one camera's missing chunks, run by run; return whether none had left the ring meanwhile."""
        footage = self._ring.footage(camera, window)
        held = log.footage(camera, window)
        missing = missing_chunks(footage.chunks, held.chunks)
        is_whole = True
        for header in footage.headers:
            of_run = [chunk for chunk in missing if chunk.meta.run == header.meta.run]
            for at in range(0, len(of_run), BATCH_CHUNKS):
                is_whole &= self._copy_some(log, header, of_run[at : at + BATCH_CHUNKS])
        return is_whole

    def _copy_some(self, log: SlabLog, header: StoredChunk, chunks: list[StoredChunk]) -> bool:
        used = sum(state.bytes for state in self._states.values())
        if used + sum(chunk.length for chunk in chunks) > self._settings.bytes_max:
            raise HoldRefusedError(f"held footage may take {self._settings.bytes_max} bytes", cure="release a hold")
        payloads = list(self._read(chunks))
        with suppress(UnavailableError):
            log.append(replace(header.meta, kind=ChunkKind.STREAM), self._ring.read(header))
            for chunk, payload in payloads:
                log.append(chunk.meta, payload)
            log.commit()
        if not log.wait_until_written(PATIENCE_S):
            raise HoldRefusedError(
                f"the held footage cannot be written: {log.stats().last_error or 'the disk is slow'}"
            )
        return len(payloads) == len(chunks)

    def _read(self, chunks: list[StoredChunk]) -> Iterator[tuple[StoredChunk, bytes]]:
        for chunk in chunks:
            with suppress(UnavailableError):
                yield chunk, self._ring.read(chunk)

    def _check_room(self, hold: Hold) -> None:
        if len(self._states) >= self._settings.holds_max:
            raise HoldRefusedError(f"there are {len(self._states)} holds already", cure="release one of them")
        wanted = SLAB_BYTES
        for camera in hold.cameras:
            wanted += sum(chunk.length for chunk in self._ring.footage(camera, hold.window).chunks)
        if _free_bytes(self._directory.parent) - wanted < self._settings.free_bytes_min:
            raise HoldRefusedError(f"the disk has no room for {wanted} bytes more", cure="make room on the disk")
        used = sum(state.bytes for state in self._states.values())
        if used + wanted > self._settings.bytes_max:
            raise HoldRefusedError(
                f"held footage may take {self._settings.bytes_max} bytes, {used} are in use and this needs {wanted}",
                cure="release a hold",
            )

    def _write_down(self, hold: Hold, text: bytes) -> None:
        """Make the hold's directory and the file that says what it is, synced."""
        path = self._directory / hold.name
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)  # beside the ring's slabs: never on a disk without them
            path.mkdir(mode=0o700, exist_ok=True)
            new = path / f"{_MARK}.new"
            with new.open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path / _MARK)
            for directory in (path, self._directory):
                sync_folder(directory)
        except OSError as error:
            raise HoldRefusedError(
                f"the hold cannot be written down: {error.strerror}", cure="check the disk"
            ) from error

    def _strike_out(self, path: Path) -> None:
        try:
            (path / _MARK).unlink(missing_ok=True)
            sync_folder(path)
        except OSError as error:
            raise UnavailableError(f"the hold cannot be released: {error.strerror}", cure="check the disk") from error

    def _destroy(self, name: str) -> None:
        """Destroy the keys and remove the files of a hold that was struck out; what fails is done at the next start."""
        log = self._logs.pop(name, None)
        if log is not None:
            log.close()
        path = self._directory / name
        try:
            SlabLog(path, self._key_encryption_key, RingSettings(), self._clock, keep=False).close()
            shutil.rmtree(path)
        except (TransomError, OSError) as error:
            _log.warning("the released hold %s could not be removed: %s", name, error)

    def _take_up(self, path: Path) -> None:
        """Find a hold again after a start; one without its mark was being released."""
        if not NAME.fullmatch(path.name) or not path.is_dir():
            return
        try:
            hold = decode_hold((path / _MARK).read_bytes())
        except FileNotFoundError:
            self._destroy(path.name)
            return
        except (OSError, BadInputError) as error:
            _log.warning("the hold %s cannot be read: %s", path.name, error)
            return
        size = sum(slab.stat().st_size for slab in path.glob("slab-*"))
        self._states[hold.name] = HoldState(hold, size, is_whole=False)


def _free_bytes(directory: Path) -> int:
    try:
        room = os.statvfs(directory)
    except OSError as error:
        raise HoldRefusedError(
            f"the ring's disk cannot be used: {error.strerror}", cure="check that it is mounted"
        ) from error
    return room.f_bavail * room.f_frsize
