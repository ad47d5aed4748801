"""A camera whose every packet says which picture it belongs to, and that knows when it sent which.

What it sends of a picture is a function of the picture's number alone, so whoever reads a recording can tell what must
stand in it to the byte, in another process too.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from agent.clock import SECOND_NS
from tests.simulators.rtsp_camera import CameraScript, RtspCamera, ntp64, rtp_frame, sender_report_frame

PICTURES_PER_S: Final = 25
KEY_EVERY: Final = 25
_FRAGMENTS, _KEY_FRAGMENTS = 12, 60  # of a picture's slice
_FRAGMENT_BYTES: Final = 1300
_TICKS: Final = 90_000 // PICTURES_PER_S
_SEQUENCES: Final = 1 + _KEY_FRAGMENTS  # that each picture takes
_NUMBERS: Final = struct.Struct(">HI")  # of an RTP packet: sequence number and timestamp, behind two bytes
_FRAME_HEADER_BYTES: Final = 4
_PAYLOAD_AT: Final = _FRAME_HEADER_BYTES + 12
_SPS: Final = 0x67


class Pictures(NamedTuple):
    """What a recording has of such a camera."""

    oldest: int  # number of the first picture, a key picture
    newest: int  # of the last whole one before anything is missing
    is_exact: bool  # every byte, also behind what is missing, is what was sent, and in its order


class TimedCamera(RtspCamera):
    """Numbers its pictures through all sessions; `sent_at` has the moment (UTC, ns) before each was sent."""

    def __init__(self, name: int) -> None:
        super().__init__(CameraScript(first_rtp=0))
        self.sent_at: list[int] = []
        self.name = name

    def _media(self) -> Iterator[bytes]:
        begin, shown = time.monotonic(), 0
        while not self.stopped.wait(max(0.0, begin + shown / PICTURES_PER_S - time.monotonic())):
            number = len(self.sent_at)
            if shown == 1:
                yield sender_report_frame(1, ntp64(time.time_ns()), number * _TICKS)
            frames = b"".join(timed_frames(self.name, number))
            self.sent_at.append(time.time_ns())
            yield frames
            shown += 1

    def lost_s(self, newest: int, moment: int) -> float:
        """Say how much older picture `newest` is than the newest one that was sent at a moment (UTC, ns)."""
        times = list(self.sent_at)
        last = max(at for at in times if at <= moment)
        return max(0, last - times[newest]) / SECOND_NS


@lru_cache(maxsize=4)
def timed_frames(name: int, number: int) -> list[bytes]:
    """Make the interleaved frames of a picture of the camera `name`."""
    is_key = number % KEY_EVERY == 0
    fragments = _KEY_FRAGMENTS if is_key else _FRAGMENTS
    rtp, sequence = number * _TICKS, number * _SEQUENCES
    frames = [rtp_frame(0, sequence, rtp, b"\x67" + b"s" * 10, marker=False)] if is_key else []
    for index in range(fragments):
        flags = 0x80 * (index == 0) | 0x40 * (index == fragments - 1) | (5 if is_key else 1)
        noise = bytes([(name * 31 + number * 7 + index) & 0xFF]) * _FRAGMENT_BYTES
        frames.append(
            rtp_frame(0, sequence + 1 + index, rtp, bytes([0x7C, flags]) + noise, marker=index == fragments - 1)
        )
    return frames


def read_pictures(name: int, recorded: bytes) -> Pictures | None:
    """Say what a recording has from its first key picture on; None if it has not one whole picture."""
    frames = [frame for frame in _frames(recorded) if frame[1] == 0]
    begin = next((at for at, frame in enumerate(frames) if frame[_PAYLOAD_AT] == _SPS), len(frames))
    places = [_place(frame) for frame in frames[begin:]]
    oldest = number = places[0][0] if places else 0
    at = 0
    while places[at : at + _frames_of(number)] == [(number, index) for index in range(_frames_of(number))]:
        at += _frames_of(number)
        number += 1
    is_right = all(
        index < _frames_of(picture) and frame == timed_frames(name, picture)[index]
        for frame, (picture, index) in zip(frames[begin:], places, strict=True)
    )
    is_in_order = places == sorted(set(places))
    return Pictures(oldest, number - 1, is_exact=is_right and is_in_order) if number > oldest else None


def _frames_of(number: int) -> int:
    return _FRAGMENTS if number % KEY_EVERY else 1 + _KEY_FRAGMENTS


def _place(frame: bytes) -> tuple[int, int]:
    """Return which picture a frame says it is of, and which of its frames."""
    sequence, rtp = _NUMBERS.unpack_from(frame, _FRAME_HEADER_BYTES + 2)
    number = rtp // _TICKS
    return number, (sequence - number * _SEQUENCES - (number % KEY_EVERY > 0)) & 0xFFFF


def _frames(recorded: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(recorded):
        end = at + _FRAME_HEADER_BYTES + int.from_bytes(recorded[at + 2 : at + 4], "big")
        yield recorded[at:end]
        at = end
