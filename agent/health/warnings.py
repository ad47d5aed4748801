"""How the hub does to what a person should look at: in plain words, with a cure, and without flapping.

Rules of this file: a warning is there once its cause has lasted as long as its kind demands, and goes when the cause
has been away for `QUIET_S`; one cause makes one warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.acquire.event_topics import EventKind
from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, Instant, parse_rfc3339
from agent.health.vitals import CameraVitals, HealthWarning, HubVitals
from agent.pictures.judge import Fault

QUIET_S: Final = 60
NO_VIDEO_S: Final = 15
LOSS_MAX: Final = 0.01
KEY_INTERVAL_S_MAX: Final = 4.0  # a cut re-encodes up to so much at each end, and begins to send so late
_KEY_INTERVAL_S: Final = KEY_INTERVAL_S_MAX + 0.1  # a camera set to 4 s is measured a little above or below
CLOCK_OFFSET_MS_MAX: Final = 2000.0
TIME_ERROR_MS_MAX: Final = 1000.0
OUTBOX_FULL_SHARE: Final = 0.85  # an eighth of it, at most 128 MiB, is for what is happening now
FLOOR_MARGIN: Final = 0.9  # footage leaves by whole slabs, so there is a little less than was asked for

LASTS_S: Final = {
    "no_video": NO_VIDEO_S,  # a reconnection is no news
    "tampered": 60,  # a light that goes on or off blinds a camera for a moment
    "packets_lost": 10,  # after a start, one packet is a large share
    "time_uncertain": 30,  # each run learns for 10 s
    "store_away": 60,
    "clock_untrusted": 120,  # after a start, until the time server has answered
}
"""How long a cause must last; others count at once."""

_SILENT_ON_PURPOSE: Final = frozenset({CameraState.STOPPED.value, CameraState.OFF.value})

PICTURES: Final[dict[str, tuple[str, str]]] = {
    Fault.BLACK: ("its picture is black", "check its lens cap, its light at night and its exposure"),
    Fault.BLINDED: (
        "its picture shows next to nothing: covered, sprayed, fogged or dazzled",
        "look what is before its lens, and clean it",
    ),
    Fault.FROZEN: ("its picture stands still while its time goes on", "restart the camera"),
    Fault.MOVED: ("it looks elsewhere than before", "turn it back; if it was turned on purpose, wait a day"),
    Fault.BLURRED: ("its picture is less sharp than it was", "clean its lens, then focus it anew"),
    Fault.UNJUDGED: ("its key pictures could not be judged", "look at a snapshot; restart the camera"),
}
"""Words and cure by code; how long a fault must last is `picture_judge.LASTS_S`."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What was different when somebody looked last."""

    dropped_chunks: int = 0  # by the ring, since then
    leaving: frozenset[CameraId] = frozenset()  # cameras whose oldest footage the ring has begun to recycle


def find_warnings(vitals: HubVitals, changes: Changes) -> tuple[HealthWarning, ...]:
    """Return every cause for a warning that there is now, those of the hub first."""
    found = [*_of_the_hub(vitals, changes)]
    is_ring_short = any(warning.code == "ring_short" for warning in found)
    for camera in vitals.cameras:
        found += _of_what_comes(camera, vitals.written)
        found += _of_its_times(camera)
        found += _of_its_picture(camera)
        found += _of_its_events(camera)
        found += _of_its_footage(camera, vitals, changes, is_ring_short=is_ring_short)
    return tuple(found)


