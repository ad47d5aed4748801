"""Camera time to hub time: from arrival, from sender reports, and when a new run is due."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.timeline import (
    ARRIVAL_ERROR_NS,
    REPORT_AGE_NS_MAX,
    REPORT_ERROR_NS,
    ClockOffset,
    ClockSource,
    StepWatch,
    Timeline,
    hub_time,
    ntp_to_unix_ns,
)
from agent.clock import SECOND_NS, Instant, WallTime
from tests.simulators.rtsp_camera import ntp64

T0 = WallTime(1_790_000_000 * SECOND_NS)
HZ = 90_000
MS = 1_000_000


def at(seconds: float) -> WallTime:
    """Return a hub time that many seconds after the test's start."""
    return WallTime(T0 + round(seconds * 1000) * MS)


@given(st.integers(0, 2**31 * SECOND_NS))
def test_ntp_timestamps_map_back_to_within_a_nanosecond(unix_ns: int) -> None:
    """A time written as an NTP fraction is read back within 1 ns, also beyond the era's end in 2036."""
    assert abs(ntp_to_unix_ns(ntp64(unix_ns) & (1 << 64) - 1) - unix_ns) <= 1


@given(st.integers(0, 10**9 - 1), st.integers(0, 2**32 - 1), st.integers(-(10**9), 10**9))
def test_report_maps_its_own_timestamp_exactly(fraction_ns: int, rtp: int, offset_ns: int) -> None:
    """A report's moment, corrected by the known offset, is the hub time of its timestamp within 1 ns."""
    timeline = Timeline(HZ, ClockOffset(offset_ns, offset_ns))
    timeline.arrived(rtp, T0)
    camera_ns = T0 - SECOND_NS + fraction_ns + offset_ns
    assert timeline.reported(ntp64(camera_ns), rtp, rtp, T0)
    anchor = timeline.anchor
    assert anchor is not None
    assert anchor.source is ClockSource.SR_ONVIF
    assert abs(hub_time(anchor, rtp) - (camera_ns - offset_ns)) <= 1


def test_arrival_follows_the_least_late_picture() -> None:
    """With jitter of up to 300 ms the mapping settles at the least delay, and says its bound and source."""
    jitter = random.Random(1)  # noqa: S311 - a repeatable test
    timeline = Timeline(HZ, None)
    for tick in range(400):
        assert timeline.arrived(tick * HZ // 4, at(tick * 0.25 + 0.05 + jitter.random() * 0.3))
    anchor = timeline.anchor
    assert anchor is not None
    assert (anchor.source, anchor.error_ns) == (ClockSource.ARRIVAL, ARRIVAL_ERROR_NS)
    assert 0.04 <= (hub_time(anchor, 0) - T0) / SECOND_NS <= 0.08


def test_arrival_follows_a_camera_clock_that_lags() -> None:
    """A camera that is 200 ppm slow stays within the stated bound over a day."""
    timeline = Timeline(HZ, None)
    for second in range(0, 86_400, 5):
        assert timeline.arrived(int(second * HZ * (1 - 200e-6)) % 2**32, at(second))
    anchor = timeline.anchor
    assert anchor is not None
    newest = int(86_395 * HZ * (1 - 200e-6)) % 2**32
    assert abs(hub_time(anchor, newest) - at(86_395)) < ARRIVAL_ERROR_NS


def test_report_without_a_known_offset_is_bound_by_arrival() -> None:
    """A camera with a wildly wrong clock still gets a mapping, by arrival, with its own bound."""
    timeline = Timeline(HZ, None)
    timeline.arrived(1000, T0)
    assert timeline.reported(ntp64(5 * SECOND_NS), 1000, 1000, T0)
    anchor = timeline.anchor
    assert anchor is not None
    assert (anchor.source, anchor.error_ns, anchor.hub) == (ClockSource.SR, REPORT_ERROR_NS, T0)


def test_report_with_offset_carries_the_offsets_error() -> None:
    """The bound of a report is the bound of the measured offset; the estimate is taken off."""
    timeline = Timeline(HZ, ClockOffset(3600 * SECOND_NS - 20 * MS, 3600 * SECOND_NS + 20 * MS))
    timeline.arrived(0, T0)
    timeline.reported(ntp64(at(3600 - 0.1)), 0, 0, T0)
    anchor = timeline.anchor
    assert anchor is not None
    assert anchor.error_ns == 20 * MS
    assert abs(anchor.hub - at(-0.1)) <= 1


def test_absurd_reports_are_ignored_and_counted() -> None:
    """A picture from the future, an old one, and a timestamp out of nowhere change nothing."""
    timeline = Timeline(HZ, ClockOffset(-10 * MS, 10 * MS))
    timeline.arrived(0, T0)
    for camera, rtp in ((at(1.1), 0), (at(-10.1), 0), (T0, 2**31)):
        assert timeline.reported(ntp64(camera), rtp, 0, T0)
    assert timeline.reported(0, 0, 0, T0)  # "no notion of time" is no contradiction
    anchor = timeline.anchor
    assert timeline.reports_ignored == 3
    assert anchor is not None
    assert anchor.source is ClockSource.ARRIVAL


def test_report_that_moves_the_mapping_asks_for_a_new_run() -> None:
    """More than a second is a step; less is followed."""
    timeline = Timeline(HZ, ClockOffset(0, 0))
    timeline.arrived(0, T0)
    assert timeline.reported(ntp64(at(-0.1)), 0, 0, T0)
    timeline.arrived(5 * HZ, at(5))
    assert timeline.reported(ntp64(at(4.2)), 5 * HZ, 5 * HZ, at(5))
    assert not timeline.reported(ntp64(at(3.1)), 5 * HZ, 5 * HZ, at(5))


def test_pictures_that_fall_far_behind_ask_for_a_new_run() -> None:
    """A camera whose timestamps stand still while pictures come loses its mapping after ten seconds."""
    timeline = Timeline(HZ, None)
    assert timeline.arrived(0, T0)
    assert timeline.arrived(0, at(9.9))
    assert not timeline.arrived(0, at(10.1))


def test_reports_that_stop_ask_for_a_new_run() -> None:
    """A mapping from reports is not stretched for ever."""
    timeline = Timeline(HZ, ClockOffset(0, 0))
    assert timeline.arrived(0, T0)
    assert timeline.reported(ntp64(T0), 0, 0, T0)
    age_s = REPORT_AGE_NS_MAX // SECOND_NS
    assert timeline.arrived(age_s * HZ, at(age_s))
    assert not timeline.arrived((age_s + 1) * HZ, at(age_s + 1))


def test_hub_clock_steps_are_noticed_and_slow_readings_are_not_believed() -> None:
    """UTC that jumps against the monotonic clock is a step, once; drift and a preempted reading are not."""
    watch = StepWatch()

    def reading(monotonic_ms: int, utc_ms: int, took_ms: int = 0) -> bool:
        before = Instant(monotonic_ms * MS)
        return watch.is_step(before, WallTime(T0 + utc_ms * MS), Instant(before + took_ms * MS))

    assert not reading(0, 0)
    assert not reading(250, 251)
    assert not reading(500, 900, took_ms=400)
    assert not reading(750, 750)
    assert reading(1000, 3000)
    assert not reading(1250, 3250)
    assert reading(1500, 3300)
