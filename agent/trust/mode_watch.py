"""What the owner's schedule makes of the mode, into the audit log whenever it is another than before.

Rules of this file: it is asked at a tick that there is anyway; a policy's own mode stands in the policy's entry and is
not said again; what was said last is on the disk, so a change while the hub was off is said at its start.
"""

from __future__ import annotations

from typing import Final

from agent.clock import SECOND_NS, Instant, WallTime
from agent.consent.policy import Policy
from agent.consent.terms import mode_now
from agent.evidence.kinds import Kind
from agent.ports import Audit, Document, Documents

ENTRIES_PER_HOUR_MAX: Final = 60
"""A schedule changes once a minute at most; a clock that comes and goes is bounded by this."""

_NAME: Final = "mode told"


class ModeWatch:
    """Remembers which mode was told last, for which policy."""

    def __init__(self, stored: Documents, audit: Audit) -> None:
        self._stored, self._audit = stored, audit
        kept = stored.document(_NAME)
        self._version = kept.version if kept else 0
        self._told = kept.token if kept else ""
        self._hour, self._entries = 0, 0

    def look(self, policy: Policy | None, now: WallTime, instant: Instant, *, is_clock_trusted: bool) -> None:
        """Write down the mode of this moment if it is another than before. Raises UnavailableError, untold.

        While the clock is not trusted every rule of the schedule holds, so losing the time can change it too.
        """
        if policy is None:
            return
        mode = mode_now(policy, now, is_clock_trusted=is_clock_trusted)
        if (policy.version, mode) == (self._version, self._told):
            return
        before = self._told if policy.version == self._version else policy.mode
        if mode != before and self._may_write(instant):
            by = "schedule" if is_clock_trusted else "clock_untrusted"
            self._audit.append(Kind.MODE, "", {"mode": mode, "before": before, "by": by, "policy": policy.version})
        self._stored.put_document(_NAME, Document(policy.version, mode))
        self._version, self._told = policy.version, mode

    def _may_write(self, instant: Instant) -> bool:
        hour = instant // (3600 * SECOND_NS)
        self._entries = self._entries + 1 if hour == self._hour else 1
        self._hour = hour
        return self._entries <= ENTRIES_PER_HOUR_MAX
