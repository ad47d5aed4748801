"""The RTSP session machine while the camera plays: keep-alives, the camera's own requests, and ways to part."""

from __future__ import annotations

import pytest

from agent.acquire.rtsp import ANSWER_S_MAX, MESSAGES_MAX, Ended, Ending, Send
from agent.clock import SECOND_NS
from tests.simulators.rtsp_camera import SDP
from tests.simulators.rtsp_conversation import DIGEST, START, URL, Conversation


@pytest.mark.parametrize(
    ("public", "method"), [("OPTIONS, GET_PARAMETER", "GET_PARAMETER"), ("OPTIONS, PLAY", "OPTIONS"), ("", "OPTIONS")]
)
def test_keep_alive_comes_before_half_of_the_timeout(public: str, method: str) -> None:
    """GET_PARAMETER if the camera announced it, else OPTIONS, always within half of the session's timeout."""
    talk = Conversation()
    talk.answer(talk.request(), headers=f"Public: {public}\r\n")
    talk.answer(talk.request(), body=SDP)
    talk.answer(talk.request(), headers="Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: s1;timeout=30\r\n")
    talk.answer(next(effect.octets.decode() for effect in talk.effects() if isinstance(effect, Send)))
    for _ in range(3):
        deadline = talk.session.deadline()
        assert deadline is not None
        assert deadline - talk.now < 15 * SECOND_NS
        assert talk.effects() == []
        talk.now = deadline
        request = talk.request()  # never answered: that ends nothing
        assert request.startswith(method + " ")
        assert "Session: s1" in request


def test_refused_get_parameter_falls_back_to_options() -> None:
    """A camera that announces GET_PARAMETER and does not know it is asked OPTIONS from then on."""
    talk = Conversation()
    talk.play()
    talk.wait(13)
    talk.answer(talk.request(), 501)
    talk.wait(13)
    assert talk.request().startswith("OPTIONS ")


def test_login_that_is_refused_while_playing_ends_the_keep_alives_only() -> None:
    """Pictures still come: they are taken as long as they do, and the camera's account is not locked."""
    talk = Conversation()
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(1)}\r\n")
    talk.play()
    talk.wait(13)
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(2)}\r\n")
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(3)}\r\n")
    talk.wait(100)
    assert talk.effects() == []
    assert talk.session.is_playing


def test_stale_nonces_while_playing_are_answered_each_time() -> None:
    """Cameras give nonces of a minute: every keep-alive may begin with a challenge."""
    talk = Conversation()
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(1)}\r\n")
    talk.play()
    for number in range(2, 12):
        talk.wait(13)
        talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(number)}, stale=true\r\n")
        again = talk.request()
        assert f'nonce="{number}"' in again
        talk.answer(again)
    assert talk.session.is_playing


def test_forgotten_session_is_noticed_by_the_keep_alive() -> None:
    """454 to a keep-alive ends the session."""
    talk = Conversation()
    talk.play()
    talk.wait(13)
    talk.answer(talk.request(), 454)
    assert talk.ending() is Ending.LOST


def test_nonce_that_runs_out_while_playing_is_answered() -> None:
    """A 401 to a keep-alive, hours after the login was taken, does not end the recording."""
    talk = Conversation()
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(1)}\r\n")
    talk.play()
    talk.wait(13)
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(2)}\r\n")
    assert 'nonce="2"' in talk.request()
    assert talk.session.is_playing


def test_silent_camera_ends_the_session() -> None:
    """No answer within the limit is an ending, and the deadline says when to look."""
    talk = Conversation()
    talk.request()
    assert talk.session.deadline() == START + ANSWER_S_MAX * SECOND_NS
    talk.wait(ANSWER_S_MAX)
    assert talk.ending() is Ending.SILENT


