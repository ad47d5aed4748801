"""One session from bytes to recorded spans, without a socket."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.reader import VIDEO_S_MAX, Recorded, RunBegan, RunNumbers
from agent.acquire.rtsp import Ended, Ending, NeedPorts, Send, UsePorts
from agent.acquire.session_time import BREAKS_MAX
from agent.acquire.timeline import ClockOffset, ClockSource
from agent.clock import SECOND_NS
from agent.errors import BadInputError, UnavailableError
from tests.simulators.reader_talk import WALL, Talk
from tests.simulators.rtsp_camera import ntp64, picture_frames, rtp_frame, sender_report_frame


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


def test_sound_is_recorded_beside_the_video() -> None:
    """With sound wanted, the header names both tracks, the span holds the frames of both, and both are counted."""
    talk = Talk(has_sound=True)
    talk.play()
    assert talk.requests == ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY"]
    sound = rtp_frame(2, 0, 0, b"\xff" * 160, marker=False)
    talk.feed(key(0) + sound)
    talk.do(talk.reader.cut(talk.wall))
    began = next(event for event in talk.events if isinstance(event, RunBegan))
    assert [(track.media, track.channel) for track in began.header.tracks] == [("video", 0), ("audio", 2)]
    assert [bytes(event.span.payload) for event in talk.spans()] == [key(0) + sound]
    assert (talk.reader.counts.video_packets, talk.reader.counts.sound_packets) == (1, 1)


def test_datagrams_are_read_as_frames_beside_the_connection() -> None:
    """The ports are asked for and told, media comes through the room, and keep-alives go on over the connection."""
    talk = Talk(is_udp=True)
    talk.play()
    assert talk.requests == ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY"]
    assert [event for event in talk.events if not isinstance(event, Send)] == [
        NeedPorts(1),
        UsePorts(((6970, 6971),)),
    ]
    for second in range(60):
        talk.feed(key(second * 90_000))
        for request in talk.do(talk.reader.act(talk.now)):
            number = re.search(rb"CSeq: (\d+)", request)
            assert number is not None
            answer = b"RTSP/1.0 200 OK\r\nCSeq: " + number[1] + b"\r\n\r\n"
            for piece in (answer[:9], answer[9:]):
                assert talk.do(talk.reader.received_control(piece, talk.now, talk.wall)) == []
        talk.wait(1)
    talk.do(talk.reader.cut(talk.wall))
    assert b"".join(bytes(event.span.payload[:4]) for event in talk.spans()).count(b"$\x00") > 0
    assert talk.reader.counts.key_pictures == 60
    assert len([event for event in talk.events if isinstance(event, Send)]) == 7


def test_bytes_of_the_connection_are_messages_only_beside_datagrams() -> None:
    """A frame on the connection is not what was agreed; a goodbye there ends the session."""
    talk = Talk(is_udp=True)
    talk.play()
    with pytest.raises(BadInputError):
        list(talk.reader.received_control(key(0), talk.now, talk.wall))
    talk = Talk(is_udp=True)
    talk.play()
    goodbye = b"TEARDOWN rtsp://192.0.2.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    talk.do(talk.reader.received_control(goodbye, talk.now, talk.wall))
    ended = talk.events[-1]
    assert isinstance(ended, Ended)
    assert ended.ending is Ending.LOST


def test_runs_rise_above_what_the_ring_holds() -> None:
    """A clock that was far ahead once leaves high numbers behind: the next run's is higher all the same."""
    ahead = WALL + 10**18
    runs = RunNumbers(ahead)
    assert [runs.take(WALL), runs.take(WALL)] == [ahead + 1, ahead + 2]
    assert RunNumbers().take(WALL) == WALL


@settings(max_examples=100)
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


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [b"RTSP/1.0 454 X\r\n\r\n", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", b"RTSP/1.0 2", b"\r\n"]
            ),
        ),
        max_size=20,
    )
)
def test_any_bytes_beside_datagrams_raise_bad_input_only(pieces: list[bytes]) -> None:
    """Hostile words on the connection of a session whose media comes as datagrams end in BadInputError or nothing."""
    talk = Talk(has_sound=True, is_udp=True)
    talk.play()
    with suppress(BadInputError):
        for piece in pieces:
            talk.do(talk.reader.received_control(piece, talk.now, talk.wall))
            talk.feed(key(0))
            talk.wait(0.25)
    list(talk.reader.leave(talk.now))
