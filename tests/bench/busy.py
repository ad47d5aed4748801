"""Does recording suffer while four clips are cut and uploaded: what is lost, and how late the recorder comes."""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import track

from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.alarm import Alarm, order_clip
from agent.errors import UnavailableError
from agent.health.vitals import HubVitals
from tests.bench.clip_cameras import GOP_PICTURES
from tests.bench.clip_site import CLIP_S_MAX, GOP_S, ClipSite
from tests.bench.conditions import Conditions, conditions
from tests.bench.figures import Figure
from tests.bench.loop import film, packetise, save_loop
from tests.bench.print_figures import print_figures, write_report
from tests.bench.rounds import SourceProcess, source

SUMMARY: Final = "what recording eight cameras suffers while four clips are cut and uploaded at once"
CAMERAS: Final = 8
CLIPS: Final = 4
WINDOW_S: Final = 60
SETTLE_S: Final = 15.0
QUIET_S: Final = 130.0  # the lateness told is that of this minute and of the one before
TOLD_S: Final = 11.0  # so old may the hub's status be, and a look more


class BusyReport(msgspec.Struct, frozen=True):
    """Everything."""

    conditions: Conditions
    rounds: int
    clips_s: float  # from the orders to the last of the four receipts, median
    late_quiet_s: float  # the recorder's latest round while nothing else was asked of the hub
    late_busy_s: float
    dropped_pictures: int  # by the cameras, because the hub did not read
    lost_packets: int  # by the numbers of what arrived
    lost_chunks: int  # on their way to the disk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the bench can be told."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError if a clip did not arrive."""
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments.rounds, console)
    console.print(str(report.conditions), highlight=False)
    print_figures(console, figures(report))
    if arguments.json:
        write_report(arguments.json, report)


def measure(folder: Path, rounds: int, console: Console) -> BusyReport:
    """Record, be quiet, then order four clips at once, again and again."""
    loop, status = folder / "busy.loop", folder / "status.json"
    save_loop(packetise(film(GOP_PICTURES)), loop)
    with source(loop) as cameras, ClipSite(folder / "site", cameras.port, CAMERAS, WINDOW_S) as site:
        names = site.begin(status_file=str(status))
        for _ in track(range(round(QUIET_S)), "recording, and nothing else", console=console):
            time.sleep(1)
        quiet, dropped = told(status), _dropped(cameras)
        key, numbers, took, late = site.key_picture(names[0]), count(), [], 0.0
        for _ in track(range(rounds), f"{CLIPS} clips of {WINDOW_S} s at once", console=console):
            took.append(_order_and_wait(site, names[:CLIPS], _window(key), next(numbers)))
            time.sleep(TOLD_S)
            late = max(late, told(status).recorder_late_s_max)
        busy = told(status)
        return BusyReport(
            conditions(),
            rounds,
            median(took),
            quiet.recorder_late_s_max,
            late,
            _dropped(cameras) - dropped,
            sum(one.packets_lost for one in busy.cameras) - sum(one.packets_lost for one in quiet.cameras),
            _lost_chunks(busy) - _lost_chunks(quiet),
        )


def figures(report: BusyReport) -> list[Figure]:
    """Name what must hold."""
    return [
        Figure("recorder's latest round, four clips at once", "s", report.late_busy_s, 1.0),
        Figure("the same while nothing is cut", "s", report.late_quiet_s),
        Figure("pictures that the hub did not take", "", report.dropped_pictures, 0.0),
        Figure("packets missing by their numbers", "", report.lost_packets, 0.0),
        Figure("chunks lost on their way to the disk", "", report.lost_chunks, 0.0),
        Figure("orders to the last receipt of four", "s", report.clips_s),
    ]


def told(status: Path) -> HubVitals:
    """Read what the hub says of itself. Raises UnavailableError."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(status.read_bytes(), type=HubVitals)
    raise UnavailableError("the hub says nothing of itself")


def _order_and_wait(site: ClipSite, cameras: list[str], window: Window, number: int) -> float:
    """Order one clip of each camera, all at once; return the seconds until the last has ended well."""
    began = time.monotonic()
    alarms: list[Alarm] = [
        order_clip(site, f"busy-{number}-{place}", window, cameras=[camera]) for place, camera in enumerate(cameras)
    ]
    for alarm in alarms:
        _, end = site.console.wait_end(alarm.id, CLIP_S_MAX)
        if end.status.value != "SUCCEEDED":
            raise UnavailableError(f"{alarm.id} ended as {end.status.value}: {end.detail}")
    return time.monotonic() - began


def _window(key: WallTime) -> Window:
    """Choose the newest minute behind the hub that begins 2 s before a key picture: an edge must be encoded anew."""
    latest = time.time_ns() - round((WINDOW_S + SETTLE_S) * SECOND_NS)
    gop_ns = round(GOP_S * SECOND_NS)
    start = WallTime(key + (latest - key) // gop_ns * gop_ns - gop_ns // 2)
    return Window(start, WallTime(start + WINDOW_S * SECOND_NS))


def _lost_chunks(vitals: HubVitals) -> int:
    ring = vitals.ring.dropped_chunks if vitals.ring else 0
    return ring + sum(one.chunks_lost for one in vitals.cameras)


def _dropped(cameras: SourceProcess) -> int:
    return sum(sent.dropped for sent in cameras.sent().values())
