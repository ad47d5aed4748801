"""Index and footer of a slab that is left: in their place, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.buffer.chunk import ChunkKind
from agent.buffer.slab import BLOCK_BYTES, SLAB_BYTES_MIN, ChunkOpener, Cipher, Lane, SlabHeader, unwrap_key, wrap_key
from agent.buffer.slab_index import pack_slab_index, unpack_footer, unpack_slab_index
from agent.outside.slab_batches import BATCH_BYTES
from agent.outside.slab_file import SlabFile
from agent.outside.slab_last_words import write_last_words
from agent.outside.slab_sealing import new_slab
from agent.outside.slab_volume import SlabVolume
from tests.simulators.ring_content import START, StillClock
from tests.simulators.ring_log import KEK
from tests.vectors.buffer.make import slab_header

NO_ROWS = pack_slab_index([])
SLAB = new_slab(Lane.SHARED, Cipher.AES_256_GCM, SLAB_BYTES_MIN, StillClock())
HEADER: SlabHeader = wrap_key(
    replace(slab_header(), id=SLAB.id, cipher=SLAB.cipher, lane=SLAB.lane, size=SLAB.size),
    SLAB.data_key,
    KEK,
    bytes(12),
)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SlabFile]:
    """Give a slab without a batch."""
    with closing(SlabVolume(tmp_path, KEK)) as volume, closing(SlabFile.create(volume, 0, HEADER)) as made:
        yield made


def test_the_footer_says_where_the_index_is(file: SlabFile) -> None:
    """The index lies behind the last batch, the footer in the last block."""
    file.end = 5 * BLOCK_BYTES
    assert write_last_words(file, SLAB, NO_ROWS, START) == 2 * BLOCK_BYTES
    footer = unpack_footer(file.read_back(SLAB.size - BLOCK_BYTES, BLOCK_BYTES))
    assert (footer.slab, footer.offset) == (SLAB.id, 5 * BLOCK_BYTES)
    header, rows = ChunkOpener(HEADER, unwrap_key(HEADER, KEK)).open(file.read_back(footer.offset, footer.length))
    assert header.meta.kind is ChunkKind.INDEX
    assert unpack_slab_index(rows) == ()


@pytest.mark.parametrize(("end", "rows"), [(SLAB_BYTES_MIN - BLOCK_BYTES, NO_ROWS), (BLOCK_BYTES, bytes(BATCH_BYTES))])
def test_what_does_not_fit_is_left_out(file: SlabFile, end: int, rows: bytes) -> None:
    """The slab is scanned then: nothing of it is overwritten, and no footer points to nothing."""
    file.end = end
    before = file.read_back(0, SLAB.size)
    assert write_last_words(file, SLAB, rows, START) == 0
    assert file.read_back(0, SLAB.size) == before


def test_after_an_error_the_same_place_is_written_again(file: SlabFile) -> None:
    """Under a later counter: a mixture of both is not believed."""
    write_last_words(file, SLAB, NO_ROWS, START)
    first = file.read_back(BLOCK_BYTES, BLOCK_BYTES)
    write_last_words(file, SLAB, NO_ROWS, START)
    second = file.read_back(BLOCK_BYTES, BLOCK_BYTES)
    assert file.end == BLOCK_BYTES
    assert first != second
    assert os.fstat(file._file).st_size == SLAB.size
