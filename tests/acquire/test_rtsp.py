"""The RTSP session machine: the conversation, its refusals, its clock, and hostile messages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.camera import Login
from agent.acquire.rtsp import ANSWER_S_MAX, MESSAGES_MAX, Effect, Ended, Ending, Follow, Send, Session
from agent.acquire.rtsp_message import BODY_BYTES_MAX, HEAD_BYTES_MAX, message_end, parse_message
from agent.clock import SECOND_NS, Instant
from agent.crypto import Secret
from agent.errors import BadInputError, ConfigurationError
from tests.simulators.rtsp_camera import SDP

URL = "rtsp://192.0.2.7/stream"
LOGIN = Login("owner", Secret("hunter2"))
DIGEST = 'Digest realm="r", nonce="{}", qop="auth"'
START = Instant(1_000_000)


class Conversation:
    """A session and the camera's side of it, at a time that only moves when told."""

    def __init__(self, login: Login | None = LOGIN, url: str = URL) -> None:
        self.now = START
        self.session = Session(url, login, "cnonce", self.now)

    def effects(self) -> list[Effect]:
        """Take all effects that are due."""
        found = []
        while (effect := self.session.next_effect(self.now)) is not None:
            found.append(effect)
        return found

    def request(self) -> str:
        """Return the one request that the session sends now."""
        sent = [effect.octets.decode() for effect in self.effects() if isinstance(effect, Send)]
        assert len(sent) == 1
        return sent[0]

    def answer(self, request: str, status: int = 200, headers: str = "", body: str = "") -> None:
        """Answer a request by its CSeq."""
        cseq = re.search(r"CSeq: (\d+)", request)
        assert cseq is not None
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.session.feed(f"RTSP/1.0 {status} X\r\nCSeq: {cseq[1]}\r\n{headers}{length}\r\n{body}".encode(), self.now)

    def play(self, setup: str = "Transport: RTP/AVP/TCP;interleaved=4-5\r\nSession: s1;timeout=30\r\n") -> list[Effect]:
        """Go through the whole handshake; return what SETUP's answer brought."""
        self.answer(self.request(), headers="Public: OPTIONS, GET_PARAMETER\r\n")
        self.answer(self.request(), headers=f"Content-Base: {URL}/\r\n", body=SDP)
        self.answer(self.request(), headers=setup)
        effects = self.effects()
        self.answer(next(effect.octets.decode() for effect in effects if isinstance(effect, Send)))
        return effects

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Instant(self.now + int(seconds * SECOND_NS))

    def ending(self) -> Ending | None:
        """Say how the session has ended."""
        return next((effect.ending for effect in self.effects() if isinstance(effect, Ended)), None)


def test_handshake_sets_up_the_video_track_on_the_channels_the_camera_names() -> None:
    """OPTIONS, DESCRIBE, SETUP of video only, PLAY; the track is on the answered channel."""
    talk = Conversation()
    first = talk.request()
    assert first.startswith(f"OPTIONS {URL} RTSP/1.0\r\nCSeq: 1\r\n")
    talk.answer(first)
    describe = talk.request()
    assert "Accept: application/sdp" in describe
    talk.answer(describe, headers=f"Content-Base: {URL}/\r\n", body=SDP)
    setup = talk.request()
    assert setup.startswith(f"SETUP {URL}/trackID=1 RTSP/1.0")
    talk.answer(setup, headers="Transport: RTP/AVP/TCP;unicast;interleaved=4-5\r\nSession: s1\r\n")
    follow, play = talk.effects()
    assert isinstance(follow, Follow)
    assert [(track.channel, track.media, track.encoding) for track in follow.tracks] == [(4, "video", "H264")]
    assert isinstance(play, Send)
    assert play.octets.startswith(f"PLAY {URL}/ RTSP/1.0".encode())
    assert b"Session: s1\r\n" in play.octets
    talk.answer(play.octets.decode())
    assert talk.session.is_playing


