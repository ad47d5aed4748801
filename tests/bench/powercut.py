"""`./bench powercut`: how much of the newest video is gone when the recorder is killed, or the power with it.

Rules of this file: what was lost is measured against what each camera had sent at that moment, by the camera's own
word; a cut may keep any part of what the disk was given since its last flush; what is there must be what was sent.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window
from agent.errors import UnavailableError
from agent.outside.host import HostClock
from agent.outside.slab_files import SlabLog
from agent.recorder import RecorderSettings
from tests.bench.figures import Figure
from tests.bench.print_figures import print_figures, write_report
from tests.simulators.logged_disk import Keeping, LoggedDisk, images_after_cuts, logged_disk, mounted
from tests.simulators.ring_content import CAMERA as OTHER
from tests.simulators.ring_log import KEK, MIB, append, payload
from tests.simulators.ring_recorder import SMALL, RingRecorder
from tests.simulators.timed_camera import TimedCamera, read_pictures

SUMMARY: Final = "video lost when the recorder is killed, and when the power is cut"
CUTS: Final = 200
KILLS: Final = 20
CAMERAS: Final = 4
DISK_BYTES: Final = 64 * MIB
SETTLE_S: Final = 2.0  # from the recording of all cameras to the first cut: each has a commit behind it
CUTS_PER_S: Final = 3.0
COPIES_MAX: Final = 40  # each is made in real time
CACHE: Final = Path(__file__).parents[2] / ".cache" / "bench"
EVERYTHING: Final = Window(WallTime(1), WallTime(1 << 62))
_DEFAULTS: Final = RecorderSettings()
LOSS_S_MAX: Final = (_DEFAULTS.commit_ms + _DEFAULTS.tick_ms) / 1000


class Cut(msgspec.Struct, frozen=True):
    """What one cut or kill cost."""

    how: str  # "kill", or what the disk kept of what it had not flushed
    lost_s: tuple[float, ...]  # by camera
    is_exact: bool  # every byte between the oldest and the newest picture of each camera is what it sent
    goes_on: bool  # what was recorded after the restart is there after another one
    opened_s: float  # until the ring could record again


class Report(msgspec.Struct, frozen=True):
    """The JSON file."""

    cameras: int
    tick_ms: int
    commit_ms: int
    seed: int
    disk: str
    cuts: tuple[Cut, ...]
    figures: tuple[Figure, ...]
    verdicts: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what this bench can be told."""
    parser.add_argument(
        "--cuts", type=int, default=CUTS, metavar="N", help=f"of the power ({CUTS}); real ones take root"
    )
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N", help=f"of the recorder ({KILLS})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="when is cut, and what is kept (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every cut there")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError if not a single cut or kill could be made."""
    chance = random.Random(arguments.seed)  # noqa: S311 - the same moments every time, no secret
    done: list[Cut] = []
    disk = "not measured"
    # Memory: the disk's own time is not measured here, and copies of it are made by the hundred.
    place = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - a directory of its own is made there
    with tempfile.TemporaryDirectory(dir=place) as folder, ExitStack() as stack:
        cameras = [stack.enter_context(TimedCamera(number)) for number in range(CAMERAS)]
        if arguments.cuts:
            try:
                with console.status(f"{arguments.cuts} power cuts"):
                    done += cut_power(Path(folder) / "cuts", cameras, arguments.cuts, chance)
                disk = "ext4 on a loop device; every write and flush logged; journal replayed after the cut"
            except UnavailableError as error:
                disk = f"copies past the page cache, the file system's own log taken for granted; {error}"
                console.print(f"[yellow]No real power cuts, but {escape(disk)}[/]", soft_wrap=True)
                CACHE.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=CACHE) as copies, console.status("copies of the disk"):
                    done += copy_disk(Path(copies), cameras, min(arguments.cuts, COPIES_MAX), chance)
        with console.status(f"{arguments.kills} kills"):
            done += kill_recorder(Path(folder) / "kills", cameras, arguments.kills, chance)
    if not done:
        raise UnavailableError("nothing was cut and nothing was killed")
    judged = figures(done)
    print_cuts(console, done)
    print_figures(console, judged)
    if arguments.json:
        verdicts = tuple(figure.verdict.value for figure in judged)
        ticks = _DEFAULTS.tick_ms, _DEFAULTS.commit_ms
        write_report(arguments.json, Report(CAMERAS, *ticks, arguments.seed, disk, tuple(done), judged, verdicts))


def cut_power(folder: Path, cameras: Sequence[TimedCamera], cuts: int, chance: random.Random) -> Iterator[Cut]:
    """Record once, then look at the disk as it is after cuts at random moments of that time."""
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        raise UnavailableError("a disk that logs needs root and /dev/fuse")
    (folder / "disk").mkdir(parents=True)
    with (
        logged_disk(folder, folder / "disk", DISK_BYTES) as disk,
        RingRecorder(folder / "disk" / "ring", _named(cameras)) as recorder,
    ):
        begin = time.time_ns() + round(SETTLE_S * SECOND_NS)
        time.sleep(SETTLE_S + max(3.0, cuts / CUTS_PER_S))
        end = time.time_ns()
        recorder.end()
    moments = sorted(chance.randrange(begin, end) for _ in range(cuts))
    ways = [chance.choice(list(Keeping)) for _ in moments]
    yield from _judge_cuts(folder, disk, cameras, list(zip(moments, ways, strict=True)), chance)


def _judge_cuts(
    folder: Path,
    disk: LoggedDisk,
    cameras: Sequence[TimedCamera],
    cuts: list[tuple[int, Keeping]],
    chance: random.Random,
) -> Iterator[Cut]:
    for (moment, way), image in zip(cuts, images_after_cuts(disk, cuts, chance), strict=True):
        (folder / "image").write_bytes(image)
        with mounted(folder / "image", folder / "again"):
            yield judge(folder / "again" / "ring", cameras, moment, way.value)


def copy_disk(folder: Path, cameras: Sequence[TimedCamera], cuts: int, chance: random.Random) -> Iterator[Cut]:
    """Copy what is on the disk, past the page cache, while the recorder stands still, now and then: without root."""
    with RingRecorder(folder / "ring", _named(cameras)) as recorder:
        time.sleep(SETTLE_S)
        for number in range(cuts):
            time.sleep(chance.random() * 2 / CUTS_PER_S)
            recorder.process.send_signal(signal.SIGSTOP)
            moment, copy = time.time_ns(), folder / str(number)
            copy.mkdir()
            for path in (folder / "ring").iterdir():
                _copy_direct(path, copy / path.name)
            recorder.process.send_signal(signal.SIGCONT)
            yield judge(copy, cameras, moment, Keeping.ALL.value)
            shutil.rmtree(copy)


def _copy_direct(source: Path, target: Path) -> None:
    file = os.open(source, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, MIB) as room, target.open("wb") as copy:
            at = 0
            while (count := os.preadv(file, [room], at)) > 0:
                copy.write(room[:count])
                at += count
    finally:
        os.close(file)


def kill_recorder(folder: Path, cameras: Sequence[TimedCamera], kills: int, chance: random.Random) -> Iterator[Cut]:
    """Let the recorder record for a random while and kill it, again and again."""
    for _ in range(kills):
        with RingRecorder(folder / "ring", _named(cameras)) as recorder:
            time.sleep(SETTLE_S + chance.random() * 1.5)
            recorder.process.kill()
            moment = time.time_ns()
        yield judge(folder / "ring", cameras, moment, "kill")
        shutil.rmtree(folder)


def judge(directory: Path, cameras: Sequence[TimedCamera], moment: int, how: str) -> Cut:
    """Open a ring after a cut as a restart does, look at all of it, and record on."""
    began = time.perf_counter()
    with closing(SlabLog(directory, KEK, SMALL, HostClock())) as ring:
        opened_s = time.perf_counter() - began
        lost, is_exact = [], True
        for camera in cameras:
            chunks = ring.footage(_name(camera), EVERYTHING).chunks
            pictures = read_pictures(camera.name, b"".join(map(ring.read, chunks)))
            lost.append(camera.lost_s(pictures.newest, moment) if pictures else float("inf"))
            is_exact = is_exact and pictures is not None and pictures.is_exact
        append(ring, range(1, 40))
        is_written = ring.wait_until_written(20)
    with closing(SlabLog(directory, KEK, SMALL, HostClock())) as ring:
        found = [(chunk.meta.sequence, ring.read(chunk)) for chunk in ring.footage(OTHER, EVERYTHING).chunks]
    goes_on = is_written and found == [(number, payload(number)) for number in range(1, 40)]
    return Cut(how, tuple(lost), is_exact, goes_on, opened_s)


def figures(done: Sequence[Cut]) -> tuple[Figure, ...]:
    """Judge the cuts by the bars."""
    kills, cuts = [one for one in done if one.how == "kill"], [one for one in done if one.how != "kill"]

    def worst(of: Sequence[Cut]) -> float | None:
        return max((max(one.lost_s) for one in of), default=None)

    return (
        Figure("newest video lost, power cut, worst", "s", worst(cuts), LOSS_S_MAX),
        Figure("newest video lost, kill -9, worst", "s", worst(kills), LOSS_S_MAX),
        Figure("cuts after which a byte was wrong or missing", "", sum(not one.is_exact for one in done), 0),
        Figure("cuts after which recording did not go on", "", sum(not one.goes_on for one in done), 0),
    )


def print_cuts(console: Console, done: Sequence[Cut]) -> None:
    """Print how the losses are spread."""
    table = Table(title="Seconds of the newest video lost, by camera", title_justify="left")
    for title in ("cut", "times", "least", "median", "95 %", "most", "open ms"):
        table.add_column(title, justify="left" if title == "cut" else "right")
    for how in (*Keeping, "kill"):
        of = [one for one in done if one.how == how]
        lost = sorted(seconds for one in of for seconds in one.lost_s)
        if lost:
            spread = lost[0], median(lost), quantiles([*lost, lost[-1]], n=20)[-1], lost[-1]
            opened = f"{max(one.opened_s for one in of) * 1000:.0f}"
            what = "kill -9" if how == "kill" else f"power, kept of the unflushed: {how}"
            table.add_row(what, str(len(of)), *(f"{seconds:.2f}" for seconds in spread), opened)
    console.print(table)


def _named(cameras: Sequence[TimedCamera]) -> dict[CameraId, str]:
    return {_name(camera): camera.url for camera in cameras}


def _name(camera: TimedCamera) -> CameraId:
    return CameraId(f"camera-{camera.name}")
