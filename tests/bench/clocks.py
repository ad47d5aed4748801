"""How far stated times are from true ones: a camera an hour wrong that drifts, in drawn hours and over real sockets.

In drawn time hours pass in seconds, through the same timeline. Then a whole site records one virtual camera for
minutes: clips are cut at many moments, and the time drawn into each picture is held against the time stated of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from agent.clip_job import JobState
from agent.demo.alarm import raise_alarm
from agent.demo.site import Scene
from agent.errors import UnavailableError
from tests.simulators.dated_clip import ROUNDING_NS, dated_pictures
from tests.simulators.drifting_camera import DriftingCamera, resolved, watch
from tests.stories.acts import whole_site

SUMMARY: Final = "stated times against true ones, a camera an hour wrong that drifts"
PPM: Final = 200
OFFSET_MS: Final = 3_600_000
SETTLED_S: Final = 20  # of a session: before, the first guesses of a run are told as such
CLIP_EVERY_S: Final = 15.0
CLIP_S: Final = 4.0
LAG_S: Final = 4.0  # so long after it a window is on the disk
_MS: Final = 1_000_000

NETWORKS: Final[tuple[tuple[str, DriftingCamera], ...]] = (
    ("calm network", DriftingCamera(jitter_ms=5)),
    ("20 ms of jitter", DriftingCamera()),
    ("20 ms, other direction", DriftingCamera(ppm=-PPM)),
    ("100 ms of jitter", DriftingCamera(jitter_ms=100)),
    ("200 ms, stalls of up to 4 s", DriftingCamera(jitter_ms=200, stall_every_s=60)),
    ("a new session each 10 min", DriftingCamera(reconnect_s=600)),
    ("measured each 10 min only", DriftingCamera(measured_every_s=600)),
    ("measured once, new sessions", DriftingCamera(measured_every_s=0, reconnect_s=600)),
    ("sends no reports", DriftingCamera(report_s=0)),
)


class Row(NamedTuple):
    """One camera's pictures; all times in ms."""

    what: str
    pictures: int
    outside: int  # of their stated bound
    error_max: float
    bound_median: float
    bound_max: float


def drawn(what: str, camera: DriftingCamera, hours: float) -> Row:
    """Let hours pass."""
    pictures = list(watch(camera, int(hours * 3600)))
    outside = sum(one.error_ns(anchor) > anchor.error_ns + ROUNDING_NS for one, anchor in resolved(pictures))
    began: dict[int, int] = {}
    settled = [
        one for one in pictures if one.taken - began.setdefault(one.session, one.taken) > SETTLED_S * 1_000_000_000
    ]
    bounds = [one.anchor.error_ns for one in settled]
    return _row(what, len(pictures), outside, [one.error_ns(one.anchor) for one in settled], bounds)


def real(minutes: float) -> Iterator[Row]:
    """Record a virtual camera and cut clips; a row for each, then one for all."""
    scene = Scene(gop=15, clock_offset_ms=OFFSET_MS, clock_drift_ppm=PPM)
    errors: list[int] = []
    bounds: list[int] = []
    outside = 0
    with tempfile.TemporaryDirectory() as folder, whole_site(Path(folder), scene, ("Front door",)) as site:
        cadence, began = site.cameras[0].ready.cadence, time.monotonic()
        while time.monotonic() - began < minutes * 60:
            time.sleep(CLIP_EVERY_S)
            alarm = raise_alarm(site, f"moment-{len(bounds)}", before_s=CLIP_S + LAG_S, after_s=-LAG_S)
            _, end = site.console.wait_end(alarm.id, 60)
            if end.status is not JobState.SUCCEEDED:
                raise UnavailableError(f"a clip could not be cut: {end.status}")
            clip = dated_pictures(site, alarm, Path(folder) / f"{len(bounds)}.mp4")
            found = [abs(stated - cadence.hub_time(ticks)) for stated, ticks in clip.pictures]
            wrong = sum(error > clip.bound_ns + ROUNDING_NS for error in found)
            errors, bounds, outside = errors + found, [*bounds, clip.bound_ns], outside + wrong
            drift_ms = (time.monotonic() - began) * PPM / 1000
            yield _row(f"drifted by {drift_ms:.0f} ms, by {clip.source}", len(found), wrong, found, [clip.bound_ns])
    yield _row(f"all {len(bounds)} clips", len(errors), outside, errors, bounds)


def _row(what: str, pictures: int, outside: int, errors_ns: list[int], bounds_ns: list[int]) -> Row:
    median = sorted(bounds_ns)[len(bounds_ns) // 2]
    return Row(what, pictures, outside, max(errors_ns) / _MS, median / _MS, max(bounds_ns) / _MS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say how long."""
    parser.add_argument("--hours", type=float, default=4.0, help="of drawn time, for each network")
    parser.add_argument("--minutes", type=float, default=3.0, help="of real time; 0: none")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print."""
    hours = f"{arguments.hours:g} h of drawn time"
    _print(console, hours, [drawn(what, camera, arguments.hours) for what, camera in NETWORKS])
    if arguments.minutes:
        _print(console, f"{arguments.minutes:g} min over real sockets", list(real(arguments.minutes)))


def _print(console: Console, title: str, rows: list[Row]) -> None:
    table = Table(title=f"{title}; errors and bounds in ms, once settled", title_justify="left")
    table.add_column("camera")
    for name in ("pictures", "outside the bound", "worst error", "usual bound", "worst bound"):
        table.add_column(name, justify="right")
    for row in rows:
        times = [f"{one:.1f}" for one in row[3:]]
        table.add_row(row.what, str(row.pictures), str(row.outside), *times)
    console.print(table)
