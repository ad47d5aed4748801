"""Pictures and sender reports, as they come, to one run's timeline with a stated bound and source at every moment.

Three witnesses say when a picture was taken. Its RTP timestamp says how long after the one before, by the camera's
crystal. Its arrival says: not later than now, and as long ago as encoding and network take. The camera's sender reports
say when by the camera's own clock, whose offset from the hub's was measured. They are held against each other, and what
they disagree by is part of the stated bound. `timeline` says what the bounds rest on.

Rules of this file: integers only (nanoseconds, RTP ticks); what was said about a picture is never taken back: within a
run the mapping moves by at most `SLEW_PPM_MAX`, and later pictures never map before earlier ones; whatever would need
more begins a new run.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from agent.acquire.least_late import LEAST_NS, LeastLate
from agent.acquire.timeline import (
    ARRIVAL_ERROR_NS,
    LATENCY_NS_MAX,
    LEARNING_ERROR_NS,
    MS_NS,
    RATE_PPM_MAX,
    Anchor,
    ClockOffset,
    ClockSource,
    ntp_to_unix_ns,
    ticks_between,
    ticks_ns,
)
from agent.clock import SECOND_NS, WallTime

SLEW_PPM_MAX: Final = 1000  # more than `RATE_PPM_MAX`, so that the mapping keeps up; 1 ms per second is invisible
LEARN_NS: Final = 2 * LEAST_NS  # until then a run's mapping by arrival is only a first guess
LOOK_NS: Final = 1 * SECOND_NS  # how often the mapping is looked at if no picture comes earlier than expected
_LAG_NS: Final = (2 * LEAST_NS + LOOK_NS) * RATE_PPM_MAX // 1_000_000  # drift since the least late picture at most
BURST_NS: Final = 1 * SECOND_NS  # in its first second a camera catches up with what it had buffered; no step
STEP_NS_MAX: Final = 1 * SECOND_NS  # a mapping that is wrong by more is not slewed: a new run
REORDER_NS_MAX: Final = SECOND_NS // 2  # B pictures come this much after others that are shown later; more is a step
TICK_NS: Final = 250 * MS_NS  # how often the newest picture is looked at
FUTURE_NS_MAX: Final = TICK_NS  # a picture may seem to come before it was taken: the clock is read once a tick
LATENESS_NS_MAX: Final = 10 * SECOND_NS  # a report by which the newest picture is older is not believed
_SLOW_ERROR_NS_MAX: Final = STEP_NS_MAX * 9 // 10  # so that going over to arrival is no step
REPORT_AGE_NS_MAX: Final = 300 * SECOND_NS  # an older report says nothing any more


class _Told(NamedTuple):
    """A sender report as it came, its timestamps as ticks of the run's line."""

    camera: int  # ns since 1970 by the camera's clock
    ticks: int
    newest: int  # of the newest picture when it came
    arrival: WallTime


class _Report(NamedTuple):
    """A believed sender report: how late its time is on the run's line, and at which tick of the line it stands."""

    late_ns: int
    ticks: int


class _Goal(NamedTuple):
    """Where the mapping ought to be, by the best witness."""

    late_ns: int
    error_ns: int
    source: ClockSource


