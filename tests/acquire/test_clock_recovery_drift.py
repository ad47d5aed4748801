"""A clock an hour wrong that drifts for hours: every picture lies within its stated bound, and that is narrow."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.acquire.timeline import RATE_PPM_MAX, ClockSource
from agent.clock import SECOND_NS
from tests.simulators.drifting_camera import T0, Dated, DriftingCamera, resolved, watch

MS = 1_000_000
ROUNDING_NS = 12_000  # a tick of 90 kHz: the camera writes down no finer time
BOUND_NS_MAX = 100 * MS  # of a camera on a calm network, once it has settled
SETTLED_S = 20


def broken(pictures: list[Dated]) -> list[tuple[Dated, int]]:
    """Return the pictures that lie outside their stated bound, and by how many ns."""
    outside = []
    for picture, anchor in resolved(pictures):
        way_ns = abs(anchor.hub - T0 - picture.taken) * RATE_PPM_MAX // 10**6  # the ring adds it to what it resolves
        excess_ns = picture.error_ns(anchor) - anchor.error_ns - way_ns - ROUNDING_NS
        if excess_ns > 0:
            outside.append((picture, excess_ns))
    return outside


@settings(max_examples=12)
@given(
    camera=st.builds(
        DriftingCamera,
        ppm=st.integers(-200, 200),
        offset_ns=st.integers(-(10**14), 10**14),
        latency_ms=st.integers(5, 150),
        jitter_ms=st.integers(0, 200),
        stall_every_s=st.sampled_from([0, 30, 300]),
        report_s=st.integers(1, 20),
        first_rtp=st.integers(0, 2**32 - 1),
        reconnect_s=st.sampled_from([0, 47, 600, 2400]),
        measured_every_s=st.sampled_from([0, 60, 600]),
        measured_within_ms=st.integers(1, 40),
        deaf_s=st.sampled_from([0, 900]),
    ),
    seed=st.integers(0, 2**32),
)
@example(camera=DriftingCamera(ppm=-200, reconnect_s=600, measured_every_s=0), seed=1)
@example(camera=DriftingCamera(ppm=200, reconnect_s=600, measured_every_s=0), seed=1)
def test_no_picture_lies_outside_its_bound(camera: DriftingCamera, seed: int) -> None:
    """Whatever it drifts by, however often it is measured, if ever again, and however many sessions that lasts."""
    assert broken(list(watch(camera, 3600, tick_ms=1000, seed=seed))) == []


@settings(max_examples=4)
@given(
    camera=st.builds(
        DriftingCamera,
        ppm=st.sampled_from([-200, 200]),
        latency_ms=st.integers(20, 90),
        jitter_ms=st.integers(0, 5),
        reconnect_s=st.sampled_from([0, 1800]),
    ),
    seed=st.integers(0, 2**32),
)
def test_measured_every_minute_the_bound_stays_narrow_for_hours(camera: DriftingCamera, seed: int) -> None:
    """At 200 ppm two clocks go apart by three seconds in four hours, and no picture is dated worse than by 100 ms."""
    pictures = list(watch(camera, 4 * 3600, tick_ms=1000, seed=seed))
    assert broken(pictures) == []
    began: dict[int, int] = {}
    for picture in pictures:
        since = picture.taken - began.setdefault(picture.session, picture.taken)
        if since > SETTLED_S * SECOND_NS:
            assert picture.anchor.source is ClockSource.SR_ONVIF
            assert picture.anchor.error_ns < BOUND_NS_MAX
            assert picture.error_ns(picture.anchor) < BOUND_NS_MAX / 2
