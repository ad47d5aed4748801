"""The RTSP session machine until the camera plays: the handshake, its refusals, and hostile messages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.camera import Login
from agent.acquire.rtsp import Ended, Ending, Follow, NeedPorts, Send
from agent.errors import BadInputError, ConfigurationError
from tests.simulators.rtsp_camera import SDP
from tests.simulators.rtsp_conversation import DIGEST, LOGIN, URL, Conversation


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
        (303, Ending.REDIRECTED),
        (305, Ending.REDIRECTED),
        (307, Ending.REDIRECTED),
        (308, Ending.REDIRECTED),
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
    ("location", "followed"),
    [
        ("rtsp://192.0.2.7:8554/other?x=1", "rtsp://192.0.2.7:8554/other?x=1"),
        ("rtsps://192.0.2.7/other", "rtsps://192.0.2.7/other"),
        ("rtsp://user:word@192.0.2.7/other", "rtsp://192.0.2.7/other"),
        ("/other", "rtsp://192.0.2.7/other"),
        ("rtsp://203.0.113.9/other", ""),
        ("http://192.0.2.7/other", ""),
        ("", ""),
    ],
)
def test_redirects_stay_on_the_camera(location: str, followed: str) -> None:
    """A redirection is followed on the host that was dialed, to any port; nothing else is told to the shell."""
    talk = Conversation()
    talk.answer(talk.request())
    talk.answer(talk.request(), 302, f"Location: {location}\r\n")
    ended = talk.ended()
    assert (ended.ending, ended.location) == (Ending.REDIRECTED, followed)
    assert "word" not in ended.why


def test_redirects_do_not_leave_tls() -> None:
    """A camera that was dialed over TLS cannot send the hub to its open port, where the login would be seen."""
    talk = Conversation(url="rtsps://192.0.2.7/stream")
    talk.answer(talk.request())
    talk.answer(talk.request(), 302, "Location: rtsp://192.0.2.7/stream\r\n")
    assert talk.ended().location == ""


@pytest.mark.parametrize(
    ("status", "header", "retry_s"),
    [
        (503, "Retry-After: 30", 30),
        (453, "Retry-After: 99999", 300),
        (503, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", 0),
        (503, "Retry-After: -5", 0),
        (503, "X: y", 0),
    ],
)
def test_a_busy_camera_is_left_alone_as_long_as_it_asks(status: int, header: str, retry_s: int) -> None:
    """Retry-After in seconds is passed on, five minutes at most."""
    talk = Conversation()
    talk.answer(talk.describe(), status, header + "\r\n")
    ended = talk.ended()
    assert (ended.ending, ended.retry_s) == (Ending.BUSY, retry_s)


def test_live_video_without_a_beginning_is_played_without_range() -> None:
    """Cameras that answer 457 to our Range get PLAY once more without it, and once only."""
    talk = Conversation()
    talk.answer(talk.describe(), headers="Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: s1\r\n")
    play = talk.request()
    assert "Range: npt=0.000-\r\n" in play
    talk.answer(play, 457)
    again = talk.request()
    assert again.startswith("PLAY ")
    assert "Range" not in again
    talk.answer(again, 457)
    assert talk.ending() is Ending.FAILED


def test_provisional_answers_and_other_successes() -> None:
    """100 means wait; any status of the two hundreds is a yes."""
    talk = Conversation()
    request = talk.request()
    talk.answer(request, 100)
    assert talk.effects() == []
    talk.answer(request, 250)
    assert talk.request().startswith("DESCRIBE ")


@pytest.mark.parametrize(
    "setup",
    [
        "Transport: RTP/AVP/TCP;interleaved=0-1\r\n",
        "Transport: RTP/AVP/TCP;interleaved=0-7\r\nSession: s\r\n",
        "Transport: RTP/AVP/TCP;interleaved=255-256\r\nSession: s\r\n",
        "Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: a b\r\n",
        "Transport: RTP/AVP/TCP;multicast;interleaved=0-1\r\nSession: s\r\n",
    ],
)
def test_broken_answers_to_setup_are_bad_input(setup: str) -> None:
    """No session, no pair of channels, a session that would break our header lines, or a group nobody joins."""
    talk = Conversation()
    request = talk.describe()
    with pytest.raises(BadInputError):
        talk.answer(request, headers=setup)


@pytest.mark.parametrize(
    "url",
    ["http://c/", "rtsp://a:b@c/", "rtsp://c/\r\nX: y", "rtsp:///x", "rtsp://:554/x", "rtspu://c/", "rtsp://[c/"],
)
def test_unusable_addresses_are_configuration_errors(url: str) -> None:
    """Only rtsp:// and rtsps:// without userinfo can be recorded; the error does not repeat the address."""
    with pytest.raises(ConfigurationError) as caught:
        Conversation(url=url)
    assert url not in str(caught.value)


words = st.sampled_from(
    [
        *("200", "401", "454", "RTSP/1.0", "CSeq: 1", "Location: /x", "Retry-After: 9", "Public: GET_PARAMETER"),
        *("Session: a;timeout=1", "Transport: interleaved=0-1", "Transport: RTP/AVP;source=::1;server_port=1-70000"),
        *("TEARDOWN * RTSP/1.0", "WWW-Authenticate: Basic", 'WWW-Authenticate: Digest nonce="1"'),
    ]
)
hostile = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(words, st.text(max_size=20)), max_size=8).map(lambda parts: "\r\n".join(parts).encode()),
    st.builds(
        lambda status, headers, body: f"RTSP/1.0 {status} X\r\n{headers}\r\n\r\n{body}".encode("utf-8", "replace"),
        st.sampled_from([200, 200, 200, 401, 404, 461, 100, 302, 457]),
        st.lists(words, max_size=4).map("\r\n".join),
        st.one_of(st.just(SDP), st.text(max_size=50)),
    ),
)


@settings(max_examples=200)
@given(st.lists(hostile, max_size=8))
def test_hostile_messages_raise_bad_input_only(messages: list[bytes]) -> None:
    """Whatever the camera says, the session goes on, ends, or raises BadInputError; no request is broken by it."""
    talk = Conversation(has_sound=True)
    for octets in messages:
        if any(isinstance(effect, NeedPorts) for effect in talk.effects()):
            talk.session.use_ports([(5000, 5001)], talk.now)
        try:
            talk.session.feed(octets, talk.now)
        except BadInputError:
            continue
        for effect in talk.effects():
            if isinstance(effect, Send):
                assert effect.octets.count(b"\r\n\r\n") == 1
                assert b"\n" not in effect.octets.replace(b"\r\n", b"")
