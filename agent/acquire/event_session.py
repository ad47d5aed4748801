"""One camera's event subscription, from finding the service to saying goodbye: what to ask next, and when.

| state | effect | goes on with |
|---|---|---|
| LOOKING | Find | Found: SUBSCRIBING; NoService: ABSENT |
| SUBSCRIBING | Subscribe | Subscribed: PULLING |
| PULLING | Renew when due, else Pull | Pulled, Renewed: PULLING; Lost: SUBSCRIBING after Unsubscribe and a wait |
| ABSENT | Find, an hour later | as LOOKING |

Rules of this file: a camera has one subscription of this hub at a time; lengths are durations, since the camera's clock
may be years off; every failure waits, longer each time, and with jitter, since cameras have room for few subscriptions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from agent.acquire.backoff import Backoff
from agent.clock import SECOND_NS, Instant

SUBSCRIPTION_S: Final = 60  # asked for; cameras that give another time are taken at their word
PULL_S: Final = 5  # how long a camera may wait for something to tell: Tapo closes a longer pull after 10 s
PULL_MESSAGES: Final = 32  # asked for in one answer
PULLS_PER_S_MAX: Final = 4  # for cameras that answer at once with nothing
RETRY_S_MIN: Final = 5.0
RETRY_S_MAX: Final = 600.0
LOGIN_S: Final = 600.0  # cameras lock accounts after a few refused logins
ABSENT_S: Final = 3600.0  # a camera without events is asked again after so long: its owner may have switched them on
SETTLED_S: Final = 120  # a subscription that lived this long was a good one
RENEWALS_REFUSED_MAX: Final = 2  # in a row: such cameras prolong with every pull, or are subscribed to anew


class EventState(StrEnum):
    """How it stands with a camera's events."""

    LOOKING = "looking"
    SUBSCRIBED = "subscribed"
    WAITING = "waiting"  # after a failure, until the next try
    ABSENT = "none"  # the camera offers none
    REFUSED = "refused"  # it wants another login for them
    STOPPED = "stopped"


class Effect(Enum):
    """What to do now."""

    FIND = auto()
    SUBSCRIBE = auto()
    PULL = auto()
    RENEW = auto()
    UNSUBSCRIBE = auto()  # of the subscription that was there; whatever comes of it


class Failure(Enum):
    """What kind of failure."""

    CAMERA = auto()  # it does not answer, or with a fault, or with nonsense
    LOGIN = auto()
    ABSENT = auto()  # it has no events


@dataclass(frozen=True, slots=True)
class Done:
    """An effect went well; `lives_s` is what the camera said about the subscription's life, None if nothing."""

    effect: Effect
    lives_s: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An effect failed; `why` is for people."""

    effect: Effect
    failure: Failure
    why: str


class EventSession:
    """The machine. Whoever runs it does `next_effect`'s effect and feeds what came of it, one at a time."""

    def __init__(self, now: Instant, jitter: random.Random) -> None:
        self._jitter = jitter
        self._backoff = Backoff(RETRY_S_MIN, RETRY_S_MAX, LOGIN_S)
        self._state, self.why = EventState.LOOKING, ""
        self._is_found = self._is_subscribed = self._must_leave = False
        self._next = now  # nothing is done before
        self._renew_at = self._since = now
        self._granted_ns = 0
        self._renewals_refused = 0

    @property
    def state(self) -> EventState:
        """How it stands."""
        return self._state

    def feed(self, event: Done | Failed, now: Instant) -> None:
        """Take what came of an effect."""
        if self._state is EventState.STOPPED or event.effect is Effect.UNSUBSCRIBE:
            self._must_leave = False
        elif isinstance(event, Done):
            self._done(event, now)
        else:
            self._failed(event, now)

    def stop(self) -> None:
        """End it: what is left to do is to unsubscribe."""
        self._must_leave = self._must_leave or self._is_subscribed
        self._is_subscribed = False
        self._state = EventState.STOPPED

    def next_effect(self, now: Instant) -> Effect | None:
        """Return what to do now; None before the deadline, or if nothing is left to be done."""
        if self._must_leave:
            return Effect.UNSUBSCRIBE
        if self._state is EventState.STOPPED or now < self._next:
            return None
        if not self._is_found:
            return Effect.FIND
        if not self._is_subscribed:
            return Effect.SUBSCRIBE
        may_renew = self._renewals_refused < RENEWALS_REFUSED_MAX
        return Effect.RENEW if now >= self._renew_at and may_renew else Effect.PULL

    def deadline(self) -> Instant | None:
        """Return when `next_effect` is to be asked again; None if never."""
        if self._must_leave:
            return Instant(0)
        return None if self._state is EventState.STOPPED else self._next

    def _done(self, event: Done, now: Instant) -> None:
        match event.effect:
            case Effect.FIND:
                self._is_found = True
            case Effect.SUBSCRIBE:
                self._state, self.why, self._is_subscribed = EventState.SUBSCRIBED, "", True
                self._since, self._renewals_refused = now, 0
                self._note_life(event.lives_s or SUBSCRIPTION_S, now, is_granted=True)
            case Effect.RENEW:
                self._renewals_refused = 0
                self._note_life(event.lives_s or SUBSCRIPTION_S, now, is_granted=True)
            case _:
                self._next = Instant(now + SECOND_NS // PULLS_PER_S_MAX)
                if event.lives_s is not None:
                    self._note_life(event.lives_s, now, is_granted=False)
                if now - self._since >= SETTLED_S * SECOND_NS:
                    self._backoff.settled()

    def _note_life(self, lives_s: int, now: Instant, *, is_granted: bool) -> None:
        """Renew when half of what was granted is left; pulls that prolong the subscription put that off."""
        lives_ns = lives_s * SECOND_NS
        if is_granted:
            self._granted_ns = lives_ns
        self._renew_at = Instant(now + lives_ns - self._granted_ns // 2)

    def _failed(self, event: Failed, now: Instant) -> None:
        if event.effect is Effect.RENEW and event.failure is Failure.CAMERA:
            self._renewals_refused += 1  # the next pull shows whether the subscription is there
            self._renew_at = Instant(now + PULL_S * SECOND_NS)
            return
        self._must_leave = self._is_subscribed
        self._is_subscribed = False
        if event.effect in {Effect.FIND, Effect.SUBSCRIBE} or event.failure is not Failure.CAMERA:
            self._is_found = False  # a firmware update may have moved it
        self.why = event.why
        if event.failure is Failure.ABSENT:
            self._state = EventState.ABSENT
            self._next = Instant(now + int(ABSENT_S * (1 + self._jitter.random() / 2) * SECOND_NS))
            return
        is_login = event.failure is Failure.LOGIN
        self._state = EventState.REFUSED if is_login else EventState.WAITING
        self._next = self._backoff.next_try(now, self._jitter.random(), is_login_refused=is_login)
