"""A hub that does well, as a value to change one thing of."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, rfc3339
from agent.health.self_test import CameraTest
from agent.health.vitals import CameraVitals, EventKindVitals, EventVitals, HubVitals, OutboxVitals, RingVitals

DOOR, YARD = CameraId("door"), CameraId("yard")
START: Final = WallTime(1_795_000_000 * SECOND_NS)
GIB: Final = 1024**3


def at(seconds: float) -> str:
    """Return a time after the start."""
    return rfc3339(WallTime(START + round(seconds * SECOND_NS)))


EVENTS: Final = EventVitals(
    state="subscribed",
    note="",
    kept=15,
    left_out=0,
    kinds=(
        EventKindVitals("motion", is_active=False, last=at(60), count=7),
        EventKindVitals("tamper", is_active=True, last="", count=1),
    ),
)


def camera(camera_id: CameraId = DOOR, /, **changes: Any) -> CameraVitals:  # noqa: ANN401 - fields of CameraVitals
    """Return a camera that does well, 9 hours after the start."""
    return replace(
        CameraVitals(
            id=camera_id,
            name=camera_id.title(),
            state="recording",
            note="",
            last_byte=at(9 * 3600),
            bytes_received=16_200_000_000,
            bytes_per_s=500_000.0,
            pictures=810_000,
            pictures_per_s=25.0,
            packets=12_000_000,
            packets_lost=12,
            loss_share=0.0,
            datagrams_dropped=0,
            reconnects=1,
            runs=2,
            chunks=64_800,
            chunks_lost=0,
            key_interval_s=2.0,
            clock_offset_ms=-12.5,
            clock_offset_error_ms=8.0,
            time_source="sr+onvif",
            time_error_ms=41.0,
            footage_bytes=8 * GIB,
            footage_oldest=at(0),
            footage_newest=at(9 * 3600),
            footage_s=9 * 3600.0,
            self_test=CameraTest(camera_id, can_serve=True, tested=at(8 * 3600), asked_s=3600, covered_s=3600),
        ),
        **changes,
    )


def ring(**changes: Any) -> RingVitals:  # noqa: ANN401 - fields of RingVitals
    """Return a ring that does well."""
    return replace(
        RingVitals(
            bytes=15 * GIB,
            bytes_max=16 * GIB,
            floor_s=3600,
            slabs=240,
            bytes_written=15 * GIB,
            commits=32_400,
            errors=0,
            last_error="",
            dropped_chunks=0,
            damaged_chunks=0,
            waiting_bytes=1_000_000,
            is_direct=True,
        ),
        **changes,
    )


def outbox(**changes: Any) -> OutboxVitals:  # noqa: ANN401 - fields of OutboxVitals
    """Return an outbox from which two parts are on their way, and a third waits."""
    return replace(
        OutboxVitals(
            parts=3,
            parts_bytes=6_000_000,
            sending=2,
            oldest=at(9 * 3600 - 20),
            bytes=6_000_000,
            bytes_max=2 * GIB,
            sent_bytes=1_000_000_000,
            uplink_bit_s=10_000_000,
            cap_bit_s=8_000_000,
            is_store_away=False,
        ),
        **changes,
    )


def hub(*cameras: CameraVitals, **changes: Any) -> HubVitals:  # noqa: ANN401 - fields of HubVitals
    """Return a hub that does well, 9 hours after the start."""
    return replace(
        HubVitals(
            hub="01J8ZQ",
            version="0.1.0",
            written=at(9 * 3600),
            instant_ns=9 * 3600 * SECOND_NS,
            is_clock_trusted=True,
            cameras=cameras or (camera(DOOR), camera(YARD)),
            ring=ring(),
            outbox=outbox(),
        ),
        **changes,
    )
