"""Interleaved frames in, spans out: byte for byte, however the bytes were split on arrival."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.key_picture import is_key_packet
from agent.acquire.wire import (
    KEY_SPAN_BYTES_MIN,
    SPAN_BYTES_MAX,
    RtspMessage,
    SenderReport,
    Span,
    TimestampJump,
    WireBuffer,
    WireEvent,
)
from agent.clock import WallTime
from agent.errors import BadInputError
from tests.simulators.rtsp_camera import PICTURE_TICKS, picture_frames, rtp_frame, sender_report_frame

MESSAGE = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\nContent-Length: 3\r\n\r\n$$$"
REPORT = sender_report_frame(1, 0xE8000000_80000000, 77)
AUDIO = rtp_frame(2, 1, 1, b"sound", marker=False)


def read(stream: bytes, sizes: Iterable[int] = (), encoding: str = "H264") -> list[WireEvent]:
    """Feed a stream in pieces of these sizes (then all at once) and return all events, the last span cut at the end."""
    wire = WireBuffer()
    wire.follow(0, encoding, 90_000)
    events: list[WireEvent] = []
    pieces = iter(sizes)
    while stream:
        room = wire.room()
        count = min(next(pieces, len(stream)), len(stream), len(room))
        room[:count] = stream[:count]
        stream = stream[count:]
        wire.received(count)
        events += [keep(event) for event in wire.scan(WallTime(1))]
    last = wire.cut()
    return events + ([keep(last)] if last else [])


def keep(event: WireEvent) -> WireEvent:
    """Copy a span's payload, which is valid for a moment only."""
    if isinstance(event, Span):
        return Span(bytes(event.payload), event.is_key, WallTime(1), WallTime(1), event.first_rtp, event.last_rtp)
    return event


def spans(events: Iterable[WireEvent]) -> list[Span]:
    """Return the spans among events."""
    return [event for event in events if isinstance(event, Span)]


def joined(events: Iterable[WireEvent]) -> bytes:
    """Return the payloads of all spans."""
    return b"".join(span.payload for span in spans(events))


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw a stream of pictures with other units between their frames, and what must be stored of it."""
    stream, stored, has_key = b"", b"", False
    for number, is_key in enumerate(draw(st.lists(st.booleans(), max_size=12))):
        has_key = has_key or is_key
        for frame in picture_frames(
            number, 2**32 - 3 * PICTURE_TICKS, is_key=is_key, fragments=draw(st.integers(2, 9))
        ):
            stream += frame
            stored += frame if has_key else b""
            between = draw(st.sampled_from([b""] * 8 + [MESSAGE, AUDIO, REPORT, b"\r\n"]))
            stream += between
            # A report between two pictures before the first key is dropped, one within the key picture is kept.
            stored += between if has_key and between is REPORT else b""
    return stream, stored


@settings(max_examples=60, deadline=None)
@given(streams(), st.lists(st.integers(1, 3000), max_size=30))
def test_stored_bytes_are_the_frames_from_the_first_key_picture_on(
    streams: tuple[bytes, bytes], sizes: list[int]
) -> None:
    """The joined payloads are the set-up tracks' frames, byte for byte, without RTSP messages, whatever the split."""
    stream, stored = streams
    assert joined(read(stream, sizes)) == stored


@settings(max_examples=40, deadline=None)
@given(streams(), st.lists(st.integers(1, 50), max_size=200))
def test_events_do_not_depend_on_how_the_bytes_were_split(streams: tuple[bytes, bytes], sizes: list[int]) -> None:
    """The same bytes give the same spans, messages and reports in the same order."""
    assert read(streams[0], sizes) == read(streams[0])


hostile_units = st.one_of(
    st.just(MESSAGE),
    st.just(REPORT),
    st.builds(
        lambda channel, body: struct.pack(">BBH", 0x24, channel, len(body)) + body,
        st.integers(0, 3),
        st.one_of(st.binary(max_size=40), st.binary(min_size=1200, max_size=1300)),
    ),
    st.builds(
        lambda rtp, payload, marker: rtp_frame(0, 0, rtp * 3000, payload, marker=marker),
        st.integers(0, 9),
        st.binary(max_size=30),
        st.booleans(),
    ),
    st.binary(max_size=8),
)


