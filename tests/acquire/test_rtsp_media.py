"""Which ways the media of a session takes: sound beside the picture, datagrams where a camera insists, TLS."""

from __future__ import annotations

from typing import Final

import pytest

from agent.acquire.rtsp import Effect, Ended, Ending, Follow, NeedPorts, Send, UsePorts
from agent.acquire.stream import Track
from agent.errors import BadInputError
from tests.simulators.rtsp_conversation import URL, Conversation

PORTS: Final = ((50000, 50001), (50002, 50003))
VIDEO: Final = "Transport: RTP/AVP/TCP;unicast;interleaved={}\r\nSession: s1\r\n"
DATAGRAMS: Final = "Transport: RTP/AVP;unicast;client_port=50000-50001;{}\r\nSession: s1\r\n"


def sent(effects: list[Effect]) -> str:
    """Return the one request among the effects."""
    (octets,) = [effect.octets for effect in effects if isinstance(effect, Send)]
    return octets.decode()


def tracks(effects: list[Effect]) -> list[Track]:
    """Return the tracks that will be followed."""
    (follow,) = [effect for effect in effects if isinstance(effect, Follow)]
    return list(follow.tracks)


def test_sound_is_set_up_after_the_video() -> None:
    """Two SETUPs in one session, on two pairs of channels, then one PLAY."""
    talk = Conversation(has_sound=True)
    video = talk.describe()
    assert video.startswith(f"SETUP {URL}/trackID=1 ")
    assert "interleaved=0-1\r\n" in video
    talk.answer(video, headers=VIDEO.format("0-1"))
    sound = talk.request()
    assert sound.startswith(f"SETUP {URL}/trackID=2 ")
    assert "interleaved=2-3\r\n" in sound
    assert "Session: s1\r\n" in sound
    talk.answer(sound, headers=VIDEO.format("2-3"))
    effects = talk.effects()
    assert [(track.channel, track.media, track.encoding) for track in tracks(effects)] == [
        (0, "video", "H264"),
        (2, "audio", "PCMU"),
    ]
    assert tracks(effects)[1].sound_channels == 1
    assert sent(effects).startswith("PLAY ")


def test_sound_stays_out_unless_it_is_wanted() -> None:
    """A camera that offers sound is asked for its video alone."""
    talk = Conversation()
    talk.answer(talk.describe(), headers=VIDEO.format("0-1"))
    assert [track.media for track in tracks(talk.effects())] == ["video"]


@pytest.mark.parametrize(("video", "sound"), [("4-5", "6-7"), ("2-3", "0-1"), ("7", "200-201"), ("253-254", "0-1")])
def test_channels_are_the_cameras_choice(video: str, sound: str) -> None:
    """Any pairs are taken, as long as they are two."""
    talk = Conversation(has_sound=True)
    talk.answer(talk.describe(), headers=VIDEO.format(video))
    talk.answer(talk.request(), headers=VIDEO.format(sound))
    channels = [track.channel for track in tracks(talk.effects())]
    assert channels == [int(pair.partition("-")[0]) for pair in (video, sound)]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (461, ""),
        (459, ""),
        (453, ""),
        (404, ""),
        (302, "Location: rtsp://192.0.2.7/other\r\n"),
        (200, "Transport: RTP/AVP;unicast;client_port=2-3\r\nSession: s1\r\n"),
        (200, "Transport: RTP/AVP/TCP;interleaved=2-3\r\nSession: s2\r\n"),
    ],
)
def test_refused_sound_costs_no_video(status: int, headers: str) -> None:
    """A sound track that is refused, goes another way, or lives in a session of its own is left out."""
    talk = Conversation(has_sound=True)
    talk.answer(talk.describe(), headers=VIDEO.format("0-1"))
    talk.answer(talk.request(), status, headers)
    effects = talk.effects()
    assert [track.media for track in tracks(effects)] == ["video"]
    assert "Session: s1\r\n" in sent(effects)


@pytest.mark.parametrize("channels", ["0-1", "1-2"])
def test_sound_on_the_channel_of_the_video_cannot_be_told_apart(channels: str) -> None:
    """A camera that answers both tracks with one channel is named, with what to do."""
    talk = Conversation(has_sound=True)
    talk.answer(talk.describe(), headers=VIDEO.format("0-1"))
    request = talk.request()
    with pytest.raises(BadInputError, match="record it without its sound"):
        talk.answer(request, headers=VIDEO.format(channels))


