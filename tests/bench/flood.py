"""What a flood of bad messages does to a hub that records eight cameras: nothing that its owner would notice.

Quiet and flooded windows take turns in one run, so that what recording costs is compared with itself, on the same
machine in the same minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import track

from agent.clock import SECOND_NS, WallTime, Window
from agent.command.envelope import Audience
from agent.demo.alarm import Alarm, order_clip
from agent.demo.central import PAIRING_EPOCH
from agent.errors import UnavailableError
from tests.bench.clip_cameras import GOP_PICTURES
from tests.bench.clip_site import ClipSite
from tests.bench.conditions import Conditions, conditions
from tests.bench.figures import MIB, Figure
from tests.bench.flood_messages import bad_messages
from tests.bench.flood_publisher import PUBLISHER, Publisher
from tests.bench.loop import film, packetise, save_loop
from tests.bench.print_figures import print_figures, write_report
from tests.bench.rounds import SourceProcess, source

SUMMARY: Final = "1,000 bad messages a second while eight cameras are recorded"
LONGEST_S: Final = 60
WARM_S: Final = 10.0
SETTLE_S: Final = 1.0  # a flood that has just begun or ended is in neither window
GOOD_COMMANDS: Final = 5
ANSWERED_S_MAX: Final = 20.0
RECORDING_THREADS: Final = 2  # the recorder's and the ring writer's
DISK_MIB_MAX: Final = 6.0
"""SQLite's log of up to 4 MiB, which is used again, and at most 500 entries of strangers' making in the audit log."""


class Stretch(msgspec.Struct, frozen=True):
    """What one window cost, quiet or flooded: ms of processor time a second."""

    messages_per_s: float  # that the broker was sent
    recording_ms: float  # of the threads that receive and write footage
    hub_ms: float  # of the whole daemon


class FloodReport(msgspec.Struct, frozen=True):
    """Everything."""

    conditions: Conditions
    cameras: int
    quiet: tuple[Stretch, ...]
    flooded: tuple[Stretch, ...]
    disk_growth_bytes: int  # of data_dir without the ring
    memory_growth_bytes: int
    dropped_pictures: int  # by the cameras, because the hub did not read
    answered_s: tuple[float, ...]  # from a good command in the flood to its first status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the bench can be told."""
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--rate", type=int, default=1000, help="messages a second (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of a quiet and a flooded window")
    parser.add_argument("--seconds", type=float, default=10.0, help="that a window takes")
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError without mosquitto, or if a good command was not answered."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_loop(packetise(film(GOP_PICTURES)), folder / "flood.loop")
        with (
            source(folder / "flood.loop") as cameras,
            ClipSite(folder / "site", cameras.port, arguments.cameras, LONGEST_S) as site,
        ):
            report = _measure(site, cameras, arguments, console)
    console.print(str(report.conditions), highlight=False)
    for what, stretches in (("quiet", report.quiet), ("flooded", report.flooded)):
        for one in stretches:
            console.print(
                f"{what}: {one.messages_per_s:.0f} messages/s, recording {one.recording_ms:.2f} ms/s,"
                f" the whole daemon {one.hub_ms:.0f} ms/s",
                highlight=False,
            )
    print_figures(console, figures(report))
    if arguments.json:
        write_report(arguments.json, report)


def figures(report: FloodReport) -> list[Figure]:
    """Name what must hold."""
    pairs = zip(report.quiet, report.flooded, strict=True)
    ratios = [flooded.recording_ms / quiet.recording_ms for quiet, flooded in pairs if quiet.recording_ms]
    sent = [one.messages_per_s for one in report.flooded]
    return [
        Figure("messages a second", "", median(sent) if sent else None),
        Figure("CPU of recording, to the quiet window before", "", median(ratios) if ratios else None, 1.10),
        Figure("growth of data_dir without the ring", "MiB", report.disk_growth_bytes / MIB, DISK_MIB_MAX),
        Figure("growth of the daemon's memory", "MiB", report.memory_growth_bytes / MIB, 32.0, 8.0),
        Figure("pictures that the hub did not take", "", report.dropped_pictures, 0.0),
        Figure("a good command's first answer, the latest", "s", max(report.answered_s, default=None), 1.0, 0.2),
    ]


def _measure(site: ClipSite, cameras: SourceProcess, asked: argparse.Namespace, console: Console) -> FloodReport:
    names = site.begin()
    if site.broker.kind != "mosquitto":
        raise UnavailableError("the flood needs mosquitto", cure="apt-get install mosquitto")
    _let_in(site)
    time.sleep(WARM_S)
    seen = _order(site, names[0], "seen")
    site.console.wait_end(seen.id, ANSWERED_S_MAX)
    publisher = _publisher(site, seen)
    try:
        disk, memory, dropped = _disk_bytes(site), site.hub_memory_bytes(), _dropped(cameras)
        meter = _Meter(site.hub.pid, publisher, asked.seconds)
        for _ in track(range(asked.rounds), "flooding", console=console):
            for rate in (0, asked.rate):
                meter.measure(rate)
        publisher.publish(asked.rate)
        time.sleep(SETTLE_S)
        answered = tuple(_first_answer_s(site, names[0], f"amid-{number}") for number in range(GOOD_COMMANDS))
        publisher.publish(0)
        grown = _disk_bytes(site) - disk, site.hub_memory_bytes() - memory, _dropped(cameras) - dropped
    finally:
        publisher.stop()
    quiet, flooded = meter.stretches()
    return FloodReport(conditions(), asked.cameras, quiet, flooded, *grown, answered)


class _Meter:
    """Reads what the daemon's threads cost in each window."""

    def __init__(self, hub: int, publisher: Publisher, seconds: float) -> None:
        self._hub, self._publisher, self._seconds = hub, publisher, seconds
        self._windows: list[tuple[float, dict[int, float]]] = []  # messages a second, ms a second of each thread

    def measure(self, rate: int) -> None:
        """Measure one window at a rate of messages, and let it be quiet again."""
        self._publisher.publish(rate)
        time.sleep(SETTLE_S)
        sent, began, before = self._publisher.publish(rate), time.monotonic(), _threads_ns(self._hub)
        time.sleep(self._seconds)
        after, seconds = _threads_ns(self._hub), time.monotonic() - began
        sent = self._publisher.publish(0) - sent
        cost = {thread: (ns - before.get(thread, 0)) / seconds / 1e6 for thread, ns in after.items()}
        self._windows.append((sent / seconds, cost))
        time.sleep(SETTLE_S)

    def stretches(self) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
        """Return the quiet windows and the flooded ones.

        Python 3.11 does not tell the kernel its threads' names. Recording's are the two that work most while nothing
        else is to be done, apart from the first thread of all, which has the event loop.
        """
        quiet = self._windows[::2]
        total = {thread: sum(cost.get(thread, 0) for _, cost in quiet) for thread in quiet[0][1] if thread != self._hub}
        recording = sorted(total, key=lambda thread: total[thread])[-RECORDING_THREADS:]
        found = [
            Stretch(sent, sum(cost.get(thread, 0) for thread in recording), sum(cost.values()))
            for sent, cost in self._windows
        ]
        return tuple(found[::2]), tuple(found[1::2])


def _threads_ns(process: int) -> dict[int, int]:
    """Return the processor time of each thread."""
    found = {}
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            found[int(task.name)] = int((task / "schedstat").read_text().split()[0])
        except OSError:  # it has ended
            continue
    return found


def _let_in(site: ClipSite) -> None:
    """Give the flood's publisher the rights of whoever owns the broker: every topic of the hub's."""
    site.broker.stop()
    with (site.folder / "central" / "broker" / "acl").open("a") as rules:
        rules.write(f"\nuser {PUBLISHER}\ntopic readwrite hub/v1/#\n")
    site.console.presence = None
    site.broker.start()
    site.wait_cameras()


def _publisher(site: ClipSite, seen: Alarm) -> Publisher:
    audience = Audience(site.factory.hub_id, PAIRING_EPOCH)
    bad = bad_messages(site.authority, audience, WallTime(time.time_ns()), seen.envelope)
    folder = site.folder / "flood"
    certificate, key = site._certificates.issue_client(folder, PUBLISHER)
    authority, messages = folder / "authority.pem", folder / "messages"
    authority.write_text(site._certificates.pem)
    messages.write_bytes(msgspec.msgpack.encode([(f"hub/v1/{audience.hub}/{topic}", sent) for topic, sent in bad]))
    return Publisher(site.broker.port, (authority, certificate, key), messages, site.logs / "flood.log")


def _order(site: ClipSite, camera: str, command: str) -> Alarm:
    now = time.time_ns()
    window = Window(WallTime(now - 6 * SECOND_NS), WallTime(now - 4 * SECOND_NS))
    return order_clip(site, command, window, cameras=[camera])


def _first_answer_s(site: ClipSite, camera: str, command: str) -> float:
    """Order a clip amid the flood, and wait for the first word about it, and for its end."""
    alarm = _order(site, camera, command)
    _, end = site.console.wait_end(command, ANSWERED_S_MAX)
    if end.status.value != "SUCCEEDED":
        raise UnavailableError(f"{command} ended as {end.status.value}: {end.detail}")
    return min(at for at, status in site.console.statuses if status.command == command) - alarm.published_s


def _disk_bytes(site: ClipSite) -> int:
    files = [path for path in (site.folder / "hub" / "data").rglob("*") if path.is_file() and "ring" not in path.parts]
    return sum(path.stat().st_blocks * 512 for path in files)


def _dropped(cameras: SourceProcess) -> int:
    return sum(sent.dropped for sent in cameras.sent().values())