def test_options_is_optional() -> None:
    """A camera that refuses OPTIONS is asked for its stream all the same."""
    talk = Conversation()
    talk.answer(talk.request(), status=501)
    assert talk.request().startswith("DESCRIBE ")


def test_answers_without_cseq_or_interleaved_are_taken() -> None:
    """Some cameras leave them out; the one request on its way is meant, and the channels that were asked for."""
    talk = Conversation()
    talk.request()
    talk.session.feed(b"RTSP/1.0 200 OK\r\n\r\n", talk.now)
    assert talk.request().startswith("DESCRIBE ")
    follow = Conversation().play("Transport: RTP/AVP/TCP;unicast\r\nSession: s1\r\n")[0]
    assert isinstance(follow, Follow)
    assert follow.tracks[0].channel == 0


def test_challenge_is_answered_once_and_the_next_requests_carry_the_login() -> None:
    """A 401 repeats the request with an answer; what follows counts nc on."""
    talk = Conversation()
    talk.answer(talk.request())
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(1)}\r\n")
    again = talk.request()
    assert again.startswith("DESCRIBE ")
    assert "CSeq: 3\r\n" in again
    assert "nc=00000001" in again
    assert 'username="owner"' in again
    talk.answer(again, body=SDP)
    assert "nc=00000002" in talk.request()


@pytest.mark.parametrize("login", [LOGIN, None])
def test_refused_login_ends_the_session_without_telling_it(login: Login | None) -> None:
    """After one refused answer, or with no login, the session ends; the text holds no credential."""
    talk = Conversation(login)
    talk.answer(talk.request())
    talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(1)}\r\n")
    if login:
        talk.answer(talk.request(), 401, f"WWW-Authenticate: {DIGEST.format(2)}\r\n")
    (ended,) = talk.effects()
    assert isinstance(ended, Ended)
    assert ended.ending is Ending.LOGIN_REFUSED
    assert "hunter2" not in ended.why
    assert talk.session.deadline() is None


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (403, Ending.LOGIN_REFUSED),
        (453, Ending.BUSY),
        (503, Ending.BUSY),
        (454, Ending.LOST),
        (404, Ending.NOT_FOUND),
        (461, Ending.UNUSABLE),
        (301, Ending.REDIRECTED),
        (302, Ending.REDIRECTED),
        (500, Ending.FAILED),
        (999, Ending.FAILED),
    ],
)
def test_every_refusal_has_its_ending(status: int, ending: Ending) -> None:
    """Each status ends the session by what must happen next; redirects are not followed."""
    talk = Conversation()
    talk.answer(talk.request())
    talk.answer(talk.request(), status, "Location: rtsp://203.0.113.9/elsewhere\r\n")
    assert talk.ending() is ending


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


