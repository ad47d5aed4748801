"""A torn write, a new session behind what is left of it, and another restart: nothing of the new session is missed."""

from __future__ import annotations

import pytest

from agent.buffer.recovery import scan
from agent.buffer.slab import BLOCK_BYTES, padded
from tests.simulators.ring_content import media, stream
from tests.simulators.slab_bytes import batches, slab


@pytest.mark.parametrize("whole", range(9))
def test_what_is_written_over_a_torn_chunk_is_found(whole: int) -> None:
    """The torn chunk's header still stands, and its length reaches over the new batches' beginnings."""
    made = slab(1)
    made.write(b"a" * 16, [[stream()[0], *map(media, range(1, 9))]])  # one batch
    torn = made.chunks[whole]
    made.raw[torn.offset + 170 : torn.offset + 180] = bytes(10)
    made.raw[torn.offset + torn.length :] = bytes(len(made.raw) - torn.offset - torn.length)
    found = scan(made.header, made.read, made.opener)
    assert (list(found.chunks), found.damaged) == (made.chunks[:whole], 1)
    # Another start: the next session begins where the first scan ended.
    made.end = found.end
    assert made.end == (padded(torn.offset) if whole else BLOCK_BYTES)
    del made.chunks[whole:]
    made.write(b"b" * 16, batches(100, 12))
    again = scan(made.header, made.read, made.opener)
    assert list(again.chunks) == made.chunks
    assert again.end == made.end
