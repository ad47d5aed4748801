"""The slabs that are being written, each with its file: made where there is a place, resumed, opened again, closed.

Rules of this file: one thread (the writer's); all errors are OSError; a number is used once, also by an attempt that
failed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from agent.buffer.slab import NONCE_BYTES, SlabHeader, wrap_key
from agent.crypto import Secret
from agent.outside.slab_batches import Slab
from agent.outside.slab_file import SlabFile
from agent.outside.slab_places import SlabPlaces
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_volume import SlabVolume


@dataclass(slots=True)
class OpenSlabs:
    """Knows the file of each slab that has one."""

    volume: SlabVolume
    shelf: SlabShelf
    places: SlabPlaces
    key_encryption_key: Secret
    files: dict[Slab, SlabFile] = field(default_factory=dict)

    @property
    def slots(self) -> list[int]:
        """Where they lie."""
        return [file.slot for file in self.files.values()]

    def resume(self, slab: Slab, slot: int, header: SlabHeader) -> None:
        """Go on in a slab of before a restart."""
        self.files[slab] = SlabFile(self.volume, slot, header, end=slab.end)
        slab.is_begun = True

    def make(self, slab: Slab, *, is_last_try: bool) -> SlabFile:
        """Make the file of a slab that has none; if that fails and `is_last_try`, its place is not tried again."""
        slot, is_new = self.places.take(self.slots)
        # Counted before the attempt: two files with one number would hide each other after a restart.
        header = SlabHeader(
            number=self.shelf.take_number(),
            id=slab.id,
            volume=self.volume.id,
            cipher=slab.cipher,
            lane=slab.lane,
            created=slab.created,
            size=slab.size,
        )
        header = wrap_key(header, slab.data_key, self.key_encryption_key, os.urandom(NONCE_BYTES))
        try:
            file = SlabFile.create(self.volume, slot, header)
        except OSError as error:
            self.places.failed(slot, error, is_new=is_new, is_last_try=is_last_try)
            raise
        self.places.made(slot)
        self.shelf.put(slot, header)
        self.files[slab] = file
        slab.is_begun = True
        return file

    def open_again(self, slab: Slab) -> None:
        """Open a slab's file on a disk that was taken out and put back in; after an error it is as it was before."""
        old = self.files[slab]
        self.files[slab] = old.again(self.volume)
        old.close()

    def close(self, slab: Slab) -> None:
        """Close a slab's file, if it has one."""
        file = self.files.pop(slab, None)
        if file is not None:
            file.close()

    def close_all(self) -> None:
        """Close all files."""
        for slab in list(self.files):
            self.close(slab)
