"""A camera's bytes in one buffer to spans of interleaved frames that make a chunk, without copying a payload.

Rules of this file: this is the hot path, it hops frames by their length and looks into few of them; where spans end
depends on the bytes alone, never on how they were split on arrival, except where `cut` ends one because it is time.
A hole stands between the frames of a span and is no part of it: RTSP messages, frames of tracks nobody asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.acquire.key_picture import is_key_packet
from agent.acquire.rtsp_message import message_end
from agent.clock import WallTime

BUFFER_BYTES: Final = 1024 * 1024
SPAN_BYTES_MAX: Final = 512 * 1024  # holes included, so that a span and one unread unit always fit the buffer
# A shorter span that is key itself is not ended by the next key picture: a camera cannot make chunks out of nothing.
KEY_SPAN_BYTES_MIN: Final = 4 * 1024
ROOM_BYTES_MIN: Final = 128 * 1024
JUMP_FORWARD_S_MAX: Final = 5
JUMP_BACK_S_MAX: Final = 1  # pictures that wait for their references (B) come back by less
EQUAL_FRAMES_MAX: Final = 64

_FRAME_HEAD_BYTES: Final = 4  # "$", channel, 16-bit length (RFC 2326 section 10.12)
_RTP_FRAME_BYTES_MIN: Final = _FRAME_HEAD_BYTES + 12
_SENDER_REPORT_FRAME_BYTES_MIN: Final = _FRAME_HEAD_BYTES + 28
_SENDER_REPORT: Final = 200
_DOLLAR: Final = 0x24
_BLANK_LINE: Final = frozenset(b"\r\n")
_MARKER: Final = 0x80
_WRAP: Final = 1 << 32
# Where frames of one picture are equal: length, "$", channel, marker and payload type, timestamp.
_SAME_IN_PICTURE: Final = (3, 2, 0, 1, 5, 11, 10, 9, 8)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole frames of one camera; `payload` is valid until `room` is called next."""

    payload: bytes | memoryview
    is_key: bool  # the first packet of a key picture comes first
    first_arrival: WallTime
    last_arrival: WallTime
    first_rtp: int
    last_rtp: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The camera's own time for an RTP timestamp of its video (RFC 3550 section 6.4.1); the newest picture by then."""

    ntp64: int
    rtp: int
    newest_rtp: int | None


@dataclass(frozen=True, slots=True)
class TimestampJump:
    """The next span's timestamps do not continue those before it."""


@dataclass(frozen=True, slots=True)
class RtspMessage:
    """A whole RTSP message that stood between the frames."""

    octets: bytes


WireEvent = Span | SenderReport | TimestampJump | RtspMessage