class WarningWatch:
    """Holds what was seen before against what is seen now."""

    def __init__(self) -> None:
        self._dropped = 0
        self._oldest: dict[CameraId, str] = {}
        self._leaving: set[CameraId] = set()
        self._began: dict[tuple[str, CameraId], Instant] = {}  # causes
        self._standing: dict[tuple[str, CameraId], tuple[HealthWarning, Instant]] = {}  # and when last found

    def look(self, vitals: HubVitals, now: Instant) -> tuple[HealthWarning, ...]:
        """Return the warnings that stand now, those of the hub first; `since` says from when on."""
        found = {(one.code, one.camera): one for one in find_warnings(vitals, self._changes(vitals))}
        self._began = {key: self._began.get(key, now) for key in found}
        for key, warning in found.items():
            if key in self._standing or now - self._began[key] >= LASTS_S.get(warning.code, 0) * SECOND_NS:
                since = self._standing[key][0].since if key in self._standing else vitals.written
                self._standing[key] = msgspec.structs.replace(warning, since=since), now
        known = {camera.id for camera in vitals.cameras}
        self._standing = {
            key: (warning, seen)
            for key, (warning, seen) in self._standing.items()
            if now - seen < QUIET_S * SECOND_NS and (not warning.camera or warning.camera in known)
        }
        standing = sorted(warning.camera for warning, _ in self._standing.values())
        order = {camera: place for place, camera in enumerate(dict.fromkeys(standing))}
        return tuple(sorted((w for w, _ in self._standing.values()), key=lambda w: (order[w.camera], w.since, w.code)))

    def _changes(self, vitals: HubVitals) -> Changes:
        dropped = vitals.ring.dropped_chunks if vitals.ring else 0
        before, self._dropped = self._dropped, dropped
        for camera in vitals.cameras:
            oldest = self._oldest.get(camera.id)
            if camera.footage_oldest:
                if oldest and parse_rfc3339(oldest) < parse_rfc3339(camera.footage_oldest):
                    self._leaving.add(camera.id)
                self._oldest[camera.id] = camera.footage_oldest
        return Changes(max(0, dropped - before), frozenset(self._leaving))


def _of_the_hub(vitals: HubVitals, changes: Changes) -> Iterator[HealthWarning]:
    if not vitals.is_clock_trusted:
        yield HealthWarning(
            "clock_untrusted",
            "nobody vouches for the hub's clock: commands are refused",
            "let NTP out, or have the server sign its time",
        )
    yield from _of_the_certificate(vitals)
    yield from _of_the_outbox(vitals)
    ring = vitals.ring
    if ring is None:
        return
    if ring.last_error:
        yield HealthWarning(
            "disk_failing", f"the ring's disk does not take what is recorded: {ring.last_error}", "check or replace it"
        )
    if changes.dropped_chunks:
        yield HealthWarning(
            "footage_dropped",
            f"footage was lost since the disk was away or too slow, {ring.dropped_chunks} chunks since the start",
            "check or replace the disk",
        )
    shared = [camera for camera in vitals.cameras if not camera.is_apart]
    longest_s = max((camera.footage_s for camera in shared), default=0.0)
    is_full = any(camera.id in changes.leaving for camera in shared)
    if is_full and longest_s < ring.floor_s * FLOOR_MARGIN:
        yield HealthWarning(
            "ring_short",
            f"the ring is full and holds {_length(longest_s)}, less than the {_length(ring.floor_s)} it should",
            "raise ring.size_mib, or lower the cameras' bit rates",
        )


def _of_the_certificate(vitals: HubVitals) -> Iterator[HealthWarning]:
    """Return what follows from its dates, where somebody vouches for the time to compare them with."""
    certificate = vitals.certificate
    if certificate is None:
        return
    again = "reset the hub and enrol it again"
    why = certificate.why or (again if not certificate.due else "see that the hub reaches its server")
    if vitals.is_clock_trusted and certificate.ends and _seconds_between(certificate.ends, vitals.written) >= 0:
        words = f"its certificate ended at {certificate.ends}: the broker does not let it in once it connects anew"
        yield HealthWarning("certificate_ended", words, f"{why}; {again} if that does not help")
    elif certificate.is_refused:
        words = f"its server refuses to know its certificate, which ends at {certificate.ends}"
        yield HealthWarning("certificate_ending", words, why)
    elif vitals.is_clock_trusted and certificate.late and _seconds_between(certificate.late, vitals.written) >= 0:
        words = f"its certificate ends at {certificate.ends} and was not renewed"
        yield HealthWarning("certificate_ending", words, why)


def _of_the_outbox(vitals: HubVitals) -> Iterator[HealthWarning]:
    outbox = vitals.outbox
    if outbox is None or not outbox.parts:
        return
    waits = f"{outbox.parts} parts ({outbox.parts_bytes / 1e6:.0f} MB) wait, the oldest since {outbox.oldest}"
    if outbox.is_store_away:
        yield HealthWarning("store_away", f"the store takes nothing: {waits}", "check the uplink, then the store")
    if outbox.bytes > OUTBOX_FULL_SHARE * outbox.bytes_max:
        cure = "check the uplink and the store; raise clips.outbox_mib, or the cap in upload"
        yield HealthWarning("outbox_full", f"the outbox is full, clips wait uncut in the ring: {waits}", cure)


