"""`./bench recovery`: how long a start takes with a ring of 64 GiB, until the first new chunk is on the disk.

The ring is as after days: 255 slabs that were left, each with its sealed index, and one half full that must be read.
The files are sparse: what is not read at a start is not there.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.console import Console

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import CHUNK_HEADER_BYTES, TAG_BYTES, ChunkKind, ChunkMeta, StoredChunk
from agent.buffer.ring import RingIndex
from agent.buffer.slab import BLOCK_BYTES, ChunkSealer, Cipher, Lane, SlabHeader, pack_slab_header, wrap_key
from agent.buffer.slab_index import index_meta, pack_footer
from agent.clock import SECOND_NS, WallTime
from agent.crypto import Secret
from agent.errors import UnavailableError
from agent.outside.host import HostClock
from agent.outside.slab_files import SlabLog
from tests.bench.figures import MIB, Figure
from tests.bench.print_figures import print_figures, write_report
from tests.bench.recovery_process import FULL, GIB, Start
from tests.simulators.ring_content import stream

SUMMARY: Final = "a start with a ring of 64 GiB, until it records"
ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / ".cache" / "bench"
ROUNDS: Final = 5
CAMERAS: Final = 8
CHUNK_BYTES: Final = 256 * 1024  # half a second of a camera of 4 Mbit/s: what a key picture every second leads to
MUST_S, GOAL_S = 2.0, 0.5
_DISK_BYTES: Final = 66 * GIB
_MAKE: Final = ("mkfs.ext4", "-q", "-F", "-N", "4096", "-m", "0", "-J", "size=16")


class Report(msgspec.Struct, frozen=True):
    """The JSON file."""

    cameras: int
    chunk_bytes: int
    chunks: int
    disk: str
    cold: tuple[Start, ...]
    warm: tuple[Start, ...]
    figures: tuple[Figure, ...]
    verdicts: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what this bench can be told."""
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="R", help=f"starts of each kind ({ROUNDS})")
    parser.add_argument("--cameras", type=int, default=CAMERAS, metavar="N", help=f"in the ring ({CAMERAS})")
    parser.add_argument("--chunk-bytes", type=int, default=CHUNK_BYTES, metavar="B", help=f"of each ({CHUNK_BYTES})")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="profile one more warm start into this file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every start there")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Make the ring, start it again and again, print."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name, _disk(Path(name)) as (place, disk, forget):
        key_file = Path(name) / "key"
        key_file.write_bytes(os.urandom(32))
        with console.status("making a ring of 64 GiB"):
            chunks = make_ring(place, Secret(key_file.read_bytes()), arguments.cameras, arguments.chunk_bytes)
        cold, warm = [], []
        with console.status("starting it"):
            for _ in range(arguments.rounds):
                forget()
                cold.append(_start(place, key_file))
                warm.append(_start(place, key_file))
            if arguments.profile:
                _start(place, key_file, str(arguments.profile))
    console.print(f"{chunks} chunks of {arguments.cameras} cameras in {warm[0].slabs} slabs; {disk}")
    judged = (
        Figure("until it records, cold", "s", median(one.recording_s for one in cold), MUST_S, GOAL_S),
        Figure("until it records, cold, worst", "s", max(one.recording_s for one in cold), MUST_S),
        Figure("until it records, warm", "s", median(one.recording_s for one in warm), MUST_S, GOAL_S),
        Figure("until it takes chunks, cold", "s", median(one.opened_s for one in cold)),
        Figure("memory of the index", "MiB", median(one.memory_bytes for one in warm) / MIB),
    )
    print_figures(console, judged)
    if arguments.json:
        verdicts = tuple(figure.verdict.value for figure in judged)
        counts = arguments.cameras, arguments.chunk_bytes, chunks
        write_report(arguments.json, Report(*counts, disk, tuple(cold), tuple(warm), judged, verdicts))