def outcome(stream: bytes, sizes: list[int], encoding: str) -> list[WireEvent] | str:
    """Read a stream; BadInputError is an outcome, anything else fails the test."""
    try:
        return read(stream, sizes, encoding)
    except BadInputError as error:
        return str(error)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(hostile_units, max_size=40).map(b"".join),
    st.lists(st.integers(1, 400), max_size=60),
    st.sampled_from(["H264", "H265", "JPEG"]),
)
def test_hostile_bytes_raise_bad_input_only_and_split_independently(
    stream: bytes, sizes: list[int], encoding: str
) -> None:
    """Any bytes in any split: the same events, or the same BadInputError."""
    assert outcome(stream, sizes, encoding) == outcome(stream, [], encoding)


def test_each_key_picture_begins_a_span() -> None:
    """A chunk ends before the first packet of a key picture, its parameter sets included."""
    pictures = [b"".join(picture_frames(number, 0, is_key=number % 5 == 0)) for number in range(15)]
    found = spans(read(b"".join(pictures)))
    assert [span.payload for span in found] == [b"".join(pictures[at : at + 5]) for at in (0, 5, 10)]
    assert all(span.is_key for span in found)
    assert [(span.first_rtp, span.last_rtp) for span in found] == [
        (at * PICTURE_TICKS, (at + 4) * PICTURE_TICKS) for at in (0, 5, 10)
    ]


def test_access_unit_delimiter_belongs_to_the_key_picture() -> None:
    """A key picture that shows itself only in its third packet begins at its first."""
    other = b"".join(picture_frames(0, 0, is_key=True)) + b"".join(picture_frames(1, 0, is_key=False))
    key = rtp_frame(0, 9, 5000, b"\x09\xf0", marker=False) + rtp_frame(0, 10, 5000, b"\x06sei", marker=False)
    key += rtp_frame(0, 11, 5000, b"\x65slice", marker=True)
    assert [span.payload for span in spans(read(other + key))] == [other, key]


def test_time_to_commit_does_not_tear_the_head_off_a_key_picture() -> None:
    """A cut while a picture has not shown what it is goes before that picture."""
    wire = WireBuffer()
    wire.follow(0, "H264", 90_000)
    first = b"".join(picture_frames(0, 0, is_key=True))
    head, rest = rtp_frame(0, 9, 5000, b"\x09\xf0", marker=False), rtp_frame(0, 11, 5000, b"\x65slice", marker=True)

    def feed(octets: bytes) -> list[WireEvent]:
        wire.room()[: len(octets)] = octets
        wire.received(len(octets))
        return list(wire.scan(WallTime(1)))

    assert feed(first + head) == []
    span = wire.cut()
    assert span is not None
    assert bytes(span.payload) == first
    assert wire.cut() is None
    feed(rest)
    span = wire.cut()
    assert span is not None
    assert (bytes(span.payload), span.is_key, span.first_rtp) == (head + rest, True, 5000)


def test_span_without_video_waits() -> None:
    """A report alone makes no chunk when it is time to commit; it goes with the next picture."""
    wire = WireBuffer()
    wire.follow(0, "H264", 90_000)
    for octets, expected in ((b"".join(picture_frames(0, 0, is_key=True)), True), (REPORT, False)):
        wire.room()[: len(octets)] = octets
        wire.received(len(octets))
        list(wire.scan(WallTime(1)))
        assert (wire.cut() is not None) == expected


def test_long_pictures_are_cut_at_the_limit() -> None:
    """No span is longer than 512 KiB, and nothing is lost at the cuts."""
    pictures = [b"".join(picture_frames(number, 0, is_key=number == 0, fragments=400)) for number in range(4)]
    found = spans(read(b"".join(pictures)))
    assert max(len(span.payload) for span in found) <= SPAN_BYTES_MAX
    assert joined(found) == b"".join(pictures)
    assert [span.is_key for span in found] == [True] + [False] * (len(found) - 1)


@pytest.mark.parametrize("filler", [MESSAGE[:-3].replace(b"3", b"60000") + bytes(60_000), REPORT * 500, AUDIO * 500])
def test_what_is_no_video_cannot_fill_the_buffer(filler: bytes) -> None:
    """Messages, reports and foreign frames without end are read on, and video after them is still stored."""
    first, last = (b"".join(picture_frames(number, 0, is_key=True)) for number in (0, 1))
    stored = joined(read(first + filler * 60 + last, [100_000] * 100))
    assert stored.startswith(first)
    assert stored.endswith(last)


