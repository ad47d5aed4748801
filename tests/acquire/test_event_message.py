"""Answers of cameras to events: what is read, when it was by the hub's clock, and what is made of nonsense."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from agent.acquire.camera_event import EventClock, decode_events, encode_events
from agent.acquire.event_message import (
    LATENESS_NS,
    MESSAGES_MAX,
    Heard,
    read_events,
    read_lives_s,
    read_offset,
    read_stamp,
)
from agent.acquire.event_topics import EventKind
from agent.acquire.lenient_xml import parse_xml
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime, parse_rfc3339
from agent.errors import BadInputError

NOON = parse_rfc3339("2026-11-28T12:00:00Z")
SPACES = (
    'xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" xmlns:tt="http://www.onvif.org/ver10/schema"'
    ' xmlns:tev="http://www.onvif.org/ver10/events/wsdl"'
)


def message(stamp: str, data: str, *, topic: str = "tns1:VideoSource/MotionAlarm", operation: str = "Changed") -> str:
    """Write a NotificationMessage as cameras do."""
    return (
        f"<wsnt:NotificationMessage><wsnt:Topic>{topic}</wsnt:Topic><wsnt:Message>"
        f'<tt:Message UtcTime="{stamp}" PropertyOperation="{operation}"><tt:Source>'
        '<tt:SimpleItem Name="Source" Value="vsconf"/><tt:SimpleItem Name="Rule" Value="Zone 1"/></tt:Source>'
        f"<tt:Data>{data}</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>"
    )


def answer(*messages: str, times: str = "") -> etree._Element:
    """Write a PullMessagesResponse and read it as the hub does."""
    return parse_xml(
        f"<tev:PullMessagesResponse {SPACES}>{times}{''.join(messages)}</tev:PullMessagesResponse>".encode(), 1 << 20
    )


def heard(offset_s: float = 0.0, error_s: float = 0.0, since_s: float = -5, answered_s: float = 0) -> Heard:
    """Say that the answer came at noon, from a camera whose clock is that much ahead."""
    low, high = ((offset_s + sign * error_s) * SECOND_NS for sign in (-1, 1))
    return Heard(at(since_s), at(answered_s), ClockOffset(int(low), int(high)))


def at(seconds: float) -> WallTime:
    """Return a time after noon."""
    return WallTime(NOON + int(seconds * SECOND_NS))


TRUE = '<tt:SimpleItem Name="State" Value="true"/>'


def test_an_event_is_read_whole() -> None:
    """Topic, place, state and time, from a camera that is an hour ahead."""
    (event,) = read_events(answer(message("2026-11-28T12:59:58.500Z", TRUE)), heard(3600, 0.01))
    assert (event.kind, event.state, event.is_initial) == (EventKind.MOTION, True, False)
    assert (event.topic, event.source) == ("tns1:VideoSource/MotionAlarm", "vsconf/Zone 1")
    assert event.clock is EventClock.CAMERA
    assert abs(event.at - at(-1.5)) <= event.error_ns <= SECOND_NS // 80


@given(
    true_s=st.floats(-4.9, -0.02),
    offset_s=st.floats(-(10**7), 10**7),
    error_s=st.floats(0, 2),
    digits=st.integers(0, 9),
)
def test_the_bound_holds(true_s: float, offset_s: float, error_s: float, digits: int) -> None:
    """However wrong the camera's clock and coarse its stamps, the event lies within the stated bound."""
    by_camera = at(true_s) + int(offset_s * SECOND_NS)
    whole, rest = divmod(by_camera, SECOND_NS)
    decimals = f".{rest:09d}"[: digits + 1] if digits else ""
    stamp = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S") + decimals + "Z"
    known = Heard(at(-5), at(0), ClockOffset(*(int((offset_s + s * error_s) * SECOND_NS) + s for s in (-1, 1))))
    (event,) = read_events(answer(message(stamp, TRUE)), known)
    assert event.clock is EventClock.CAMERA
    assert abs(event.at - at(true_s)) <= event.error_ns
    assert event.at + event.error_ns <= known.answered + 1