@pytest.mark.parametrize("method", ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"])
def test_questions_of_the_camera_are_answered(method: str) -> None:
    """Cameras ask whether somebody still listens: 200, by the camera's own CSeq, with the session it named."""
    talk = Conversation()
    talk.play()
    talk.session.feed(f"{method} * RTSP/1.0\r\nCSeq: 7\r\nSession: s1\r\n\r\n".encode(), talk.now)
    answer = talk.request()
    assert answer.startswith("RTSP/1.0 200 OK\r\nCSeq: 7\r\n")
    assert "Session: s1\r\n" in answer
    assert talk.session.is_playing


def test_what_nobody_knows_is_not_implemented() -> None:
    """Any other method gets 501; without a CSeq there is nothing to answer to."""
    talk = Conversation()
    talk.request()
    talk.session.feed(b"RECORD * RTSP/1.0\r\nCSeq: 8\r\n\r\n", talk.now)
    assert talk.request() == "RTSP/1.0 501 Not Implemented\r\nCSeq: 8\r\n\r\n"
    talk.session.feed(b"OPTIONS * RTSP/1.0\r\n\r\n", talk.now)
    talk.session.feed(b"OPTIONS * RTSP/1.0\r\nCSeq: x\r\n\r\n", talk.now)
    assert talk.effects() == []


@pytest.mark.parametrize(
    ("method", "headers", "ending", "location"),
    [
        ("ANNOUNCE", "", Ending.LOST, ""),
        ("TEARDOWN", "", Ending.LOST, ""),
        ("REDIRECT", "Location: rtsp://192.0.2.7:8554/other\r\n", Ending.REDIRECTED, "rtsp://192.0.2.7:8554/other"),
        ("REDIRECT", "Location: rtsp://203.0.113.9/\r\n", Ending.REDIRECTED, ""),
        ("REDIRECT", "", Ending.REDIRECTED, ""),
    ],
)
def test_a_camera_may_end_the_session(method: str, headers: str, ending: Ending, location: str) -> None:
    """A new description, a goodbye or another address in mid-stream is answered, and the session is over."""
    talk = Conversation()
    talk.play()
    talk.session.feed(f"{method} {URL} RTSP/1.0\r\nCSeq: 8\r\n{headers}\r\n".encode(), talk.now)
    answer, ended = talk.effects()
    assert answer == Send(b"RTSP/1.0 200 OK\r\nCSeq: 8\r\n\r\n")
    assert isinstance(ended, Ended)
    assert (ended.ending, ended.location) == (ending, location)
    talk.session.leave(talk.now)
    goodbyes = [effect.octets[:8] for effect in talk.effects() if isinstance(effect, Send)]
    assert goodbyes == ([] if method == "TEARDOWN" else [b"TEARDOWN"])


def test_camera_that_talks_without_end_is_left() -> None:
    """More messages than a limit within ten seconds end the session."""
    talk = Conversation()
    for _ in range(MESSAGES_MAX + 1):
        talk.session.feed(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n", talk.now)
    assert talk.ending() is Ending.FAILED


def test_leaving_tears_the_session_down() -> None:
    """TEARDOWN is sent if there is a session, and nothing after it."""
    talk = Conversation()
    talk.play()
    talk.session.leave(talk.now)
    assert talk.request().startswith(f"TEARDOWN {URL}/ ")
    talk.wait(1000)
    assert talk.effects() == []


def test_refused_login_gets_no_goodbye() -> None:
    """A TEARDOWN would be one more wrong login in the camera's count."""
    talk = Conversation()
    talk.answer(talk.describe(), headers="Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: s1\r\n")
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(1)}\r\n")
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(2)}\r\n")
    assert talk.ending() is Ending.LOGIN_REFUSED
    talk.session.leave(talk.now)
    assert talk.effects() == []


def test_session_that_ends_by_itself_is_taken_leave_of() -> None:
    """Cameras count sessions: one that went wrong on our side is given back."""
    talk = Conversation()
    talk.play()
    for _ in range(MESSAGES_MAX):
        talk.session.feed(b"OPTIONS * RTSP/1.0\r\n\r\n", talk.now)
    assert talk.ending() is Ending.FAILED
    talk.session.leave(talk.now)
    assert talk.request().startswith("TEARDOWN ")
