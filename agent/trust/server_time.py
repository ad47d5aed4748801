"""Time for a hub whose clock nobody disciplines: asks the server, believes what a time key signed, and remembers it.

Rules of this file:
- It asks only while NTP does not vouch for the clock, and only where the trust bundle lists who may answer.
- An answer is in the audit log, then on the disk, before the clock goes by it.
- What is known to have passed only rises; commands are forgotten only up to what of it is on the disk, so no later
  answer can bring back a time at which a forgotten one would be new.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Final

import msgspec

from agent.clock import SECOND_NS, Instant, SignedClock, SignedTime, TimeSource, WallTime
from agent.command.signed_time import NONCE_BYTES, TimeAnswer, TimeExchange, TimeFault, is_believable
from agent.consent.standing import Standing
from agent.errors import UnavailableError
from agent.evidence.kinds import Kind
from agent.ports import Audit, Document, Documents

LOOK_EVERY_S: Final = 1.0
KNOWN_EVERY_S: Final = 600
"""How often the newest trusted time is stored: after a power cut an answer may be behind by so much, not by more."""

_NAME: Final = "server time"
_UNTRUSTED: Final = frozenset({TimeSource.NONE, TimeSource.SIGNED})

log: Final = logging.getLogger("transom.server_time")


class KnownTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the disk knows of the time."""

    known: int  # ns since 1970; it has passed
    kid: str = ""  # on whose word: a time key's thumbprint; empty: NTP's
    boot: str = ""  # the start of the machine in which `signed` was said
    signed: SignedTime | None = None


class ServerTime:
    """The hub's side of the exchange. Used from the event loop only."""

    def __init__(
        self,
        clock: SignedClock,
        standing: Callable[[], Standing],
        stored: Documents,
        audit: Audit,
        boot: str,
        forget_before: Callable[[WallTime], None] = lambda _: None,
    ) -> None:
        """Go by what was signed before, if this is still the same start of the machine (`boot`)."""
        self._clock, self._standing, self._stored, self._audit = clock, standing, stored, audit
        self._boot, self._forget_before = boot, forget_before
        self._exchange = TimeExchange()
        self._known = self._read()
        self._next_note = clock.since_boot()
        self.refused = 0
        signed = self._known.signed
        is_ours = self._known.boot == boot and self._is_listed(self._known.kid)
        if signed is not None and is_ours and is_believable(signed, clock.since_boot()):
            clock.believe(signed)

    def request(self) -> bytes | None:
        """Return the question that is to be sent at once, or None if there is nothing to ask or nobody to answer."""
        now, standing = self._clock.since_boot(), self._standing()
        if not self._exchange.is_due(now) or not self._is_wanted() or not standing.trust.time_keys:
            return None
        return self._exchange.ask(os.urandom(NONCE_BYTES), now, standing.audience)

    def hurry(self) -> None:
        """Ask as soon as the pace allows: the broker is there again."""
        self._exchange.hurry()

    def take(self, answer: bytes) -> bool:
        """Take an answer; True if the clock goes by it now. Raises UnavailableError if it cannot be stored."""
        received, standing = self._clock.since_boot(), self._standing()
        found = self._exchange.take(answer, received, standing.trust, standing.audience, self.known)
        if isinstance(found, TimeFault):
            self.refused += 1
            if found is not TimeFault.NOT_ASKED:
                self._audit.append(Kind.TIME_REFUSED, "", {"why": found.value})
            return False
        if not self._is_wanted():
            return False  # NTP was faster
        try:
            self._believe(found, received)
        except UnavailableError:
            self._exchange.hurry()
            raise
        return True

    def look(self) -> bool:
        """Store what is known of the time, now and then; say whether there is something to ask. May raise."""
        if not self._is_listed(self._known.kid) and self._clock.signed() is not None:
            self._clock.believe(None)  # on whose word that was, nobody believes any more
            self._exchange.hurry()
        now, source = self._clock.since_boot(), self._clock.standing().source
        if source is not TimeSource.NONE and now >= self._next_note:
            self._next_note = Instant(now + KNOWN_EVERY_S * SECOND_NS)
            known = WallTime(max(self.known, self._clock.now()))
            is_signed = source is TimeSource.SIGNED
            self._note(
                KnownTime(known, self._known.kid, self._boot, self._known.signed) if is_signed else KnownTime(known)
            )
            if is_signed:
                self._forget_before(known)
        return source in _UNTRUSTED and self._exchange.is_due(now) and bool(self._standing().trust.time_keys)

    async def watch(self, wake: Callable[[], None]) -> None:
        """Look for ever; `wake` is called when `request` has something."""
        while True:
            try:
                if self.look():
                    wake()
            except UnavailableError as error:
                log.warning("the time cannot be stored: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def known(self) -> WallTime:
        """A time that has passed for certain.

        It counts while the key it is known by may sign times; one beyond the trust bundle's end is a broken clock's.
        """
        known = WallTime(self._known.known)
        is_certain = self._is_listed(self._known.kid) and known < self._standing().trust.expires
        return known if is_certain else WallTime(0)

    def _believe(self, answer: TimeAnswer, received: Instant) -> None:
        before = self._clock.signed()
        signed = answer.time if before is None else before.met_by(answer.time)
        step_ns = signed.now(received) - self._clock.now()
        detail: dict[str, str | int] = {
            "by_ms": round(step_ns / 1_000_000),
            "within_ms": -(-signed.error_ns(received) // 1_000_000),
            "round_trip_ms": -(-answer.round_trip_ns // 1_000_000),
            "key": answer.kid,
        }
        self._audit.append(Kind.TIME_ACCEPTED, "", detail)
        self._note(KnownTime(max(self.known, answer.told), answer.kid, self._boot, signed))
        self._clock.believe(signed)
        log.info("the server's signed time counts: a step of %s ms, within %s ms", detail["by_ms"], detail["within_ms"])

    def _is_wanted(self) -> bool:
        return self._clock.standing().source in _UNTRUSTED

    def _is_listed(self, kid: str) -> bool:
        return not kid or kid in self._standing().trust.time_signers()

    def _note(self, known: KnownTime) -> None:
        self._stored.put_document(_NAME, Document(1, msgspec.json.encode(known).decode()))
        self._known = known

    def _read(self) -> KnownTime:
        kept = self._stored.document(_NAME)
        try:
            return KnownTime(0) if kept is None else msgspec.json.decode(kept.token, type=KnownTime)
        except msgspec.MsgspecError:
            return KnownTime(0)
