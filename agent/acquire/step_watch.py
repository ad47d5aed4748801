"""The hub's clocks to whether somebody has set one, or other people vouch for it: then offsets and runs end.

Rules of this file: a reading that took long proves nothing; discipline of the clock (slewing) is no step.
"""

from __future__ import annotations

from typing import Final

from agent.clock import SECOND_NS, Instant, TimeSource, WallTime

HUB_STEP_NS_MAX: Final = 100_000_000  # more between two ticks is a step of the hub's clock, not its discipline
HUB_READING_NS_MAX: Final = 10_000_000  # a pair of clock readings that took longer proves nothing

START_NS_MAX: Final = 600 * SECOND_NS  # from a start until NTP has answered, if it does


class StepWatch:
    """Notices when the hub's own UTC clock was set, by what its monotonic clock says has passed.

    Linux slews both clocks alike, so a slewed hub shows no step here, and mappings follow it. CLOCK_MONOTONIC stands
    still while the hub is suspended and UTC does not: waking up counts as a step, which it should, because what the
    camera had sent before is read, and dated, only now.
    """

    def __init__(self) -> None:
        self._difference: int | None = None

    def is_step(self, before: Instant, now: WallTime, after: Instant) -> bool:
        """Take a UTC reading and the instants around it; say whether UTC has jumped since the last one."""
        if after - before > HUB_READING_NS_MAX:
            return False
        difference = now - before
        is_step = self._difference is not None and abs(difference - self._difference) > HUB_STEP_NS_MAX
        self._difference = difference
        return is_step


class SourceWatch:
    """Notices when somebody else vouches for the hub's UTC time than before."""

    def __init__(self) -> None:
        self._source: TimeSource | None = None
        self._since = Instant(0)
        self._is_first, self._has_stepped = True, False

    def note_step(self) -> None:
        """Take note that the clock was set."""
        self._has_stepped = True

    def look(self, source: TimeSource, now: Instant) -> tuple[bool, bool]:
        """Take who vouches for it now; say whether that is news, and whether runs must not go on over it.

        They may where NTP finds the clock right soon after a start, as it nearly always does: a new run costs the
        pictures up to the next key picture.
        """
        before = self._source
        if source is before:
            return False, False
        is_found_right = (self._is_first and not self._has_stepped and now - self._since <= START_NS_MAX) and (
            before is TimeSource.NONE and source is TimeSource.NETWORK
        )
        self._is_first = before is None
        self._source, self._since, self._has_stepped = source, now, False
        return True, before is not None and not is_found_right
