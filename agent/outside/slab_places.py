"""Where the next slab goes and what must leave the disk for it: retention by bytes, by free space and by age.

Rules of this file: one thread (the writer's); a slab is forgotten before its key is destroyed; nothing expires by age
while the clock is not trusted. All errors are OSError.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Collection, Mapping
from typing import Final

from agent.buffer.retention import choose_victim, expired_slabs
from agent.buffer.ring import SLABS_MIN, RingSettings
from agent.buffer.slab import SlabHeader
from agent.clock import SECOND_NS, Clock, Instant
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_volume import SlabVolume

EXPIRY_CHECK_S: Final = 60

PLACE_ERRORS: Final = frozenset({errno.EIO, errno.ENODATA, errno.EREMOTEIO, errno.EILSEQ, errno.EUCLEAN, errno.EBADMSG})
"""What a bad place on a disk is called: by most drivers EIO, past the page cache ENODATA for a bad medium (Linux
block/blk-core.c), by file systems EUCLEAN and EBADMSG where their own structures are damaged."""

_log: Final = logging.getLogger(__name__)


class SlabPlaces:
    """Hands out slots and takes them back. `apart_bytes_max` is the share of cameras that are kept apart."""

    def __init__(self, volume: SlabVolume, shelf: SlabShelf, settings: RingSettings, clock: Clock) -> None:
        self._volume, self._shelf, self._settings, self._clock = volume, shelf, settings, clock
        self.apart_bytes_max = 0
        self._is_full = False  # a new file could not be made: the ring stays as large as it is
        self._bad: set[int] = set()  # slots whose place on the disk fails
        self._doomed: set[int] = set()  # slots whose key must still be destroyed
        self._next_check = clock.instant()

    def take(self, is_open: Collection[int]) -> tuple[int, bool]:
        """Return a slot for a new slab, and whether its file is new: a free one, a new one, else a victim's.

        Slots in `is_open` are being written to and stay.
        """
        slots, headers = self._volume.slots(), self._shelf.headers()
        self._bad &= set(slots)
        # A ring made smaller gives its oldest slabs back to the disk, and so does one whose slabs were made smaller.
        while self._overhang(slots, headers) > 0 and (leaving := self._closed(slots, is_open)):
            slots.remove(self._retire(leaving))
            headers = self._shelf.headers()
        free = [slot for slot in slots if slot not in headers and slot not in self._bad]
        if free:
            return free[0], False
        uses = self._shelf.uses(is_open)
        has_victim = not all(use.is_open for use in uses)
        has_room = self._volume.free_bytes() - self._settings.slab_bytes >= self._settings.free_bytes_min
        may_grow = self._overhang(slots, headers) + self._settings.slab_bytes <= 0
        if may_grow and ((has_room and not self._is_full) or not has_victim):
            return next(slot for slot in range(len(slots) + 1) if slot not in slots), True
        if self._settings.keeps_all:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not has_victim:
            self._bad.clear()  # they are all there is
            raise OSError(errno.EIO, "every slab that is not being written to fails")
        victim = self._shelf.slot(choose_victim(uses, self.apart_bytes_max))
        self._shelf.forget(victim)
        return victim, False

    def has_more(self, is_open: Collection[int]) -> bool:
        """Say whether the ring has any slab or free slot beside those in `is_open`."""
        return any(slot not in is_open for slot in self._volume.slots())

    def _overhang(self, slots: Collection[int], headers: Mapping[int, SlabHeader]) -> int:
        """Return by how many bytes the ring is larger than it may be; negative if it may grow."""
        usual = self._settings.slab_bytes
        used = sum(headers[slot].size if slot in headers else usual for slot in slots)
        return max(used, len(slots) * usual) - self._settings.bytes_max

    def failed(self, slot: int, error: OSError, *, is_new: bool, is_last_try: bool) -> None:
        """Note that no slab could be made in a slot: there is no room for a new file, or its blocks are bad.

        A slot whose blocks are bad is handed out again until the last try.
        """
        if is_new:
            # Only a full disk has a cure in the ring itself; on any other error footage would be given up for nothing.
            self._is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            self._volume.unlink(slot)
        elif is_last_try and error.errno in PLACE_ERRORS:
            self._bad.add(slot)

    def made(self, slot: int) -> None:
        """Note that a slab was made in a slot: what was there cannot be read any more."""
        self._doomed.discard(slot)

    def expire(self, is_open: Collection[int]) -> None:
        """Destroy what is older than the owner wants it, once a minute; slots in `is_open` are being written to."""
        if self._clock.instant() < self._next_check:
            return
        self._next_check = Instant(self._clock.instant() + EXPIRY_CHECK_S * SECOND_NS)
        self._is_full = False  # somebody may have made room
        expired = expired_slabs(
            self._shelf.newest_arrivals(),
            self._clock.now(),
            self._settings.age_s_max,
            is_clock_trusted=self._clock.is_trusted(),
        )
        for number in expired:
            slot = self._shelf.slot(number)
            if slot not in is_open:
                self._shelf.forget(slot)
                self._doomed.add(slot)
        failure = self._destroy_doomed()
        self._make_room(is_open)
        if failure is not None:
            raise failure

    def _destroy_doomed(self) -> OSError | None:
        """Destroy what nobody may read any more; return the last error, and leave those slabs for the next time."""
        failure = None
        for slot in tuple(self._doomed):
            try:
                self._volume.destroy(slot)
            except FileNotFoundError:
                self._doomed.discard(slot)
            except OSError as error:
                failure = error
            else:
                self._doomed.discard(slot)
        return failure

    def _make_room(self, is_open: Collection[int]) -> None:
        """Give a slab back to a disk that something else has filled: the hub must be able to write its journal."""
        slots = self._closed(self._volume.slots(), is_open)
        if len(slots) > SLABS_MIN and self._volume.free_bytes() < self._settings.free_bytes_min // 2:
            _log.warning("the disk is nearly full: the ring gives a slab back")
            self._retire(slots)

    def _closed(self, slots: Collection[int], is_open: Collection[int]) -> list[int]:
        """Return the slots that may be given back."""
        if self._settings.keeps_all:
            return []
        return [slot for slot in slots if slot not in is_open and slot not in self._bad]

    def _retire(self, slots: Collection[int]) -> int:
        """Remove the file of a free slot, else of the oldest slab; return the slot."""
        headers = self._shelf.headers()
        slot = min(slots, key=lambda slot: headers[slot].number if slot in headers else -1)
        self._shelf.forget(slot)
        self._doomed.add(slot)
        try:
            self._volume.remove(slot)
        except OSError:
            self._bad.add(slot)
            raise
        self._doomed.discard(slot)
        return slot