class Timeline:
    """One run's mapping as it becomes known.

    `arrived` and `reported` return False when the mapping broke: what follows belongs to a new run with a new Timeline.

    Everything is reckoned on one line: the run's first picture came at its arrival, and RTP counts evenly from there.
    The mapping is this line, shifted by `_held_ns`. It is what each witness says about the shift:

    - Arrival: the least late picture of the last seconds; what was taken may be `LATENCY_NS_MAX` earlier. A picture
      that comes earlier than any before counts at once; that all come later shows after `LEAST_NS` to twice that.
    - A report: its time less the measured offset. The two clocks drift from the moment of measuring on, and the bound
      grows by what that may be (`ClockOffset.drift_ns`) until `set_clock` brings a newer offset. How long the least
      late picture takes *by the report's account* must also stay what it was when the run had settled. By as much as
      it changes, the camera's clock was set, the clock in its reports is not the one that was measured, RTP has
      stepped, or the network is slow: nobody can say which, and the bound covers it if it is more than drift. It
      also covers what cannot be seen so: drift since the least late picture, and three times the unsteadiness of that
      measure. The latter is statistics: on a network with much jitter, of a thousand runs of an offset that is wrong by
      all it may be and drifts at the full rate, a few exceed their bound by some milliseconds for some seconds.

    A step of the camera's timestamps is seen at the first picture that comes in time after it, a step back by less
    than `REORDER_NS_MAX` within twice `LEAST_NS`. By arrival the bound holds meanwhile; by reports it may be exceeded
    by so much until then.
    """

    def __init__(self, clock_hz: int, clock: ClockOffset | None, report: tuple[int, int] | None = None) -> None:
        self._clock_hz = clock_hz
        self._clock = clock
        self._waiting = report  # NTP and RTP time of a report that came before any picture of this run
        self._began: WallTime | None = None
        self._rtp = 0  # of the newest picture by its own account, and its distance from the first
        self._ticks = 0
        self._least = LeastLate()
        self._is_learning = True
        self._told: _Told | None = None
        self._report: _Report | None = None
        self._usual_ns: int | None = None  # how long the least late picture took by the report, once settled
        self._has_reports = False
        self._doubt_ns = 0  # how far timestamps may have stepped back, unless those were B pictures
        self._doubt_until = WallTime(0)
        self._is_held = False  # False: what was said so far were first guesses
        self._held_ns = 0
        self._followed = 0  # the tick at which this was looked at last
        self._goal = _Goal(0, LEARNING_ERROR_NS, ClockSource.ARRIVAL)
        self.reports_ignored = 0

    @property
    def anchor(self) -> Anchor | None:
        """The mapping known now, for the pictures that came since it was last asked for; None before the first."""
        if self._began is None:
            return None
        hub = WallTime(self._began + ticks_ns(self._ticks, self._clock_hz) + self._held_ns)
        error_ns = self._goal.error_ns + abs(self._goal.late_ns - self._held_ns)
        if self._goal.source is not ClockSource.SR_ONVIF:
            error_ns = max(error_ns, self._doubt_ns, ARRIVAL_ERROR_NS)  # one number, as long as the camera is well
        return Anchor(self._rtp, hub, -(-error_ns // MS_NS) * MS_NS, self._goal.source)

    def arrived(self, rtp: int, arrival: WallTime) -> bool:
        """Note that the picture `rtp` was there at `arrival`.

        False if timestamps went back by more than `REORDER_NS_MAX`, or the mapping has become wrong by more than
        `STEP_NS_MAX`, since the camera's timestamps stepped, stand still, or count at another rate than they should.
        """
        if self._began is None:
            return self._begin(rtp, arrival)
        ticks = ticks_between(self._rtp, rtp)
        back_ns = -ticks_ns(ticks, self._clock_hz)
        if back_ns > REORDER_NS_MAX:
            return False
        late_ns = self._late_ns(self._ticks + ticks, arrival)
        is_news = self._least.note(late_ns, arrival)
        doubt_ns = min(late_ns - self._held_ns, back_ns + 2 * TICK_NS) if back_ns > 0 else 0
        if doubt_ns > self._doubt_ns or arrival > self._doubt_until:  # B pictures, or a step: arrival will show which
            self._doubt_ns, self._doubt_until = doubt_ns, WallTime(arrival + 3 * LEAST_NS)
        if self._is_learning and arrival - self._began >= LEARN_NS:
            self._is_learning, is_news = False, True
            self._note_usual()
        if ticks > 0:
            self._rtp, self._ticks = rtp, self._ticks + ticks
        if not is_news and self._ticks - self._followed < self._clock_hz * LOOK_NS // SECOND_NS:
            return True
        return self._follow(max(0, -back_ns)) or arrival - self._began < BURST_NS

    def reported(self, ntp64: int, rtp: int, newest_rtp: int | None, arrival: WallTime) -> bool:
        """Take a sender report that came after the picture `newest_rtp`.

        False if it moves the camera's time by over 1 s against the report before: its clock was set. A report that
        makes a picture come from the future or far too late is ignored and counted.
        """
        if newest_rtp is None:
            self._waiting = (ntp64, rtp)
            return True
        if self._began is None:
            self._begin(newest_rtp, arrival)
        if ntp64 == 0:  # RFC 3550 section 6.4.1: the camera has no notion of time
            return True
        self._has_reports = True
        ticks, newest = (self._ticks + ticks_between(self._rtp, known) for known in (rtp, newest_rtp))
        self._told = _Told(ntp_to_unix_ns(ntp64), ticks, newest, arrival)
        return self._believe(self._told)

    def set_clock(self, clock: ClockOffset | None) -> bool:
        """Take a newer measurement of the camera's clock; the run goes on, and the mapping is slewed to it.

        False if that moves the camera's time by over 1 s.
        """
        self._clock = clock
        before, self._report = self._report, None
        is_unbroken = self._follow() if self._told is None else self._believe(self._told)
        is_near = before is None or self._report is None or abs(self._report.late_ns - before.late_ns) <= STEP_NS_MAX
        return is_unbroken and is_near

    def _believe(self, told: _Told) -> bool:
        """Hold a report against arrival, and follow it if it can be true."""
        if self._clock is None:
            return self._follow()
        late_ns = self._late_ns(told.ticks, WallTime(told.camera - self._clock.estimate_ns))
        age_ns = self._late_ns(told.newest, told.arrival) - late_ns  # of the newest picture, by this report
        earliest_ns = -FUTURE_NS_MAX - self._clock.error_ns - self._clock.drift_ns(told.arrival)
        if not (earliest_ns <= age_ns <= LATENESS_NS_MAX and self._least.late_ns - late_ns >= earliest_ns):
            self.reports_ignored += 1
            return True
        before, self._report = self._report, _Report(late_ns, told.ticks)
        if before is not None and abs(late_ns - before.late_ns) > STEP_NS_MAX:
            return False
        if not self._is_learning:
            self._note_usual()
        return self._follow()

    def _begin(self, rtp: int, arrival: WallTime) -> bool:
        self._began, self._rtp = arrival, rtp
        self._least.note(0, arrival)
        if self._waiting is not None:  # now there is a picture to judge it by
            self.reported(*self._waiting, rtp, arrival)
        return True

    def _late_ns(self, ticks: int, moment: WallTime) -> int:
        """How much after its place on the line a moment is; zero before there is a line."""
        began = moment if self._began is None else self._began
        return moment - began - ticks_ns(ticks, self._clock_hz)

    def _note_usual(self) -> None:
        if self._report is not None and self._usual_ns is None:
            self._usual_ns = self._least.late_ns - self._report.late_ns

    def _follow(self, passed_ns: int = 0) -> bool:
        """Move the mapping towards the best witness.

        Once anything was settled it moves by no more than `SLEW_PPM_MAX` since the last look, and by less than the time
        from the picture before to the newest, so that these two never change places.
        """
        self._goal = goal = self._by_report() or self._by_arrival()
        reach_ns = ticks_ns(self._ticks - self._followed, self._clock_hz) * SLEW_PPM_MAX // 1_000_000
        reach_ns = min(reach_ns, passed_ns // 2)
        self._followed = self._ticks if passed_ns else self._followed
        shift_ns = goal.late_ns - self._held_ns
        if self._is_held:
            shift_ns = max(-reach_ns, min(shift_ns, reach_ns))
        self._held_ns += shift_ns
        is_small = max(abs(goal.late_ns - self._held_ns), abs(shift_ns)) <= STEP_NS_MAX
        is_first = not self._is_held and goal.source is ClockSource.SR_ONVIF
        self._is_held = self._is_held or goal.error_ns < LEARNING_ERROR_NS
        return is_small or is_first

    def _by_arrival(self) -> _Goal:
        if self._is_learning:
            return _Goal(self._least.late_ns, LEARNING_ERROR_NS, ClockSource.ARRIVAL)
        source = ClockSource.SR if self._has_reports and self._clock is None else ClockSource.ARRIVAL
        return _Goal(self._least.late_ns, LATENCY_NS_MAX + 2 * _LAG_NS, source)

    def _by_report(self) -> _Goal | None:
        """Return what the newest report says, or None if arrival knows better."""
        if self._report is None or self._clock is None:
            return None
        age_ns = abs(ticks_ns(self._ticks - self._report.ticks, self._clock_hz))
        least_ns = self._least.late_ns - self._report.late_ns  # what the least late picture takes, by the report
        newest = (self._began or 0) + ticks_ns(self._ticks, self._clock_hz) + self._report.late_ns
        drift_ns = self._clock.drift_ns(WallTime(newest))
        if age_ns > REPORT_AGE_NS_MAX or least_ns < -FUTURE_NS_MAX - self._clock.error_ns - drift_ns:
            return None
        change_ns = 0 if self._usual_ns is None else abs(least_ns - self._usual_ns)
        unseen_ns = 3 * self._least.spread_ns + _LAG_NS + age_ns * RATE_PPM_MAX // 1_000_000
        error_ns = self._clock.error_ns + max(drift_ns, change_ns) + unseen_ns
        limit_ns = ARRIVAL_ERROR_NS
        if least_ns > LATENCY_NS_MAX:  # it comes slowly, or this is not the clock that was measured: reach to both
            error_ns = max(error_ns, least_ns + _LAG_NS)
            limit_ns = _SLOW_ERROR_NS_MAX
        if self._usual_ns is None or self._usual_ns > LATENCY_NS_MAX:
            limit_ns = LEARNING_ERROR_NS - MS_NS
        shift_ns = abs(self._report.late_ns - self._held_ns) if self._is_held else 0
        is_best = error_ns < limit_ns and error_ns + shift_ns < LEARNING_ERROR_NS - MS_NS
        return _Goal(self._report.late_ns, error_ns, ClockSource.SR_ONVIF) if is_best else None
