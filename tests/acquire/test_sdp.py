"""Cameras' stream descriptions, sloppy ones too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.sdp import SDP_BYTES_MAX, parse_sdp
from agent.acquire.stream_url import usable_url
from agent.errors import BadInputError

BASE = "rtsp://192.0.2.7:554/live"


def video_sdp(control: str = "trackID=1", session: str = "", rtpmap: str = "a=rtpmap:96 H264/90000") -> bytes:
    """Make an SDP with one video track."""
    fmtp = "a=fmtp:96 packetization-mode=1"
    lines = ["v=0", "s=x", session, "m=video 0 RTP/AVP 96", rtpmap, fmtp, f"a=control:{control}"]
    return "\r\n".join(line for line in lines if line).encode()


def test_video_track_is_read() -> None:
    """Encoding, clock, format parameters and payload type come from rtpmap and fmtp."""
    video = parse_sdp(video_sdp(), BASE).video
    assert (video.encoding, video.clock_rate_hz, video.payload_type) == ("H264", 90_000, 96)
    assert video.fmtp == "packetization-mode=1"


def test_session_control_is_the_aggregate_and_the_base() -> None:
    """An absolute session URL is the aggregate URL, and relative tracks hang below it."""
    description = parse_sdp(video_sdp("t1", session="a=control:rtsp://c/agg/"), BASE)
    assert description.control_url == "rtsp://c/agg/"
    assert description.video.control_url == "rtsp://c/agg/t1"


def test_vendor_oddities_are_read() -> None:
    """Bare line feeds, a trailing NUL, a lower-case encoding called hevc, blanks around the slash."""
    text = b"v=0\nm=video 0 RTP/AVP 97\na=RTPMAP:97  hevc / 90000\na=Control:t1\n\0"
    assert parse_sdp(text, BASE).video.encoding == "H265"
    assert parse_sdp(text, BASE).video.control_url == BASE + "/t1"


def test_static_payload_type_needs_no_rtpmap() -> None:
    """Motion JPEG is payload type 26 by RFC 3551."""
    assert parse_sdp(b"v=0\r\nm=video 0 RTP/AVP 26\r\n", BASE).video.encoding == "JPEG"


@pytest.mark.parametrize("rtpmap", ["a=rtpmap:96 MP4V-ES/90000", "a=rtpmap:95 H264/90000", "a=rtpmap:96 H264/0"])
def test_video_that_cannot_be_recorded_is_named(rtpmap: str) -> None:
    """A stream of another kind is refused with what to do about it."""
    with pytest.raises(BadInputError, match=r"set the stream to H\.264"):
        _ = parse_sdp(video_sdp(rtpmap=rtpmap), BASE).video


SOUNDS = """v=0
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
{direction}
m=audio 0 RTP/AVP 97
{first}
a=control:t2
m=audio 0 RTP/AVP 0
a=control:t3
"""


def sound_of(first: str, direction: str = "a=recvonly") -> tuple[str, int, int]:
    """Return encoding, clock and channels of the sound that is chosen where PCMU comes second."""
    sound = parse_sdp(SOUNDS.format(first=first, direction=direction).encode(), BASE).sound
    assert sound is not None
    assert sound.control_url == BASE + ("/t3" if sound.payload_type == 0 else "/t2")
    return sound.encoding, sound.clock_rate_hz, sound.sound_channels


@pytest.mark.parametrize(
    ("rtpmap", "sound"),
    [
        ("mpeg4-generic/16000/1", ("MPEG4-GENERIC", 16000, 1)),
        ("MPEG4-GENERIC/48000/2", ("MPEG4-GENERIC", 48000, 2)),
        ("MP4A-LATM/90000", ("MP4A-LATM", 90000, 1)),
        ("PCMU/16000", ("PCMU", 16000, 1)),
        ("PCMA/8000/1", ("PCMA", 8000, 1)),
        ("G726-16/8000", ("G726-16", 8000, 1)),
        ("G726-40/8000/1", ("G726-40", 8000, 1)),
        ("g.726-32/8000", ("G726-32", 8000, 1)),
        ("G726_24/8000", ("G726-24", 8000, 1)),
        ("AAL2-G726-32/8000", ("AAL2-G726-32", 8000, 1)),
        ("opus/48000/2", ("OPUS", 48000, 2)),
        ("opus / 48000 / 2", ("OPUS", 48000, 2)),
    ],
)
def test_sound_that_is_recorded(rtpmap: str, sound: tuple[str, int, int]) -> None:
    """AAC, G.711, G.726 in both bit orders and Opus, however they are spelled; mono unless the camera says more."""
    assert sound_of(f"a=rtpmap:97 {rtpmap}") == sound


@pytest.mark.parametrize("rtpmap", ["L16/8000", "G726-8/8000", "G729/8000", "OPUS/48000/9", "OPUS/0", "OPUS", "X/8000"])
def test_other_sound_is_passed_over(rtpmap: str) -> None:
    """What the export could not write is not recorded: the next track is taken."""
    assert sound_of(f"a=rtpmap:97 {rtpmap}") == ("PCMU", 8000, 1)


def test_loudspeaker_is_no_sound() -> None:
    """Intercoms list what they can play too, as `sendonly`; if the video is marked so, it is the camera's own side."""
    first = "a=rtpmap:97 PCMA/8000\na=sendonly"
    assert sound_of(first)[0] == "PCMU"
    assert sound_of(first, direction="a=sendonly")[0] == "PCMA"


def test_video_alone_has_no_sound() -> None:
    """A camera without a microphone is recorded as it is."""
    assert parse_sdp(video_sdp(), BASE).sound is None
    assert parse_sdp(video_sdp(), BASE).video.sound_channels == 0


def test_format_parameters_under_another_number() -> None:
    """HIK Media Server V5 writes fmtp 97 for its payload type 104: the only ones of a section are its own."""
    lines = ["m=audio 0 RTP/AVP 104", "a=rtpmap:104 MPEG4-GENERIC/16000", "a=fmtp:97 mode=AAC-hbr;config=1408"]
    (track,) = parse_sdp("\n".join(["v=0", *lines]).encode(), BASE).tracks
    assert track.fmtp == "mode=AAC-hbr;config=1408"
    (track,) = parse_sdp("\n".join(["v=0", *lines, "a=fmtp:98 x=y"]).encode(), BASE).tracks
    assert track.fmtp == ""


@pytest.mark.parametrize(
    "body", [b"", b"<html>login</html>", b"v=0\r\n" + b"a=x\r\n" * 2000, b"v" * (SDP_BYTES_MAX + 1)]
)
def test_what_is_no_sdp_is_refused(body: bytes) -> None:
    """An empty body, a web page and endless lines are refused."""
    with pytest.raises(BadInputError):
        parse_sdp(body, BASE)


@settings(max_examples=200)
@given(st.binary(max_size=400), st.text(max_size=60))
def test_any_bytes_give_a_description_or_bad_input(noise: bytes, control: str) -> None:
    """Hostile text gives tracks whose URLs are printable, or BadInputError."""
    try:
        description = parse_sdp(video_sdp(control) + b"\r\n" + noise, BASE)
    except BadInputError:
        return
    tracks = description.tracks
    assert description.sound is None or description.sound in tracks
    assert all(usable_url(track.control_url) for track in tracks)
