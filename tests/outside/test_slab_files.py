"""The ring on a real disk: what was committed comes back, whatever happened in between."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.acquire.stream import CameraId, decode_stream_header
from agent.buffer.chunk import PAYLOAD_BYTES_MAX, StoredChunk
from agent.buffer.ring import RingSettings
from agent.buffer.slab import BLOCK_BYTES, Cipher, Lane, unpack_slab_header, unwrap_key
from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError, UnavailableError
from agent.outside.slab_files import RATES_EVERY_S, SlabLog, pick_cipher
from agent.outside.slab_places import EXPIRY_CHECK_S
from tests.simulators.eventually import until
from tests.simulators.ring_child import Child
from tests.simulators.ring_content import CAMERA, StillClock, at, media, stream
from tests.simulators.ring_log import (
    EVERYTHING,
    KEK,
    MIB,
    SETTINGS,
    append,
    opened,
    payload,
    places,
    record,
    sequences,
    settle,
)

BLOB = 500_000
YARD = CameraId("yard")


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
        record(log, range(4, 100), size=BLOB)
        kept = log.footage(CAMERA, EVERYTHING)
        assert 2 not in [chunk.meta.sequence for chunk in kept.chunks]
        assert kept.chunks[-1].meta.sequence == 99
        assert len(kept.chunks) >= 3 * 14
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
        record(log, range(1, 40), size=BLOB)
    for path in sorted(tmp_path.glob("slab-*"))[:-1]:
        path.unlink()
    with closing(opened(tmp_path)) as log:
        footage = log.footage(CAMERA, EVERYTHING)
        assert footage.chunks[-1].meta.sequence == 39
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
    """Footage older than the limit goes, in whole slabs that nobody writes to; never by a clock in doubt."""
    clock = StillClock(at(10), is_trusted=False)
    with closing(opened(tmp_path, clock=clock)) as log:
        record(log, range(1, 4))
        clock.wall = at(SETTINGS.age_s_max + EXPIRY_CHECK_S + 10)
        record(log, range(4, 6))
        assert len(places(log)) == 5
        first = unpack_slab_header((tmp_path / "slab-00000").read_bytes()[:BLOCK_BYTES])
        clock.wall, clock.trusted = WallTime(clock.wall + 2 * EXPIRY_CHECK_S * SECOND_NS), True
        record(log, range(6, 7))
        assert sequences(log) == [6]
        clock.wall = WallTime(clock.wall + (SETTINGS.slab_s_max + EXPIRY_CHECK_S) * SECOND_NS)
        settle(log)  # the slab is left, although nothing comes
        clock.wall = WallTime(clock.wall + EXPIRY_CHECK_S * SECOND_NS)
        append(log, [7])
        settle(log)
        assert sequences(log) == [7]
    blocks = b"".join(path.read_bytes()[:BLOCK_BYTES] for path in tmp_path.glob("slab-*"))
    assert first.wrapped_key not in blocks


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
        record(log, range(1, 90), size=BLOB)
        assert log.stats().slabs == 6
    with closing(opened(tmp_path)) as log:
        record(log, range(90, 120), size=BLOB)
        assert log.stats().slabs == 4
        assert sequences(log)[-1] == 119
    assert len(list(tmp_path.glob("slab-*"))) == 4


def test_the_disk_keeps_its_free_bytes(tmp_path: Path) -> None:
    """Where the disk has no room to spare the ring stays at one slab and recycles it."""
    greedy = RingSettings(slab_bytes=8 * MIB, bytes_max=32 * MIB, free_bytes_min=2**62)
    with closing(opened(tmp_path, greedy)) as log:
        record(log, range(1, 40), size=BLOB)
        assert log.stats().slabs == 1
        assert sequences(log)[-1] == 39


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


def test_the_largest_chunk_fits_beside_the_largest_stream_chunk(tmp_path: Path) -> None:
    """Neither has to be refused because both do not fit one batch."""
    size = MIB - BLOCK_BYTES
    with closing(opened(tmp_path)) as log:
        log.append(stream()[0], bytes(64 * 1024))
        for sequence in range(1, 4):
            log.append(media(sequence), payload(sequence, size))
        settle(log)
        footage = log.footage(CAMERA, EVERYTHING)
        assert [log.read(chunk) for chunk in footage.chunks] == [payload(n, size) for n in (1, 2, 3)]
        assert len(log.read(footage.headers[0])) == 64 * 1024


def test_what_an_earlier_owner_left_is_destroyed(tmp_path: Path) -> None:
    """Not one slab keeps its key, also none that hides behind another of the same number."""
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 40), size=BLOB)
    (tmp_path / "slab-00007").write_bytes((tmp_path / "slab-00001").read_bytes())
    with closing(SlabLog(tmp_path, KEK, SETTINGS, StillClock(), keep=False)) as log:
        assert log.footage(CAMERA, EVERYTHING).chunks == ()
        assert log.last_run == 0
        record(log, range(1, 3), run=2)
        assert places(log) == [(2, 1), (2, 2)]
    headers = [path.read_bytes()[:BLOCK_BYTES] for path in sorted(tmp_path.glob("slab-*"))]
    assert [any(header) for header in headers] == [True, *[False] * (len(headers) - 1)]


def test_a_noisy_camera_is_kept_apart_and_the_quiet_one_keeps_its_floor(tmp_path: Path) -> None:
    """One that fills the ring within minutes pushes out itself only; calm again, it shares the slabs of the others."""
    clock = StillClock(at(0))
    settings = RingSettings(slab_bytes=8 * MIB, bytes_max=10 * 8 * MIB, free_bytes_min=0, floor_s=20 * RATES_EVERY_S)
    with closing(opened(tmp_path, settings, clock)) as log:
        log.append(*stream(YARD))
        log.append(*stream())

        def minute(number: int, blobs: int) -> None:
            clock.wall = at(number * RATES_EVERY_S)
            log.append(media(number), payload(number, 300_000))
            for blob in range(blobs):
                log.append(media(1000 * number + blob, camera=YARD), payload(number, BLOB))
            settle(log)

        for number in range(1, 20):
            minute(number, 16)
        assert log.stats().noisy == {YARD}
        for number in range(20, 60):
            minute(number, 16)
        quiet = sequences(log)
        assert quiet[-1] == 59
        assert len(quiet) >= 20
        assert quiet == list(range(quiet[0], 60))
        assert len(log.footage(YARD, EVERYTHING).chunks) > 16
        for number in range(60, 75):
            minute(number, 0)
        assert log.stats().noisy == frozenset()
        minute(75, 1)
        newest = log.footage(YARD, EVERYTHING).chunks[-1]
        assert newest.slab == log.footage(CAMERA, EVERYTHING).chunks[-1].slab
        kept = len(places(log, YARD)), len(places(log))
    lanes = {unpack_slab_header(path.read_bytes()[:BLOCK_BYTES]).lane for path in tmp_path.glob("slab-*")}
    assert lanes == set(Lane)
    with closing(opened(tmp_path, settings, clock)) as log:
        assert (len(places(log, YARD)), len(places(log))) == kept


def test_a_disk_with_room_for_one_slab_keeps_nobody_apart(tmp_path: Path) -> None:
    """A lane of its own needs a slab of its own: without one the ring goes on in one lane, for ever."""
    clock = StillClock(at(0))
    settings = RingSettings(slab_bytes=8 * MIB, bytes_max=32 * MIB, free_bytes_min=2**62, floor_s=100 * RATES_EVERY_S)
    with closing(opened(tmp_path, settings, clock)) as log:
        log.append(*stream(YARD))
        log.append(*stream())
        for number in range(1, 30):
            clock.wall = at(number * RATES_EVERY_S)
            log.append(media(number), payload(number, 3000))
            for blob in range(6):
                log.append(media(1000 * number + blob, camera=YARD), payload(number, BLOB))
            settle(log)
        assert (log.stats().slabs, log.stats().noisy) == (1, frozenset())
        assert sequences(log)[-1] == 29


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


@pytest.mark.parametrize("commits", [5, 60])
def test_kill_9_loses_nothing_that_was_committed(tmp_path: Path, commits: int) -> None:
    """A process killed at any moment, twice over: what it named is there after reopening, nothing is corrupt."""
    promised = {}
    for run in (1, 2):
        with Child(tmp_path) as child:
            promised[run] = child.record_until_killed(run, commits)
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
    with Child(tmp_path) as child:
        child.tell("limit", 5 * MIB)
        child.record(range(1, 41), size=100_000)
        stats = child.wait_for("error")
        assert stats["last_error"] == "File too large"
        assert child.ask("sequences") == []
        child.tell("limit", -1)
        child.wait_for("settled")
        assert child.ask("sequences") == list(range(1, 41))
        assert child.stats()["dropped_chunks"] == 0


def test_the_cipher_is_measured() -> None:
    """One of the two is picked."""
    assert pick_cipher() in set(Cipher)
