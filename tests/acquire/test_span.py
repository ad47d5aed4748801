"""Spans end where a chunk may end: before key pictures, at the limit, where time jumps, and when it is time."""

from __future__ import annotations

from agent.acquire.span import KEY_SPAN_BYTES_MIN, SPAN_BYTES_MAX
from agent.acquire.stream import Track
from agent.acquire.wire import WireBuffer, wire_memory
from agent.acquire.wire_event import Span, TimestampJump
from agent.clock import WallTime
from tests.simulators.rtsp_camera import PICTURE_TICKS, rtp_frame, sender_report_frame
from tests.simulators.wire_reading import AUDIO, VIDEO, feed, joined, picture, read, spans

REPORT = sender_report_frame(1, 0xE8000000_80000000, 77)
SOUND = rtp_frame(2, 1, 1, b"sound", marker=False)


def test_each_key_picture_begins_a_span() -> None:
    """A chunk ends before the first packet of a key picture, its parameter sets included."""
    pictures = [picture(number, is_key=number % 5 == 0) for number in range(15)]
    found = spans(read(b"".join(pictures)))
    assert [span.payload for span in found] == [b"".join(pictures[at : at + 5]) for at in (0, 5, 10)]
    assert all(span.is_key for span in found)
    assert [(span.first_rtp, span.last_rtp) for span in found] == [
        (at * PICTURE_TICKS, (at + 4) * PICTURE_TICKS) for at in (0, 5, 10)
    ]


def test_access_unit_delimiter_belongs_to_the_key_picture() -> None:
    """A key picture that shows itself only in its third packet begins at its first."""
    other = picture(0, is_key=True) + picture(1)
    key = rtp_frame(0, 9, 5000, b"\x09\xf0", marker=False) + rtp_frame(0, 10, 5000, b"\x06sei", marker=False)
    key += rtp_frame(0, 11, 5000, b"\x65slice", marker=True)
    assert [span.payload for span in spans(read(other + key))] == [other, key]


def test_key_picture_keeps_its_beginning_in_whatever_pieces_it_comes() -> None:
    """A picture that begins with the end of one read and shows itself in the next is timed by the first."""
    wire = WireBuffer(wire_memory())
    wire.follow((VIDEO,))
    key = [
        rtp_frame(0, n, 2700, payload.ljust(50), marker=n == 2) for n, payload in enumerate((b"\x09", b"\x06", b"\x65"))
    ]
    whole = picture(0, is_key=True) + picture(1, is_key=True) + picture(2)
    assert [span.payload for span in spans(feed(wire, whole, 5))] == [picture(0, is_key=True)]
    feed(wire, key[0], 6)
    (before,) = spans(feed(wire, key[1] + key[2], 7))
    assert before.payload == picture(1, is_key=True) + picture(2)
    assert (before.first_arrival, before.last_arrival) == (5, 5)
    last = wire.cut()
    assert last is not None
    assert (bytes(last.payload), last.first_arrival, last.last_arrival) == (b"".join(key), 6, 7)


def test_time_to_commit_does_not_tear_the_head_off_a_key_picture() -> None:
    """A cut while a picture has not shown what it is goes before that picture."""
    wire = WireBuffer(wire_memory())
    wire.follow((VIDEO,))
    first = picture(0, is_key=True)
    head, rest = rtp_frame(0, 9, 5000, b"\x09\xf0", marker=False), rtp_frame(0, 11, 5000, b"\x65slice", marker=True)
    assert feed(wire, first + head) == []
    span = wire.cut()
    assert span is not None
    assert bytes(span.payload) == first
    assert wire.cut() is None
    feed(wire, rest)
    span = wire.cut()
    assert span is not None
    assert (bytes(span.payload), span.is_key, span.first_rtp) == (head + rest, True, 5000)


def test_span_without_video_waits_for_the_next_picture() -> None:
    """Sound and reports alone make no chunk; they go with the next picture, which is key all the same."""
    wire = WireBuffer(wire_memory())
    wire.follow((VIDEO, AUDIO))
    feed(wire, picture(0, is_key=True))
    assert wire.cut() is not None
    feed(wire, REPORT + SOUND)
    assert wire.cut() is None
    assert feed(wire, picture(1, is_key=True)) == []
    span = wire.cut()
    assert span is not None
    assert (bytes(span.payload), span.is_key) == (REPORT + SOUND + picture(1, is_key=True), True)


