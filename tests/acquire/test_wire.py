"""Interleaved frames in, spans out: byte for byte, however the bytes were split on arrival."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import Track
from agent.acquire.wire import BUFFER_BYTES, EQUAL_LENGTHS_MAX, ROOM_BYTES_MIN, WireBuffer, wire_memory
from agent.acquire.wire_counts import WireCounts
from agent.acquire.wire_event import RtspMessage, SenderReport, WireEvent
from agent.errors import BadInputError
from tests.simulators.rtsp_camera import PICTURE_TICKS, picture_frames, rtp_frame, sender_report_frame
from tests.simulators.slow_wire import SlowWire
from tests.simulators.wire_reading import AUDIO, VIDEO, feed, joined, picture, play, read

MESSAGE = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\nContent-Length: 3\r\n\r\n$$$"
REPORT = sender_report_frame(1, 0xE8000000_80000000, 77)
SOUND = rtp_frame(2, 1, 1, b"sound", marker=False)
BOTH = (VIDEO, AUDIO)

# What says key, not key or nothing in H.264 or H.265; lengths that reach the limit of a span soon.
HEADS = [
    b"\x65",
    b"\x67",
    b"\x41",
    b"\x7c\x85",
    b"\x7c\x01",
    b"\x26\x01\x00",
    b"\x02\x01\x00",
    b"\x44\x01\x00",
    b"\x09\xf0",
    b"",
]
SHAPES = [(3, 1), (3, 2), (20, 3), (1400, 1), (1400, 4), (1400, 30), (20_000, 4), (60_000, 5)]  # bytes, packets


@st.composite
def videos(draw: st.DrawFn) -> bytes:
    """Draw the packets of one timestamp: some that tell nothing, some that may; the last one with or without marker."""
    rtp = 2**32 - 9000 + draw(st.sampled_from([0, 3000, 6000, 9000, 12000, 15000, 10**6]))
    payloads = [b"\x46\x01\x00"] * draw(st.sampled_from([0, 0, 1, 2]))
    for head in draw(st.lists(st.sampled_from(HEADS), min_size=1, max_size=2)):
        length, count = draw(st.sampled_from(SHAPES))
        payloads += [head.ljust(length, b"\x01")] * count
    sequence, last = draw(st.integers(0, 9000)), draw(st.sampled_from([len(payloads) - 1, len(payloads) - 1, -1]))
    frames = [rtp_frame(0, sequence + n, rtp, payload, marker=n == last) for n, payload in enumerate(payloads)]
    between = draw(st.sampled_from([b"", b"", b"", REPORT, SOUND, MESSAGE]))
    return between.join(frames) if len(frames) < 10 else b"".join(frames)


others = st.sampled_from(
    [MESSAGE, REPORT, SOUND, SOUND * 300, b"\r\n", b"\n", rtp_frame(9, 1, 1, bytes(3000), marker=True)]
    + [REPORT[:3] + b"\x08" + REPORT[4:12]]  # too short for what it says it is
    + [struct.pack(">BBH", 0x24, channel, length) + bytes(length) for channel in (0, 1, 3) for length in (0, 5, 40)]
)
CODECS = [(VIDEO,), BOTH, *((Track(0, "video", name, 96, 90_000), AUDIO) for name in ("H265", "JPEG"))]


@settings(max_examples=250)
@given(
    st.lists(st.one_of(videos(), videos(), others), max_size=12).map(b"".join),
    st.one_of(st.lists(st.integers(1, 3000), max_size=60), st.lists(st.integers(1, 400_000), max_size=30)),
    st.frozensets(st.integers(0, 60), max_size=12),
    st.sampled_from(CODECS),
)
def test_wire_agrees_with_the_slow_one(
    stream: bytes, sizes: list[int], cuts: frozenset[int], tracks: tuple[Track, ...]
) -> None:
    """Every span with its times and flags, and every count, is what the obvious way of reading finds."""
    fast, slow = play(stream, sizes, tracks, cuts), SlowWire(tracks)
    assert fast.events == slow.read(stream, fast.piece_ends, cuts)
    assert replace(fast.counts, video_packets_lost=0) == slow.counts()
    assert fast.counts == play(stream, [], tracks).counts


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
            between = draw(st.sampled_from([b""] * 8 + [MESSAGE, SOUND, REPORT, b"\r\n"]))
            stream += between
            # A report between two pictures before the first key is dropped, one within the key picture is kept.
            stored += between if has_key and between is REPORT else b""
    return stream, stored


@settings(max_examples=60)
@given(streams(), st.lists(st.integers(1, 3000), max_size=30))
def test_stored_bytes_are_the_frames_from_the_first_key_picture_on(
    streams: tuple[bytes, bytes], sizes: list[int]
) -> None:
    """The joined payloads are the set-up tracks' frames, byte for byte, without RTSP messages, whatever the split."""
    stream, stored = streams
    assert joined(read(stream, sizes)) == stored


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