def test_requests_of_the_camera_are_answered() -> None:
    """OPTIONS gets 200, anything else 501, by the camera's own CSeq."""
    talk = Conversation()
    talk.request()
    talk.session.feed(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n", talk.now)
    assert talk.request().startswith("RTSP/1.0 200 OK\r\n")
    talk.session.feed(b"REDIRECT * RTSP/1.0\r\nCSeq: 8\r\nLocation: rtsp://203.0.113.9/\r\n\r\n", talk.now)
    assert talk.request() == "RTSP/1.0 501 Not Implemented\r\nCSeq: 8\r\n\r\n"


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


@pytest.mark.parametrize(
    ("setup", "ending"),
    [("Transport: RTP/AVP;unicast;client_port=5000-5001\r\nSession: s1\r\n", Ending.UNUSABLE)],
)
def test_camera_that_insists_on_udp_is_unusable(setup: str, ending: Ending) -> None:
    """There is only one connection; a person must allow RTP over TCP."""
    talk = Conversation()
    talk.answer(talk.request())
    talk.answer(talk.request(), body=SDP)
    talk.answer(talk.request(), headers=setup)
    assert talk.ending() is ending


@pytest.mark.parametrize(
    "setup",
    [
        "Transport: RTP/AVP/TCP;interleaved=0-1\r\n",
        "Transport: RTP/AVP/TCP;interleaved=0-7\r\nSession: s\r\n",
        "Transport: RTP/AVP/TCP;interleaved=255-256\r\nSession: s\r\n",
        "Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: a b\r\n",
    ],
)
def test_broken_answers_to_setup_are_bad_input(setup: str) -> None:
    """No session, no pair of channels, or a session that would break our header lines."""
    talk = Conversation()
    talk.answer(talk.request())
    talk.answer(talk.request(), body=SDP)
    request = talk.request()
    with pytest.raises(BadInputError):
        talk.answer(request, headers=setup)


@pytest.mark.parametrize("url", ["http://c/", "rtsp://a:b@c/", "rtsp://c/\r\nX: y", "rtsp:///x", "rtsps://c/"])
def test_unusable_addresses_are_configuration_errors(url: str) -> None:
    """Only rtsp:// without userinfo can be recorded; the error does not repeat the address."""
    with pytest.raises(ConfigurationError) as caught:
        Conversation(url=url)
    assert url not in str(caught.value)


words = st.sampled_from(
    ["200", "401", "454", "Session: a;timeout=1", "CSeq: 1", "Transport: interleaved=0-1", "RTSP/1.0"]
)
hostile = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(words, st.text(max_size=20)), max_size=8).map(lambda parts: "\r\n".join(parts).encode()),
    st.builds(
        lambda status, headers, body: f"RTSP/1.0 {status} X\r\n{headers}\r\n\r\n{body}".encode("utf-8", "replace"),
        st.sampled_from([200, 200, 200, 401, 404]),
        st.lists(words, max_size=4).map("\r\n".join),
        st.one_of(st.just(SDP), st.text(max_size=50)),
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(hostile, max_size=8))
def test_hostile_messages_raise_bad_input_only(messages: list[bytes]) -> None:
    """Whatever the camera says, the session goes on, ends, or raises BadInputError; no request is broken by it."""
    talk = Conversation()
    for octets in messages:
        talk.effects()
        try:
            talk.session.feed(octets, talk.now)
        except BadInputError:
            continue
        for effect in talk.effects():
            if isinstance(effect, Send):
                assert effect.octets.count(b"\r\n\r\n") == 1
                assert b"\n" not in effect.octets.replace(b"\r\n", b"")


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=300), st.integers(0, 100))
def test_message_ends_are_found_or_refused(noise: bytes, body_bytes: int) -> None:
    """A message's end is where its Content-Length says, whatever comes behind it; noise is refused or waits."""
    octets = f"RTSP/1.0 200 OK\r\ncontent-LENGTH : {body_bytes}\r\n\r\n".encode() + bytes(body_bytes)
    assert message_end(bytearray(octets + noise), 0, len(octets + noise)) == len(octets)
    assert message_end(bytearray(octets), 0, len(octets) - 1) == 0
    try:
        message_end(bytearray(noise), 0, len(noise))
    except BadInputError:
        assert not noise[:1].isupper() or b"\r\n\r\n" in noise


@pytest.mark.parametrize(
    "octets",
    [b"R" * HEAD_BYTES_MAX, f"RTSP/1.0 200 OK\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode()],
)
def test_message_limits(octets: bytes) -> None:
    """A head without an end and a body over the limit are refused before they are kept."""
    with pytest.raises(BadInputError):
        message_end(bytearray(octets), 0, len(octets))


def test_too_many_headers_are_refused() -> None:
    """A message may have 64 headers."""
    with pytest.raises(BadInputError):
        parse_message(b"RTSP/1.0 200 OK\r\n" + b"A: b\r\n" * 65 + b"\r\n")
