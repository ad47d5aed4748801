"""What a camera tells of itself: answers with events, and events as they lie in the ring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from agent.acquire.camera_event import CameraEvent, EventClock, decode_events, encode_events
from agent.acquire.event_board import EVENTS_PER_MINUTE_MAX, EventBoard
from agent.acquire.event_message import LIVES_S_MAX, MESSAGES_MAX, Heard, read_events, read_lives_s, read_offset
from agent.acquire.event_session import EventState
from agent.acquire.event_topics import EventKind
from agent.acquire.lenient_xml import parse_xml
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.buffer.chunk import ChunkHeader, pack_chunk_header
from agent.buffer.event_chunk import event_chunk
from agent.clock import SECOND_NS, Instant, WallTime

ANSWER_BYTES_MAX: Final = 64 * 1024
NOW: Final = WallTime(1_795_000_000 * SECOND_NS)
_VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors/buffer/vectors.json").read_text())


def event_answer(raw: bytes) -> None:
    """Check that whatever an answer says becomes few events that can be stored, dated no later than they were told."""
    answer = parse_xml(raw, ANSWER_BYTES_MAX)
    offset = read_offset(answer, NOW, WallTime(NOW + SECOND_NS))
    assert offset is None or offset.low_ns <= offset.high_ns
    lives_s = read_lives_s(answer)
    assert lives_s is None or 0 < lives_s <= LIVES_S_MAX
    board = EventBoard()
    for known in (offset, ClockOffset(0, 0), None):
        events = read_events(answer, Heard(WallTime(NOW - 5 * SECOND_NS), NOW, known))
        assert len(events) <= MESSAGES_MAX
        assert all(event.at <= NOW and event.error_ns >= 0 for event in events)
        news = board.take(events, Instant(0))
        for begin in range(0, len(news), 64):
            meta, payload = event_chunk(CameraId("door"), news[begin : begin + 64], 1, NOW)
            assert decode_events(payload) == news[begin : begin + 64]
            pack_chunk_header(ChunkHeader(meta, len(payload), 1, bytes(16), 0))
    assert board.health(EventState.SUBSCRIBED, "").kept <= EVENTS_PER_MINUTE_MAX


def stored_events(raw: bytes) -> None:
    """Check that what is taken for events is written back as the same events."""
    events = decode_events(raw)
    assert decode_events(encode_events(events)) == events


def _message(topic: str, items: str, stamp: str = "2026-11-18T10:13:20Z", operation: str = "Changed") -> str:
    return (
        f"<n:NotificationMessage><n:Topic>{topic}</n:Topic><n:Message><t:Message UtcTime='{stamp}' PropertyOperation="
        f"'{operation}'><t:Source><t:SimpleItem Name='Token' Value='v1'/></t:Source><t:Key/><t:Data>{items}</t:Data>"
        "</t:Message></n:Message></n:NotificationMessage>"
    )


def _answer(*messages: str) -> bytes:
    return (
        "<e:PullMessagesResponse xmlns:e='http://www.onvif.org/ver10/events/wsdl' xmlns:n='http://docs.oasis-open.org/"
        "wsn/b-2' xmlns:t='http://www.onvif.org/ver10/schema'><e:CurrentTime>2026-11-18T10:13:21.5Z</e:CurrentTime>"
        f"<e:TerminationTime>2026-11-18T10:14:20Z</e:TerminationTime>{''.join(messages)}</e:PullMessagesResponse>"
    ).encode()


_MOTION: Final = _message(
    "tns1:RuleEngine/CellMotionDetector/Motion", "<t:SimpleItem Name='IsMotion' Value='true'/>", operation="Initialized"
)
ANSWERS: Final = (
    _answer(_MOTION, _message("tns1:VideoSource/tnsaxis:Tampering", "<t:SimpleItem Name='tampering' Value='1'/>")),
    _answer(_message("tns1:Device/Trigger/tnshik:AlarmIn", "<t:SimpleItem Name='State' Value='x'/>", "24:00:60")),
    _answer(*[_MOTION] * 100),
    _answer(),
)
STORED: Final = (
    *(bytes.fromhex(vector["hex"]) for vector in _VECTORS if vector["of"] == "events" and not vector["failure"]),
    encode_events([CameraEvent(EventKind.FAILURE, NOW, 0, EventClock.ARRIVAL, "a/b", state=False, is_initial=True)]),
)
