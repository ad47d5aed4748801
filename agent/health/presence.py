"""What the broker keeps about this hub for the server: whether it is there, who owns it, which cameras it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final

import msgspec

from agent.acquire.health import CameraHealth
from agent.acquire.stream import CameraId
from agent.cameras.watch import CameraWatch
from agent.clock import TimeSource
from agent.consent.standing import Standing
from agent.evidence.note import Verifier
from agent.health.vitals import HealthWarning, HubVitals
from provisioning.pairing import enrolment_text

NOTE_CHARS_MAX: Final = 240
"""So that the message of a hub with 64 cameras in trouble fits a broker's packet (128 KiB) three times."""


class CameraPresence(msgspec.Struct, frozen=True, omit_defaults=True):
    """One camera, for the server's and the owner's lists. Minutes are of when the message was written.

    There are no bit rates and no motion in it: those tell whoever reads them when something moves before the camera.
    """

    id: CameraId
    name: str
    state: str  # a word of `CameraState`, or "trouble"
    note: str = ""  # what a person can do about it
    warnings: tuple[str, ...] = ()  # codes of `health/warnings.py`
    footage_min: int = 0  # in the ring
    covered_min: int = 0  # of the last hour, by the last self-test
    events: str = ""  # a word of `EventState`


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
    warnings: tuple[str, ...] = ()  # of the hub itself
    note: str = ""  # what a person can do about them
    restart: str = ""  # the firmware version that the machine will be restarted into
    certificate_ends: str = ""  # of the hub's certificate: RFC 3339
    clock: str = ""  # who vouches for its time, where that is not NTP: "signed", "assumed", "none"
    v: int = 1


class PresenceBoard:
    """Puts together what is known of the hub at this moment."""

    def __init__(
        self,
        watch: CameraWatch,
        health: Callable[[], Sequence[CameraHealth]],
        vitals: Callable[[], HubVitals | None] = lambda: None,
        clock_source: Callable[[], TimeSource] = lambda: TimeSource.NETWORK,
    ) -> None:
        self.restart: Callable[[], str] = lambda: ""  # which firmware version waits for it
        self._watch, self._health, self._vitals, self._clock_source = watch, health, vitals, clock_source
        self.on_change: Callable[[], None] = lambda: None

    def changed(self) -> None:
        """Say that something is different now."""
        self.on_change()

    @property
    def cameras(self) -> frozenset[CameraId]:
        """Every camera that commands can name."""
        return frozenset(self._watch.streams)

    def names(self) -> dict[CameraId, str]:
        """Return what each camera calls itself; called in any thread."""
        return {name: stream.name for name, stream in list(self._watch.streams.items())}

    def camera_name(self, camera: CameraId) -> str:
        """Return what the camera calls itself, or nothing."""
        stream = self._watch.streams.get(camera)
        return stream.name if stream else ""

    def online(self, boot: int, standing: Standing, evidence: Verifier, enrolment: bytes) -> bytes:
        """Write the birth message; `enrolment` (32 bytes) is for whoever wants to become the owner."""
        vitals = self._vitals()
        warnings = vitals.camera_warnings if vitals else {}
        own, source = warnings.get(CameraId(""), ()), self._clock_source()
        presence = Presence(
            state="online",
            boot=boot,
            version=version("transom"),
            is_paired=standing.owner is not None,
            pairing="" if standing.owner else enrolment_text(enrolment),
            policy_version=standing.policy.version if standing.policy else 0,
            evidence_key=str(evidence),
            cameras=tuple(self._cameras(vitals, warnings)),
            warnings=tuple(warning.code for warning in own),
            note=_note(own),
            restart=self.restart(),
            certificate_ends=vitals.certificate.ends if vitals and vitals.certificate else "",
            clock="" if source is TimeSource.NETWORK else source.value,
        )
        return msgspec.json.encode(presence)

    def offline(self, boot: int) -> bytes:
        """Write the last will."""
        return msgspec.json.encode(Presence(state="offline", boot=boot))

    def _cameras(
        self, vitals: HubVitals | None, warnings: Mapping[CameraId, tuple[HealthWarning, ...]]
    ) -> Iterator[CameraPresence]:
        health = {one.camera: one for one in self._health()}
        known = {one.id: one for one in vitals.cameras} if vitals else {}
        for name, stream in sorted(self._watch.streams.items()):
            now = health.get(name)
            state, error = (now.state.value, now.error) if now else ("connecting", "")
            own = warnings.get(name, ())
            figures = known.get(name)
            tested = figures.self_test if figures else None
            yield CameraPresence(
                name,
                stream.name,
                state,
                note=error[:NOTE_CHARS_MAX] or _note(own),
                warnings=tuple(warning.code for warning in own),
                footage_min=int(figures.footage_s // 60) if figures else 0,
                covered_min=int(tested.covered_s // 60) if tested else 0,
                events=figures.events.state if figures and figures.events else "",
            )
        for name, trouble in sorted(self._watch.troubles.items()):
            if name not in self._watch.streams:
                yield CameraPresence(name, "", "trouble", trouble.why[:NOTE_CHARS_MAX])


def _note(warnings: Sequence[HealthWarning]) -> str:
    return str(warnings[0])[:NOTE_CHARS_MAX] if warnings else ""
