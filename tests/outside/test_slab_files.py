"""The ring on a real disk: what was committed comes back, whatever happened in between."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.acquire.stream import CameraId, decode_stream_header
from agent.buffer.chunk import PAYLOAD_BYTES_MAX, StoredChunk
from agent.buffer.ring import RingSettings
from agent.buffer.slab import BLOCK_BYTES, unpack_slab_header, unwrap_key
from agent.clock import WallTime, Window
from agent.errors import BadInputError, UnavailableError
from agent.outside.slab_files import EXPIRY_CHECK_S, SlabLog
from tests.simulators.ring_child import KEK, MIB, SETTINGS, payload
from tests.simulators.ring_content import CAMERA, StillClock, at, media, stream

EVERYTHING = Window(at(-100), at(1_000_000))
ROOT = Path(__file__).parents[2]


def opened(directory: Path, settings: RingSettings = SETTINGS, clock: StillClock | None = None) -> SlabLog:
    """Open a ring."""
    return SlabLog(directory, KEK, settings, clock or StillClock())


def until(condition: Callable[[], bool]) -> None:
    """Wait for the writer thread, at most 20 s."""
    ticker = threading.Event()
    for _ in range(20_000):
        if condition():
            return
        ticker.wait(0.001)
    pytest.fail("it did not happen")


def record(log: SlabLog, sequences: range, *, run: int = 1, size: int = 20_000) -> None:
    """Append and commit chunks, three at a time, and wait until the last is in the index."""
    log.append(*stream(run=run))
    for sequence in sequences:
        log.append(media(sequence, run=run), (sequence.to_bytes(4, "big") * (size // 4 + 1))[:size])
        if sequence % 3 == 0:
            log.commit()
            until(lambda: log.stats().waiting_bytes <= 8 * MIB)
    log.commit()
    until(lambda: not log.stats().waiting_bytes)


def places(log: SlabLog) -> list[tuple[int, int]]:
    """Return run and sequence of all chunks in the index."""
    return [(chunk.meta.run, chunk.meta.sequence) for chunk in log.footage(CAMERA, EVERYTHING).chunks]


def test_what_was_committed_is_read_back(tmp_path: Path) -> None:
    """Chunks and stream header come back as they were, also after a restart; nothing is in the clear on disk."""
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 10))
        footage = log.footage(CAMERA, EVERYTHING)
        assert [log.read(chunk) for chunk in footage.chunks] == [payload(n) for n in range(1, 10)]
        assert decode_stream_header(log.read(footage.headers[0])).camera == CAMERA
    with closing(opened(tmp_path)) as log:
        assert log.footage(CAMERA, EVERYTHING) == footage
        assert [log.read(chunk) for chunk in footage.chunks] == [payload(n) for n in range(1, 10)]
        assert [span.camera for span in log.stats().spans] == [CAMERA]
    disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"H264" not in disk
    assert payload(5)[:64] not in disk


def test_nothing_is_in_the_index_before_its_commit(tmp_path: Path) -> None:
    """What was only appended is in memory; a commit brings it to disk."""
    with closing(opened(tmp_path)) as log:
        log.append(*stream())
        log.append(media(1), b"wire")
        assert places(log) == []
        log.commit()
        until(lambda: places(log) == [(1, 1)])
        assert (log.stats().commits, log.stats().bytes_written) == (1, BLOCK_BYTES)


def test_closing_writes_what_was_appended(tmp_path: Path) -> None:
    """An orderly end loses nothing."""
    with closing(opened(tmp_path)) as log:
        log.append(*stream())
        log.append(media(1), b"wire")
    with closing(opened(tmp_path)) as log:
        assert places(log) == [(1, 1)]


def test_restarts_do_not_use_the_ring_up(tmp_path: Path) -> None:
    """A restart goes on in the same slab under a new session: a reboot loop destroys no footage."""
    for run in range(1, 8):
        with closing(opened(tmp_path)) as log:
            record(log, range(1, 4), run=run)
    with closing(opened(tmp_path)) as log:
        assert places(log) == [(run, sequence) for run in range(1, 8) for sequence in (1, 2, 3)]
        assert log.stats().slabs == 1
        assert all(log.read(chunk) for chunk in log.footage(CAMERA, EVERYTHING).chunks)


def test_recycling_destroys_the_old_key_and_keeps_the_newest(tmp_path: Path) -> None:
    """The ring stays as large as it may be; what left it cannot be read, also not with the hub's key."""
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 4))
        oldest = log.footage(CAMERA, EVERYTHING).chunks[0]
        old_block = (tmp_path / "slab-00000").read_bytes()[:BLOCK_BYTES]
        record(log, range(4, 50), size=MIB)
        kept = log.footage(CAMERA, EVERYTHING)
        assert 2 not in [chunk.meta.sequence for chunk in kept.chunks]
        assert kept.chunks[-1].meta.sequence == 49
        assert len(kept.chunks) >= 3 * 7
        assert kept.headers[0].slab == kept.chunks[-1].slab
        with pytest.raises(UnavailableError):
            log.read(oldest)
    slabs = sorted(tmp_path.glob("slab-*"))
    assert [path.stat().st_size for path in slabs] == [8 * MIB] * 4
    old = unwrap_key(unpack_slab_header(old_block), KEK).reveal()
    for path in slabs:
        header = unpack_slab_header(path.read_bytes()[:BLOCK_BYTES])
        assert unwrap_key(header, KEK).reveal() != old
        assert header.wrapped_key not in old_block


