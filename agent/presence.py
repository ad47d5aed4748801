"""What the broker keeps about this hub for the server: whether it is there, who owns it, which cameras it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

import msgspec

from agent.acquire.health import CameraHealth
from agent.acquire.stream import CameraId
from agent.camera_watch import CameraWatch
from agent.consent.standing import Standing
from agent.evidence.note import Verifier
from provisioning.pairing import enrolment_text


class CameraPresence(msgspec.Struct, frozen=True):
    """One camera, for the server's and the owner's lists."""

    id: CameraId
    name: str
    state: str  # a word of `CameraState`, or "trouble"
    note: str = ""  # what a person can do about it


class Presence(msgspec.Struct, frozen=True, omit_defaults=True):
    """The retained message on `hub/v1/{hub}/state`; the last will is the same with `state` "offline"."""

    state: str  # "online" or "offline"
    boot: int  # counts starts of the agent: a will of an older boot is old news
    version: str = ""
    is_paired: bool = False
    pairing: str = ""  # while not paired: what the owner's app puts under its proof (`provisioning/FORMAT.md`, 4)
    policy_version: int = 0
    evidence_key: str = ""  # the hub's verifier line, to be compared with what enrolment registered
    cameras: tuple[CameraPresence, ...] = ()
    v: int = 1


class PresenceBoard:
    """Puts together what is known of the hub at this moment."""

    def __init__(self, watch: CameraWatch, health: Callable[[], Sequence[CameraHealth]]) -> None:
        self._watch, self._health = watch, health
        self.on_change: Callable[[], None] = lambda: None

    def changed(self) -> None:
        """Say that something is different now."""
        self.on_change()

    @property
    def cameras(self) -> frozenset[CameraId]:
        """Every camera that commands can name."""
        return frozenset(self._watch.streams)

    def camera_name(self, camera: CameraId) -> str:
        """Return what the camera calls itself, or nothing."""
        stream = self._watch.streams.get(camera)
        return stream.name if stream else ""

    def online(self, boot: int, standing: Standing, evidence: Verifier, enrolment: bytes) -> bytes:
        """Write the birth message; `enrolment` (32 bytes) is for whoever wants to become the owner."""
        presence = Presence(
            state="online",
            boot=boot,
            version=version("transom"),
            is_paired=standing.owner is not None,
            pairing="" if standing.owner else enrolment_text(enrolment),
            policy_version=standing.policy.version if standing.policy else 0,
            evidence_key=str(evidence),
            cameras=tuple(self._cameras()),
        )
        return msgspec.json.encode(presence)

    def offline(self, boot: int) -> bytes:
        """Write the last will."""
        return msgspec.json.encode(Presence(state="offline", boot=boot))

    def _cameras(self) -> list[CameraPresence]:
        health = {camera.camera: camera for camera in self._health()}
        found = []
        for name, stream in sorted(self._watch.streams.items()):
            now = health.get(name)
            found.append(
                CameraPresence(name, stream.name, now.state if now else "connecting", now.error if now else "")
            )
        for name, trouble in sorted(self._watch.troubles.items()):
            if name not in self._watch.streams:
                found.append(CameraPresence(name, "", "trouble", trouble.why))
        return found
