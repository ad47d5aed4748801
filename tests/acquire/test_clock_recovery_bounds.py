"""What a timeline says, held against a camera whose every picture's true time is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.acquire.clock_recovery import LEARN_NS, REORDER_NS_MAX, Timeline
from agent.acquire.least_late import LEAST_NS
from agent.acquire.timeline import ARRIVAL_ERROR_NS, RATE_PPM_MAX, Anchor, ClockOffset, ClockSource, hub_time
from agent.clock import SECOND_NS, WallTime
from tests.simulators.rtsp_camera import ntp64

HZ: Final = 90_000
MS: Final = 1_000_000
T0: Final = WallTime(1_790_000_000 * SECOND_NS)
DAY_S: Final = 86_400
ROUNDING_NS: Final = 12_000  # a tick of 90 kHz: the camera writes down no finer time


@dataclass(frozen=True)
class Camera:
    """A camera and its network. Times are hub time since the start; rates are against the hub's clock."""

    rtp_ppm: int = 0
    ntp_ppm: int = 0  # of the clock in its sender reports
    latency_ms: int = 50
    jitter_ms: int = 0
    rare_late: bool = False  # one picture in a hundred comes up to four seconds late
    report_s: int = 0  # 0: it sends none
    offset_ns: int = 0
    rtp_step_ms: int = 0  # hidden, at `step_s`
    ntp_step_ms: int = 0
    step_s: int = 0
    first_rtp: int = 0

    def rtp(self, taken: int) -> int:
        """Return the timestamp of a picture that was taken then."""
        ns = taken + taken * self.rtp_ppm // 10**6 + self._step(self.rtp_step_ms, taken)
        return (self.first_rtp + ns * HZ // SECOND_NS) % 2**32

    def ntp(self, taken: int) -> int:
        """Return what the clock of its sender reports says then."""
        ns = T0 + taken + self.offset_ns + taken * self.ntp_ppm // 10**6 + self._step(self.ntp_step_ms, taken)
        return ntp64(ns) % 2**64

    def _step(self, step_ms: int, taken: int) -> int:
        return step_ms * MS if self.step_s and taken >= self.step_s * SECOND_NS else 0


@dataclass(frozen=True)
class Shown:
    """One picture: the run it came in, when it was taken, its timestamp, the mapping known when it had come."""

    run: int
    taken: int
    rtp: int
    anchor: Anchor
    ignored: int

    def error_ns(self, anchor: Anchor) -> int:
        """How far a mapping is from the truth."""
        return abs(hub_time(anchor, self.rtp) - T0 - self.taken)


def watch(camera: Camera, clock: ClockOffset | None, seconds: int, tick_ms: int = 250, seed: int = 1) -> list[Shown]:
    """Let a camera be read tick by tick, as the reader does."""
    return list(_watch(camera, clock, seconds * 1000 // tick_ms, tick_ms * MS, random.Random(seed)))  # noqa: S311 - a repeatable test


def _watch(
    camera: Camera, clock: ClockOffset | None, ticks: int, tick_ns: int, chance: random.Random
) -> Iterator[Shown]:
    timeline, run, ignored, taken, reported = Timeline(HZ, clock), 0, 0, -1, 0
    report: tuple[int, int] | None = None
    for tick in range(1, ticks):
        now = tick * tick_ns
        late = camera.latency_ms * MS + chance.randrange(camera.jitter_ms * MS + 1)
        late += chance.randrange(4 * SECOND_NS) if camera.rare_late and chance.random() < 0.01 else 0
        if now - late <= taken + 10 * MS:
            continue  # nothing new came
        taken = now - late
        rtp, wall = camera.rtp(taken), WallTime(T0 + now)
        is_unbroken = timeline.arrived(rtp, wall)
        if is_unbroken and camera.report_s and taken - reported >= camera.report_s * SECOND_NS:
            reported = taken
            report = (camera.ntp(taken), camera.rtp(taken))  # of the moment it was sent: no picture's
            is_unbroken = timeline.reported(*report, rtp, wall)
        if not is_unbroken:
            run, ignored = run + 1, ignored + timeline.reports_ignored
            timeline = Timeline(HZ, clock, report)
            assert timeline.arrived(rtp, wall)
        anchor = timeline.anchor
        assert anchor is not None
        yield Shown(run, taken, rtp, anchor, ignored + timeline.reports_ignored)


def final_anchors(pictures: list[Shown]) -> list[tuple[Shown, Anchor]]:
    """Resolve first guesses as the ring does: by the nearest later settled mapping of the run, else by the last."""
    final: list[tuple[Shown, Anchor]] = []
    known: Anchor | None = None
    run = -1
    for picture in reversed(pictures):
        known = picture.anchor if known is None or picture.run != run or picture.anchor.is_settled else known
        run = picture.run
        final.append((picture, known))
    return final[::-1]


def check_bounds(pictures: list[Shown]) -> None:
    """Every picture's final mapping keeps its bound, and later pictures never map before earlier ones."""
    before: tuple[int, int] | None = None
    for picture, anchor in final_anchors(pictures):
        way_ns = abs(anchor.hub - T0 - picture.taken) * RATE_PPM_MAX // 10**6
        assert picture.error_ns(anchor) <= anchor.error_ns + way_ns + ROUNDING_NS, (picture, anchor)
        here = picture.run, hub_time(anchor, picture.rtp)
        assert before is None or before[0] != here[0] or before[1] < here[1]
        before = here


RATES = st.integers(-RATE_PPM_MAX, RATE_PPM_MAX)
SEEDS = st.integers(0, 2**32)


@settings(max_examples=40)
@given(
    camera=st.builds(
        Camera,
        rtp_ppm=RATES,
        latency_ms=st.integers(0, 150),
        jitter_ms=st.integers(0, 400),
        rare_late=st.booleans(),
        first_rtp=st.integers(0, 2**32 - 1),
    ),
    seed=SEEDS,
)
def test_arrival_keeps_its_bound_and_its_run(camera: Camera, seed: int) -> None:
    """At any rate two clocks can go apart by, the hub being slewed included, one run holds and so does its bound."""
    pictures = watch(camera, None, 120, seed=seed)
    check_bounds(pictures)
    assert pictures[-1].run == 0
    assert {picture.anchor.source for picture in pictures} == {ClockSource.ARRIVAL}
    assert [picture.anchor.is_settled for picture in pictures] == [
        picture.anchor.error_ns < 2 * SECOND_NS for picture in pictures
    ]
    assert all(picture.anchor.is_settled for picture in pictures if picture.taken > LEARN_NS + 5 * SECOND_NS)


@settings(max_examples=40)
@given(
    camera=st.builds(
        Camera,
        rtp_ppm=RATES,
        ntp_ppm=st.integers(-100, 100),
        latency_ms=st.integers(0, 150),
        jitter_ms=st.integers(0, 400),
        report_s=st.integers(1, 20),
        offset_ns=st.integers(-(10**18), 10**18),
    ),
    wrong_ns=st.integers(-60 * MS, 60 * MS),
    seed=SEEDS,
)
def test_reports_keep_their_bound_and_their_run(camera: Camera, wrong_ns: int, seed: int) -> None:
    """Whatever the camera's clock says and however it drifts: reports map within the bound, in one run."""
    measured_ns = camera.offset_ns + wrong_ns
    clock = ClockOffset(measured_ns - 60 * MS, measured_ns + 60 * MS)
    pictures = watch(camera, clock, 120, seed=seed)
    check_bounds(pictures)
    assert pictures[-1].run == 0
    assert pictures[-1].ignored == 0
    if camera.jitter_ms <= 100:
        assert {one.anchor.source for one in pictures if one.taken > 25 * SECOND_NS} == {ClockSource.SR_ONVIF}


@pytest.mark.parametrize(("ppm", "report_s"), [(-100, 0), (100, 5)])
def test_healthy_camera_stays_in_one_run_for_a_day(ppm: int, report_s: int) -> None:
    """With half a second of jitter, a crystal of 100 ppm and a clock that is set right, 24 hours are one run."""
    camera = Camera(ppm, 0, 50, 500, report_s=report_s)
    pictures = watch(camera, ClockOffset(-20 * MS, 20 * MS), DAY_S, tick_ms=1000)
    assert pictures[-1].run == 0
    assert max(picture.anchor.error_ns for picture in pictures[20:]) <= SECOND_NS
    check_bounds(pictures)


@pytest.mark.parametrize("ppm", [-RATE_PPM_MAX, RATE_PPM_MAX])
@pytest.mark.parametrize("report_s", [0, 5])
def test_hub_slewed_for_hours_breaks_no_run(ppm: int, report_s: int) -> None:
    """A hub that is slewed by 500 ppm for three hours moves by five seconds: the bound grows and holds."""
    camera = Camera(ppm, ppm, 50, 50, report_s=report_s)
    pictures = watch(camera, ClockOffset(-20 * MS, 20 * MS), 3 * 3600, tick_ms=500)
    check_bounds(pictures)
    assert pictures[-1].run == 0
    assert max(picture.anchor.error_ns for picture in pictures[20:]) <= 3 * SECOND_NS // 2
    if report_s and ppm > 0:  # its time comes from the future by now: the clock must be measured again
        assert pictures[-1].ignored > 0


@settings(max_examples=100)
@given(st.integers(-1000, 5000), st.integers(15, 40), st.integers(0, 150), st.integers(0, 240), SEEDS)
@example(step_ms=300, step_s=20, latency=150, jitter=240, seed=1)
@example(step_ms=-500, step_s=20, latency=0, jitter=240, seed=1)
@example(step_ms=1000, step_s=20, latency=0, jitter=0, seed=1)
def test_hidden_step_of_timestamps_ends_the_run_or_keeps_the_bound(
    step_ms: int, step_s: int, latency: int, jitter: int, seed: int
) -> None:
    """Every step the wire lets through either begins a run or leaves all later pictures within the stated bound."""
    camera = Camera(0, 0, latency, jitter, rtp_step_ms=step_ms, step_s=step_s)
    pictures = watch(camera, None, 60, seed=seed)
    wrong = [one for one in pictures if one.error_ns(one.anchor) > one.anchor.error_ns + ROUNDING_NS]
    assert wrong == []
    if step_ms > 1500 or step_ms * MS < -REORDER_NS_MAX - 490 * MS:
        assert pictures[-1].run == 1
    if abs(step_ms) <= 500:
        assert pictures[-1].run == 0


@settings(max_examples=60)
@given(st.integers(-1000, 5000), st.sampled_from([(1, 0), (0, 1), (1, 1)]), SEEDS)
@example(step_ms=400, steps_in=(1, 1), seed=1)
@example(step_ms=-400, steps_in=(1, 1), seed=1)
@example(step_ms=-900, steps_in=(0, 1), seed=1)
def test_hidden_step_of_a_reporting_camera_is_within_the_bound_soon(
    step_ms: int, steps_in: tuple[int, int], seed: int
) -> None:
    """The camera sets its clock, counts on from elsewhere, or both: two looks at arrival later the bound holds."""
    rtp_ms, ntp_ms = step_ms * steps_in[0], step_ms * steps_in[1]
    camera = Camera(0, 0, 50, 100, report_s=5, rtp_step_ms=rtp_ms, ntp_step_ms=ntp_ms, step_s=30)
    pictures = watch(camera, ClockOffset(-10 * MS, 10 * MS), 90, seed=seed)
    soon = 30 * SECOND_NS + 2 * LEAST_NS + SECOND_NS
    for one in pictures:
        if not 30 * SECOND_NS <= one.taken < soon:
            assert one.error_ns(one.anchor) <= one.anchor.error_ns + ROUNDING_NS, one


def test_camera_that_counts_at_another_rate_than_it_says_breaks_run_after_run() -> None:
    """No mapping can follow 1 %: each run ends before it is wrong by more than a second and a half."""
    pictures = watch(Camera(rtp_ppm=10_000), None, 600)
    assert 2 <= pictures[-1].run <= 12
    assert max(one.error_ns(one.anchor) for one in pictures) < 3 * SECOND_NS // 2


def test_camera_whose_reports_begin_with_garbage_is_mapped_by_the_good_ones() -> None:
    """NTP 0, seconds since boot and local time are ignored and counted; the first right report counts."""
    timeline = Timeline(HZ, ClockOffset(-10 * MS, 10 * MS))
    camera = Camera(latency_ms=0)
    for second, camera_time in enumerate([0, 12 * SECOND_NS, T0 + 7200 * SECOND_NS, T0 + 3 * SECOND_NS]):
        taken = second * SECOND_NS
        assert timeline.arrived(camera.rtp(taken), WallTime(T0 + taken))
        told = ntp64(camera_time) % 2**64 if second else 0
        assert timeline.reported(told, camera.rtp(taken), camera.rtp(taken), WallTime(T0 + taken))
    anchor = timeline.anchor
    assert anchor is not None
    assert (timeline.reports_ignored, anchor.source) == (2, ClockSource.SR_ONVIF)
    assert abs(anchor.hub - T0 - 3 * SECOND_NS) <= 1
    assert anchor.error_ns < ARRIVAL_ERROR_NS