def outcome(stream: bytes, sizes: list[int], tracks: tuple[Track, ...]) -> list[WireEvent] | str:
    """Read a stream; BadInputError is an outcome, anything else fails the test."""
    try:
        return play(stream, sizes, tracks).untimed
    except BadInputError as error:
        return str(error)


@settings(max_examples=150)
@given(
    st.lists(hostile_units, max_size=40).map(b"".join),
    st.lists(st.integers(1, 400), max_size=60),
    st.sampled_from(CODECS),
)
def test_hostile_bytes_raise_bad_input_only_and_split_independently(
    stream: bytes, sizes: list[int], tracks: tuple[Track, ...]
) -> None:
    """Any bytes in any split: the same events, or the same BadInputError."""
    assert outcome(stream, sizes, tracks) == outcome(stream, [], tracks)


@settings(max_examples=60)
@given(streams(), st.lists(st.integers(1, 90_000), max_size=20), st.frozensets(st.integers(0, 20)), st.randoms())
def test_other_cameras_in_the_same_memory_change_nothing(
    streams: tuple[bytes, bytes], sizes: list[int], cuts: frozenset[int], random: Random
) -> None:
    """Whatever is read in between, and wherever that stands, a camera's spans are those it has alone."""
    memory, film = wire_memory(), b"".join(picture(n, is_key=n % 10 == 0) for n in range(40))
    others = [(WireBuffer(memory), (film[at : at + 7001] for at in range(0, len(film), 7001))) for _ in range(2)]
    for other, _ in others:
        other.follow((VIDEO,))

    def disturb() -> None:
        other, pieces = random.choice(others)
        feed(other, next(pieces, b""))
        if random.random() < 0.3:
            other.cut()

    alone = play(streams[0], sizes, BOTH, cuts)
    together = play(streams[0], sizes, BOTH, cuts, WireBuffer(memory), disturb)
    assert together == alone


@pytest.mark.parametrize("filler", [MESSAGE[:-3].replace(b"3", b"60000") + bytes(60_000), REPORT * 500, SOUND * 500])
def test_what_is_no_video_cannot_fill_the_buffer(filler: bytes) -> None:
    """Messages, reports and foreign frames without end are read on, and video after them is still stored."""
    first, last = picture(0, is_key=True), picture(1, is_key=True)
    for tracks in ((VIDEO,), BOTH):
        stored = joined(read(first + filler * 60 + last, [100_000] * 100, tracks))
        assert stored.startswith(first)
        assert stored.endswith(last)


def test_there_is_always_room() -> None:
    """With the longest span and the longest unread unit in the buffer, a good read still fits."""
    wire, rooms = WireBuffer(wire_memory()), []
    wire.follow((VIDEO,))
    message = b"R" + b" " * 16_000 + b"\r\nContent-Length: 65536\r\n\r\n" + bytes(65536)
    stream = picture(0, is_key=True) + rtp_frame(0, 0, 900, b"\x41" + bytes(1000), marker=False) * 250 + message
    for at in range(0, len(stream) - 1, 1000):
        rooms.append(len(wire.room()))
        feed(wire, stream[at : min(at + 1000, len(stream) - 1)])
    assert ROOM_BYTES_MIN <= min(rooms) < ROOM_BYTES_MIN + 20_000
    assert max(rooms) == BUFFER_BYTES


