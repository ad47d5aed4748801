"""One session from bytes to recorded spans, without a socket."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.camera import CameraStream
from agent.acquire.reader import BREAKS_MAX, VIDEO_S_MAX, Reader, ReaderEvent, Recorded, RunBegan, RunNumbers
from agent.acquire.rtsp import Send
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset, ClockSource
from agent.clock import SECOND_NS, Instant, WallTime
from agent.errors import BadInputError, UnavailableError
from tests.simulators.rtsp_camera import SDP, ntp64, picture_frames, rtp_frame, sender_report_frame

WALL = WallTime(1_790_000_000 * SECOND_NS)
HEADERS = {
    "DESCRIBE": f"Content-Length: {len(SDP)}\r\n",
    "SETUP": "Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: s\r\n",
}


class Talk:
    """A reader and the camera's answers, at a time that moves when told."""

    def __init__(self, clock: ClockOffset | None = None) -> None:
        self.now, self.wall = Instant(0), WALL
        stream = CameraStream(CameraId("door"), "Door", "rtsp://192.0.2.1/", None, clock)
        self.reader = Reader(stream, "cnonce", self.now, RunNumbers())
        self.events: list[ReaderEvent] = []

    def play(self) -> None:
        """Answer requests until the camera plays."""
        pending = list(self.reader.act(self.now))
        while pending:
            event = pending.pop()
            assert isinstance(event, Send)
            match = re.match(rb"(\w+) .*CSeq: (\d+)", event.octets, re.DOTALL)
            assert match is not None
            method, cseq = match[1].decode(), match[2].decode()
            body = SDP if method == "DESCRIBE" else ""
            pending = self.feed(f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{HEADERS.get(method, '')}\r\n{body}".encode())

    def feed(self, octets: bytes) -> list[ReaderEvent]:
        """Receive bytes now."""
        self.reader.room()[: len(octets)] = octets
        events = list(self.reader.received(len(octets), self.now, self.wall))
        self.events += events
        return events

    def wait(self, seconds: float) -> None:
        """Let both clocks run."""
        self.now = Instant(self.now + int(seconds * SECOND_NS))
        self.wall = WallTime(self.wall + int(seconds * SECOND_NS))


def key(rtp: int) -> bytes:
    """Make a key picture of one packet."""
    return rtp_frame(0, 0, rtp, b"\x65" + b"x" * 100, marker=True)


def test_session_begins_a_run_with_its_first_span() -> None:
    """The run's header comes before the first span, once; its number is not below the time."""
    talk = Talk()
    talk.play()
    for number in range(11):
        talk.feed(b"".join(picture_frames(number, 0, is_key=number % 5 == 0)))
    kinds = [type(event) for event in talk.events if not isinstance(event, Send)]
    assert kinds == [RunBegan, Recorded, Recorded]
    began = next(event for event in talk.events if isinstance(event, RunBegan))
    assert began.header.run >= WALL


def test_jump_begins_a_run_where_it_happens() -> None:
    """What came before the jump keeps the old mapping, what follows has a new one of its own time."""
    talk = Talk()
    talk.play()
    talk.feed(key(0) + key(20 * 90_000))
    talk.events += list(talk.reader.cut(talk.wall))
    spans = [event for event in talk.events if isinstance(event, Recorded)]
    assert len([event for event in talk.events if isinstance(event, RunBegan)]) == 2
    assert [span.anchor.rtp for span in spans] == [0, 20 * 90_000]


def test_stepping_reports_begin_a_run() -> None:
    """A camera that sets its clock by more than a second gets a new run; an absurd report is only counted."""
    talk = Talk(ClockOffset(0, 0))
    talk.play()
    talk.feed(key(0) + sender_report_frame(1, ntp64(talk.wall), 0))
    talk.feed(sender_report_frame(1, ntp64(talk.wall - 3 * SECOND_NS), 0))
    talk.feed(key(3000) + sender_report_frame(1, ntp64(talk.wall - 3600 * SECOND_NS), 3000))
    talk.events += list(talk.reader.cut(talk.wall))
    assert len([event for event in talk.events if isinstance(event, RunBegan)]) == 2
    assert talk.reader.reports_ignored == 1


def test_report_before_the_first_picture_maps_it() -> None:
    """A report that comes ahead of the pictures is judged by the first one and counts from there."""
    talk = Talk(ClockOffset(0, 0))
    talk.play()
    talk.feed(sender_report_frame(1, ntp64(talk.wall - SECOND_NS), 0) + key(0))
    talk.events += list(talk.reader.cut(talk.wall))
    (span,) = [event for event in talk.events if isinstance(event, Recorded)]
    assert span.anchor.source is ClockSource.SR_ONVIF
    assert abs(span.anchor.hub - (talk.wall - SECOND_NS)) <= 1


def test_new_run_of_the_same_session_keeps_the_report() -> None:
    """Going on in another place, or with another clock offset, does not fall back to arrival."""
    talk = Talk(ClockOffset(0, 0))
    talk.play()
    talk.feed(key(0) + sender_report_frame(1, ntp64(talk.wall - SECOND_NS), 0))
    talk.reader.begin_anew()
    talk.feed(key(3000))
    talk.events += list(talk.reader.cut(talk.wall))
    span = [event for event in talk.events if isinstance(event, Recorded)][-1]
    assert span.anchor.source is ClockSource.SR_ONVIF


def test_endless_jumps_end_the_session() -> None:
    """A camera cannot fill the ring with stream headers."""
    talk = Talk()
    talk.play()
    with pytest.raises(BadInputError, match="jumped"):
        talk.feed(b"".join(key(number % 2 * 2**30) for number in range(BREAKS_MAX + 3)))


def test_session_without_video_ends() -> None:
    """A camera that plays and answers but sends no picture for ten seconds is dead."""
    talk = Talk()
    talk.play()
    talk.feed(key(0))
    talk.wait(VIDEO_S_MAX)
    assert list(talk.reader.act(talk.now)) == []
    talk.wait(1)
    with pytest.raises(UnavailableError):
        list(talk.reader.act(talk.now))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(key, st.integers(0, 2**32 - 1)),
            st.builds(sender_report_frame, st.just(1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)),
            st.just(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        ),
        max_size=20,
    )
)
def test_any_bytes_after_play_raise_bad_input_only(pieces: list[bytes]) -> None:
    """Hostile frames, reports and messages end in spans or BadInputError."""
    talk = Talk(ClockOffset(-5, 5))
    talk.play()
    try:
        for piece in pieces:
            talk.feed(piece)
            talk.wait(0.25)
    except BadInputError:
        pass
    list(talk.reader.cut(talk.wall))
