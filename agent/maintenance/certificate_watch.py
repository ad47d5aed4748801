"""The hub's certificate, renewed before it ends: asked for, tried at the broker, put in force, confirmed.

Rules of this file:
- The pair in force is replaced after the next one has worked with the broker, not before.
- What is about to happen is in the audit log first; a full log or disk stops nothing but that step.
- Where nobody vouches for the clock, what has passed for certain decides; where not even that is known, a broker that
  stays away does: a certificate may have ended, and its server knows the time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from agent.clock import SECOND_NS, Clock, Instant, TimeSource, WallTime
from agent.errors import BadInputError, ConfigurationError, TransomError, UnavailableError
from agent.evidence.kinds import Kind
from agent.health.vitals import CertificateVitals
from agent.loose_thread import in_thread
from agent.ports import Audit
from provisioning.credentials import RenewalStage
from provisioning.renewal_pace import Validity, pause_s

LOOK_EVERY_S: Final = 1.0
OFFLINE_S_MAX: Final = 600.0
"""So long the broker must have been away until a hub that does not know the time asks for a new certificate."""
FIRST_S_MAX: Final = 60.0
"""At most so long after its start a hub asks: after a power cut of a town, not all of them at once."""
REFUSALS_MAX: Final = 3
TRIES_MAX: Final = 20
"""So often a new pair is tried in vain; one of these may be a broker that went away in between."""
TRIAL_S: Final = 10.0
"""Until a new pair is tried again; twice that the next time."""
ENTRIES_PER_HOUR_MAX: Final = 20

log: Final = logging.getLogger("transom.certificate")


class Certificate(Protocol):
    """The hub's pairs of key and certificate, and who renews them. Anything may raise one of `agent.errors`."""

    @property
    def can_renew(self) -> bool:
        """Whether there is somebody to ask."""

    def stage(self) -> RenewalStage:
        """Say how far the renewal is."""

    def validity(self) -> Validity:
        """Return the life of the pair in force."""

    def next_validity(self) -> Validity:
        """Return the life of the pair on trial."""

    def name(self) -> str:
        """Return the pin of the key in force."""

    def ask(self, now_s: int | None) -> None:
        """Get the next pair; blocking."""

    def trial(self) -> tuple[bool, int, int]:
        """Say whether the next pair has worked, how often only the old one did, and how often the next was tried."""

    def accept(self) -> None:
        """Put the next pair in force."""

    def confirm(self) -> None:
        """Tell the server; blocking."""

    def drop(self) -> None:
        """Give the next pair up, or end the renewal."""


class BrokerConnection(Protocol):
    """What the watch asks of the connection to the broker."""

    @property
    def is_connected(self) -> bool:
        """Whether it is there."""

    def reconnect(self) -> None:
        """Connect anew, and lose nothing by it."""


