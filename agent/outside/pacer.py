"""Lets uploads through as fast as the caps allow, and measures the uplink by them: any uploader's send loop asks here.

    with pacer.passage(part_id) as passage:      # one request
        await pacer.leave(passage, length)       # before each piece of at most `pacer.piece_bytes(passage)`
        passage.is_answered = True               # when the store has said something

Rules of this file: used from the event loop only; nobody waits longer than `LOOK_S` without asking whether they still
may; the numbers are `deliver/pace.py`, `cap.py` and `uplink.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from agent.clock import SECOND_NS, Clock, Instant
from agent.deliver.cap import NO_CAPS, Caps, cap_bytes_per_s, has_share
from agent.deliver.pace import BEHIND_SHARE, WIRE_FACTOR, Pace
from agent.deliver.turns import AT_ONCE_MAX
from agent.deliver.uplink import Uplink

LOOK_S: Final = 0.5
MEASURE_S: Final = 1.0  # so long is a request that nothing holds back, while a share of the uplink is the cap
MEASURE_BYTES_FIRST: Final = 512 * 1024
PATIENCE: Final = AT_ONCE_MAX / BEHIND_SHARE
"""So many times longer than on a free link a request may take: one of as many as there can be, behind another."""

CAP_EVERY_NS: Final = 5 * SECOND_NS  # so soon do hours with another cap count


class WithdrawnError(Exception):
    """What is being sent may not go any more."""


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """What is known of the link now, in bits a second on the wire; None: not known, or no cap."""

    uplink_bit_s: int | None
    cap_bit_s: int | None


class Traffic(Protocol):
    """Who is being sent (`agent.upload_turns.UploadTurns`)."""

    def is_ahead(self, part: str) -> bool:
        """Say whether a part goes before the backlog."""

    def has_ahead(self) -> bool:
        """Say whether any part is being sent that does."""

    def may_go_on(self, part: str) -> bool:
        """Say whether a part may still be sent."""


@dataclass(slots=True)
class Passage:
    """One request with a body, on its way."""

    part: str
    is_measuring: bool  # nothing holds it back, for once
    began: Instant
    sent_before: int  # by all uploads
    held_before: int
    asked: Instant  # when it was last asked whether the part may still be sent
    is_answered: bool = False  # by the store; then it may have measured the link


class Pacer:
    """One for all uploads of a hub. Without `traffic` nobody is in a hurry, and everything may go."""

    def __init__(self, clock: Clock, caps: Caps = NO_CAPS, traffic: Traffic | None = None) -> None:
        self._clock, self._caps, self._traffic = clock, caps, traffic
        self._pace, self._uplink = Pace(), Uplink()
        self._looked: Instant | None = None
        self._has_share = False
        self._is_measuring = False
        self._times_held = 0
        self.sent_bytes = 0  # of bodies, since the start

    @property
    def link_bytes_per_s(self) -> float | None:
        """How fast all uploads together can go on the wire, by cap or measurement; None: nobody knows."""
        self._look()
        return self._pace.link_bytes_per_s

    def figures(self) -> LinkFigures:
        """Say what is known of the link now."""
        self._look()
        return LinkFigures(_bits(self._uplink_on_wire()), _bits(self._pace.cap_bytes_per_s))

    def request_bytes(self, bytes_max: int) -> int:
        """Return how long the next request should be at most."""
        self._look()
        if not self._is_measurement_due():
            return self._pace.request_bytes(bytes_max)
        is_first = self._uplink.bytes_per_s is None
        return self._pace.request_bytes(min(bytes_max, MEASURE_BYTES_FIRST) if is_first else bytes_max, MEASURE_S)

    def seconds_for(self, length: int) -> float:
        """Return how long a request of so many bytes may well take, beside others; 0: nobody knows."""
        rate = self.link_bytes_per_s
        return 0.0 if rate is None else PATIENCE * length / rate

    @contextmanager
    def passage(self, part: str) -> Iterator[Passage]:
        """Let a request with a body through, as long as the block lasts."""
        self._look()
        is_measuring = self._is_measurement_due() and not self._is_measuring
        self._is_measuring |= is_measuring
        now = self._clock.instant()
        passage = Passage(part, is_measuring, now, self.sent_bytes, self._times_held, now)
        try:
            yield passage
        finally:
            self._is_measuring &= not is_measuring
            if passage.is_answered and (is_measuring or self._times_held == passage.held_before):
                self._note(passage)

    def piece_bytes(self, passage: Passage) -> int:
        """Return how much to ask for at once."""
        return self._pace.piece_bytes(is_behind=self._is_behind(passage))

    async def leave(self, passage: Passage, length: int) -> None:
        """Wait until so many bytes may go. Raises WithdrawnError if the part may not be sent any more."""
        self._look()
        left_s = 0.0
        if not passage.is_measuring:
            left_s = self._pace.book(length, self._clock.instant(), is_behind=self._is_behind(passage)) / SECOND_NS
        self._times_held += left_s > 0
        while True:
            now = self._clock.instant()
            if now - passage.asked >= LOOK_S * SECOND_NS:
                passage.asked = now
                if self._traffic is not None and not self._traffic.may_go_on(passage.part):
                    raise WithdrawnError
            if left_s <= 0:
                break
            await asyncio.sleep(min(left_s, LOOK_S))
            left_s -= LOOK_S
        self.sent_bytes += length

    def _note(self, passage: Passage) -> None:
        now = self._clock.instant()
        self._uplink.note(self.sent_bytes - passage.sent_before, (now - passage.began) / SECOND_NS, now)
        self._looked = None

    def _is_measurement_due(self) -> bool:
        return self._has_share and self._uplink.is_due(self._clock.instant())

    def _is_behind(self, passage: Passage) -> bool:
        return self._traffic is not None and self._traffic.has_ahead() and not self._traffic.is_ahead(passage.part)

    def _look(self) -> None:
        """Find out which cap holds now, every few seconds and after each measurement."""
        now = self._clock.instant()
        if self._looked is None or now - self._looked >= CAP_EVERY_NS:
            self._looked = now
            moment = self._clock.now() if self._clock.is_trusted() else None
            link = self._uplink_on_wire()
            self._has_share = has_share(self._caps, moment)
            self._pace.set(cap_bytes_per_s(self._caps, moment, link), link)

    def _uplink_on_wire(self) -> float | None:
        rate = self._uplink.bytes_per_s
        return None if rate is None else rate * WIRE_FACTOR


def _bits(bytes_per_s: float | None) -> int | None:
    return None if bytes_per_s is None else round(bytes_per_s * 8)
