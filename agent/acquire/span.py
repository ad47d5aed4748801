"""Frames and pictures, one after another, to the spans that become chunks: where one ends and the next begins.

Rules of this file: no byte is looked at here and none is copied, unless a hole stands inside a span; positions count
in the wire's buffer. A hole lies between the frames of a span and is no part of it: RTSP messages, unasked-for frames.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from agent.acquire.wire_event import Span, TimestampJump, WireEvent
from agent.clock import WallTime

SPAN_BYTES_MAX: Final = 256 * 1024  # holes included, so that a span and one unread unit always fit the buffer
# A shorter span that is key itself is not ended by the next key picture: a camera cannot make chunks out of nothing.
KEY_SPAN_BYTES_MIN: Final = 4 * 1024
JUMP_FORWARD_S_MAX: Final = 5
JUMP_BACK_S_MAX: Final = 1  # pictures that wait for their references (B) come back by less
_WRAP: Final = 1 << 32


class GrowingSpan:
    """The frames since the last span, and at their end the picture that grows; `events` gets the spans that end."""

    def __init__(self, view: memoryview) -> None:
        self.events: deque[WireEvent] = deque()
        self._view = view
        self._is_all_key = False
        self._forward_max, self._back_min = 0, _WRAP
        # The span.
        self.start = 0
        self.is_waiting = True  # for the first key picture
        self.first_rtp: int | None = None
        self.first_arrival: WallTime | None = None
        self.arrival = WallTime(0)  # of the newest frame
        self._is_key = False
        self._holes: list[tuple[int, int]] = []
        # The picture: the packets of one timestamp up to a marker.
        self.rtp: int | None = None
        self.is_whole = True  # its marker came
        self.is_undecided = False  # no packet told yet whether it is key
        self._is_key_picture = False
        self._picture = -1
        self._picture_arrival = WallTime(0)
        self._first_rtp_before: int | None = None  # of the span, without this picture; None if it is the first
        self._last_before = (0, WallTime(0))  # timestamp and arrival

    def expect(self, clock_hz: int, *, is_all_key: bool) -> None:
        """Say how fast the timestamps run, and whether every picture is key: then spans hold as many as fit."""
        self._forward_max, self._back_min = JUMP_FORWARD_S_MAX * clock_hz, _WRAP - JUMP_BACK_S_MAX * clock_hz
        self._is_all_key = is_all_key

    def begin(self, border: int) -> None:
        """Begin a span at `border`, whatever became of what lies before it."""
        is_picture = border == self._picture
        self.start = border
        self.first_rtp = self.rtp if is_picture else None
        self.first_arrival = self._picture_arrival if is_picture else None
        self._is_key = is_picture and self._is_key_picture
        self._first_rtp_before = None
        if self._holes:
            self._holes = [hole for hole in self._holes if hole[0] >= border]

    def begin_picture(self, at: int, rtp: int, now: WallTime) -> None:
        """Begin a picture with the packet at `at`; a new span too if its timestamp does not continue the last one."""
        previous = self.rtp
        if self.is_waiting:
            self.begin(at)
        if previous is None:
            previous = rtp
        elif self._forward_max < (rtp - previous) % _WRAP < self._back_min:
            self._give(self._end(at))
            self.events.append(TimestampJump())
        self._first_rtp_before, self._last_before = self.first_rtp, (previous, self.arrival)
        self._picture, self._picture_arrival, self.rtp = at, now, rtp
        self.is_undecided, self._is_key_picture = True, False

    def decide(self, *, is_key: bool) -> None:
        """Take what a packet told of the picture. A key picture begins a span, unless the one it is in just began."""
        self.is_undecided, self._is_key_picture = False, is_key
        if not is_key:
            return
        self.is_waiting = False
        key_span_bytes_min = SPAN_BYTES_MAX if self._is_all_key else KEY_SPAN_BYTES_MIN
        if self._first_rtp_before is None:
            self._is_key = True
        elif not self._is_key or self._picture - self.start >= key_span_bytes_min:
            self._give(self._end(self._picture))

    def hole(self, at: int, end: int) -> None:
        """Leave out what lies from `at` to `end`."""
        if end - self.start > SPAN_BYTES_MAX:
            self.keep_small(at, end)
        if self.start == at:
            self.start = end
        elif self._holes and self._holes[-1][1] == at:
            self._holes[-1] = (self._holes[-1][0], end)
        else:
            self._holes.append((at, end))

    def keep_small(self, at: int, end: int) -> None:
        """End the span where one more frame or hole, from `at` to `end`, would make it too long."""
        if self.is_waiting:
            self.is_undecided = False  # a quarter of a megabyte that never says what it is
            self.begin(at)
            return
        self._give(self._end(self._border(at)))
        if end - self.start > SPAN_BYTES_MAX:
            self.is_undecided = False
            self._give(self._end(at))

    def cut(self, reached: int) -> Span | None:
        """End the span because it is time and return it; one without video waits."""
        border = self._border(reached)
        first_rtp = self._first_rtp_before if border == self._picture else self.first_rtp
        return None if first_rtp is None else self._end(border)

    def forget(self, reached: int) -> None:
        """Drop what has grown; the next span begins with a key picture."""
        self.is_waiting, self.is_undecided = True, False
        self.begin(reached)

    def move(self, distance: int) -> None:
        """Follow the bytes, which moved towards the buffer's beginning."""
        self.start -= distance
        self._picture -= distance
        self._holes = [(start - distance, stop - distance) for start, stop in self._holes]

    def _border(self, reached: int) -> int:
        """Return where to end best: before a picture that may yet prove key, or that is key and still grows."""
        is_better_before = self.is_undecided or (self._is_all_key and not self.is_whole)
        return self._picture if is_better_before and self._picture >= self.start else reached

    def _give(self, span: Span | None) -> None:
        if span is not None:
            self.events.append(span)

    def _end(self, border: int) -> Span | None:
        if self.is_waiting or border <= self.start or self.rtp is None:
            return None
        if border == self._picture:
            first_rtp, (last_rtp, last_arrival) = self._first_rtp_before, self._last_before
        else:
            first_rtp, last_rtp, last_arrival = self.first_rtp, self.rtp, self.arrival
        span = Span(
            payload=self._payload(border),
            is_key=self._is_key,
            first_arrival=last_arrival if self.first_arrival is None else self.first_arrival,
            last_arrival=last_arrival,
            first_rtp=last_rtp if first_rtp is None else first_rtp,  # reports and sound only
            last_rtp=last_rtp,
        )
        self.begin(border)
        return span

    def _payload(self, border: int) -> bytes | memoryview:
        pieces, piece = [], self.start
        for start, stop in self._holes:
            if start < border:
                pieces.append(self._view[piece:start])
                piece = stop
        pieces.append(self._view[piece:border])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
