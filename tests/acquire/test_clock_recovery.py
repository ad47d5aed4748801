"""Camera time to hub time: from arrival, from sender reports, and when a new run is due."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.clock_recovery import LATENESS_NS_MAX, LEARN_NS, REORDER_NS_MAX, REPORT_AGE_NS_MAX, Timeline
from agent.acquire.timeline import (
    ARRIVAL_ERROR_NS,
    LEARNING_ERROR_NS,
    Anchor,
    ClockOffset,
    ClockSource,
    hub_time,
)
from agent.clock import SECOND_NS, WallTime
from tests.simulators.rtsp_camera import ntp64

T0 = WallTime(1_790_000_000 * SECOND_NS)
HZ = 90_000
MS = 1_000_000


def at(seconds: float) -> WallTime:
    """Return a hub time that many seconds after the test's start."""
    return WallTime(T0 + round(seconds * 1000) * MS)


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


def mapping(timeline: Timeline) -> Anchor:
    """Return the mapping, which is known."""
    assert timeline.anchor is not None
    return timeline.anchor


def play(timeline: Timeline, first_s: float, last_s: float) -> None:
    """Let pictures come every 250 ms, each at once; nothing breaks."""
    for quarter in range(round(first_s * 4), round(last_s * 4) + 1):
        assert timeline.arrived(quarter * HZ // 4, at(quarter / 4))


def test_arrival_follows_the_least_late_picture() -> None:
    """With jitter of up to 300 ms the mapping settles at the least delay, and says its bound and source."""
    jitter = random.Random(1)  # noqa: S311 - a repeatable test
    timeline = Timeline(HZ, None)
    for tick in range(400):
        assert timeline.arrived(tick * HZ // 4, at(tick * 0.25 + 0.05 + jitter.random() * 0.3))
    anchor = mapping(timeline)
    assert (anchor.source, anchor.error_ns) == (ClockSource.ARRIVAL, ARRIVAL_ERROR_NS)
    assert 0.04 <= (hub_time(anchor, (399 * HZ) // 4) - at(399 / 4)) / SECOND_NS <= 0.12


def test_first_seconds_by_arrival_are_a_guess_that_says_so() -> None:
    """A camera begins with two seconds of buffered pictures: no break, and the settled mapping knows better."""
    timeline = Timeline(HZ, None)
    assert timeline.arrived(0, at(2))
    guess = mapping(timeline)
    assert (guess.is_settled, guess.error_ns) == (False, LEARNING_ERROR_NS)
    play(timeline, 2.25, 2 + LEARN_NS / SECOND_NS)
    settled = mapping(timeline)
    assert (settled.is_settled, settled.error_ns) == (True, ARRIVAL_ERROR_NS)
    assert abs(hub_time(settled, 0) - T0) <= 1


def test_settled_mapping_moves_by_a_thousandth_only() -> None:
    """Pictures that come 300 ms earlier from now on are followed slowly, the bound saying how far it is still off."""
    timeline = Timeline(HZ, None)
    for quarter in range(80):
        assert timeline.arrived(quarter * HZ // 4, at(quarter / 4 + 0.3))
    before = mapping(timeline)
    assert timeline.arrived(80 * HZ // 4, at(20))
    after = mapping(timeline)
    assert 0 < hub_time(before, after.rtp) - after.hub <= MS
    assert after.error_ns > 650 * MS


def test_arrival_follows_a_camera_clock_that_lags() -> None:
    """A camera that is 200 ppm slow stays within the stated bound over a day, over a wrap of its timestamps."""
    timeline = Timeline(HZ, None)
    for second in range(0, 86_400, 5):
        assert timeline.arrived(int(second * HZ * (1 - 200e-6)) % 2**32, at(second))
    newest = int(86_395 * HZ * (1 - 200e-6)) % 2**32
    assert abs(hub_time(mapping(timeline), newest) - at(86_395)) < ARRIVAL_ERROR_NS


def test_reports_of_a_camera_that_tells_no_time_change_the_source_only() -> None:
    """A report whose clock nobody could compare proves nothing: arrival and its bound, and the source says which."""
    timeline = Timeline(HZ, None)
    play(timeline, 0, 1)
    assert timeline.reported(ntp64(5 * SECOND_NS), HZ, HZ, at(1))
    assert mapping(timeline).source is ClockSource.ARRIVAL
    play(timeline, 1.25, 12)
    assert mapping(timeline) == Anchor(12 * HZ, at(12), ARRIVAL_ERROR_NS, ClockSource.SR)


def test_report_with_offset_carries_the_offsets_error() -> None:
    """The bound of a report is the bound of the measured offset and some drift; the estimate is taken off."""
    timeline = Timeline(HZ, ClockOffset(3600 * SECOND_NS - 20 * MS, 3600 * SECOND_NS + 20 * MS))
    timeline.arrived(0, T0)
    timeline.reported(ntp64(at(3600 - 0.1)), 0, 0, T0)
    anchor = mapping(timeline)
    assert (anchor.error_ns, anchor.source, anchor.is_settled) == (27 * MS, ClockSource.SR_ONVIF, True)
    assert abs(anchor.hub - at(-0.1)) <= 1


def test_report_that_makes_the_camera_slow_has_a_bound_that_reaches_to_arrival() -> None:
    """A second of latency: a slow encoder, or a clock that is not the measured one; the bound holds for both."""
    timeline = Timeline(HZ, ClockOffset(0, 0))
    timeline.arrived(0, T0)
    assert timeline.reported(ntp64(at(-1)), 0, 0, T0)
    anchor = mapping(timeline)
    assert anchor.source is ClockSource.SR_ONVIF
    assert anchor.hub + anchor.error_ns >= T0


def test_offset_that_is_worse_than_arrival_is_not_used() -> None:
    """An offset known to within 900 ms only dates worse than arrival does."""
    timeline = Timeline(HZ, ClockOffset(-900 * MS, 900 * MS))
    play(timeline, 0, 12)
    assert timeline.reported(ntp64(at(12)), 12 * HZ, 12 * HZ, at(12))
    assert mapping(timeline) == Anchor(12 * HZ, at(12), ARRIVAL_ERROR_NS, ClockSource.ARRIVAL)


def test_clock_that_moves_against_arrival_widens_the_bound_by_as_much() -> None:
    """The camera's clock is set by 200 ms: its reports are used on, with 200 ms more of a bound."""
    timeline = Timeline(HZ, ClockOffset(-10 * MS, 10 * MS))
    for second in range(0, 60, 5):
        play(timeline, second, second + 4.75)
        camera = at(second + 4.75 - 0.05 - (0.2 if second >= 30 else 0))
        newest = (second * 4 + 19) * HZ // 4
        assert timeline.reported(ntp64(camera), newest, newest, at(second + 4.75))
    anchor = mapping(timeline)
    assert anchor.source is ClockSource.SR_ONVIF
    assert 216 * MS <= anchor.error_ns <= 410 * MS
    assert abs(anchor.hub - at(59.75)) <= anchor.error_ns


def test_absurd_reports_are_ignored_and_counted() -> None:
    """A picture from the future, an old one, and a timestamp out of nowhere change nothing."""
    timeline = Timeline(HZ, ClockOffset(-10 * MS, 10 * MS))
    timeline.arrived(0, T0)
    for camera, rtp in ((at(0.3), 0), (at(-10.1), 0), (T0, 2**31)):
        assert timeline.reported(ntp64(camera), rtp, 0, T0)
    assert timeline.reported(0, 0, 0, T0)  # "no notion of time" is no contradiction
    anchor = timeline.anchor
    assert timeline.reports_ignored == 3
    assert anchor is not None
    assert anchor.source is ClockSource.ARRIVAL


def test_report_that_moves_the_camera_time_asks_for_a_new_run() -> None:
    """More than a second is a step; less is followed."""
    timeline = Timeline(HZ, ClockOffset(0, 0))
    timeline.arrived(0, T0)
    assert timeline.reported(ntp64(at(-0.1)), 0, 0, T0)
    timeline.arrived(5 * HZ, at(5))
    assert timeline.reported(ntp64(at(4.2)), 5 * HZ, 5 * HZ, at(5))
    assert not timeline.reported(ntp64(at(3.1)), 5 * HZ, 5 * HZ, at(5))


def test_timestamps_that_stand_still_ask_for_a_new_run() -> None:
    """A camera whose timestamps stand still while pictures come loses its mapping within ten seconds."""
    timeline = Timeline(HZ, None)
    assert timeline.arrived(0, T0)
    broke = next(quarter for quarter in range(1, 100) if not timeline.arrived(0, at(quarter / 4)))
    assert broke / 4 <= LATENESS_NS_MAX / SECOND_NS


def test_timestamps_that_go_back_ask_for_a_new_run_unless_pictures_may_be_out_of_order() -> None:
    """B pictures stand up to half a second before others that came earlier; doubt about it widens the bound a while."""
    timeline = Timeline(HZ, None)
    play(timeline, 0, 12)
    back = REORDER_NS_MAX * HZ // SECOND_NS
    assert timeline.arrived(12 * HZ - back // 4, at(12.25))
    assert mapping(timeline).error_ns == ARRIVAL_ERROR_NS
    assert timeline.arrived(12 * HZ - back, at(12.25))
    assert mapping(timeline).error_ns == ARRIVAL_ERROR_NS + 250 * MS
    play(timeline, 12.5, 30)
    assert mapping(timeline).error_ns == ARRIVAL_ERROR_NS
    assert not timeline.arrived(30 * HZ - back - 1, at(30))


def test_reports_that_stop_fall_back_to_arrival_in_the_same_run() -> None:
    """A report's bound grows with its age, until arrival knows better."""
    timeline = Timeline(HZ, ClockOffset(0, 0))
    assert timeline.arrived(0, T0)
    assert timeline.reported(ntp64(T0), 0, 0, T0)
    play(timeline, 0.25, 60)
    assert 36 * MS <= mapping(timeline).error_ns <= 45 * MS
    play(timeline, 60.25, REPORT_AGE_NS_MAX / SECOND_NS + 1)
    assert mapping(timeline).source is ClockSource.ARRIVAL


def test_report_of_an_earlier_run_does_not_map_timestamps_that_have_stepped() -> None:
    """After a hidden step forward the old report would make pictures come from the future."""
    timeline = Timeline(HZ, ClockOffset(0, 0), (ntp64(T0), 0))
    assert timeline.arrived(3 * HZ, at(1))
    assert mapping(timeline).source is ClockSource.ARRIVAL
    assert timeline.reports_ignored == 1


@given(st.sampled_from([0, 60 * SECOND_NS]), st.integers(-(10**13), 10**13))
def test_times_before_the_hub_knew_better_are_times_too(hub_ns: int, offset_ns: int) -> None:
    """A hub that booted in 1970 maps pictures and reports like any other."""
    wall = WallTime(hub_ns)
    timeline = Timeline(HZ, ClockOffset(T0 - hub_ns + offset_ns, T0 - hub_ns + offset_ns))
    assert timeline.arrived(7, wall)
    assert timeline.reported(ntp64(T0 + offset_ns), 7, 7, wall)
    anchor = mapping(timeline)
    assert anchor.source is ClockSource.SR_ONVIF
    assert abs(anchor.hub - wall) <= 1
