"""An event of a camera in hub time, and events as the bytes that the ring keeps beside the pictures.

Rules of this file: texts are printable and short; what is decoded has passed the limits that are checked when encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from agent.acquire.event_topics import EventKind
from agent.clock import WallTime
from agent.errors import BadInputError

EVENTS_BYTES_MAX: Final = 64 * 1024
EVENTS_MAX: Final = 64  # in one chunk
TOPIC_CHARACTERS_MAX: Final = 128
SOURCE_CHARACTERS_MAX: Final = 64
ERROR_NS_MAX: Final = (1 << 63) - 1


class EventClock(StrEnum):
    """Where an event's time comes from."""

    CAMERA = "camera"  # its own time, by the measured offset of its clock
    ARRIVAL = "arrival"  # when it was told: its own time is missing, or contradicts that


class CameraEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event. It was so at `at` (hub time), within `error_ns` either way."""

    kind: EventKind
    at: int  # WallTime
    error_ns: Annotated[int, msgspec.Meta(ge=0, le=ERROR_NS_MAX)]
    clock: EventClock
    topic: Annotated[str, msgspec.Meta(max_length=TOPIC_CHARACTERS_MAX)]  # as the camera wrote it
    source: Annotated[str, msgspec.Meta(max_length=SOURCE_CHARACTERS_MAX)] = ""  # the camera's tokens for where
    state: bool | None = None  # whether it is so from now on; None: it happened
    is_initial: bool = msgspec.field(name="initial", default=False)  # how it stood when the hub began to ask

    @property
    def moment(self) -> WallTime:
        """When it was so."""
        return WallTime(self.at)


class _Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: Annotated[tuple[CameraEvent, ...], msgspec.Meta(min_length=1, max_length=EVENTS_MAX)]


def encode_events(events: Sequence[CameraEvent]) -> bytes:
    """Write 1 to 64 events as a chunk's payload (buffer/FORMAT.md, Events). Raises BadInputError outside the limits."""
    payload = msgspec.json.encode(_Events(tuple(events)))
    decode_events(payload)
    return payload


def decode_events(payload: bytes) -> tuple[CameraEvent, ...]:
    """Read them back. Raises BadInputError for anything that a hub does not write."""
    if len(payload) > EVENTS_BYTES_MAX:
        raise BadInputError(f"events of {len(payload)} bytes (limit {EVENTS_BYTES_MAX})")
    try:
        events = msgspec.json.decode(payload, type=_Events).events
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"not events of a camera: {error}") from error
    for event in events:
        if not -(1 << 63) <= event.at < 1 << 63 or not (event.topic + event.source).isprintable():
            raise BadInputError("an event of a camera with a time or a text that no hub writes")
    return events
