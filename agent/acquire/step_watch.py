"""Two readings of the hub's clocks to whether somebody has set one: then every offset measured against it is void.

Rules of this file: a reading that took long proves nothing; discipline of the clock (slewing) is no step.
"""

from __future__ import annotations

from typing import Final

from agent.clock import Instant, WallTime

HUB_STEP_NS_MAX: Final = 100_000_000  # more between two ticks is a step of the hub's clock, not its discipline
HUB_READING_NS_MAX: Final = 10_000_000  # a pair of clock readings that took longer proves nothing


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