def test_answers_that_leave_the_transport_out_mean_what_was_asked() -> None:
    """Neither header nor channels: the channels of the request are meant."""
    talk = Conversation(has_sound=True)
    talk.answer(talk.describe(), headers="Session: s1\r\n")
    talk.answer(talk.request(), headers="Transport: RTP/AVP/TCP;unicast\r\n")
    assert [track.channel for track in tracks(talk.effects())] == [0, 2]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (461, ""),
        (200, "Transport: RTP/AVP;unicast;client_port=0-1;server_port=6970-6971\r\nSession: s1\r\n"),
        (200, "Transport: RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001\r\nSession: s1\r\n"),
    ],
)
def test_camera_that_refuses_tcp_sends_datagrams(status: int, headers: str) -> None:
    """The shell is asked for ports, the tracks are asked for again, and the camera's ports are told before PLAY."""
    talk = Conversation(has_sound=True)
    talk.answer(talk.describe(), status, headers)
    assert talk.session.next_effect(talk.now) == NeedPorts(2)
    talk.session.use_ports(PORTS, talk.now)
    video = talk.request()
    assert video.startswith(f"SETUP {URL}/trackID=1 ")
    assert "Transport: RTP/AVP;unicast;client_port=50000-50001\r\n" in video
    talk.answer(video, headers=DATAGRAMS.format("ssrc=1;server_port=6970-6971"))
    sound = talk.request()
    assert "client_port=50002-50003\r\n" in sound
    talk.answer(sound, headers=DATAGRAMS.format("server_port=6972"))
    effects = talk.effects()
    assert effects[0] == UsePorts(((6970, 6971), (6972, 6973)))
    assert [track.channel for track in tracks(effects)] == [0, 2]
    assert sent(effects).startswith("PLAY ")


@pytest.mark.parametrize(
    ("said", "ports"),
    [
        ("server_port=6970-6971;source=192.0.2.7", (6970, 6971)),
        ('source="192.0.2.7";server_port=6970-6971', (6970, 6971)),
        ("server_port=6970-6971;source=0.0.0.0", (6970, 6971)),
        ("server_port=6970-6971;source=camera", (6970, 6971)),
        ("server_port=6970-6971;source=203.0.113.9", (0, 0)),
        ("server_port=0-1", (0, 0)),
        ("server_port=65535", (0, 0)),
        ("server_port=99999-99999", (0, 0)),
        ("mode=play", (0, 0)),
    ],
)
def test_ports_of_the_camera(said: str, ports: tuple[int, int]) -> None:
    """They are what the camera says, nothing where it says nothing sensible, and never those of another host."""
    talk = Conversation()
    talk.answer(talk.describe(), 461)
    talk.give_ports(PORTS[:1])
    talk.answer(talk.request(), headers=DATAGRAMS.format(said))
    assert UsePorts((ports,)) in talk.effects()


def test_too_few_ports_leave_the_sound_out() -> None:
    """One pair is enough for the video."""
    talk = Conversation(has_sound=True)
    talk.answer(talk.describe(), 461)
    talk.give_ports(PORTS[:1])
    talk.answer(talk.request(), headers=DATAGRAMS.format(""))
    assert [track.media for track in tracks(talk.effects())] == ["video"]


@pytest.mark.parametrize("has_answered", [True, False])
def test_without_ports_the_stream_is_unusable(*, has_answered: bool) -> None:
    """A shell that has none says so or does nothing; the words tell what would help."""
    talk = Conversation()
    talk.answer(talk.describe(), 461)
    assert talk.session.next_effect(talk.now) == NeedPorts(1)
    if has_answered:
        talk.session.use_ports([], talk.now)
    ended = talk.ended()
    assert ended.ending is Ending.UNUSABLE
    assert "UDP" in ended.why


@pytest.mark.parametrize(
    ("status", "headers"), [(461, ""), (200, "Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: s1\r\n")]
)
def test_camera_that_refuses_both_ways_is_unusable(status: int, headers: str) -> None:
    """Nobody is asked for ports twice."""
    talk = Conversation()
    talk.answer(talk.describe(), 461)
    talk.give_ports(PORTS)
    talk.answer(talk.request(), status, headers)
    (ended,) = talk.effects()
    assert isinstance(ended, Ended)
    assert ended.ending is Ending.UNUSABLE


def test_group_is_not_joined() -> None:
    """A camera that answers multicast to unicast has a wrong setting."""
    talk = Conversation()
    talk.answer(talk.describe(), 461)
    talk.give_ports(PORTS)
    request = talk.request()
    with pytest.raises(BadInputError, match="multicast"):
        talk.answer(request, headers="Transport: RTP/AVP;multicast;port=5000-5001\r\nSession: s1\r\n")


def test_tls_is_never_left_for_datagrams() -> None:
    """What was asked for over TLS does not cross the network in the clear."""
    talk = Conversation(url="rtsps://192.0.2.7/stream")
    talk.answer(talk.describe(), 461)
    assert talk.ended().ending is Ending.UNUSABLE


def test_addresses_in_a_session_over_tls_keep_its_scheme() -> None:
    """Cameras behind TLS write rtsp:// into their descriptions; the requests say rtsps:// all the same."""
    talk = Conversation(url="rtsps://192.0.2.7/stream")
    talk.answer(talk.request())
    body = "v=0\r\nm=video 0 RTP/AVP 26\r\na=control:rtsp://192.0.2.7:554/stream/t1\r\n"
    talk.answer(talk.request(), headers="Content-Base: rtsp://192.0.2.7/base/\r\n", body=body)
    setup = talk.request()
    assert setup.startswith("SETUP rtsps://192.0.2.7:554/stream/t1 ")
    talk.answer(setup, headers=VIDEO.format("0-1"))
    assert sent(talk.effects()).startswith("PLAY rtsps://192.0.2.7/base/ ")
