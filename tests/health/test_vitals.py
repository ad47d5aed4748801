"""The hub in one value: put together from what there is, without a secret, and believed only while it is new."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.event_board import EventFact, EventHealth
from agent.acquire.event_session import EventState
from agent.acquire.event_topics import EventKind
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockSource
from agent.clock import SECOND_NS, Instant, SignedTime, rfc3339
from agent.errors import BadInputError, UnavailableError
from agent.health.self_test import CameraTest
from agent.health.vitals import (
    STALE_S,
    EventKindVitals,
    EventVitals,
    HealthWarning,
    decode_vitals,
    encode_vitals,
    gather,
)
from tests.simulators.ring_content import CAMERA, StillClock, at
from tests.simulators.ring_log import SETTINGS, opened, record
from tests.simulators.set_clock import SetClock
from tests.simulators.vital_signs import DOOR, START, YARD, camera, hub

SHED = CameraId("shed")
HEALTH = CameraHealth(
    CAMERA,
    CameraState.RECORDING,
    last_byte=at(9),
    bytes_received=180_000,
    bytes_per_s=20_000.04,
    pictures_per_s=9.996,
    packets_lost=3,
    loss_share=0.0012345678,
    key_interval_s=4.0,
    clock_offset_ns=-1_500_000,
    clock_offset_error_ns=250_000,
    time_source=ClockSource.SR,
    time_error_ns=41_000_000,
)


def test_what_recorder_ring_and_self_test_say_is_one_value(tmp_path: Path) -> None:
    """Cameras by name; one that is not in the ring yet has no footage."""
    test = CameraTest(CAMERA, can_serve=True)
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 10))
        ring = (log.stats(), SETTINGS)
        vitals = gather(
            "hub-1", [CameraHealth(SHED), HEALTH], {CAMERA: "Front door"}, ring, {CAMERA: test}, StillClock()
        )
    door, shed = vitals.cameras
    assert (door.id, door.name, door.state, door.self_test) == (CAMERA, "Front door", "recording", test)
    assert (door.last_byte, door.bytes_per_s, door.pictures_per_s) == (rfc3339(at(9)), 20_000.0, 10.0)
    assert (door.clock_offset_ms, door.clock_offset_error_ms, door.time_error_ms) == (-1.5, 0.25, 41.0)
    assert (door.footage_oldest, door.footage_newest) == (rfc3339(at(0)), rfc3339(at(9.9)))
    assert door.footage_s == 9.9
    assert (shed.id, shed.name, shed.last_byte, shed.footage_s) == (SHED, "", "", 0.0)
    assert (shed.clock_offset_ms, shed.clock_offset_error_ms, shed.time_error_ms) == (None, None, None)
    assert vitals.ring is not None
    assert vitals.ring.bytes == door.footage_bytes > 9 * 20_000
    assert (vitals.ring.bytes_max, vitals.ring.floor_s) == (SETTINGS.bytes_max, SETTINGS.floor_s)
    assert decode_vitals(encode_vitals(vitals), Instant(vitals.instant_ns)) == vitals


def test_without_a_ring_there_are_cameras_all_the_same() -> None:
    """A hub without owner records nothing to disk."""
    vitals = gather("hub-1", [HEALTH], {}, None, {}, StillClock(is_trusted=False))
    assert (vitals.ring, vitals.is_clock_trusted) == (None, False)
    assert vitals.cameras[0].footage_bytes == 0


def test_events_are_shown_with_their_camera() -> None:
    """What a camera told, by kind; a time only where it was so."""
    facts = {EventKind.TAMPER: EventFact(), EventKind.MOTION: EventFact(is_active=True, last=at(3), count=2)}
    told = {DOOR: EventHealth(EventState.SUBSCRIBED, "", facts, kept=3, left_out=1)}
    vitals = gather("hub-1", [replace(HEALTH, camera=DOOR)], {}, None, {}, StillClock(), events=told)
    motion = EventKindVitals("motion", is_active=True, last=rfc3339(at(3)), count=2)
    tamper = EventKindVitals("tamper", is_active=False, last="", count=0)
    assert vitals.cameras[0].events == EventVitals("subscribed", "", 3, 1, (motion, tamper))
    assert decode_vitals(encode_vitals(vitals), Instant(vitals.instant_ns)) == vitals


def test_signed_time_has_its_bound() -> None:
    """Who vouches for the time is said, and how well; NTP says nothing of its own error."""
    clock = SetClock(START)
    by_ntp = gather("hub-1", [], {}, None, {}, clock)
    assert (by_ntp.is_clock_trusted, by_ntp.clock_source, by_ntp.clock_error_ms) == (True, "network", None)
    clock.trusted = False
    nobody = gather("hub-1", [], {}, None, {}, clock)
    assert (nobody.is_clock_trusted, nobody.clock_source) == (False, "none")
    offset_ns = START - clock.since_boot()
    clock.believe(SignedTime(offset_ns - 10**8, offset_ns + 10**8, offset_ns, clock.since_boot()))
    signed = gather("hub-1", [], {}, None, {}, clock)
    assert (signed.is_clock_trusted, signed.clock_source, signed.clock_error_ms) == (True, "signed", 100.0)


def test_old_news_are_no_news() -> None:
    """The daemon has ended, or this is another boot, whatever UTC says."""
    vitals = hub()
    fresh = Instant(vitals.instant_ns + round((STALE_S - 1) * SECOND_NS))
    assert decode_vitals(encode_vitals(vitals), fresh) == vitals
    for other in (fresh + 2 * SECOND_NS, vitals.instant_ns - 1):
        with pytest.raises(UnavailableError, match="has said nothing since 2026-"):
            decode_vitals(encode_vitals(vitals), Instant(other))


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[" * 5000, encode_vitals(hub())[:-9]]))
def test_what_is_no_status_is_refused(text: bytes) -> None:
    """A file that somebody else wrote, or half of one."""
    with pytest.raises(BadInputError, match="not a hub's status"):
        decode_vitals(text, Instant(0))


def test_warnings_are_found_by_camera() -> None:
    """Those of the hub itself under the empty name."""
    own, door = HealthWarning("disk_failing", "it fails"), HealthWarning("no_video", "none", "look", DOOR)
    found = hub(camera(DOOR), camera(YARD), warnings=(own, door)).camera_warnings
    assert found == {"": (own,), DOOR: (door,)}
    assert (str(own), str(door)) == ("it fails", "none (look)")
