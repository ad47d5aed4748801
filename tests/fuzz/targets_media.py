"""A camera's bytes from the wire to spans with their times: each function takes any bytes and may raise BadInputError.

Rules of this file: a target asks for what callers rely on, by public names only, and raises AssertionError where it
does not hold. The first bytes of some inputs choose how the rest is fed.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from agent.acquire.clock_recovery import FUTURE_NS_MAX, Timeline
from agent.acquire.key_picture import key_finder
from agent.acquire.reader import Reader, ReaderEvent, Recorded, RunBegan, RunNumbers
from agent.acquire.rtsp_message import message_end
from agent.acquire.span import SPAN_BYTES_MAX
from agent.acquire.stream import Track, decode_stream_header, encode_stream_header
from agent.acquire.timeline import Anchor, ClockOffset
from agent.acquire.wire import ROOM_BYTES_MIN, WireBuffer, wire_memory
from agent.acquire.wire_event import Span, WireEvent
from agent.buffer.chunk import PAYLOAD_BYTES_MAX, ChunkKind
from agent.buffer.chunking import Chunking
from agent.clock import SECOND_NS, Instant, WallTime
from agent.errors import BadInputError, UnavailableError
from tests.fuzz.storable import check_packable, check_storable
from tests.fuzz.targets_camera import PASSWORD, START, STREAM, check_secrets
from tests.simulators.rtsp_camera import ntp64, rtp_frame

ENCODINGS: Final = ("H264", "H265", "JPEG")
KEY_PAYLOADS: Final = (b"\x65" + bytes(5000), bytes([19 << 1, 1]) + bytes(5000), bytes(5000))
FOLLOWED: Final = (0, 1)  # channels of the video and of its reports
SLEWED_NS_MAX: Final = 1_000_000  # pictures are further apart than what the mapping is slewed by between two looks
_DOLLAR: Final = 0x24
CLOCKS: Final = (None, ClockOffset(0, 0), ClockOffset(-5_000_000, 5_000_000), ClockOffset(3600 * 10**9, 3601 * 10**9))


@dataclass(frozen=True)
class Reading:
    """What a stream gave: everything but times of arrival, and the error that ended it."""

    events: tuple[WireEvent, ...]
    error: str

    @property
    def stored(self) -> bytes:
        """The payloads of all spans, joined."""
        return b"".join(event.payload for event in self.events if isinstance(event, Span))


def wire(raw: bytes) -> None:
    """Check that all bytes of all followed frames come out once and in order, however they were split on arrival.

    Byte 0 chooses the encoding and whether the second half comes many times over, byte 1 the split.
    """
    choices, stream = raw[:2].ljust(2, b"\0"), raw[2:]
    repeats, kind = divmod(choices[0], len(ENCODINGS))
    if repeats % 8 == 7:
        half = max(0, stream.find(b"$", len(stream) // 2))
        stream = stream[:half] + stream[half:] * min(200, 2 * SPAN_BYTES_MAX // max(1, len(stream) - half))
    frames, is_whole = _followed(stream)
    if is_whole:  # two key pictures more, so that nothing waits to be given out
        ending = [rtp_frame(0, n, 7 * n, KEY_PAYLOADS[kind], marker=True) for n in (1, 2)]
        stream, frames = stream + b"".join(ending), frames + b"".join(ending)
    whole = _read(stream, ENCODINGS[kind], [])
    assert _read(stream, ENCODINGS[kind], _sizes(choices[1])) == whole
    spans = [event for event in whole.events if isinstance(event, Span)]
    assert all(len(span.payload) <= SPAN_BYTES_MAX for span in spans)
    assert not spans or spans[0].is_key
    assert whole.stored in frames
    if is_whole:
        assert not whole.error
        assert whole.stored.endswith(ending[1])
        assert frames.endswith(whole.stored)
        often_cut = _read(stream, ENCODINGS[kind], _sizes(choices[1]), is_cut=True)
        assert often_cut.stored == whole.stored


def reader(raw: bytes) -> None:
    """Check a whole session: runs come before their spans, all of it can be stored, and nothing tells the login.

    Byte 0 chooses the camera's clock and what happens beside the camera's bytes, byte 1 how they are split.
    """
    choices, stream = raw[:2].ljust(2, b"\0"), raw[2:]
    now, wall = Instant(0), START
    subject = Reader(replace(STREAM, clock=CLOCKS[choices[0] % 4]), "cnonce", now, RunNumbers(), wire_memory())
    chunking, runs = Chunking(), [0]

    def take(events: Iterable[ReaderEvent]) -> None:
        for event in events:
            _check_event(event, chunking, runs)

    try:
        take(subject.act(now))
        for number, size in enumerate(_sizes(choices[1], len(stream))):
            now, wall = Instant(now + SECOND_NS // 25), WallTime(wall + SECOND_NS // 25)
            piece, stream = stream[:size], stream[size:]
            subject.room()[: len(piece)] = piece
            take(subject.received(len(piece), now, wall))
            take(subject.act(now))
            if choices[0] & 4 and number % 8 == 7:
                take(subject.cut(wall))
            if choices[0] & 8 and number % 16 == 15:
                take(subject.begin_run(wall, CLOCKS[number // 16 % 4]))
            if choices[0] & 16 and number % 16 == 3:
                subject.begin_anew()
    except UnavailableError:
        pass  # no video came: the session is over
    except BadInputError as error:
        check_secrets(str(error))
    take(subject.cut(wall))  # the recorder does so after any failure, and nothing may fail there
    take(subject.leave(now))


def _check_event(event: ReaderEvent, chunking: Chunking, runs: list[int]) -> None:
    if isinstance(event, RunBegan):
        assert event.header.run > runs[-1]
        runs.append(event.header.run)
        assert decode_stream_header(encode_stream_header(event.header)) == event.header
        chunking.begin(event.header)
    elif isinstance(event, Recorded):
        assert len(runs) > 1
        for meta, payload in chunking.chunks(event):
            assert 0 < len(payload) <= PAYLOAD_BYTES_MAX
            assert meta.kind is ChunkKind.STREAM or _is_frames(payload)
            check_packable(meta)
    else:
        assert PASSWORD not in repr(event)


def key_picture(raw: bytes) -> None:
    """Check that any packet gets an answer, which is the same whatever stands around it."""
    packet = raw.ljust(12, b"\0")
    for encoding in ENCODINGS:
        find = key_finder(encoding)
        said = find(packet, 0, len(packet))
        assert said in {True, False, None}
        assert find(b"\xff" * 9 + packet + b"\xff" * 9, 9, 9 + len(packet)) is said


_OP: Final = struct.Struct(">BIqi")


def timeline(raw: bytes) -> None:
    """Check that no picture comes from beyond the stated bound, and later ones never map before earlier ones.

    Byte 0 chooses the camera's clock; then operations of 17 bytes: which, RTP time, its time in ms, ms since the last.
    """
    clock = CLOCKS[raw[0] % 4] if raw else None
    wall, newest, subject = START, None, Timeline(90_000, clock)
    before: Anchor | None = None
    for at in range(1, len(raw) - _OP.size + 1, _OP.size):
        which, rtp, moment_ms, wait_ms = _OP.unpack_from(raw, at)
        wall = WallTime(wall + wait_ms % 600_000 * 1_000_000)
        if which % 3 == 0:
            newest = rtp
            is_unbroken = subject.arrived(rtp, wall)
        else:
            told = ntp64(START + moment_ms % 10**7 * 1_000_000) if which % 3 == 1 else moment_ms % 2**64
            is_unbroken = subject.reported(told, rtp, newest, wall)
        anchor = subject.anchor
        assert newest is None or anchor is not None
        if anchor is not None:
            check_storable(anchor)
        if anchor is not None and is_unbroken:
            assert anchor.hub <= wall + anchor.error_ns + FUTURE_NS_MAX
            if before is not None and before.is_settled and 0 <= (anchor.rtp - before.rtp) % 2**32 < 2**31:
                assert anchor.hub >= before.hub - SLEWED_NS_MAX
        before = anchor
        if not is_unbroken:
            subject, newest, before = Timeline(90_000, clock), None, None


def stream_header(raw: bytes) -> None:
    """Check that what is read back is what was written, with a video track to time it by."""
    header = decode_stream_header(raw)
    assert header.video.media == "video"
    assert decode_stream_header(encode_stream_header(header)) == header


def _read(stream: bytes, encoding: str, sizes: Iterable[int], *, is_cut: bool = False) -> Reading:
    subject, error = WireBuffer(wire_memory()), ""
    events: list[WireEvent] = []
    subject.follow((Track(0, "video", encoding, 96, 90_000),))
    pieces = iter(sizes)
    try:
        while stream:
            room = subject.room()
            assert len(room) >= ROOM_BYTES_MIN
            count = min(next(pieces, len(stream)), len(stream), len(room))
            room[:count] = stream[:count]
            stream = stream[count:]
            subject.received(count)
            for event in subject.scan(WallTime(1)):
                events.append(_kept(event))  # noqa: PERF401 - one by one: what comes before an error counts
            if is_cut and (span := subject.cut()) is not None:
                events.append(_kept(span))
        if (span := subject.cut()) is not None:
            events.append(_kept(span))
    except BadInputError as failure:
        error = str(failure)
    return Reading(tuple(events), error)


def _kept(event: WireEvent) -> WireEvent:
    if not isinstance(event, Span):
        return event
    assert event.payload
    assert _is_frames(event.payload)
    return event._replace(payload=bytes(event.payload), first_arrival=WallTime(1), last_arrival=WallTime(1))


def _followed(stream: bytes) -> tuple[bytes, bool]:
    """Read a stream the slow way: the followed frames, and whether it ends with a whole unit."""
    buffer, at = bytearray(stream), 0
    frames: list[bytes] = []
    while at < len(buffer):
        if buffer[at] == _DOLLAR:
            end = at + 4 + int.from_bytes(buffer[at + 2 : at + 4])
            if at + 4 > len(buffer) or end > len(buffer):
                break
            frames += [stream[at:end]] if buffer[at + 1] in FOLLOWED else []
        elif buffer[at] in b"\r\n":
            end = at + 1
        else:
            try:
                end = message_end(buffer, at, len(buffer))
            except BadInputError:
                break
            if not end:
                break
        at = end
    return b"".join(frames), at == len(buffer)


def _is_frames(payload: bytes | memoryview) -> bool:
    at = 0
    while at + 4 <= len(payload) and payload[at] == _DOLLAR:
        at += 4 + (payload[at + 2] << 8 | payload[at + 3])
    return at == len(payload)


def _sizes(seed: int, total: int | None = None) -> Iterator[int]:
    """Yield the sizes of pieces; until `total` is reached, else a thousand."""
    rnd = random.Random(seed)  # noqa: S311 - repeatable: the input decides
    largest, left = rnd.choice((1, 7, 64, 700, 1500, 16_384)), total
    largest = max(largest, (total or 0) // 200)
    for _ in range(1000):
        size = rnd.randint(1, largest)
        if left is not None:
            size = min(size, left)
            left -= size
        yield size
        if left == 0:
            return
