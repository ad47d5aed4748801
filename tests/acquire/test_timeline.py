"""What is known of a camera's time: RTP, NTP and offsets of clocks, as plain arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.timeline import Anchor, ClockOffset, ClockSource, hub_time, ntp_to_unix_ns, ticks_between, ticks_ns
from agent.clock import SECOND_NS, WallTime
from tests.simulators.rtsp_camera import ntp64

HZ = 90_000


@given(st.integers(0, 2**31 * SECOND_NS))
def test_ntp_timestamps_map_back_to_within_a_nanosecond(unix_ns: int) -> None:
    """A time written as an NTP fraction is read back within 1 ns, also beyond the era's end in 2036."""
    assert abs(ntp_to_unix_ns(ntp64(unix_ns) & (1 << 64) - 1) - unix_ns) <= 1


@given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
def test_timestamps_are_counted_over_their_wrap(first: int, ticks: int) -> None:
    """Forwards and backwards, up to half of all there are."""
    assert ticks_between(first, (first + ticks) % 2**32) == ticks
    anchor = Anchor(first, WallTime(2**62), 0, ClockSource.ARRIVAL)
    assert hub_time(anchor, (first + ticks) % 2**32, HZ) == 2**62 + ticks_ns(ticks, HZ)


@given(st.integers(-(2**40), 2**40), st.sampled_from([8000, 44_100, HZ]))
def test_ticks_take_their_time_to_the_nearest_nanosecond(ticks: int, clock_hz: int) -> None:
    """However many there are: floating point would be off by then."""
    assert abs(ticks_ns(ticks, clock_hz) * clock_hz - ticks * SECOND_NS) * 2 <= clock_hz


@given(st.integers(-(10**18), 10**18), st.integers(0, 10**12), st.integers(0, 1000))
def test_offset_is_within_its_stated_error(low_ns: int, width_ns: int, place: int) -> None:
    """Wherever in its interval the true offset lies, borders included, the estimate is off by the error at most."""
    offset = ClockOffset(low_ns, low_ns + width_ns)
    true_ns = low_ns + width_ns * place // 1000
    assert abs(true_ns - offset.estimate_ns) <= offset.error_ns
    assert offset.low_ns <= offset.estimate_ns <= offset.high_ns