class CertificateWatch:
    """Used from the event loop only. `known` is a time that has passed for certain, 0 if there is none."""

    def __init__(
        self,
        certificate: Certificate,
        broker: BrokerConnection,
        clock: Clock,
        audit: Audit,
        known: Callable[[], WallTime] = lambda: WallTime(0),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._certificate, self._broker, self._clock, self._audit = certificate, broker, clock, audit
        self._known, self._on_change = known, on_change
        self._chance = random.SystemRandom().random
        self._validity = certificate.validity()
        self._failures, self._why, self._is_refused = 0, "", False
        first_s = min(FIRST_S_MAX, pause_s(self._validity.life_s, 0, 0.0)) * self._chance()
        self._next = Instant(clock.instant() + int(first_s * SECOND_NS))
        self._next_trial = clock.instant()
        self._seen_broker = clock.instant()
        self._hour, self._entries = 0, 0

    def vitals(self) -> CertificateVitals:
        """Say how it stands."""
        return CertificateVitals(
            ends=_date(self._validity.ends_s),
            due=_date(self._validity.due_s) if self._certificate.can_renew else "",
            late=_date(self._validity.late_s),
            failures=self._failures,
            why=self._why,
            is_refused=self._is_refused,
        )

    async def run(self, look_every_s: float = LOOK_EVERY_S) -> None:
        """Watch for ever."""
        while True:
            try:
                await self.look()
            except TransomError as error:  # a disk or a log that takes nothing, a file that somebody damaged
                self._failed(str(error), is_refused=False)
            await asyncio.sleep(look_every_s)

    async def look(self) -> None:
        """Take the next step, if it is time for one."""
        now = self._clock.instant()
        if self._broker.is_connected:
            self._seen_broker = now
        stage = self._certificate.stage()
        if stage is RenewalStage.ON_TRIAL:
            self._try(now)
        elif now < self._next or not self._certificate.can_renew:
            return
        elif stage is RenewalStage.UNCONFIRMED:
            await self._confirm()
        elif self._is_due(now):
            await self._ask()

    def _is_due(self, now: Instant) -> bool:
        if self._clock.standing().source is not TimeSource.NONE:
            return self._clock.now() / SECOND_NS >= self._validity.due_s
        if self._known() / SECOND_NS >= self._validity.due_s:
            return True
        return now - self._seen_broker >= OFFLINE_S_MAX * SECOND_NS

    async def _ask(self) -> None:
        is_known = self._clock.standing().source is not TimeSource.NONE
        if not self._failures:
            self._write("asked")
        try:
            await in_thread(partial(self._certificate.ask, self._clock.now() // SECOND_NS if is_known else None))
        except (BadInputError, UnavailableError, ConfigurationError) as error:
            self._failed(str(error), is_refused=isinstance(error, ConfigurationError))
            return
        self._write("received", ends=_date(self._certificate.next_validity().ends_s))
        self._next_trial = self._clock.instant()

    def _try(self, now: Instant) -> None:
        is_proven, refusals, tries = self._certificate.trial()
        if is_proven:
            self._accept()
        elif refusals >= REFUSALS_MAX or tries >= TRIES_MAX:
            self._failed("the broker does not take the new certificate (tell the operator)", is_refused=False)
            self._certificate.drop()
        elif now >= self._next_trial and self._broker.is_connected:
            self._next_trial = Instant(now + int(TRIAL_S * 2**refusals * SECOND_NS))
            self._broker.reconnect()

    def _accept(self) -> None:
        validity = self._certificate.next_validity()
        self._write("in force", ends=_date(validity.ends_s))
        self._certificate.accept()
        self._validity, self._failures, self._why, self._is_refused = validity, 0, "", False
        self._next = self._clock.instant()
        log.info("the hub's certificate is renewed and lasts until %s", _date(validity.ends_s))
        self._on_change()

    async def _confirm(self) -> None:
        try:
            await in_thread(self._certificate.confirm)
        except ConfigurationError as error:  # it is in force all the same, and somebody else's may be so too
            self._write("not confirmed", why=str(error))
            self._certificate.drop()
            self._why, self._is_refused = str(error), True
            self._on_change()
        except (BadInputError, UnavailableError) as error:
            log.info("the server was not told of the new certificate: %s", error)
            self._pause(1)

    def _failed(self, why: str, *, is_refused: bool) -> None:
        is_news = why != self._why
        self._failures += 1
        self._why, self._is_refused = why, is_refused
        self._pause(self._failures)
        if is_news:
            ends = _date(self._validity.ends_s)
            log.warning("the hub's certificate, which ends at %s, is not renewed: %s", ends, why)
            with suppress(UnavailableError):  # a full disk: the warning stands all the same
                self._write("not renewed", why=why)
            self._on_change()

    def _pause(self, failures: int) -> None:
        wait_s = pause_s(self._validity.life_s, failures - 1, self._chance())
        self._next = Instant(self._clock.instant() + int(wait_s * SECOND_NS))

    def _write(self, step: str, **detail: str) -> None:
        """Write a step down; a server or a broker that changes its mind for ever fills no log."""
        hour = self._clock.instant() // (3600 * SECOND_NS)
        if hour != self._hour:
            self._hour, self._entries = hour, 0
        self._entries += 1
        if self._entries <= ENTRIES_PER_HOUR_MAX:
            self._audit.append(Kind.CERTIFICATE, self._certificate.name()[:16], {"step": step, **detail})


def _date(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