def test_each_slab_can_be_read_alone(tmp_path: Path) -> None:
    """The stream header is in each slab the run reaches."""
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 20), size=MIB)
    for path in sorted(tmp_path.glob("slab-*"))[:-1]:
        path.unlink()
    with closing(opened(tmp_path)) as log:
        footage = log.footage(CAMERA, EVERYTHING)
        assert footage.chunks[-1].meta.sequence == 19
        assert decode_stream_header(log.read(footage.headers[0])).run == 1


def test_a_chunk_recycled_under_a_reader_is_unavailable(tmp_path: Path) -> None:
    """A place that holds something else now, or damage, is never returned as the chunk that was asked for."""
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 4))
        first, second, _ = log.footage(CAMERA, EVERYTHING).chunks
        with pytest.raises(UnavailableError, match="not where it was"):
            log.read(StoredChunk(first.meta, second.slab, second.offset, second.length))
        with (tmp_path / "slab-00000").open("r+b") as file:
            file.seek(first.offset + 200)
            file.write(b"\xff\x00\xff")
        with pytest.raises(UnavailableError, match="damaged"):
            log.read(first)
        assert log.read(second) == payload(2)
        with pytest.raises(UnavailableError):
            log.read(StoredChunk(first.meta, 99, first.offset, first.length))


def test_age_destroys_whole_slabs_when_the_clock_is_trusted(tmp_path: Path) -> None:
    """Footage older than the limit goes, also from the slab that is being written; never by a clock in doubt."""
    clock = StillClock(at(10), is_trusted=False)
    with closing(opened(tmp_path, clock=clock)) as log:
        record(log, range(1, 4))
        clock.wall = WallTime(at(4 + SETTINGS.age_s_max + EXPIRY_CHECK_S))
        log.commit()
        record(log, range(4, 6))
        assert len(places(log)) == 5
        clock.wall = WallTime(clock.wall + 2 * EXPIRY_CHECK_S * 10**9)
        clock.trusted = True
        log.commit()
        until(lambda: not places(log))
    blocks = [path.read_bytes()[:BLOCK_BYTES] for path in tmp_path.glob("slab-*")]
    assert blocks == [bytes(BLOCK_BYTES)] * len(blocks)


def test_only_the_hub_may_look(tmp_path: Path) -> None:
    """Directory and files are the hub's user's alone."""
    with closing(opened(tmp_path / "ring")) as log:
        record(log, range(1, 4))
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "ring").iterdir()} == {0o600}


def test_a_smaller_ring_gives_its_oldest_slabs_back(tmp_path: Path) -> None:
    """After the owner made the ring smaller the oldest slabs are destroyed and their files removed."""
    larger = RingSettings(slab_bytes=8 * MIB, bytes_max=6 * 8 * MIB, free_bytes_min=0)
    with closing(opened(tmp_path, larger)) as log:
        record(log, range(1, 45), size=MIB)
        assert log.stats().slabs == 6
    with closing(opened(tmp_path)) as log:
        record(log, range(45, 60), size=MIB)
        assert log.stats().slabs == 4
        assert places(log)[-1] == (1, 59)
    assert len(list(tmp_path.glob("slab-*"))) == 4


