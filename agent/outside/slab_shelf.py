"""Which slabs the ring has and what is in them: index and headers behind one lock, for the writer and any reader.

Rules of this file: a chunk enters the index after its sync and leaves it before its slab's key is destroyed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.recovery import Recovered
from agent.buffer.retention import SlabUse
from agent.buffer.ring import CameraSpan, CameraUsage, Footage, RingIndex
from agent.buffer.slab import ChunkOpener, SlabHeader, unwrap_key
from agent.clock import WallTime, Window
from agent.crypto import Secret
from agent.errors import UnavailableError

OPENERS_MAX: Final = 8
"""Slabs whose unwrapped keys are kept for the next read."""


class SlabShelf:
    """Thread-safe; knows nothing of files but their slot."""

    def __init__(self, key_encryption_key: Secret) -> None:
        self._key_encryption_key = key_encryption_key
        self._lock = threading.Lock()
        self._index = RingIndex()
        self._headers: dict[int, SlabHeader] = {}  # by slot
        self._slots: dict[int, int] = {}  # by number
        self._openers: OrderedDict[int, ChunkOpener] = OrderedDict()  # by number
        self._next_number = 1

    def load(self, found: Recovered) -> None:
        """Take over what is on the disk."""
        with self._lock:
            self._index = found.index
            self._headers = dict(found.headers)
            self._slots = {header.number: slot for slot, header in found.headers.items()}
            self._next_number = found.next_number

    def take_number(self) -> int:
        """Return a number for a new slab."""
        with self._lock:
            self._next_number += 1
            return self._next_number - 1

    def put(self, slot: int, header: SlabHeader) -> None:
        """Note a new slab."""
        with self._lock:
            self._headers[slot] = header
            self._slots[header.number] = slot

    def publish(self, chunks: Iterable[StoredChunk]) -> None:
        """Let readers find chunks that are on the disk now."""
        with self._lock:
            for chunk in chunks:
                self._index.add(chunk)

    def forget(self, slot: int) -> None:
        """Let nobody find what is in a slot any more."""
        with self._lock:
            header = self._headers.pop(slot, None)
            if header is not None:
                del self._slots[header.number]
                self._openers.pop(header.number, None)
                self._index.forget(header.number)

    def pack(self, number: int) -> bytes:
        """Return a slab's rows of the index. Raises BadInputError if they are too many."""
        with self._lock:
            return self._index.pack_slab(number)

    def opener(self, number: int) -> tuple[int, ChunkOpener]:
        """Return a slab's slot and the opener of its chunks. Raises UnavailableError if it has left the ring."""
        with self._lock:
            slot = self._slots.get(number)
            if slot is None:
                raise UnavailableError("this footage has left the ring")
            opener = self._openers.get(number)
            if opener is None:
                header = self._headers[slot]
                opener = self._openers[number] = ChunkOpener(header, unwrap_key(header, self._key_encryption_key))
                if len(self._openers) > OPENERS_MAX:
                    self._openers.popitem(last=False)
            self._openers.move_to_end(number)
            return slot, opener

    def headers(self) -> Mapping[int, SlabHeader]:
        """Return the headers by slot."""
        with self._lock:
            return dict(self._headers)

    def uses(self, is_open: Collection[int]) -> list[SlabUse]:
        """Return the slabs for choosing which must go; those in the slots `is_open` are being written to."""
        with self._lock:
            return [
                SlabUse(header.number, header.lane, header.size, slot in is_open)
                for slot, header in self._headers.items()
            ]

    def newest_arrivals(self) -> dict[int, WallTime]:
        """Return when the newest byte of each slab came, by number; of an empty slab, when it was made."""
        with self._lock:
            known = self._index.newest_arrivals()
            return {header.number: known.get(header.number, header.created) for header in self._headers.values()}

    def slot(self, number: int) -> int:
        """Return where a slab is."""
        with self._lock:
            return self._slots[number]

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed for a window."""
        with self._lock:
            return self._index.footage(camera, window)

    def events(self, camera: CameraId, window: Window) -> tuple[StoredChunk, ...]:
        """Return the committed chunks that may hold a camera's events of a window."""
        with self._lock:
            return self._index.events(camera, window)

    def spans(self) -> tuple[CameraSpan, ...]:
        """Return from when to when there is footage of each camera."""
        with self._lock:
            return self._index.spans()

    def usage(self) -> Mapping[CameraId, CameraUsage]:
        """Return how much there is of each camera."""
        with self._lock:
            return dict(self._index.usage())

    @property
    def last_run(self) -> int:
        """The highest run number there is, 0 without any."""
        with self._lock:
            return self._index.last_run
