"""What a camera's bytes bring: spans of frames to store, its clock's reports, jumps of its time, RTSP messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent.clock import WallTime


class Span(NamedTuple):
    """Whole frames of one camera; `payload` is valid until `WireBuffer.room` is called next."""

    payload: bytes | memoryview
    is_key: bool  # its first video packet is the first one of a key picture
    first_arrival: WallTime
    last_arrival: WallTime
    first_rtp: int
    last_rtp: int


class SenderReport(NamedTuple):
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
