"""A whole site to break: hub and cameras behind one line, broker and store beyond it, each a process of its own.

Rules of this file: it applies what it is told and says what can be asked for afterwards; which fault and when is not
its matter. Everything runs in network and mount namespaces of its own and ends with the bench.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.alarm import Alarm
from agent.demo.broker import free_port
from agent.demo.console import ENDS
from agent.demo.processes import HubProgram
from agent.demo.site import CAMERA_NAMES, Scene, Site
from agent.errors import UnavailableError
from agent.health.presence import Presence
from tests.bench.faults_link import FAR, Line, Link
from tests.bench.faults_store import Place, StoreProgram
from tests.bench.own_namespaces import bind, mount_memory, unmount
from tests.bench.stepped_clock import SteppedClock

MIB: Final = 1024 * 1024
OUTBOX_BYTES: Final = 64 * MIB
BACK_S_MAX: Final = 60.0
TIDY_S_MAX: Final = 10.0
COMMITTED_S: Final = 2.5  # so long after a picture was taken it is on the disk
KEY_S: Final = 1.0  # between key pictures


class FaultSite(Site):
    """Enter it in a thread that may change its namespaces; `begin` puts everything up."""

    def __init__(self, folder: Path, seed: int, window_s_max: int = 60) -> None:
        scene = Scene(fps=10, gop=10, broker="mosquitto", central_address=FAR, window_s_max=window_s_max)
        super().__init__(folder, scene)
        self._seed = seed
        self._recorded: list[Window] = []  # what every camera's footage is whole of
        self._recorded_from: WallTime | None = None  # and what it is whole of until now
        self._dated_wrong: list[Window] = []
        self._wrong_since: tuple[WallTime, float] | None = None  # and by how much
        self.window: Window | None = None  # that is asked for now
        self._boots_after = 0  # the hub has been started since this one
        self.link: Link
        self.store: StoreProgram

    # ------------------------------------------------------------ putting it up
    def begin(self) -> None:
        """Put everything up: it is enrolled, paired and records when this returns."""
        self.link = Link(self.logs / "link.log", self._seed)
        self._stack.callback(self.link.stop)
        self._clock = SteppedClock(self.folder)
        self.link.near(lambda: self.start_cameras(CAMERA_NAMES))
        self.start_central()
        self._mount_outbox()
        self.start_hub(clips={"part_s": 2.0, "outbox_mib": OUTBOX_BYTES // MIB})
        self.install()
        self.pair(uploads_per_day_max=1000)
        self._recorded_from = _now(KEY_S)

    def _mount_outbox(self) -> None:
        """Give the outbox a small disk, which others use too."""
        outbox, self._disk = self.folder / "hub" / "data" / "outbox", self.folder / "outbox-disk"
        outbox.mkdir(parents=True, mode=0o700)
        self._disk.mkdir()
        mount_memory(self._disk, OUTBOX_BYTES)
        self._stack.callback(unmount, self._disk)
        (self._disk / "outbox").mkdir()
        bind(self._disk / "outbox", outbox)
        self._stack.callback(unmount, outbox)

    def start_central(self) -> None:
        """Start broker and store, and what enrols the hub."""
        super().start_central()
        broker = self.folder / "central" / "broker" / "mosquitto.conf"
        self.broker.stop()  # anew, so that all it knows is on its disk at any moment
        with broker.open("a") as settings:
            settings.write("autosave_interval 1\nautosave_on_changes true\n")
        self.broker.start()
        certificate, key = self._certificates.issue_server(self.folder / "central", "store")
        self._store_place = Place(
            folder=str(self.folder / "store"),
            hub=self.factory.hub_id,
            token=self.upload_token,
            key=self.authority.store.as_dict(private=True),
            certificate=str(certificate),
            certificate_key=str(key),
            address=FAR,
            port=free_port(FAR),
        )
        self.restart_store()
        self._stack.callback(self._stop_store)
        self.central.store_host = f"{FAR}:{self._store_place.port}"

    def _stop_store(self) -> None:
        self.store.stop()  # whichever runs now

    def start_hub(self, **settings: object) -> None:
        """Plug in the hub, on its side of the line."""
        self.link.near(lambda: super(FaultSite, self).start_hub(**settings))

    def restart_hub(self) -> None:
        """Start the daemon, under a clock that can be set."""
        environment = self._clock.environment
        self.hub = self.link.near(lambda: HubProgram(self.config, self.logs / "hub.log", environment))

    def restart_store(self) -> None:
        """Start the store; also again after it was killed."""
        self.store = StoreProgram(self._store_place, self.logs / "store.log")
        self.store.wait_ready()

    # ------------------------------------------------------------ breaking it
    def change_line(self, **changes: float) -> None:
        """Let the line be worse in these ways."""
        self.link.be(msgspec.structs.replace(Line(), **changes))

    def mend_line(self) -> None:
        """Let the line be as good as it was."""
        self.link.be(Line())

    def stop_store(self, *, is_so: bool) -> None:
        """Let the store stand still, as on a machine that swaps, or go on."""
        os.kill(self.store.pid, signal.SIGSTOP if is_so else signal.SIGCONT)

    def kill_hub(self) -> None:
        """End the hub as a power cut would; what it has not recorded is gone."""
        self.hub.kill()
        self._note_gap()
        self._boots_after = self.console.presence.boot if self.console.presence else 0

    def set_clock(self, ahead_s: float) -> None:
        """Let the hub's UTC be wrong by so much; 0 sets it right."""
        self._note_gap()
        began = self._wrong_since
        if began is not None:
            began_at, wrong_s = began
            shift = int(wrong_s * SECOND_NS)
            around = Window(WallTime(began_at + shift), WallTime(_now() + shift))
            self._dated_wrong.append(_wider(around, KEY_S + 1))
        self._wrong_since = (_now(), ahead_s) if ahead_s else None
        self._clock.set_ahead(ahead_s)

    def fill_outbox(self, left_bytes: int) -> None:
        """Leave so much of the outbox's disk free."""
        room = os.statvfs(self._disk)
        length = room.f_bavail * room.f_frsize - left_bytes
        if length > 0:
            with suppress(OSError), (self._disk / "others").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, length)

    def free_outbox(self) -> None:
        """Take away what fills it."""
        (self._disk / "others").unlink(missing_ok=True)

    # ------------------------------------------------------- being whole again
    def wait_whole(self) -> None:
        """Wait until the hub is online and records every camera. Raises UnavailableError."""
        if self._recorded_from is None:
            self.console.wait_presence(self._is_recording, BACK_S_MAX, "the hub to record again")
            self._recorded_from = _now(KEY_S + 2)

    def _is_recording(self, hub: Presence) -> bool:
        own = self.own(hub)
        if hub.state != "online" or hub.boot <= self._boots_after:
            return False
        return len(own) == len(self.cameras) and all(one.state == "recording" for one in own)

    def _note_gap(self) -> None:
        """Remember that the footage is not whole from now on, and what has happened to the hub's word since."""
        if self._recorded_from is not None:
            end = _now(-COMMITTED_S)
            if end > self._recorded_from:
                self._recorded.append(Window(self._recorded_from, end))
        self._recorded_from = None

    def recorded(self, back_s: float = 90.0) -> list[Window]:
        """Return the stretches, not older than so many seconds, of which every picture is on the hub's disk."""
        found = list(self._recorded)
        if self._recorded_from is not None and _now(-COMMITTED_S) > self._recorded_from:
            found.append(Window(self._recorded_from, _now(-COMMITTED_S)))
        for wrong in self._dated_wrong:
            found = [piece for one in found for piece in _without(one, wrong)]
        new = Window(_now(-back_s), _now())
        return [piece for one in found if (piece := one.intersection(new))]

    def has_ended(self, alarm: Alarm) -> bool:
        """Say whether the hub has told a command's end."""
        return any(one.command == alarm.id and one.status in ENDS for _, one in self.console.statuses)

    def wait_outbox_empty(self) -> None:
        """Give the hub a moment to tidy up after the last word; what is left then is left."""
        deadline, outbox = time.monotonic() + TIDY_S_MAX, self.folder / "hub" / "data" / "outbox"
        while any(outbox.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)

    def traces(self, command: str) -> list[Path]:
        """Find what the store or the outbox has of a command."""
        return [*(self.folder / "store").glob(f"{command}.*"), *(self.folder / "hub/data/outbox").glob(f"{command}.*")]

    def repeat(self, alarm: Alarm) -> None:
        """Send a command again, to the byte: what an agency does whose broker has died. Raises UnavailableError."""
        deadline = time.monotonic() + BACK_S_MAX
        while not self.console._client.is_connected():
            if time.monotonic() > deadline:
                raise UnavailableError("the console did not find its broker again")
            time.sleep(0.05)
        self.console.publish("cmd", alarm.envelope)

    def is_dated_twice(self, window: Window) -> bool:
        """Say whether a wrong clock has dated other footage into a window."""
        return any(window.intersection(wrong) for wrong in self._dated_wrong)

    def recorded_from(self) -> WallTime | None:
        """Return since when nothing has disturbed the recording; None if it is disturbed now."""
        return self._recorded_from


def _without(one: Window, other: Window) -> Sequence[Window]:
    if one.intersection(other) is None:
        return [one]
    edges = ((one.start, other.start), (other.end, one.end))
    return [Window(start, end) for start, end in edges if start < end]


def _wider(one: Window, seconds: float) -> Window:
    return Window(WallTime(one.start - int(seconds * SECOND_NS)), WallTime(one.end + int(seconds * SECOND_NS)))


def _now(ahead_s: float = 0.0) -> WallTime:
    return WallTime(time.time_ns() + int(ahead_s * SECOND_NS))