def test_the_disk_keeps_its_free_bytes(tmp_path: Path) -> None:
    """Where the disk has no room to spare the ring stays at one slab and recycles it."""
    greedy = RingSettings(slab_bytes=8 * MIB, bytes_max=32 * MIB, free_bytes_min=2**62)
    with closing(opened(tmp_path, greedy)) as log:
        record(log, range(1, 20), size=MIB)
        assert log.stats().slabs == 1
        assert places(log)[-1] == (1, 19)


@pytest.mark.parametrize(
    "append",
    [
        lambda log: log.append(media(1), b"no stream before"),
        lambda log: (log.append(*stream(run=2)), log.append(media(1), b"of another run")),
        lambda log: (log.append(*stream()), log.append(media(1), bytes(PAYLOAD_BYTES_MAX + 1))),
        lambda log: log.append(stream()[0], bytes(64 * 1024 + 1)),
        lambda log: log.append(media(1, camera=CameraId("Not A Name")), b"wire"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(tmp_path: Path, append: Callable[[SlabLog], object]) -> None:
    """The recorder hears of it where it happens, and the writer goes on."""
    with closing(opened(tmp_path)) as log:
        with pytest.raises(BadInputError):
            append(log)
        record(log, range(1, 3))
        assert len(places(log)) == 2


def test_the_largest_chunk_fits(tmp_path: Path) -> None:
    """Four MiB in one chunk, several at once, are written and read."""
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 4), size=PAYLOAD_BYTES_MAX)
        chunks = log.footage(CAMERA, EVERYTHING).chunks
        assert [len(log.read(chunk)) for chunk in chunks] == [PAYLOAD_BYTES_MAX] * 3


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    """Give a directory on a memory file system."""
    root = Path("/dev/shm")  # noqa: S108 - the test is about this file system
    if not os.access(root, os.W_OK):
        pytest.skip("no /dev/shm here")
    directory = root / f"ring-{os.getpid()}"
    yield directory
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def test_a_memory_file_system_works(memory_disk: Path) -> None:
    """Old kernels refuse O_DIRECT there, new ones take it: the ring works either way."""
    with closing(opened(memory_disk)) as log:
        record(log, range(1, 10))
        assert [log.read(chunk) for chunk in log.footage(CAMERA, EVERYTHING).chunks] == [
            payload(n) for n in range(1, 10)
        ]


def child(directory: Path, run: int, *limits: str) -> subprocess.Popen[str]:
    """Start a process that records."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.ring_child", str(directory), str(run), *limits],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("commits", [5, 60])
def test_kill_9_loses_nothing_that_was_committed(tmp_path: Path, commits: int) -> None:
    """A process killed at any moment, twice over: what it named is there after reopening, nothing is corrupt."""
    promised = {}
    for run in (1, 2):
        with child(tmp_path, run) as process:
            assert process.stdout
            for _ in range(commits):
                promised[run] = int(process.stdout.readline())
            process.kill()
            rest = process.stdout.read().splitlines()
        promised[run] = max([promised[run], *(int(line) for line in rest)])
    with closing(opened(tmp_path)) as log:
        footage = log.footage(CAMERA, EVERYTHING)
        for run in (1, 2):
            chunks = [chunk for chunk in footage.chunks if chunk.meta.run == run]
            assert [chunk.meta.sequence for chunk in chunks][: promised[run]] == list(range(1, promised[run] + 1))
            assert all(log.read(chunk) == payload(chunk.meta.sequence) for chunk in chunks)
        record(log, range(1, 4), run=3)
        assert places(log)[-1] == (3, 3)


def test_a_full_disk_does_not_stop_recording(tmp_path: Path) -> None:
    """While the disk refuses, chunks wait in memory; when it takes them again they are all there, by themselves."""
    with child(tmp_path, 1, str(5 * MIB)) as process:
        assert process.stdin
        assert process.stdout
        while process.stdout.readline().strip() != "error":
            pass
        process.stdin.write("\n")
        process.stdin.flush()
        while (line := process.stdout.readline().strip()) == "error" or int(line) < 30:
            pass
        process.kill()
        process.stdout.read()
    with closing(opened(tmp_path)) as log:
        sequences = [sequence for _, sequence in places(log)]
        assert sequences[-1] >= 30
        assert sequences == list(range(1, len(sequences) + 1))
