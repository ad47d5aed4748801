"""Sound's own clock becomes hub time, beside the pictures'."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.acquire.stream import Track
from agent.acquire.timeline import LATENCY_NS_MAX, Anchor, ClockSource
from agent.clock import SECOND_NS, WallTime
from agent.cut.sound_clock import APART_NS_MAX, BY_ARRIVAL, BY_REPORTS, STRAY_NS_MAX, sound_clock
from agent.cut.sound_rtp import SenderReport, SoundPacket, SoundRun

T0 = WallTime(1_795_000_000 * SECOND_NS)
VIDEO_T0, SOUND_T0 = 2**32 - 45_000, 2**32 - 4000  # both wrap half a second later
NTP_T0 = 3_990_000_000 << 32
ANCHOR = Anchor(VIDEO_T0, T0, 0, ClockSource.SR_ONVIF)
TRACKS = (Track(0, "video", "H264", 96, 90_000), Track(2, "audio", "PCMU", 0, 8000))


def video(seconds: float) -> int:
    """Return the pictures' RTP timestamp of a moment."""
    return (VIDEO_T0 + round(seconds * 90_000)) % 2**32


def sound(seconds: float) -> int:
    """Return the sound's RTP timestamp of a moment."""
    return (SOUND_T0 + round(seconds * 8000)) % 2**32


def report(seconds: float, rtp: int) -> SenderReport:
    """Write a report of a moment."""
    return SenderReport(NTP_T0 + round(seconds * 2**32), rtp)


def run_of(late_s: float, *, reports: bool) -> SoundRun:
    """Record ten seconds of sound that is sent `late_s` after the pictures of its time."""
    run = SoundRun(*TRACKS)
    for n in range(500):
        moment = n * 0.02
        run.packets.append(
            SoundPacket(sound(moment), b"", False, False, ANCHOR, video(int((moment + 0.02 + late_s) * 25) / 25))  # noqa: FBT003 - as it came
        )
    if reports:
        run.video_reports += [report(s, video(s)) for s in (1.0, 6.0)]
        run.reports += [report(s + 2.3, sound(s + 2.3)) for s in (1.0, 6.0)]
    return run


def error_ns(run: SoundRun, seconds: float) -> int:
    """How far a packet is put from when it was taken."""
    clock = sound_clock(run)
    assert clock is not None
    number = round(seconds / 0.02)
    time = clock.time_of(run.packets[number], run.packets[number].rtp)
    assert time is not None
    return time - (T0 + round(number * 0.02 * SECOND_NS))


@given(st.integers(0, 499), st.sampled_from([-0.5, 0, 0.5]))
def test_reports_place_sound_to_the_microsecond(number: int, late_s: float) -> None:
    """However late it is sent, whatever wraps, and though the two tracks' reports never meet."""
    run = run_of(late_s, reports=True)
    assert abs(error_ns(run, number * 0.02)) < 1000
    clock = sound_clock(run)
    assert clock is not None
    assert clock.source == BY_REPORTS


def test_two_crystals_that_drift_apart_stay_together() -> None:
    """Each report corrects what the sound's clock has drifted since the one before."""
    run = run_of(0, reports=False)
    run.video_reports += [report(s, video(s)) for s in range(10)]
    run.reports += [report(s, sound(s * 1.001)) for s in range(10)]
    run.packets = [replace(p, rtp=sound(n * 0.02 * 1.001)) for n, p in enumerate(run.packets)]
    assert max(abs(error_ns(run, s)) for s in (0.0, 2.5, 5.5, 9.0)) < 600_000


def test_without_reports_arrival_counts_within_its_bound() -> None:
    """Sound is taken to be as old as the pictures that it comes with."""
    for late_s in (0, 0.3):
        run = run_of(late_s, reports=False)
        clock = sound_clock(run)
        assert clock is not None
        assert (clock.source, clock.error_ns) == (BY_ARRIVAL, LATENCY_NS_MAX)
        assert abs(error_ns(run, 5.0) - late_s * SECOND_NS) < 45_000_000


def test_reports_of_one_track_alone_say_nothing() -> None:
    """Both clocks must be told."""
    run = run_of(0, reports=True)
    run.video_reports.clear()
    clock = sound_clock(run)
    assert clock is not None
    assert clock.source == BY_ARRIVAL


def test_reports_that_put_sound_far_from_its_pictures_are_not_believed() -> None:
    """A camera that reports another clock for its sound is read by arrival."""
    run = run_of(0, reports=True)
    apart_s = APART_NS_MAX / SECOND_NS + 0.1
    run.reports = [report(s, sound(s - apart_s)) for s in (1.0, 6.0)]
    assert abs(error_ns(run, 5.0)) < 45_000_000
    clock = sound_clock(run)
    assert clock is not None
    assert clock.source == BY_ARRIVAL


def test_sound_far_from_its_pictures_has_no_time() -> None:
    """A timestamp that jumps, and sound that no picture came with, cannot be placed."""
    run = run_of(0, reports=True)
    clock = sound_clock(run)
    assert clock is not None
    packet = run.packets[100]
    jump = round((STRAY_NS_MAX / SECOND_NS + 0.2) * 8000)
    assert clock.time_of(packet, (packet.rtp + jump) % 2**32) is None
    assert clock.time_of(packet, (packet.rtp - jump) % 2**32) is None
    assert clock.time_of(replace(packet, video_rtp=None), packet.rtp) is None
    run.packets = [replace(packet, video_rtp=None)]
    assert sound_clock(run) is None


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(1, 2**64 - 1), st.integers(0, 2**32 - 1)), max_size=5),
)
def test_any_numbers_give_times_near_the_pictures(stamps: list[tuple[int, int]], told: list[tuple[int, int]]) -> None:
    """Whatever timestamps and reports say, sound is near the picture that it came with or nowhere."""
    run = SoundRun(*TRACKS)
    run.packets = [SoundPacket(rtp, b"", False, False, ANCHOR, beside) for rtp, beside in stamps]  # noqa: FBT003 - as they came
    run.reports = run.video_reports = [SenderReport(*one) for one in told]
    clock = sound_clock(run)
    assert clock is not None
    origin = run.packets[0].video_rtp or 0
    for packet in run.packets:
        time = clock.time_of(packet, packet.rtp)
        if time is not None:
            line = (((packet.video_rtp or 0) - origin + 2**31) % 2**32 - 2**31) * SECOND_NS // 90_000
            base = T0 - ((ANCHOR.rtp - origin + 2**31) % 2**32 - 2**31) * SECOND_NS // 90_000
            assert abs(time - (base + line)) <= STRAY_NS_MAX + 20_000
