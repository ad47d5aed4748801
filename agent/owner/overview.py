"""How hub and cameras do, and what is shared at this moment, for the first page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.consent.policy import Policy
from agent.consent.schedule import Mode, instant_of, mode_in, mode_of_all
from agent.health.vitals import CameraVitals, HealthWarning, HubVitals
from agent.owner.words import Tone, length

GIB: Final = 2**30
_HUB: Final = CameraId("")

MODE_NOW: Final[dict[Mode, tuple[str, str, Tone]]] = {
    "opt_in": ("Sharing is on", "What your policy covers is shared without asking you.", Tone.PLAIN),
    "ask_first": ("You are asked first", "Nothing leaves without your yes to that incident.", Tone.PLAIN),
    "sharing_off": ("Sharing is off", "Your cameras are recorded on the hub. Nothing leaves it.", Tone.KEPT),
    "recording_off": ("Recording is off", "Your cameras are not recorded, and nothing leaves the hub.", Tone.KEPT),
}


@dataclass(frozen=True, slots=True)
class CameraLine:
    """One camera."""

    id: str
    name: str
    state: str
    tone: Tone
    footage: str
    warnings: tuple[HealthWarning, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Health:
    """The hub and its cameras."""

    cameras: tuple[CameraLine, ...]
    warnings: tuple[HealthWarning, ...]  # of the hub itself
    ring: str
    is_clock_trusted: bool


@dataclass(frozen=True, slots=True)
class Sharing:
    """What the policy says now, and which buttons there are."""

    title: str
    words: str
    tone: Tone
    version: int
    mode: Mode | None  # as it stands in the policy, without its hours
    can_pause: bool
    can_resume: bool


def health_of(vitals: HubVitals | None) -> Health | None:
    """Say how all of it does; None just after a start."""
    if vitals is None:
        return None
    warned = vitals.camera_warnings
    ring = "Nothing is recorded to disk yet."
    if vitals.ring is not None:
        ring = f"{vitals.ring.bytes / GIB:.1f} of {vitals.ring.bytes_max / GIB:.1f} GiB of footage, encrypted."
    cameras = tuple(_camera(one, warned.get(one.id, ())) for one in vitals.cameras)
    return Health(cameras, tuple(warned.get(_HUB, ())), ring, vitals.is_clock_trusted)


def sharing_of(policy: Policy | None, now: WallTime, *, is_clock_trusted: bool) -> Sharing:
    """Say what is shared at this moment, by the function that decides."""
    if policy is None:
        words = "You have not said yet what may be shared, so nothing leaves the hub. Sign a policy in your app."
        return Sharing("Nothing is shared", words, Tone.KEPT, 0, None, can_pause=False, can_resume=False)
    if is_clock_trusted:
        mode = mode_in(policy.mode, policy.schedule, policy.zone, instant_of(now))
    else:
        mode = mode_of_all(policy.mode, policy.schedule)
    title, words, tone = MODE_NOW[mode]
    if mode != policy.mode:
        words += " That is by the hours of your policy."
    is_on = policy.mode in {"opt_in", "ask_first"}
    is_paused = policy.mode == "sharing_off"
    return Sharing(title, words, tone, policy.version, policy.mode, can_pause=is_on, can_resume=is_paused)


def _camera(vitals: CameraVitals, warnings: Sequence[HealthWarning]) -> CameraLine:
    state, tone = vitals.state, Tone.TROUBLE
    if state == CameraState.RECORDING:
        tone = Tone.TROUBLE if warnings else Tone.KEPT
    elif state in {CameraState.OFF, CameraState.STOPPED, CameraState.CONNECTING}:
        tone = Tone.PLAIN
    footage = f"{length(vitals.footage_s)} in the ring" if vitals.footage_s else "no footage yet"
    note = "" if warnings else vitals.note
    return CameraLine(vitals.id, vitals.name or vitals.id, state, tone, footage, tuple(warnings), note)
