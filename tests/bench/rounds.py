"""One round: all contenders record the same streams side by side, each on its own disk, and are measured meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agent.errors import UnavailableError
from tests.bench.contenders import ROOT, Contender, Kept, Running
from tests.bench.disks import Disk, Writes, own_disk
from tests.bench.figures import Measured, Round
from tests.bench.loop import load_loop
from tests.bench.measure import Cost, alone_bytes, cost, count_system_calls, family, pss_bytes
from tests.bench.source import Sent

DISK_BYTES_MIN: Final = 2 * 1024 * 1024 * 1024  # two slabs beside what is recorded
DISK_MARGIN: Final = 1.5
END_S: Final = 5  # that a round's end may take
UNREAD_S_MAX: Final = 1.0
"""What may lie unread in the sockets when a recorder ends: it looks four times a second."""
UNSTORED_S_MAX: Final = 4.0
"""What may be missing in its footage: what came before the first key picture (2 s at most), and what lay unread."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a round's parts take."""

    warm_s: float = 5.0  # ffmpeg probes its streams first
    window_s: float = 10.0
    calls_s: float = 0.0  # counted after the window: counting slows; 0: not counted


class SourceProcess:
    """The cameras, in a process of their own."""

    def __init__(self, loop: Path) -> None:
        command = (sys.executable, "-m", "tests.bench.source", str(loop))
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self.bytes_per_s = load_loop(loop).bytes_per_s
        self.port = msgspec.json.decode(self._said(), type=dict[str, int])["port"]

    def sent(self) -> dict[str, Sent]:
        """Ask what it has sent to each contender."""
        if self._process.stdin is None:
            raise RuntimeError("the source was started without a pipe")
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._said(), type=dict[str, Sent])

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _said(self) -> bytes:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise UnavailableError("the source of the streams has ended by itself")
        return line


@contextmanager
def source(loop: Path) -> Iterator[SourceProcess]:
    """Serve a loop while the block runs."""
    process = SourceProcess(loop)
    try:
        yield process
    finally:
        process.close()


@dataclass(frozen=True, slots=True)
class _Sample:
    """What is read of a contender at both ends of the window."""

    cost: Cost
    writes: Writes | None


@dataclass(frozen=True, slots=True)
class _Place:
    """A contender at work on its disk."""

    contender: Contender
    disk: Disk
    running: Running
    first: Writes | None  # before it began

    @property
    def name(self) -> str:
        return self.contender.name

    def sample(self) -> _Sample:
        return _Sample(cost(family(self.running.processes)), self.disk.writes())


def run_round(folder: Path, loop: Path, contenders: Iterable[Contender], timing: Timing) -> Round:
    """Measure one round, with disks in `folder`. Raises UnavailableError if a contender does not record."""
    with ExitStack() as stack:
        cameras = stack.enter_context(source(loop))
        places = [_begin(stack, folder, one, cameras, timing) for one in contenders]
        for place in places:
            place.running.start(cameras.port)
        time.sleep(timing.warm_s)
        source_begin, begin = cost([cameras.pid]), [place.sample() for place in places]
        time.sleep(timing.window_s)
        source_end, end = cost([cameras.pid]), [place.sample() for place in places]
        groups = {place.name: family(place.running.processes) for place in places}
        alone = alone_bytes(groups, [cameras.pid, os.getpid()])
        pss = {name: pss_bytes(group) for name, group in groups.items()}
        calls = count_system_calls(groups, timing.calls_s) if timing.calls_s else dict.fromkeys(groups)
        for place in places:
            place.running.check()
        measured = []
        for place, one, two in zip(places, begin, end, strict=True):
            whole = _end(place, cameras)
            memory = alone[place.name], pss[place.name]
            measured.append(_measured(place, (one, two), whole, memory, calls[place.name]))
        most = max(place.contender.cameras for place in places)
        return Round(most, timing.window_s, _cpu_ms_per_s(source_begin, source_end), tuple(measured))


def _begin(stack: ExitStack, folder: Path, contender: Contender, cameras: SourceProcess, timing: Timing) -> _Place:
    life_s = timing.warm_s + timing.window_s + timing.calls_s + END_S
    size = int(life_s * cameras.bytes_per_s * contender.cameras)
    disk = stack.enter_context(own_disk(folder, contender.name, DISK_BYTES_MIN + int(DISK_MARGIN * size)))
    contender.prepare(disk.folder, size)
    disk.settle()
    first = disk.writes()
    running = Running(contender, disk.folder)
    stack.callback(running.kill)
    return _Place(contender, disk, running, first)


@dataclass(frozen=True, slots=True)
class _Whole:
    """What a contender's whole run came to."""

    kept: Kept
    sent: Sent
    device_bytes: int | None
    losses: tuple[str, ...]


def _end(place: _Place, cameras: SourceProcess) -> _Whole:
    kept = place.running.end()
    place.disk.settle()
    last = place.disk.writes()
    sent = cameras.sent().get(place.name, Sent())
    device_bytes = last.bytes - place.first.bytes if place.first and last else None
    second_bytes = int(cameras.bytes_per_s * place.contender.cameras)
    return _Whole(kept, sent, device_bytes, tuple(losses(place.contender.cameras, kept, sent, second_bytes)))


def losses(cameras: int, kept: Kept, sent: Sent, second_bytes: int) -> Iterator[str]:
    """Say what a contender lost of what it was sent; `second_bytes` is what all its cameras send in a second."""
    if sent.clients != cameras:
        yield f"the source had {sent.clients} connections for {cameras} cameras"
    if sent.dropped:
        yield f"{sent.dropped} pictures dropped: the recorder did not read"
    if kept.received is not None and sent.bytes - kept.received > UNREAD_S_MAX * second_bytes:
        yield f"{kept.received} bytes received of {sent.bytes} sent"
    if kept.is_wire and kept.stored is not None and sent.bytes - kept.stored > UNSTORED_S_MAX * second_bytes:
        yield f"{kept.stored} bytes of footage of {sent.bytes} sent"


def _measured(
    place: _Place, window: tuple[_Sample, _Sample], whole: _Whole, memory: tuple[int, int], calls: float | None
) -> Measured:
    begin, end = window
    spent_s = end.cost.at_s - begin.cost.at_s
    flushes = end.writes.flushes - begin.writes.flushes if begin.writes and end.writes else None
    return Measured(
        name=place.name,
        kind=place.contender.kind,
        cameras=place.contender.cameras,
        cpu_ms_per_camera_s=_cpu_ms_per_s(begin.cost, end.cost) / place.contender.cameras,
        memory_bytes=memory[0],
        pss_bytes=memory[1],
        switches_per_s=(end.cost.switches - begin.cost.switches) / spent_s,
        system_calls_per_s=calls,
        sent_bytes=whole.sent.bytes,
        received_bytes=whole.kept.received,
        stored_bytes=whole.kept.stored,
        device_bytes=whole.device_bytes,
        written_bytes_per_s=(end.cost.written_bytes - begin.cost.written_bytes) / spent_s,
        flushes_per_s=None if flushes is None else flushes / spent_s,
        dropped_pictures=whole.sent.dropped,
        late_pictures=whole.sent.late,
        holes=whole.kept.holes,
        has_all=not whole.losses and not whole.kept.holes,
        problems=(*whole.kept.problems, *whole.losses),
    )


def _cpu_ms_per_s(begin: Cost, end: Cost) -> float:
    return (end.cpu_ns - begin.cpu_ns) / 1e6 / (end.at_s - begin.at_s)