def test_reports_and_messages_are_handed_out_in_order() -> None:
    """A sender report comes with the newest picture before it, a message with all its bytes."""
    events = read(picture(0, is_key=True) + REPORT + MESSAGE + picture(1))
    assert events[:2] == [SenderReport(0xE8000000_80000000, 77, 0), RtspMessage(MESSAGE)]


def test_tracks_are_kept_in_wire_order_on_any_channels() -> None:
    """Both tracks and their RTCP are stored as they came; other channels never reach the ring."""
    tracks = (Track(6, "video", "H264", 96, 90_000), Track(4, "audio", "PCMU", 0, 8000))
    first, second = (rtp_frame(6, n, n * 900, b"\x65" + bytes(5000), marker=True) for n in (1, 2))
    sound, report = rtp_frame(4, 1, 1, b"sound", marker=True), sender_report_frame(7, 1, 900)
    kept = [first, sound, report, sender_report_frame(5, 1, 8000), sound, second]
    reading = play(REPORT.join([SOUND, *kept, SOUND]), (), tracks)
    assert joined(reading.events) == b"".join(kept)
    assert [event for event in reading.events if isinstance(event, SenderReport)] == [SenderReport(1, 900, 900)]
    assert reading.counts == WireCounts(video_packets=2, pictures=2, key_pictures=2, sound_packets=2)


def test_frames_of_tracks_nobody_asked_for_are_dropped() -> None:
    """Sound on a channel that was not set up never reaches the ring."""
    assert joined(read(SOUND + picture(0, is_key=True) + SOUND)) == picture(0, is_key=True)


def test_any_number_of_frame_lengths_is_hopped() -> None:
    """A camera with more lengths of frames than patterns are made for is read all the same."""
    lengths = range(100, 100 + 2 * EQUAL_LENGTHS_MAX)
    pictures = [
        b"".join(rtp_frame(0, n, 900 * length, b"\x65" + bytes(length), marker=n == 9) for n in range(10))
        for length in lengths
    ]
    reading = play(b"".join(pictures))
    assert joined(reading.events) == b"".join(pictures)
    assert (reading.counts.pictures, reading.counts.video_packets) == (len(lengths), 10 * len(lengths))
    wire = WireBuffer(wire_memory())
    wire.follow((VIDEO,))
    for octets in pictures:
        feed(wire, octets)
    assert len(wire._equal_frames) == EQUAL_LENGTHS_MAX


@settings(max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=1), st.lists(st.integers(1, 9000), max_size=50), st.data())
def test_each_lost_packet_is_counted_once(fragments: list[int], sizes: list[int], data: st.DataObject) -> None:
    """What was dropped between the first picture's beginning and the last one's is counted, over the 16-bit wrap."""
    sequence, frames = itertools.count(65_500), []
    for number, count in enumerate(fragments):
        packets = [
            rtp_frame(0, next(sequence), number * 900, b"\x65" + bytes(100), marker=False) for _ in range(count + 1)
        ]
        frames.append(packets)
    lost = [data.draw(st.frozensets(st.integers(1, 40))) for _ in frames[:-1]]
    kept = [
        [frame for n, frame in enumerate(packets) if n not in gone]
        for packets, gone in zip(frames, [*lost, frozenset[int]()], strict=True)
    ]
    dropped = sum(map(len, frames)) - sum(map(len, kept))
    counts = play(b"".join(frame for packets in kept for frame in packets), sizes).counts
    assert (counts.video_packets, counts.video_packets_lost) == (sum(map(len, kept)), dropped)


@pytest.mark.parametrize(
    "garbage", [b"\x00", b"garbage", b"R" * 20_000, b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"]
)
def test_garbage_fails_clearly(garbage: bytes) -> None:
    """What is neither frame nor message is BadInputError."""
    with pytest.raises(BadInputError):
        read(picture(0, is_key=True) + garbage)
