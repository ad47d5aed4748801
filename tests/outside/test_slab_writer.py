"""Writing one slab: past the page cache where that works, and never beyond its end."""

from __future__ import annotations

import mmap
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.buffer.recovery import scan
from agent.buffer.slab import BLOCK_BYTES, SLAB_BYTES_MIN, ChunkOpener, Cipher
from agent.outside.backlog import StreamPayload, WaitingChunk
from agent.outside.slab_writer import SlabWriter, open_for_writing, pick_cipher
from tests.simulators.ring_content import media, stream
from tests.vectors.buffer.make import DATA_KEY, slab_header

STREAM = StreamPayload(*stream())


def waiting(sequence: int, size: int) -> WaitingChunk:
    """Return a chunk that waits."""
    return WaitingChunk(media(sequence), bytes(size), STREAM)


def test_a_slab_is_filled_and_never_overrun(tmp_path: Path) -> None:
    """What does not fit is left to the next slab; what is written is found by recovery, the stream chunk once."""
    path, header = tmp_path / "slab-00000", replace(slab_header(), size=SLAB_BYTES_MIN)
    path.write_bytes(b"earlier lap" * 10**6)
    with closing(mmap.mmap(-1, SLAB_BYTES_MIN)) as buffer:
        with closing(SlabWriter.create(path, header, DATA_KEY, buffer)) as writer:
            first = writer.append([waiting(1, 3_000_000), waiting(2, 3_000_000), waiting(3, 3_000_000)])
            second = writer.append([waiting(3, 3_000_000)])
            third = writer.append([waiting(4, 1_000_000)])
        assert [batch.taken for batch in (first, second, third)] == [2, 0, 1]
        assert path.stat().st_size == SLAB_BYTES_MIN
        raw = path.read_bytes()
    stored = (*first.stored, *third.stored)
    assert [chunk.meta.sequence for chunk in stored] == [0, 1, 2, 4]
    assert first.stored[0].offset == BLOCK_BYTES
    assert third.stored[0].offset % BLOCK_BYTES == 0
    found = scan(header, lambda at, length: raw[at : at + length], ChunkOpener(header, DATA_KEY))
    assert found.chunks == stored


def test_a_file_system_without_direct_writes_is_used_all_the_same() -> None:
    """Where O_DIRECT is refused the file is opened without it; other errors stay errors."""
    file, is_direct = open_for_writing(Path("/dev/null"))
    os.close(file)
    assert not is_direct
    with pytest.raises(FileNotFoundError):
        open_for_writing(Path("/dev/no-such-file"))


def test_the_cipher_is_measured() -> None:
    """One of the two is picked."""
    assert pick_cipher() in set(Cipher)
