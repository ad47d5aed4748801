"""What these tests do again and again: put up a whole site, wait for what must come, and judge what arrived."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from agent.acquire.stream import CameraId
from agent.auditor import AuditVerdict, verify_audit
from agent.clip_job import Status
from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.alarm import Alarm, judge_clips, raise_alarm
from agent.demo.facts import CameraFacts, Facts
from agent.demo.site import CAMERA_NAMES, Scene, Site
from agent.evidence.audit import Entry, decode_entry

SCENE: Final = Scene(gop=15)  # a key picture each second: nobody waits longer for one
POLL_S: Final = 0.02
COMMITTED_S: Final = 2.5
"""So long after a picture was taken it is on the disk: one commit, and the next picture that closes its chunk."""

_Found = TypeVar("_Found")


@contextmanager
def whole_site(
    folder: Path, scene: Scene = SCENE, cameras: Sequence[str] = CAMERA_NAMES, **policy: object
) -> Iterator[Site]:
    """Put up a site of real processes: it is enrolled, paired and records when this yields."""
    with Site(folder / "site", scene) as site:
        site.start_cameras(cameras)
        site.start_central()
        site.start_hub()
        site.install()
        site.pair(**({"uploads_per_day_max": 1000} | policy))
        yield site


def wait_for(find: Callable[[], _Found | None], within_s: float, what: str) -> _Found:
    """Look until `find` returns something true; the test fails with `what` otherwise."""
    deadline = time.monotonic() + within_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited {within_s:g} s in vain for {what}"
        time.sleep(POLL_S)
    return found


def wait_until(moment: WallTime) -> None:
    """Let time pass until then."""
    time.sleep(max(0.0, (moment - time.time_ns()) / SECOND_NS))


def now() -> WallTime:
    """Read the clock that hub, cameras and test share."""
    return WallTime(time.time_ns())


def record_for(site: Site, seconds: float) -> Window:
    """Let the cameras record for so long and return the window of which every picture is on the disk then."""
    began = WallTime(now() + site.scene.gop * SECOND_NS // site.scene.fps)
    recorded = Window(began, WallTime(began + int(seconds * SECOND_NS)))
    wait_until(WallTime(recorded.end + int(COMMITTED_S * SECOND_NS)))
    return recorded


def alarm_about(site: Site, command: str, window: Window, **claims: object) -> Alarm:
    """Raise an alarm about a window that is over, wherever in the past it lies."""
    at = now()
    before_s, after_s = (at - window.start) / SECOND_NS, (window.end - at) / SECOND_NS
    return raise_alarm(site, command, before_s=before_s, after_s=after_s, **claims)


def camera_ids(site: Site) -> dict[str, CameraId]:
    """Return the hub's names for the cameras, by what the cameras call themselves."""
    return {camera.name: camera.id for camera in site.own(site.wait_cameras())}


def judged(site: Site, alarm: Alarm, output: Path) -> list[CameraFacts]:
    """Open the clips of an alarm as the officer does, and judge every picture."""
    output.mkdir(parents=True, exist_ok=True)
    facts = Facts()
    judge_clips(site, alarm, facts, output, lambda _: None)
    return [camera for camera in facts.cameras if camera.files]


def statuses(site: Site, command: str) -> list[Status]:
    """Return what the hub has said about a command, oldest first."""
    return [status for _, status in site.console.statuses if status.command == command]


def in_store(site: Site, command: str) -> set[str]:
    """Name the parts of a command that the store has whole, without the command."""
    return {part.removeprefix(f"{command}.") for part in site.central.store.held() if part.startswith(f"{command}.")}


def audit_entries(site: Site, ref: str | None = None) -> list[Entry]:
    """Read the hub's audit log, or what it says about one command."""
    lines = (site.folder / "hub/data/audit/audit.jsonl").read_bytes().split(b"\n")[:-1]
    return [entry for line in lines if (entry := decode_entry(line)) and ref in {None, entry.ref}]


def checked_audit(site: Site) -> AuditVerdict:
    """Verify the audit log by the key that the hub enrolled with, as its owner would, and by the server's witness."""
    key = str(site.central.enrolments.evidence_keys[site.factory.hub_id])
    return verify_audit(site.folder / "hub/data/audit", key, [str(site.central.witness)])


def cutting_children(site: Site) -> list[int]:
    """Find the processes that the hub cuts with."""
    found = []
    for task in Path(f"/proc/{site.hub.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                is_cutter = b"agent.cut.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if is_cutter:
                found.append(int(child))
    return found
