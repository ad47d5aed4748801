"""A camera's answer about events to events in hub time: topic, source, state, and when, with a bound.

Rules of this file: elements are found by local name; whatever a message lacks, the others are read all the same; a time
is never told more exactly than camera clock, offset and arrival prove together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple

from agent.acquire.camera_clock import COARSE_CLOCK_NS, YEAR_MAX
from agent.acquire.camera_event import SOURCE_CHARACTERS_MAX, TOPIC_CHARACTERS_MAX, CameraEvent, EventClock
from agent.acquire.event_topics import kind_of, state_of
from agent.acquire.lenient_xml import Element, element, elements, local_name, text_of
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime

MESSAGES_MAX: Final = 256  # of one answer; more are left out
ITEMS_MAX: Final = 32  # of one message
ELEMENTS_MAX: Final = 128  # of one message; a larger one is left out, it would only cost time
LATE_NS_MAX: Final = 30 * SECOND_NS
"""How much earlier than it could be told an event may have happened: cameras queue while they are busy."""

LATENESS_NS: Final = 2 * SECOND_NS
"""How long a camera may take from seeing something to having its message ready, where only arrival dates it."""

LIVES_S_MAX: Final = 24 * 3600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)[T ]+(\d\d?):(\d\d?):(\d\d?)(?:[.,](\d{1,12}))?\s*(?:Z|([+-])(\d\d):?(\d\d))?"
)


class Stamp(NamedTuple):
    """A camera's time: it was at `at` or up to `resolution_ns` later."""

    at: WallTime
    resolution_ns: int


@dataclass(frozen=True, slots=True)
class Heard:
    """When an answer came, in hub time, and what is known of the camera's clock."""

    since: WallTime  # up to when everything was told before: the answer before, or when it was subscribed
    answered: WallTime
    offset: ClockOffset | None


def read_events(answer: Element, heard: Heard) -> tuple[CameraEvent, ...]:
    """Return the events among the first `MESSAGES_MAX` messages of an answer, in the camera's order.

    Messages that mean nothing to the hub are left out. Never raises.
    """
    messages = islice((child for child in answer if local_name(child) == "NotificationMessage"), MESSAGES_MAX)
    events = (_event(message, heard) for message in messages if _is_small(message))
    return tuple(event for event in events if event is not None)


def read_offset(answer: Element, asked: WallTime, answered: WallTime) -> ClockOffset | None:
    """Bound the camera's clock minus the hub's by the answer's CurrentTime; None if it has none that is a date."""
    current = read_stamp(text_of(answer, "CurrentTime"))
    if current is None or answered < asked:
        return None
    return ClockOffset(current.at - answered, current.at + current.resolution_ns + COARSE_CLOCK_NS - asked)


def read_lives_s(answer: Element) -> int | None:
    """Return how long the subscription lives from now on, in seconds; None if the camera does not say.

    Only the difference of the camera's own two times is believed: its clock may be years off.
    """
    current, termination = (read_stamp(text_of(answer, name)) for name in ("CurrentTime", "TerminationTime"))
    if current is None or termination is None:
        return None
    lives_s = (termination.at - current.at) // SECOND_NS
    return lives_s if 0 < lives_s <= LIVES_S_MAX else None


def read_stamp(text: str) -> Stamp | None:
    """Read an xs:dateTime as cameras write it; None if it is no date.

    A blank instead of T, one-digit fields, hour 24, second 60 and a missing zone (then UTC) come from real cameras.
    """
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[field]) for field in range(1, 7))
    digits = match[7] or ""
    zone = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0)) * (-1 if match[8] == "-" else 1)
    try:
        moment = datetime(year, month, day, tzinfo=UTC) + timedelta(hours=hour, minutes=minute, seconds=second) - zone
    except (ValueError, OverflowError):
        return None
    if not _EPOCH.year <= moment.year <= YEAR_MAX:
        return None
    decimals_ns = int(digits[:9].ljust(9, "0"))
    at = WallTime((moment - _EPOCH) // timedelta(seconds=1) * SECOND_NS + decimals_ns)
    return Stamp(at, 10 ** (9 - min(len(digits), 9)))


def _is_small(message: Element) -> bool:
    return sum(1 for _ in islice(message.iter(), ELEMENTS_MAX + 1)) <= ELEMENTS_MAX


def _event(message: Element, heard: Heard) -> CameraEvent | None:
    topic = _printable("".join(_texts(message, "Topic")), TOPIC_CHARACTERS_MAX)
    told = next((one for one in elements(message, "Message") if _attribute(one, "UtcTime")), message)
    items = _items(told, "Data")
    kind = kind_of(topic, (name for name, _ in items))
    if kind is None:
        return None
    operation = _attribute(told, "PropertyOperation").lower()
    is_initial = operation == "initialized"
    at, error_ns, clock = _dated(read_stamp(_attribute(told, "UtcTime")), heard, is_initial=is_initial)
    places = "/".join(value for _, value in (*_items(told, "Source"), *_items(told, "Key")))
    return CameraEvent(
        kind=kind,
        at=at,
        error_ns=error_ns,
        clock=clock,
        topic=topic,
        source=_printable(places, SOURCE_CHARACTERS_MAX),
        state=False if operation == "deleted" else state_of(items),
        is_initial=is_initial,
    )


def _dated(stamp: Stamp | None, heard: Heard, *, is_initial: bool) -> tuple[WallTime, int, EventClock]:
    """Map a camera's stamp to hub time, held against when it was told.

    A state from before the subscription is dated by when it was told: that is when the hub knows it to be so.
    """
    if stamp is not None and heard.offset is not None and not is_initial:
        low = stamp.at - heard.offset.high_ns
        high = min(stamp.at + stamp.resolution_ns - heard.offset.low_ns, heard.answered)
        if low <= high and high >= heard.since - LATE_NS_MAX:
            middle = (low + high) // 2
            return WallTime(middle), max(middle - low, high - middle), EventClock.CAMERA
    earliest = min(heard.since, heard.answered) - LATENESS_NS
    return heard.answered, heard.answered - earliest, EventClock.ARRIVAL


def _items(told: Element, part: str) -> list[tuple[str, str]]:
    within = element(told, part)
    if within is None:
        return []
    items = islice(elements(within, "SimpleItem"), ITEMS_MAX)
    return [(_attribute(item, "Name"), _attribute(item, "Value")) for item in items]


def _attribute(of: Element, name: str) -> str:
    for key, value in of.attrib.items():
        if str(key).rpartition("}")[2].lower() == name.lower():
            return str(value)
    return ""


def _texts(message: Element, name: str) -> Iterator[str]:
    found = element(message, name)
    if found is not None and local_name(found) == name:
        yield from (str(text) for text in found.itertext())


def _printable(text: str, characters_max: int) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:characters_max]