class WireBuffer:
    """One camera's receive buffer and the place reached in it; `scan` raises BadInputError for what is no RTSP."""

    def __init__(self) -> None:
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._stop = 0  # end of what was received
        self._next = 0  # end of the last whole frame or message: what is before it was read
        self._events: deque[WireEvent] = deque()
        self._channel, self._encoding, self._clock_hz = -1, "", 1
        # The span that is growing.
        self._start = 0
        self._holes: list[tuple[int, int]] = []
        self._is_waiting = True  # for the first key picture
        self._is_key = False
        self._first_rtp: int | None = None
        self._first_arrival: WallTime | None = None
        # The picture that is growing.
        self._picture = -1
        self._is_undecided = False  # no packet told yet whether it is key
        self._is_after_marker = True
        self._rtp: int | None = None
        self._arrival = WallTime(0)
        self._picture_arrival = WallTime(0)
        self._before: tuple[int | None, int, WallTime] = (
            None,
            0,
            WallTime(0),
        )  # first, last timestamp, arrival before it

    @property
    def newest_rtp(self) -> int | None:
        """RTP timestamp of the newest video packet, None before the first."""
        return self._rtp

    def follow(self, channel: int, encoding: str, clock_hz: int) -> None:
        """Say on which channel video comes, its reports on the next one; frames of all other channels are dropped."""
        self._channel, self._encoding, self._clock_hz = channel, encoding, clock_hz

    def wait_for_key(self) -> None:
        """Forget what is growing; the next span begins with a key picture."""
        self._is_waiting = True
        self._begin_span(self._next)
        self._is_undecided = False

    def room(self) -> memoryview:
        """Return where received bytes may be written, at least `ROOM_BYTES_MIN`; ends the life of spans given out."""
        kept = self._stop - self._start
        if self._start and (kept < ROOM_BYTES_MIN or BUFFER_BYTES - self._stop < ROOM_BYTES_MIN):
            distance = self._start
            self._view[:kept] = self._view[distance : self._stop]
            self._holes = [(start - distance, stop - distance) for start, stop in self._holes]
            self._start, self._stop, self._next = 0, kept, self._next - distance
            self._picture -= distance
        return self._view[self._stop :]

    def received(self, count: int) -> None:
        """Take `count` bytes that were written to the beginning of `room`."""
        self._stop += count

    def scan(self, now: WallTime) -> Iterator[WireEvent]:
        """Read what was received, which arrived at `now`; act on each event before asking for the next."""
        buffer = self._buffer
        while self._stop > self._next:
            at = self._next
            if buffer[at] == _DOLLAR:
                if self._stop - at < _FRAME_HEAD_BYTES:
                    return
                end = at + _FRAME_HEAD_BYTES + (buffer[at + 2] << 8 | buffer[at + 3])
                if end > self._stop:
                    return
                self._frame(at, end, now)
            elif buffer[at] in _BLANK_LINE:  # some cameras end a message with one line too many
                self._hole(at, at + 1)
            else:
                end = message_end(buffer, at, self._stop)
                if not end:
                    return
                self._hole(at, end)
                self._events.append(RtspMessage(bytes(self._view[at:end])))
            while self._events:
                yield self._events.popleft()

    def cut(self) -> Span | None:
        """End the growing span at a packet border, before a picture that may yet prove key; None without video."""
        border = self._picture if self._is_undecided else self._next
        has_video = (self._before[0] if border == self._picture else self._first_rtp) is not None
        return self._end_span(border) if has_video else None

    def _frame(self, at: int, end: int, now: WallTime) -> None:
        channel = self._buffer[at + 1]
        if not self._channel <= channel <= self._channel + 1 or self._channel < 0:
            self._hole(at, end)
            return
        self._keep_span_small(at, end)
        if channel == self._channel:
            if end - at >= _RTP_FRAME_BYTES_MIN:
                end = self._video(at, end, now)
        elif end - at >= _SENDER_REPORT_FRAME_BYTES_MIN and self._buffer[at + 5] == _SENDER_REPORT:
            ntp64, rtp = self._number(at + 12, 8), self._number(at + 20, 4)
            self._events.append(SenderReport(ntp64, rtp, self._rtp))
        self._next, self._arrival = end, now
        if self._is_waiting and not self._is_undecided:
            self._begin_span(end)
        elif self._first_arrival is None:
            self._first_arrival = now

    def _video(self, at: int, end: int, now: WallTime) -> int:
        """Read one video packet, hop the ones like it, and return where they end."""
        rtp = self._number(at + 8, 4)
        if self._is_after_marker or rtp != self._rtp:
            self._begin_picture(at, rtp, now)
        self._is_after_marker = bool(self._buffer[at + 5] & _MARKER)
        if self._first_rtp is None:
            self._first_rtp = rtp
        if self._is_undecided:
            is_key = is_key_packet(self._encoding, self._view[at + _FRAME_HEAD_BYTES : end])
            if is_key is not None:
                self._is_undecided = False
            if is_key:
                self._begin_key_span()
        elif not self._is_after_marker:
            return at + (end - at) * self._equal_frames(at, end - at)
        return end

    def _begin_picture(self, at: int, rtp: int, now: WallTime) -> None:
        previous = self._rtp
        if self._is_waiting:
            self._begin_span(at)
        if previous is not None:
            ticks = (rtp - previous + _WRAP // 2) % _WRAP - _WRAP // 2
            if not -JUMP_BACK_S_MAX * self._clock_hz <= ticks <= JUMP_FORWARD_S_MAX * self._clock_hz:
                self._give(self._end_span(at))
                self._events.append(TimestampJump())
        self._before = (self._first_rtp, rtp if previous is None else previous, self._arrival)
        self._picture, self._picture_arrival, self._is_undecided, self._rtp = at, now, True, rtp

    def _begin_key_span(self) -> None:
        if self._is_waiting or self._picture == self._start:
            self._is_waiting, self._is_key = False, True
            return
        if self._is_key and self._picture - self._start < KEY_SPAN_BYTES_MIN:
            return
        self._give(self._end_span(self._picture))
        self._is_key = True

    def _keep_span_small(self, at: int, end: int) -> None:
        """End the growing span where one more frame or hole, from `at` to `end`, would make it too long."""
        if end - self._start <= SPAN_BYTES_MAX:
            return
        if self._is_waiting:
            self._is_undecided = False  # half a megabyte that never says what it is
            self._begin_span(at)
            return
        if self._is_undecided and self._picture > self._start:
            self._give(self._end_span(self._picture))
        if end - self._start > SPAN_BYTES_MAX:
            self._is_undecided = False
            self._give(self._end_span(at))

    def _end_span(self, border: int) -> Span | None:
        """Cut the growing span at `border`; None if there is none."""
        if self._is_waiting or self._rtp is None or border <= self._start:
            return None
        is_before_picture = border == self._picture
        first_rtp, last_rtp, last_arrival = (
            self._before if is_before_picture else (self._first_rtp, self._rtp, self._arrival)
        )
        pieces, piece = [], self._start
        for start, stop in self._holes:
            if start < border:
                pieces.append(self._view[piece:start])
                piece = stop
        pieces.append(self._view[piece:border])
        span = Span(
            payload=pieces[0] if len(pieces) == 1 else b"".join(pieces),
            is_key=self._is_key,
            first_arrival=last_arrival if self._first_arrival is None else self._first_arrival,
            last_arrival=last_arrival,
            first_rtp=last_rtp if first_rtp is None else first_rtp,  # reports and sound only
            last_rtp=last_rtp,
        )
        self._begin_span(border)
        return span

    def _begin_span(self, border: int) -> None:
        self._start, self._is_key = border, False
        self._holes = [hole for hole in self._holes if hole[0] >= border]
        is_picture = border == self._picture
        self._first_rtp = self._rtp if is_picture else None
        self._first_arrival = self._picture_arrival if is_picture else None

    def _give(self, event: WireEvent | None) -> None:
        if event is not None:
            self._events.append(event)

    def _hole(self, at: int, end: int) -> None:
        self._keep_span_small(at, end)
        self._next = end
        if self._start == at:
            self._start = end
        elif self._holes and self._holes[-1][1] == at:
            self._holes[-1] = (self._holes[-1][0], end)
        else:
            self._holes.append((at, end))

    def _equal_frames(self, at: int, size: int) -> int:
        """Count the frames from `at` on (1 or more) that are of one size, one picture, and not its last."""
        stop = min(self._stop, self._start + SPAN_BYTES_MAX)
        count = min((stop - at) // size, EQUAL_FRAMES_MAX)
        for offset in _SAME_IN_PICTURE:
            if count <= 1:
                return 1
            column = self._buffer[at + offset : at + count * size : size]
            count -= len(column.lstrip(column[:1]))
        return count

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._view[at : at + size])
