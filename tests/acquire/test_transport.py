"""How tracks are asked for one after the other, and what answers to that are worth."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.sdp import parse_sdp
from agent.acquire.stream import CHANNEL_MAX, share_channel
from agent.acquire.transport import TrackSetup, read_transport
from agent.errors import BadInputError
from tests.simulators.rtsp_camera import SDP

URL: Final = "rtsp://192.0.2.7/live"
PORTS: Final = [(50000, 50001), (50002, 50003)]


def setup(*, has_sound: bool = True) -> TrackSetup:
    """Begin with a camera that offers video and sound."""
    description = parse_sdp(SDP.encode(), URL)
    assert description.sound is not None
    return TrackSetup((description.video, description.sound) if has_sound else (description.video,), URL)


@pytest.mark.parametrize(
    ("header", "channel"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1", 0),
        ("RTP/AVP/TCP;ssrc=22345684;interleaved=4-5;mode=play", 4),
        ("rtp/avp/tcp; Interleaved = 2 - 3", 2),
        ("RTP/AVP;unicast;interleaved=6", 6),
        ("RTP/AVP/TCP;unicast", None),
        ("RTP/AVP/TCP;interleaved=0-1,RTP/AVP;unicast", 0),
    ],
)
def test_channels_of_the_connection(header: str, channel: int | None) -> None:
    """They are read wherever they stand among the parameters, from the first choice only."""
    granted = read_transport(header)
    assert (granted.is_said, granted.is_interleaved, granted.channel) == (True, True, channel)


@pytest.mark.parametrize("channels", ["0-2", "1-0", "255-256", "999"])
def test_channels_that_are_no_pair(channels: str) -> None:
    """A track's reports come on the channel behind its own."""
    with pytest.raises(BadInputError, match="no pair"):
        read_transport(f"RTP/AVP/TCP;interleaved={channels}")


def test_ports_of_datagrams() -> None:
    """Port and source are read; an answer that names the connection's channels is none of datagrams."""
    granted = read_transport("RTP/AVP;ssrc=22345685;unicast;client_port=54060-54061;server_port=49152-49153;source=::1")
    assert (granted.is_interleaved, granted.server_ports, granted.source) == (False, (49152, 49153), "::1")


def test_one_track_after_the_other() -> None:
    """The video's URL and the first channels, then the sound's and the next ones, then none."""
    tracks = setup()
    assert tracks.next_request() == (f"{URL}/trackID=1", "RTP/AVP/TCP;unicast;interleaved=0-1")
    assert tracks.take("")
    assert tracks.next_request() == (f"{URL}/trackID=2", "RTP/AVP/TCP;unicast;interleaved=2-3")
    assert tracks.take("RTP/AVP/TCP;interleaved=8-9")
    assert tracks.next_request() is None
    assert [track.channel for track in tracks.tracks] == [0, 8]


@pytest.mark.parametrize(("video", "asked"), [(2, 4), (1, 3), (CHANNEL_MAX, 0), (CHANNEL_MAX - 1, 0)])
def test_sound_is_asked_for_on_free_channels(video: int, asked: int) -> None:
    """Next to the video's channels, wherever the camera has put those."""
    tracks = setup()
    assert tracks.take(f"RTP/AVP/TCP;interleaved={video}-{video + 1}")
    request = tracks.next_request()
    assert request is not None
    assert request[1].endswith(f"interleaved={asked}-{asked + 1}")


def test_another_way_is_no_grant_of_the_video() -> None:
    """Datagrams where the connection was asked for, and the connection where datagrams were."""
    tracks = setup()
    assert not tracks.take("RTP/AVP;unicast;client_port=0-1")
    assert tracks.wanted == 2
    tracks.use_ports(PORTS)
    assert tracks.next_request() == (f"{URL}/trackID=1", "RTP/AVP;unicast;client_port=50000-50001")
    assert not tracks.take("RTP/AVP/TCP;interleaved=0-1")
    assert tracks.take("")
    assert tracks.server_ports == ((0, 0),)


def test_another_way_for_the_sound_leaves_it_out() -> None:
    """The video is granted already, and enough."""
    tracks = setup()
    assert tracks.take("RTP/AVP/TCP;interleaved=0-1")
    assert tracks.take("RTP/AVP;unicast;client_port=0-1")
    assert tracks.next_request() is None
    assert len(tracks.tracks) == tracks.wanted == 1


def test_video_without_sound_is_one_track() -> None:
    """Nothing else is asked for."""
    tracks = setup(has_sound=False)
    assert tracks.take("RTP/AVP/TCP;interleaved=0-1")
    assert tracks.next_request() is None


pieces = st.sampled_from(
    [
        "RTP/AVP",
        "RTP/AVP/TCP",
        "unicast",
        "multicast",
        "interleaved=0-1",
        "interleaved=1-2",
        "server_port=1-2",
        "x",
        ",",
    ]
)


@given(
    has_ports=st.booleans(),
    answers=st.lists(st.one_of(st.text(max_size=30), st.lists(pieces).map(";".join)), max_size=4),
)
def test_any_answers_give_tracks_that_can_be_told_apart(*, has_ports: bool, answers: list[str]) -> None:
    """Whatever the camera grants, at most two tracks with channels of their own and a pair of ports each come of it."""
    tracks = setup()
    if has_ports:
        tracks.use_ports(PORTS)
    for answer in answers:
        with suppress(BadInputError):
            if tracks.next_request() is not None:
                tracks.take(answer)
    assert not share_channel(tracks.tracks)
    assert len(tracks.tracks) == len(tracks.server_ports) <= 2