def test_tiny_key_pictures_do_not_make_tiny_spans() -> None:
    """A camera cannot flood the ring's index with pictures of a few bytes."""
    stream = b"".join(rtp_frame(0, 0, number * 100, b"\x65", marker=True) for number in range(2000))
    found = spans(read(stream))
    assert joined(found) == stream
    assert all(len(span.payload) >= KEY_SPAN_BYTES_MIN for span in found[:-1])


def test_timestamp_jump_ends_the_span() -> None:
    """A jump of more than 5 s forward or 1 s back is told between the spans; less is not, nor is the 32-bit wrap."""
    rtps = [2**32 - 1000, 2**32 - 1000 + 5 * 90_000, 2**32 - 1000 + 11 * 90_000, 2**32 - 1000 + 9 * 90_000]
    stream = b"".join(rtp_frame(0, 0, rtp, b"\x65" + b"x" * 60, marker=True) for rtp in rtps)
    events = read(stream)
    assert [type(event) for event in events] == [Span, TimestampJump, Span, TimestampJump, Span]
    assert joined(events) == stream


def test_reports_and_messages_are_handed_out_in_order() -> None:
    """A sender report comes with the newest picture before it, a message with all its bytes."""
    first, second = (b"".join(picture_frames(number, 0, is_key=number == 0)) for number in (0, 1))
    events = read(first + REPORT + MESSAGE + second)
    assert events[:2] == [SenderReport(0xE8000000_80000000, 77, 0), RtspMessage(MESSAGE)]


def test_frames_of_tracks_nobody_asked_for_are_dropped() -> None:
    """Sound on a channel that was not set up never reaches the ring."""
    picture = b"".join(picture_frames(0, 0, is_key=True))
    assert joined(read(AUDIO + picture + AUDIO)) == picture


@pytest.mark.parametrize(
    "garbage", [b"\x00", b"garbage", b"R" * 20_000, b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"]
)
def test_garbage_fails_clearly(garbage: bytes) -> None:
    """What is neither frame nor message is BadInputError."""
    with pytest.raises(BadInputError):
        read(b"".join(picture_frames(0, 0, is_key=True)) + garbage)


@pytest.mark.parametrize(
    ("encoding", "payload", "is_key"),
    [
        ("H264", b"\x65", True),
        ("H264", b"\x67", True),
        ("H264", b"\x41", False),
        ("H264", b"\x09", None),
        ("H264", b"\x7c\x85", True),  # FU-A, start of IDR
        ("H264", b"\x7c\x05", None),  # FU-A, middle
        ("H264", b"\x7c\x81", False),
        ("H264", b"\x18\x00\x02\x09\xf0\x00\x02\x67\x42", True),  # STAP-A with AUD and SPS
        ("H264", b"\x18\xff\xff\x09", None),
        ("H264", b"\x7c", None),
        ("H264", b"", None),
        ("H265", bytes([19 << 1, 1, 0]), True),  # IDR_W_RADL
        ("H265", bytes([21 << 1, 1, 0]), True),  # CRA
        ("H265", bytes([32 << 1, 1, 0]), True),  # VPS
        ("H265", bytes([1 << 1, 1, 0]), False),
        ("H265", bytes([35 << 1, 1, 0]), None),  # AUD
        ("H265", bytes([49 << 1, 1, 0x80 | 19]), True),  # FU, start
        ("H265", bytes([49 << 1, 1, 19]), None),
        ("H265", bytes([48 << 1, 1, 0, 3, 35 << 1, 1, 0, 0, 3, 32 << 1, 1, 0]), True),  # AP with AUD and VPS
        ("JPEG", b"anything", True),
    ],
)
def test_key_packets(encoding: str, payload: bytes, is_key: object) -> None:
    """What the first packets of a picture say about it."""
    packet = bytes(12) + payload
    assert is_key_packet(encoding, memoryview(packet)) is is_key


def test_contributing_sources_and_extension_are_skipped() -> None:
    """RFC 3550 section 5.1: the payload begins behind them."""
    packet = bytes([0x80 | 0x10 | 2]) + bytes(11) + bytes(8) + b"\xab\xac\x00\x01" + bytes(4) + b"\x65"
    assert is_key_packet("H264", memoryview(packet)) is True
    assert all(
        is_key_packet("H264", memoryview(packet[:end])) is None for end, _ in pairwise(range(12, len(packet) + 1))
    )