@pytest.mark.parametrize("stamp", ["", "2026-11-28T13:00:00Z", "2019-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "soon"])
def test_a_stamp_that_cannot_be_is_not_believed(stamp: str) -> None:
    """An event from the future, from long before it could be told, or without a time is dated by arrival."""
    (event,) = read_events(answer(message(stamp, TRUE)), heard(0, 0.01))
    assert (event.clock, event.at) == (EventClock.ARRIVAL, NOON)
    assert event.error_ns == 5 * SECOND_NS + LATENESS_NS


def test_without_a_known_clock_arrival_dates_events() -> None:
    """A stamp in a clock that nobody knows says nothing."""
    (event,) = read_events(answer(message("2026-11-28T11:59:58Z", TRUE)), Heard(at(-5), at(0), None))
    assert event.clock is EventClock.ARRIVAL


def test_how_it_stood_before_is_told_as_such() -> None:
    """A state from before the subscription is no event of now, and is dated by when it was told."""
    (event,) = read_events(answer(message("2026-11-20T00:00:00Z", TRUE, operation="Initialized")), heard())
    assert (event.is_initial, event.state, event.clock, event.at) == (True, True, EventClock.ARRIVAL, NOON)


def test_what_is_deleted_is_no_longer_so() -> None:
    """A camera that takes a property away has ended it."""
    (event,) = read_events(answer(message("2026-11-28T11:59:59Z", TRUE, operation="Deleted")), heard())
    assert event.state is False


def test_messages_that_mean_nothing_are_left_out() -> None:
    """Unknown topics, a message without content, and what lies beyond the bound."""
    odd = ["<wsnt:NotificationMessage/>", message("x", TRUE, topic="tns1:Monitoring/ProcessorUsage")]
    good = message("2026-11-28T11:59:59Z", TRUE)
    assert len(read_events(answer(*odd, good, *odd), heard())) == 1
    assert len(read_events(answer(*[good] * (MESSAGES_MAX + 50)), heard())) == MESSAGES_MAX


def test_an_answer_made_to_cost_time_costs_little() -> None:
    """Messages within messages, and one of a million elements, are left out; what is beside them is read."""
    good = message("2026-11-28T11:59:59Z", TRUE)
    nested = "<wsnt:NotificationMessage>" * 200 + good + "</wsnt:NotificationMessage>" * 200
    large = message("2026-11-28T11:59:59Z", TRUE + "<a/>" * 60_000)
    hostile = answer(nested, large, *["<wsnt:NotificationMessage/>"] * 100, good)
    began_s = time.thread_time()
    assert len(read_events(hostile, heard())) == 1
    assert time.thread_time() - began_s < 0.2


@pytest.mark.parametrize(
    ("text", "moment", "resolution_ns"),
    [
        ("2026-11-28T12:00:00Z", NOON, SECOND_NS),
        ("2026-11-28T12:00:00", NOON, SECOND_NS),
        ("2026-11-28 12:00:00Z", NOON, SECOND_NS),
        ("2026-11-28T14:00:00.0+02:00", NOON, SECOND_NS // 10),
        ("2026-11-28T08:30:00-03:30", NOON, SECOND_NS),
        ("2026-11-28T11:59:60Z", NOON, SECOND_NS),
        ("2026-11-27T24:00:00Z", NOON - 12 * 3600 * SECOND_NS, SECOND_NS),
        ("2026-11-28T12:00:00.123456789Z", NOON + 123_456_789, 1),
        ("2026-11-28T12:00:00.123456789012Z", NOON + 123_456_789, 1),
    ],
)
def test_times_as_cameras_write_them(text: str, moment: int, resolution_ns: int) -> None:
    """Blanks, missing zones, hour 24 and second 60 come from real cameras."""
    assert read_stamp(text) == (moment, resolution_ns)


@given(
    st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?", fullmatch=True)
)
def test_any_text_is_a_time_or_none(text: str) -> None:
    """Nothing a camera writes for a time raises."""
    stamp = read_stamp(text)
    assert stamp is None or 0 <= stamp.at < 2**63


def test_only_the_difference_of_a_cameras_times_is_believed() -> None:
    """How long a subscription lives is told by a camera that thinks it is 1970; and its clock is bounded by it."""
    times = (
        "<tev:CurrentTime>1970-01-01T00:10:00Z</tev:CurrentTime>"
        "<tev:TerminationTime>1970-01-01T00:11:00Z</tev:TerminationTime>"
    )
    told = answer(times=times)
    assert read_lives_s(told) == 60
    offset = read_offset(told, at(-1), at(0))
    assert offset is not None
    assert offset.low_ns <= 600 * SECOND_NS - NOON <= offset.high_ns <= offset.low_ns + 3 * SECOND_NS
    assert read_lives_s(answer()) is None
    assert read_offset(answer(), at(-1), at(0)) is None


@pytest.mark.parametrize("end", ["1970-01-01T00:10:00Z", "1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "x"])
def test_a_life_that_cannot_be_is_not_believed(end: str) -> None:
    """Nothing left, less than nothing, or half a century."""
    times = f"<tev:CurrentTime>1970-01-01T00:10:00Z</tev:CurrentTime><tev:TerminationTime>{end}</tev:TerminationTime>"
    assert read_lives_s(answer(times=times)) is None


GOOD = etree.tostring(answer(*[message("2026-11-28T11:59:59.5Z", TRUE)] * 3))


@given(st.data())
@settings(max_examples=300)
def test_a_changed_answer_breaks_nothing(data: st.DataObject) -> None:
    """An answer with bytes changed, cut and doubled gives events that can be stored, or fewer, or BadInputError."""
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 8))):
        place, size = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, 12))
        raw[place : place + size] = data.draw(
            st.binary(max_size=12) | st.sampled_from([b"<", b'"', b"<!DOCTYPE", b"&#0;"])
        )
    try:
        root = parse_xml(bytes(raw), 1 << 20)
    except BadInputError:
        return
    events = read_events(root, heard(0, 0.01))
    read_offset(root, at(-1), at(0))
    read_lives_s(root)
    if events:
        assert decode_events(encode_events(events)) == events
