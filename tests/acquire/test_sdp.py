"""Cameras' stream descriptions, sloppy ones too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.sdp import SDP_BYTES_MAX, parse_sdp, usable_url
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


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("rtsp://c/live", "trackID=1", "rtsp://c/live/trackID=1"),
        ("rtsp://c/live/", "trackID=1", "rtsp://c/live/trackID=1"),
        ("rtsp://c/live?channel=1", "trackID=1", "rtsp://c/live?channel=1/trackID=1"),  # Dahua means it so
        ("rtsp://c/live", "rtsp://c:554/other/track1", "rtsp://c:554/other/track1"),
        ("rtsp://c/live", "/media/track1", "rtsp://c/media/track1"),
        ("rtsp://c/live", "*", "rtsp://c/live"),
        ("rtsp://c/live", "rtsp://admin:secret@c/t1", "rtsp://c/t1"),
        ("rtsp://c/live", "bad\tcontrol", "rtsp://c/live"),
        ("rtsp://c/live", "http://c/t1", "rtsp://c/live"),
    ],
)
def test_control_urls(base: str, control: str, url: str) -> None:
    """RFC 2326 C.1.1, as cameras mean it; userinfo is dropped, what cannot stand in a request is the base."""
    assert parse_sdp(video_sdp(control), base).video.control_url == url


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


@pytest.mark.parametrize(
    "body", [b"", b"<html>login</html>", b"v=0\r\n" + b"a=x\r\n" * 2000, b"v" * (SDP_BYTES_MAX + 1)]
)
def test_what_is_no_sdp_is_refused(body: bytes) -> None:
    """An empty body, a web page and endless lines are refused."""
    with pytest.raises(BadInputError):
        parse_sdp(body, BASE)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.text(max_size=60))
def test_any_bytes_give_a_description_or_bad_input(noise: bytes, control: str) -> None:
    """Hostile text gives tracks whose URLs are printable, or BadInputError."""
    try:
        tracks = parse_sdp(video_sdp(control) + b"\r\n" + noise, BASE).tracks
    except BadInputError:
        return
    assert all(usable_url(track.control_url) for track in tracks)


@given(st.text(max_size=80).map("rtsp://".__add__))
def test_usable_urls_have_no_userinfo_and_no_blanks(url: str) -> None:
    """A URL that passes can stand in a request line and in a log."""
    usable = usable_url(url)
    assert "@" not in usable.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    assert not set(usable) & set(" \r\n\t")
