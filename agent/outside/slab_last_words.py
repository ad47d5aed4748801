"""What a slab that is left gets at its end: an index chunk of what is in it, and a footer that says where that is.

Rules of this file: nothing waits for the disk. Both only spare the next start a scan, and what a power cut tears of
them is not believed; all errors are OSError, and after one the next try is at the same place.
"""

from __future__ import annotations

import mmap

from agent.buffer.slab import BLOCK_BYTES, padded
from agent.buffer.slab_index import index_meta, pack_footer
from agent.clock import WallTime
from agent.errors import BadInputError
from agent.outside.slab_batches import BATCH_BYTES, Batch, Slab
from agent.outside.slab_file import SlabFile


def write_last_words(file: SlabFile, slab: Slab, rows: bytes, now: WallTime) -> int:
    """Write index and footer behind the last batch; return how many bytes, 0 if there is no room for them."""
    footer_at = file.header.size - BLOCK_BYTES
    with mmap.mmap(-1, BATCH_BYTES, flags=mmap.MAP_PRIVATE) as memory:
        index = Batch(slab, memory)
        try:
            index.seal(index_meta(now), rows)
        except BadInputError:
            return 0
        if file.end + padded(index.length) > footer_at:
            return 0
        with index.blocks() as blocks:
            file.write(blocks, file.end)
        footer = pack_footer(slab.id, file.end, index.length)
        memory[: len(footer)] = footer
        with memoryview(memory) as view, view[: len(footer)] as blocks:
            file.write(blocks, footer_at)
        return padded(index.length) + len(footer)