def make_ring(directory: Path, key: Secret, cameras: int, chunk_bytes: int) -> int:
    """Make all slabs but one as they are when they were left, and half of the last one for real; count the chunks."""
    with_marker = SlabLog(directory, key, FULL, HostClock())
    with_marker.close()
    volume = (directory / "volume").read_bytes()[16:32]
    length = CHUNK_HEADER_BYTES + chunk_bytes + TAG_BYTES
    per_slab = (FULL.slab_bytes - 3 * BLOCK_BYTES) // (length + 128)
    now = HostClock().now()
    began = WallTime(now - FULL.slab_count * 17 * SECOND_NS)
    for number in range(1, FULL.slab_count):
        index = RingIndex()
        created = WallTime(began + number * 16 * SECOND_NS)
        for camera in range(cameras):
            meta, octets = stream(CameraId(f"camera-{camera}"), 1)
            index.add(StoredChunk(meta, number, BLOCK_BYTES + camera * 1024, len(octets) + 176))
        for place in range(per_slab):
            turn = (number - 1) * per_slab + place
            meta = _media(turn % cameras, 1 + turn // cameras, WallTime(created + place * SECOND_NS // 16))
            index.add(StoredChunk(meta, number, BLOCK_BYTES + cameras * 1024 + place * length, length))
        _write_left_slab(directory, number, created, volume, key, index.pack_slab(number))
    with_half = SlabLog(directory, key, FULL, HostClock())
    with_half.append(*stream(CameraId("camera-0"), 1))
    half = FULL.slab_bytes // 2 // length
    octets = random.Random(1).randbytes(chunk_bytes)  # noqa: S311 - the same bytes every time, no secret
    for place in range(half):
        with_half.append(_media(0, 10_000_000 + place, WallTime(now + place * SECOND_NS // 16)), octets)
        if not with_half.wait_until_written(60):
            raise UnavailableError("the ring could not be made", cure="look whether the disk has room")
    with_half.close()
    return (FULL.slab_count - 1) * (per_slab + cameras) + half


def _media(camera: int, sequence: int, arrival: WallTime) -> ChunkMeta:
    ticks = sequence * 45_000 % (1 << 32)
    return ChunkMeta(
        camera=CameraId(f"camera-{camera}"),
        kind=ChunkKind.MEDIA,
        is_key=sequence % 2 == 0,
        run=1,
        sequence=sequence,
        first_arrival=arrival,
        last_arrival=arrival,
        first_rtp=ticks,
        last_rtp=ticks,
        anchor=Anchor(ticks, arrival, 1_000_000, ClockSource.SR),
    )


def _write_left_slab(directory: Path, number: int, created: WallTime, volume: bytes, key: Secret, rows: bytes) -> None:
    """Write what a start reads of a slab: header, index, footer."""
    slab, data_key = number * 1_000_003, Secret(os.urandom(32))
    header = SlabHeader(number, slab, volume, Cipher.AES_256_GCM, Lane.SHARED, created, FULL.slab_bytes)
    sealed = memoryview(bytearray(CHUNK_HEADER_BYTES + len(rows) + TAG_BYTES))
    ChunkSealer(slab, Cipher.AES_256_GCM, data_key, os.urandom(16)).seal(index_meta(created), rows, sealed)
    index_at = (FULL.slab_bytes - 2 * BLOCK_BYTES - len(sealed)) // BLOCK_BYTES * BLOCK_BYTES
    with (directory / f"slab-{number - 1:05d}").open("wb") as file:
        file.write(pack_slab_header(wrap_key(header, data_key, key, os.urandom(12))))
        file.seek(index_at)
        file.write(sealed)
        file.seek(FULL.slab_bytes - BLOCK_BYTES)
        file.write(pack_footer(slab, index_at, len(sealed)))


def _start(place: Path, key_file: Path, *profile: str) -> Start:
    command = (sys.executable, "-m", "tests.bench.recovery_process", str(place), str(key_file), *profile)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise UnavailableError(f"the ring could not be started: {done.stderr.decode(errors='replace')[-300:]}")
    return msgspec.json.decode(done.stdout, type=Start)


@contextmanager
def _disk(folder: Path) -> Iterator[tuple[Path, str, Callable[[], None]]]:
    """Yield where the ring goes, what that is, and what makes the kernel forget all of it."""
    image, mounted = folder / "image", folder / "disk"
    mounted.mkdir()
    try:
        device = _attach(image)
    except (OSError, subprocess.CalledProcessError):
        image.unlink(missing_ok=True)
        yield mounted / "ring", "cold: the page cache dropped file by file", lambda: _drop(mounted / "ring")
        return
    mount = ("mount", "-o", "noatime", device, str(mounted))

    def forget() -> None:
        """Unmount, so that names and blocks are forgotten too; the image itself is never cached."""
        subprocess.run(("umount", str(mounted)), check=True)
        subprocess.run(mount, check=True)

    try:
        subprocess.run(mount, check=True)
        try:
            yield mounted / "ring", "cold: ext4 mounted anew; its loop device does direct I/O", forget
        finally:
            subprocess.run(("umount", str(mounted)), check=True)
    finally:
        subprocess.run(("losetup", "-d", device), check=True)


def _attach(image: Path) -> str:
    """Make a file system in a sparse file and return its loop device, which passes reads on past the page cache."""
    if os.geteuid() != 0:
        raise PermissionError
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    subprocess.run((*_MAKE, str(image)), check=True, capture_output=True)
    attach = ("losetup", "--direct-io=on", "--show", "-f", str(image))
    return subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()


def _drop(folder: Path) -> None:
    """Drop what is cached of the files in a folder."""
    for path in folder.iterdir():
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
