"""A hub's certificate whose renewals end as a test says, beside a clock and a connection that the test moves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial

from agent.clock import SECOND_NS, WallTime
from agent.errors import UnavailableError
from agent.maintenance.certificate_watch import CertificateWatch
from provisioning.credentials import RenewalStage
from provisioning.renewal_pace import Validity
from tests.simulators.audit_log import NOW
from tests.simulators.set_clock import SetClock

DAY_S = 86400


class StepLog:
    """What was written down."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.is_full = False

    def append(self, kind: str, ref: str, detail: dict[str, str | int]) -> None:
        """Write one entry."""
        assert (kind, len(ref)) == ("certificate", 16)
        if self.is_full:
            raise UnavailableError("no room")
        self.steps.append(str(detail["step"]))

    def head(self) -> tuple[int, str]:
        """Say how many there are."""
        return len(self.steps), ""


class Scripted:
    """A certificate of 90 days whose renewals end as a test says; the real one is `HubCertificate`."""

    def __init__(self, *ends: Exception | None) -> None:
        began_s = NOW / SECOND_NS
        self.ends, self.asked = list(ends), list[int | None]()
        self.state, self.can_renew, self.outcome = RenewalStage.SETTLED, True, (False, 0, 0)
        self.life = Validity(began_s, began_s + 90 * DAY_S, 0.5)
        self.dropped = 0

    def stage(self) -> RenewalStage:
        """Say how far it is."""
        return self.state

    def validity(self) -> Validity:
        """Say how long it lasts."""
        return self.life

    next_validity = validity

    def name(self) -> str:
        """Name it."""
        return "ab" * 32

    def ask(self, now_s: int | None) -> None:
        """Note who asked when."""
        self.asked.append(now_s)
        if self.ends and (end := self.ends.pop(0)):
            raise end
        self.state = RenewalStage.ON_TRIAL

    def trial(self) -> tuple[bool, int, int]:
        """Say what the broker made of it."""
        return self.outcome

    def accept(self) -> None:
        """Put it in force."""
        self.state = RenewalStage.UNCONFIRMED

    def confirm(self) -> None:
        """Tell the server."""
        if self.ends and (end := self.ends.pop(0)):
            raise end
        self.state = RenewalStage.SETTLED

    def drop(self) -> None:
        """Give it up."""
        self.dropped += 1
        self.state = RenewalStage.SETTLED


class Line:
    """A connection that a test makes and breaks."""

    def __init__(self) -> None:
        self.is_connected, self.reconnects = True, 0

    def reconnect(self) -> None:
        """Count it."""
        self.reconnects += 1


@dataclass
class WatchedDates:
    """A watch whose time a test moves."""

    certificate: Scripted
    clock: SetClock = field(default_factory=lambda: SetClock(NOW))
    line: Line = field(default_factory=Line)
    log: StepLog = field(default_factory=StepLog)
    known_ns: int = 0

    def __post_init__(self) -> None:
        known = partial(lambda dates: WallTime(dates.known_ns), self)
        self.watch = CertificateWatch(self.certificate, self.line, self.clock, self.log, known)

    def look(self, after_s: float = 0.0, every_s: float = 60.0) -> None:
        """Look every so often, until so much time has passed."""

        async def looks(left_s: float) -> None:
            while left_s > 0:
                self.clock.go_on(min(every_s, left_s))
                left_s -= every_s
                await self.watch.look()
            await self.watch.look()

        asyncio.run(looks(after_s))
