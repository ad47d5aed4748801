"""What a start reads of every slab, asked of the disk all at once: header and footer, then the index in between.

Rules of this file: it only hints. Nothing is believed here, and nothing that fails matters: whoever reads finds out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from agent.buffer.slab import BLOCK_BYTES
from agent.buffer.slab_index import unpack_footer
from agent.errors import BadInputError
from agent.outside.slab_volume import SlabVolume


def read_ahead(volume: SlabVolume, slots: Iterable[int]) -> None:
    """Let the kernel fetch first block, last block and index of these slabs; each alone would wait for the disk."""
    files = list(slots)
    for slot in files:
        with suppress(OSError):
            _hint_ends(volume, slot)
    for slot in files:
        with suppress(OSError, BadInputError):
            _hint_index(volume, slot)


def _hint_ends(volume: SlabVolume, slot: int) -> None:
    file = volume.open(slot, os.O_RDONLY)
    try:
        for offset in (0, os.fstat(file).st_size - BLOCK_BYTES):
            os.posix_fadvise(file, offset, BLOCK_BYTES, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(file)


def _hint_index(volume: SlabVolume, slot: int) -> None:
    file = volume.open(slot, os.O_RDONLY)
    try:
        footer = unpack_footer(os.pread(file, BLOCK_BYTES, os.fstat(file).st_size - BLOCK_BYTES))
        os.posix_fadvise(file, footer.offset, footer.length, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(file)