def _of_what_comes(camera: CameraVitals, now: str) -> Iterator[HealthWarning]:
    is_recording = _is_recording(camera)
    is_silent = not is_recording or _seconds_between(camera.last_byte, now) > NO_VIDEO_S
    if is_silent and camera.state not in _SILENT_ON_PURPOSE:
        words = f"no video since {camera.last_byte}" if camera.last_byte else "no video yet"
        yield HealthWarning("no_video", words, camera.note or "check its power and cable", camera.id)
    if camera.loss_share > LOSS_MAX:
        words = f"{camera.loss_share:.1%} of its packets were lost in the last minute"
        cure = "check cable, switch and Wi-Fi, or lower its bit rate"
        if camera.datagrams_dropped:
            cure = f"{cure}; this hub dropped {camera.datagrams_dropped}: raise net.core.rmem_max"
        yield HealthWarning("packets_lost", words, cure, camera.id)
    if is_recording and camera.key_interval_s is not None and camera.key_interval_s > _KEY_INTERVAL_S:
        words = f"key pictures are {camera.key_interval_s:.1f} s apart: clips begin and end late"
        yield HealthWarning("key_pictures_rare", words, "set its I-frame interval to 1 or 2 s", camera.id)


def _of_its_events(camera: CameraVitals) -> Iterator[HealthWarning]:
    active = {kind.kind for kind in (camera.events.kinds if camera.events else ()) if kind.is_active}
    if EventKind.TAMPER in active:
        words = "it says that it is covered, blinded, moved or out of focus"
        yield HealthWarning("tampered", words, "look at its picture, and clean or point it again", camera.id)
    if EventKind.FAILURE in active:
        yield HealthWarning("camera_failing", "it reports a failure of its hardware", "see its own page", camera.id)


def _of_its_times(camera: CameraVitals) -> Iterator[HealthWarning]:
    offset_ms = camera.clock_offset_ms or 0.0
    if abs(offset_ms) > CLOCK_OFFSET_MS_MAX:
        way = "ahead" if offset_ms > 0 else "behind"
        words = f"its clock is {abs(offset_ms) / 1000:.1f} s {way}; its pictures' times are corrected"
        yield HealthWarning("clock_wrong", words, "set its NTP server", camera.id)
    if _is_recording(camera) and camera.time_error_ms is not None and camera.time_error_ms > TIME_ERROR_MS_MAX:
        words = f"its pictures' times are known to {camera.time_error_ms / 1000:.1f} s only"
        cure = "set its NTP server, and check how steady its network is"
        yield HealthWarning("time_uncertain", words, cure, camera.id)


def _of_its_picture(camera: CameraVitals) -> Iterator[HealthWarning]:
    if camera.picture is None or not _is_recording(camera):
        return
    for code in camera.picture.faults:
        words, cure = PICTURES[code]
        why = f": {camera.picture.why_unjudged}" if code == Fault.UNJUDGED and camera.picture.why_unjudged else ""
        yield HealthWarning(code, words + why, cure, camera.id)


def _of_its_footage(
    camera: CameraVitals, vitals: HubVitals, changes: Changes, *, is_ring_short: bool
) -> Iterator[HealthWarning]:
    ring, test = vitals.ring, camera.self_test
    if camera.is_apart:
        words = f"it sends so much that it is kept apart in the ring, with {_length(camera.footage_s)} of footage"
        yield HealthWarning("kept_apart", words, "lower its bit rate, or raise ring.size_mib", camera.id)
    elif ring and camera.id in changes.leaving and camera.footage_s < ring.floor_s * FLOOR_MARGIN and not is_ring_short:
        words = f"the ring holds {_length(camera.footage_s)} of it, less than the {_length(ring.floor_s)} it should"
        yield HealthWarning("footage_short", words, "raise ring.size_mib, or lower the cameras' bit rates", camera.id)
    if test is not None and not test.can_serve and (test.chunks_bad or not is_ring_short):
        words = f"its last hour cannot be served whole: {test.why}"
        cure = "check or replace the disk" if test.chunks_bad else ""
        yield HealthWarning("self_test_failed", words, cure, camera.id)


def _is_recording(camera: CameraVitals) -> bool:
    return camera.state == CameraState.RECORDING.value


def _seconds_between(before: str, after: str) -> float:
    return (parse_rfc3339(after) - parse_rfc3339(before)) / SECOND_NS if before else 0.0


def _length(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 2 * 3600 else f"{seconds / 60:.0f} minutes"
