"""A site for the bench: the demo's hub, broker and store, and cameras that cost little enough for eight of them.

Rules of this file: the hub is the real daemon, enrolled and paired as everywhere; one camera of the demo shows it the
installer's code and is taken down before anything is measured.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.demo.alarm import Alarm, order_clip
from agent.demo.processes import Program
from agent.demo.site import CAMERA_NAMES, FOUND_S_MAX, Scene, Site
from agent.errors import UnavailableError
from agent.health.presence import CameraPresence, Presence
from agent.opener import open_clip
from agent.opening.clip_boxes import take_apart
from tests.bench.clip_cameras import GOP_PICTURES, camera_name
from tests.bench.loop import PICTURES_PER_S

GOP_S: Final = GOP_PICTURES / PICTURES_PER_S
JUST_BEFORE_NS: Final = 1_000_000  # no picture lies in the millisecond before another
CLIP_S_MAX: Final = 600.0
_PROBE_S: Final = 12.0
_ANONYMOUS: Final = re.compile(rb"RssAnon:\s+(\d+) kB")


class CamerasProgram(Program):
    """The bench's cameras, in a process of their own."""

    def __init__(self, count: int, rtsp_port: int, password: str, log: Path) -> None:
        super().__init__("tests.bench.clip_cameras", [str(count), str(rtsp_port)], log, with_stdout=True)
        self._write_line(password.encode())

    def wait_ready(self) -> None:
        """Wait until they can be found."""
        self._read_line(FOUND_S_MAX)


class ClipSite(Site):
    """A site whose hub records `cameras` streams of the source at `rtsp_port`."""

    def __init__(self, folder: Path, rtsp_port: int, cameras: int, longest_s: int) -> None:
        ring_mib = 512 + cameras * (longest_s + 120)  # half of it is footage: 4 Mbit/s are 0.5 MB a second
        super().__init__(folder, Scene(fps=5, window_s_max=longest_s, ring_mib=ring_mib, slab_mib=64))
        self._rtsp_port, self._count = rtsp_port, cameras

    def start_cameras(self, names: Sequence[str] = CAMERA_NAMES[:1]) -> None:
        """Put up the camera that sees the installer's code, and those that are measured."""
        super().start_cameras(names)
        program = CamerasProgram(self._count, self._rtsp_port, self._password, self.logs / "bench-cameras.log")
        self._stack.callback(program.stop)
        program.wait_ready()

    def wait_cameras(self) -> Presence:
        """Wait until the hub has all cameras that are measured."""
        return self.console.wait_presence(
            lambda hub: hub.state == "online" and len(self.own(hub)) == self._count,
            2 * FOUND_S_MAX,
            f"the hub to find {self._count} cameras",
        )

    def own(self, hub: Presence) -> list[CameraPresence]:
        """Choose the cameras that are measured, in the order of their numbers."""
        names = [camera_name(number) for number in range(self._count)]
        return sorted((one for one in hub.cameras if one.name in names), key=lambda one: names.index(one.name))

    def begin(self, **settings: object) -> list[str]:
        """Do all that comes before an alarm; returns the cameras' ids, every one of which is recorded.

        `settings` are further lines of the hub's configuration.
        """
        self.start_cameras()
        self.start_central()
        self.start_hub(**settings)
        self.install()
        hub = self.pair(uploads_per_day_max=1000)
        self.cameras[0].stop()
        return [camera.id for camera in self.own(hub)]

    def key_picture(self, camera: str) -> WallTime:
        """Find out when one of a camera's key pictures was: the last in a clip that has more than one."""
        now = time.time_ns()
        window = Window(WallTime(now - round((_PROBE_S + 8) * SECOND_NS)), WallTime(now - 8 * SECOND_NS))
        alarm = self.clip(f"probe-{camera}", window, [camera])
        folder = self.central.store.folder / f"{alarm.id}.{camera}"
        movie = self.folder / f"{alarm.id}.mp4"
        opened = open_clip(folder, self.folder / "officer" / "key.txt", movie)
        track = take_apart(movie.read_bytes()).video
        shown_at = max(sample.shown_at for sample in track.samples if sample.is_sync)
        first = parse_rfc3339(opened.manifest.parts[0].first_picture)
        return WallTime(first + shown_at * SECOND_NS // track.timescale_hz)

    def clip(self, command: str, window: Window, cameras: Sequence[str]) -> Alarm:
        """Order a clip and wait until the job has ended well. Raises UnavailableError."""
        alarm = order_clip(self, command, window, cameras=cameras)
        _, end = self.console.wait_end(alarm.id, CLIP_S_MAX)
        if end.status.value != "SUCCEEDED":
            raise UnavailableError(f"{command} ended as {end.status.value}: {end.reason or ''} {end.detail}")
        return alarm

    def hub_memory_bytes(self) -> int:
        """Return what the daemon's own process holds, without what it shares and without its children."""
        found = _ANONYMOUS.search(Path(f"/proc/{self.hub.pid}/status").read_bytes())
        return int(found[1]) * 1024 if found else 0
