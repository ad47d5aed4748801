"""Bytes into a `WireBuffer` in any pieces, events out of it with payloads that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.acquire.stream import Track
from agent.acquire.wire import WireBuffer, wire_memory
from agent.acquire.wire_counts import WireCounts
from agent.acquire.wire_event import Span, WireEvent
from agent.clock import WallTime
from tests.simulators.rtsp_camera import picture_frames

VIDEO = Track(0, "video", "H264", 96, 90_000)
AUDIO = Track(2, "audio", "PCMU", 0, 8000)


@dataclass(frozen=True)
class Reading:
    """What became of a stream: its events, the last span cut at the end, and how its bytes came."""

    events: list[WireEvent]
    piece_ends: list[int]
    counts: WireCounts

    @property
    def untimed(self) -> list[WireEvent]:
        """The events without their times of arrival."""
        zero = WallTime(0)
        return [
            event._replace(first_arrival=zero, last_arrival=zero) if isinstance(event, Span) else event
            for event in self.events
        ]


def feed(wire: WireBuffer, octets: bytes, now: int = 1) -> list[WireEvent]:
    """Let bytes arrive, as many as there is room for; return the events, whose payloads are copied."""
    wire.room()[: len(octets)] = octets
    wire.received(len(octets))
    return [keep(event) for event in wire.scan(WallTime(now))]


def keep(event: WireEvent) -> WireEvent:
    """Copy a span's payload, which is valid for a moment only."""
    return event._replace(payload=bytes(event.payload)) if isinstance(event, Span) else event


def play(
    stream: bytes,
    sizes: Iterable[int] = (),
    tracks: tuple[Track, ...] = (VIDEO,),
    cuts: frozenset[int] = frozenset(),
    wire: WireBuffer | None = None,
    between: Callable[[], object] = lambda: None,
) -> Reading:
    """Feed a stream in pieces of these sizes (then in large ones), with cuts after some of them and at the end.

    `between` is called before each piece and before each cut.
    """
    wire = wire or WireBuffer(wire_memory())
    wire.follow(tracks)
    events: list[WireEvent] = []
    piece_ends: list[int] = []
    pieces, at = iter(sizes), 0
    while at < len(stream):
        between()
        count = min(next(pieces, len(stream)), len(stream) - at, len(wire.room()))
        events += feed(wire, stream[at : at + count], len(piece_ends))
        at += count
        between()
        if (len(piece_ends) in cuts or at == len(stream)) and (span := wire.cut()) is not None:
            events.append(keep(span))
        piece_ends.append(at)
    return Reading(events, piece_ends, wire.counts)


def read(stream: bytes, sizes: Iterable[int] = (), tracks: tuple[Track, ...] = (VIDEO,)) -> list[WireEvent]:
    """Return a stream's events."""
    return play(stream, sizes, tracks).events


def spans(events: Iterable[WireEvent]) -> list[Span]:
    """Return the spans among events."""
    return [event for event in events if isinstance(event, Span)]


def joined(events: Iterable[WireEvent]) -> bytes:
    """Return the payloads of all spans."""
    return b"".join(span.payload for span in spans(events))


def picture(number: int, *, is_key: bool = False, fragments: int = 8) -> bytes:
    """Make a whole picture."""
    return b"".join(picture_frames(number, 0, is_key=is_key, fragments=fragments))