def test_waiting_for_a_key_picture_forgets_what_has_grown() -> None:
    """After `wait_for_key` nothing is stored before the next key picture."""
    wire = WireBuffer(wire_memory())
    wire.follow((VIDEO,))
    feed(wire, picture(0, is_key=True) + picture(1)[:3000])
    wire.wait_for_key()
    assert wire.cut() is None
    assert spans(feed(wire, picture(1)[3000:] + picture(2) + picture(3, is_key=True) + picture(5, is_key=True))) == [
        Span(
            picture(3, is_key=True),
            is_key=True,
            first_arrival=WallTime(1),
            last_arrival=WallTime(1),
            first_rtp=2700,
            last_rtp=2700,
        )
    ]


def test_long_pictures_are_cut_at_the_limit() -> None:
    """No span is longer than 256 KiB, and nothing is lost at the cuts."""
    pictures = [picture(number, is_key=number == 0, fragments=400) for number in range(4)]
    found = spans(read(b"".join(pictures)))
    assert max(len(span.payload) for span in found) <= SPAN_BYTES_MAX
    assert joined(found) == b"".join(pictures)
    assert [span.is_key for span in found] == [True] + [False] * (len(found) - 1)


def test_picture_that_never_says_what_it_is_cannot_grow_for_ever() -> None:
    """Before the first key picture it is dropped, after it is stored; what it says at last comes too late."""
    silent = [rtp_frame(0, n, 900, b"\x09" + bytes(1400), marker=False) for n in range(400)]
    late = rtp_frame(0, 400, 900, b"\x65" + bytes(1400), marker=True)
    assert read(b"".join(silent) + late) == []
    found = spans(read(picture(0, is_key=True) + b"".join(silent) + late))
    assert joined(found) == picture(0, is_key=True) + b"".join(silent) + late
    assert [span.is_key for span in found] == [True, False, False, False]


def test_payload_is_copied_only_around_a_hole() -> None:
    """What stands before a span costs nothing; a message within it is cut out."""
    wire = WireBuffer(wire_memory())
    wire.follow((VIDEO,))
    message = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"
    for before, between, kind in ((message, b"", memoryview), (SOUND, message, bytes), (b"\r\n", b"", memoryview)):
        feed(wire, before + picture(0, is_key=True) + between + picture(1))
        span = wire.cut()
        assert span is not None
        assert type(span.payload) is kind
        assert span.payload == picture(0, is_key=True) + picture(1)


def test_jpeg_pictures_share_spans_and_are_torn_only_when_one_is_too_long() -> None:
    """Every span holds as many whole pictures as fit, and so begins with one: it is key."""
    tracks = (Track(0, "video", "JPEG", 26, 90_000),)
    pictures = [
        b"".join(rtp_frame(0, n, number * 3600, bytes(1400), marker=n == 29) for n in range(30)) for number in range(20)
    ]
    found = spans(read(b"".join(pictures), [5000] * 200, tracks))
    assert [span.payload for span in found] == [b"".join(pictures[at : at + 6]) for at in range(0, 20, 6)]
    assert all(span.is_key for span in found)
    torn = b"".join(rtp_frame(0, n, 10**6, bytes(1400), marker=n == 299) for n in range(300))
    assert [span.is_key for span in spans(read(torn + pictures[0], (), tracks))] == [True, False, True]


def test_jpeg_picture_waits_for_its_end_when_it_is_time_to_commit() -> None:
    """It is cut off before, so that the next span begins with it; one that is torn already need not wait."""
    wire = WireBuffer(wire_memory())
    wire.follow((Track(0, "video", "JPEG", 26, 90_000),))
    whole, long = (
        [rtp_frame(0, n, rtp, bytes(1400), marker=n == count - 1) for n in range(count)]
        for rtp, count in ((900, 9), (1800, 250))
    )
    for octets, expected in (
        (whole + long[:5], whole),
        (long[5:9], None),
        (long[9:200], long[:185]),
        (long[200:240], long[185:240]),
        (long[240:], long[240:]),
    ):
        found = spans(feed(wire, b"".join(octets)))
        span = wire.cut() if not found else found[0]
        assert (bytes(span.payload) if span else None) == (b"".join(expected) if expected else None)


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
