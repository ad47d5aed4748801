"""A camera's events to what is news: what is so now, what was so last, and no more than a camera may say in a minute.

Rules of this file: a state that was known is no news, however often a camera repeats it; what a camera may make the hub
remember is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.acquire.camera_event import CameraEvent
from agent.acquire.event_session import EventState
from agent.acquire.event_topics import EventKind
from agent.clock import SECOND_NS, Instant, WallTime

EVENTS_PER_MINUTE_MAX: Final = 120  # kept of one camera; a detector that flickers more says nothing
SOURCES_MAX: Final = 64  # of one camera: topics with their sources


@dataclass(frozen=True, slots=True)
class EventFact:
    """How one kind of event stands with a camera."""

    is_active: bool = False  # some source says that it is so now
    last: WallTime | None = None  # when it was so last, by hub time; None: not since the daemon began with it
    count: int = 0  # how often it began


@dataclass(frozen=True, slots=True)
class EventHealth:
    """How it stands with a camera's events, for people."""

    state: EventState = EventState.LOOKING
    why: str = ""  # the last failure, with what a person can do; never a credential
    facts: dict[EventKind, EventFact] = field(default_factory=dict)  # of the kinds that the camera has told of
    kept: int = 0
    left_out: int = 0  # beyond what a camera may say


class EventBoard:
    """Holds what a camera has said against what it says now."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], tuple[EventKind, bool]] = {}  # by topic and source
        self._facts: dict[EventKind, EventFact] = {}
        self._minute, self._in_minute = -1, 0
        self._kept = self._left_out = 0

    def take(self, events: Iterable[CameraEvent], now: Instant) -> tuple[CameraEvent, ...]:
        """Return those of the events that are news, in order."""
        return tuple(event for event in events if self._is_news(event) and self._has_room(now))

    def forget_states(self) -> None:
        """Note that the subscription is gone: what was so may have ended unheard."""
        self._states.clear()

    def health(self, state: EventState, why: str) -> EventHealth:
        """Put together how it stands."""
        active = {kind for kind, is_active in self._states.values() if is_active}
        facts = {kind: EventFact(kind in active, fact.last, fact.count) for kind, fact in sorted(self._facts.items())}
        return EventHealth(state, why, facts, self._kept, self._left_out)

    def _is_news(self, event: CameraEvent) -> bool:
        place = event.topic, event.source
        known = self._states.get(place)
        fact = self._facts.get(event.kind, EventFact())
        if event.state is None:
            self._facts[event.kind] = EventFact(last=event.moment, count=fact.count + 1)
            return True
        if known is None and len(self._states) >= SOURCES_MAX:
            self._left_out += 1
            return False
        self._states[place] = event.kind, event.state
        is_new = known is None or known[1] != event.state
        begins = is_new and event.state
        is_dated = begins or (is_new and known is not None)  # it is so from now on, or was so until now
        self._facts[event.kind] = EventFact(last=event.moment if is_dated else fact.last, count=fact.count + begins)
        return is_new

    def _has_room(self, now: Instant) -> bool:
        minute = now // (60 * SECOND_NS)
        if minute != self._minute:
            self._minute, self._in_minute = minute, 0
        self._in_minute += 1
        has_room = self._in_minute <= EVENTS_PER_MINUTE_MAX
        self._kept += has_room
        self._left_out += not has_room
        return has_room
