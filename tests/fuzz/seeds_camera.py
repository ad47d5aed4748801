"""What cameras say when they mean well: the messages from which hostile ones are made.

The session descriptions, challenges and answers are those of known makers' firmware, shortened; addresses and keys are
not theirs. Some inputs begin with bytes that choose how they are fed; the target in `targets_acquire.py` says which.
"""

from __future__ import annotations

import struct
from typing import Final

from agent.acquire.discovery import DATAGRAM_BYTES_MAX
from agent.acquire.stream import CameraId, StreamHeader, Track, encode_stream_header
from tests.simulators.discovery_replies import match, replies, reply
from tests.simulators.rtsp_camera import PICTURE_TICKS, SDP, ntp64, picture_frames, rtp_frame, sender_report_frame

SENDER: Final = "192.0.2.7"
URL: Final = f"rtsp://{SENDER}/live"
PROBE_ID: Final = "urn:uuid:aaaaaaaa-0000-0000-0000-000000000001"
START_S: Final = 1_790_000_000  # hub time at which sessions begin
BETWEEN: Final = b"\n%%\n"  # stands between the messages of one input


def _text(*lines: str) -> bytes:
    return "\r\n".join((*lines, "")).encode()


HIKVISION: Final = _text(
    *("v=0", "o=- 1109162014219182 1109162014219192 IN IP4 192.0.2.7", "s=Media Presentation", "e=NONE", "b=AS:5100"),
    *("t=0 0", "a=control:rtsp://192.0.2.7:554/Streaming/Channels/101/", "m=video 0 RTP/AVP 96", "c=IN IP4 0.0.0.0"),
    *("b=AS:5000", "a=recvonly", "a=x-dimensions:1920,1080"),
    *("a=control:rtsp://192.0.2.7:554/Streaming/Channels/101/trackID=1", "a=rtpmap:96 H264/90000"),
    "a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AKZpmA8ARPyzUBAQFAAADA,aO48gA==",
    *("m=audio 0 RTP/AVP 8", "a=control:rtsp://192.0.2.7:554/Streaming/Channels/101/trackID=2"),
    *("a=rtpmap:8 PCMA/8000", "m=application 0 RTP/AVP 107", "a=rtpmap:107 vnd.onvif.metadata/90000"),
    *("a=Media_header:MEDIAINFO=494D4B48010200000400000111710110401F000000FA0000;", "a=appversion:1.0"),
)
DAHUA: Final = _text(
    *("v=0", "o=- 2251938202 2251938202 IN IP4 0.0.0.0", "s=Media Server", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"),
    *("a=packetization-supported:DH", "a=rtppayload-supported:DH", "a=range:npt=now-", "m=video 0 RTP/AVP 98"),
    *("a=control:trackID=0", "a=framerate:25.000000", "a=rtpmap:98 H265/90000"),
    "a=fmtp:98 profile-id=1;sprop-vps=QAEMAf//;sprop-sps=QgEBAWAAAAMAsAAAAwAAAwCWoAHgIAIcTTkxR5A=",
    *("a=recvonly", "m=audio 0 RTP/AVP 97", "a=control:trackID=1", "a=rtpmap:97 MPEG4-GENERIC/16000"),
    "a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408",
)
AXIS: Final = _text(
    *("v=0", "o=- 7120918312 1 IN IP4 192.0.2.7", "s=Session streamed with GStreamer", "i=rtsp-server", "t=0 0"),
    *("a=tool:GStreamer", "a=type:broadcast", "a=control:rtsp://192.0.2.7:554/axis-media/media.amp?videocodec=h264"),
    *("m=video 0 RTP/AVP 96", "c=IN IP4 0.0.0.0", "b=AS:50000", "a=rtpmap:96 H264/90000"),
    "a=fmtp:96 packetization-mode=1;profile-level-id=640029;sprop-parameter-sets=Z2QAKa0AxSAeAIn5ZuAgIDSDxIio,aO48sA==",
    *("a=ts-refclk:local", "a=mediaclk:sender", "a=recvonly", "a=framerate:25.000000"),
    *("a=control:rtsp://192.0.2.7:554/axis-media/media.amp/stream=0?videocodec=h264", "a=transform:1,0,0;0,1,0;0,0,1"),
)
LIVE555: Final = _text(
    *("v=0", "o=- 1700000000000000 1 IN IP4 192.0.2.7", 's=Session streamed by "preview"', "i=h264Preview_01_main"),
    *("t=0 0", "a=tool:LIVE555 Streaming Media v2013.04.08", "a=type:broadcast", "a=control:*", "a=range:npt=0-"),
    *("m=video 0 RTP/AVP 96", "c=IN IP4 0.0.0.0", "b=AS:500", "a=rtpmap:96 H264/90000", "a=range:npt=0-"),
    *("a=fmtp:96 packetization-mode=1;profile-level-id=640033;sprop-parameter-sets=Z2QAM6wVFKCgL/lQ,aO48sA==",),
    *("a=control:track1", "m=audio 0 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/16000", "a=control:track2"),
)
BARE_LINE_FEEDS: Final = b"v=0\nm=video 0 RTP/AVP 97\na=RTPMAP:97  hevc / 90000\na=Control:t1\n\0"
MOTION_JPEG: Final = _text("v=0", "s=JPEG", "t=0 0", "m=video 0 RTP/AVP 26", "a=control:rtsp://admin:x@192.0.2.7/t1")
SESSION_DESCRIPTIONS: Final = (SDP.encode(), HIKVISION, DAHUA, AXIS, LIVE555, BARE_LINE_FEEDS, MOTION_JPEG)

CHALLENGES: Final = (
    b'Digest realm="IP Camera(C1234)", nonce="a1b2c3d4e5f60718293a4b5c6d7e8f90", stale="FALSE"\nBasic realm="/"',
    b'Digest realm="Login to 3F0A", nonce="5f1c", qop="auth", algorithm="MD5", opaque="6b", stale=TRUE',
    b'Digest realm="AXIS_ACCC8E", nonce="0000a", algorithm=SHA-256, qop="auth"\nDigest realm="AXIS", nonce="1"',
    b'Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop="auth,auth-int", opaque=""\naccepted\nBasic realm="r"',
    b'Digest realm=IP Camera, nonce=abc, Basic realm=x, Bearer, Digest algorithm=MD5-sess, nonce="\\"q\\\\"',
    b'Digest realm="Caf\xe9", nonce="n", userhash=true, domain="/", charset=UTF-8',
)


def answer(*headers: str, status: int = 200, body: bytes = b"") -> bytes:
    """Write a response without CSeq, as some cameras do: it answers whatever was asked last."""
    length = (f"Content-Length: {len(body)}",) if body else ()
    return "\r\n".join((f"RTSP/1.0 {status} X", *headers, *length, "", "")).encode() + body


OPTIONS: Final = answer("CSeq: 1", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
SET_UP: Final = answer("Session: 8237491;timeout=60", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=4a3b2c1d")
SET_UP_UDP: Final = answer("Session: s1", "Transport: RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971")
PLAY: Final = answer("Session: 8237491", "RTP-Info: url=rtsp://192.0.2.7/live/trackID=1;seq=1;rtptime=0")
DENIED: Final = answer(f"WWW-Authenticate: {CHALLENGES[1].decode()}", status=401)
ASKED: Final = b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n"
REDIRECT: Final = b"REDIRECT * RTSP/1.0\r\nCSeq: 8\r\nLocation: rtsp://203.0.113.9/\r\n\r\n"


def described(sdp: bytes) -> bytes:
    """Write the answer to DESCRIBE."""
    return answer("Content-Type: application/sdp", f"Content-Base: {URL}/", body=sdp)


MESSAGES: Final = (OPTIONS, described(LIVE555), SET_UP, DENIED, ASKED, REDIRECT)
SESSIONS: Final = (
    *(BETWEEN.join((OPTIONS, described(sdp), SET_UP, SET_UP, PLAY, ASKED)) for sdp in SESSION_DESCRIPTIONS),
    BETWEEN.join((DENIED, OPTIONS, DENIED, described(AXIS), SET_UP, PLAY, b"wait 30", DENIED, answer(status=454))),
    BETWEEN.join((OPTIONS, DENIED, answer('WWW-Authenticate: Basic realm="x"', status=401), answer(status=404))),
    BETWEEN.join((OPTIONS, described(DAHUA), SET_UP_UDP, SET_UP_UDP, PLAY, b"wait 20", answer(status=501), REDIRECT)),
    BETWEEN.join((OPTIONS, described(DAHUA), answer(status=461), SET_UP_UDP, PLAY, b"wait 9")),
    BETWEEN.join((OPTIONS, described(HIKVISION), SET_UP, PLAY, b"leave", ASKED, OPTIONS)),
)

REPORT: Final = sender_report_frame(1, ntp64(START_S * 10**9), 2 * PICTURE_TICKS)
SOUND: Final = rtp_frame(2, 1, 1, b"sound", marker=False)
_H265: Final = (bytes([32 << 1, 1, 9]), bytes([19 << 1, 1]) + bytes(300), bytes([1 << 1, 1]) + bytes(200))


def pictures(count: int, first_rtp: int = 0, fragments: int = 2) -> bytes:
    """Make some pictures, a key picture first."""
    return b"".join(
        b"".join(picture_frames(number, first_rtp, is_key=number % 4 == 0, fragments=fragments))
        for number in range(count)
    )


_h265 = b"".join(rtp_frame(0, n, n // 3 * PICTURE_TICKS, _H265[n % 3], marker=n % 3 == 2) for n in range(12))
_jpeg = b"".join(rtp_frame(0, n, n // 2 * PICTURE_TICKS, bytes(400), marker=n % 2 == 1) for n in range(8))
_late_key = b"".join(
    rtp_frame(0, n, 90_000, payload, marker=n == 3)
    for n, payload in enumerate((b"\x09\xf0", b"\x06s", b"\x78\x00", b"e"))
)
_CAPTURES: Final = (
    (0, pictures(6)),
    (0, pictures(2, 2**32 - 3 * PICTURE_TICKS) + REPORT + OPTIONS + SOUND + b"\r\n" + pictures(3, 0)),
    (0, pictures(1) + _late_key + SOUND * 3 + pictures(2, 20 * 90_000)),
    (0, REPORT + SOUND + pictures(2, fragments=9) + REPORT + pictures(2, 2 * PICTURE_TICKS)),
    (1, _h265 + REPORT),
    (2, _jpeg + REPORT + _jpeg),
)
WIRES: Final = (
    *(bytes([kind, 77]) + stream for kind, stream in _CAPTURES),
    bytes([0 + 3 * 7, 78]) + pictures(2, fragments=4),  # the second half many times over: longer than a span may be
)
READERS: Final = tuple(
    bytes([choices, 99]) + OPTIONS + described(sdp) + SET_UP * (1 + sdp.count(b"m=audio")) + PLAY + stream
    for choices, (sdp, (_, stream)) in enumerate(
        zip((LIVE555, HIKVISION, SDP.encode(), AXIS, DAHUA, MOTION_JPEG), _CAPTURES, strict=True)
    )
)
KEY_PACKETS: Final = tuple(
    bytes([head]) + bytes(11) + extra + payload
    for head, extra in ((0x80, b""), (0x92, bytes(8) + b"\xab\xac\x00\x01" + bytes(4)))
    for payload in (
        b"\x65i",
        b"\x7c\x85",
        b"\x18\x00\x02\x09\xf0\x00\x02\x67\x42",
        *_H265,
        bytes([96, 1, 0, 2, 70, 1, 0]),
    )
)

_OP: Final = struct.Struct(">BIqi")
TIMELINES: Final = (
    bytes([0]) + b"".join(_OP.pack(0, n * 3000, 0, 33) for n in range(12)),
    bytes([1]) + b"".join(_OP.pack(n % 3 == 2, n * 3000, n * 33, 33) for n in range(12)),
    bytes([2])
    + _OP.pack(1, 0, 0, 0)
    + b"".join(_OP.pack(0, n * 3000, 0, 33) for n in range(4))
    + _OP.pack(1, 0, -3000, 9),
    bytes([3]) + b"".join(_OP.pack(n % 2, (n * 3000 - 9000) % 2**32, n * 40, 40) for n in range(9)),
)
STREAM_HEADERS: Final = tuple(
    encode_stream_header(StreamHeader(CameraId("door"), START_S, tracks, "T\u00fcr", LIVE555.decode()))
    for tracks in (
        (Track(0, "video", "H264", 96, 90_000, "packetization-mode=1"),),
        (Track(4, "video", "H265", 98, 90_000), Track(6, "audio", "MPEG4-GENERIC", 97, 16_000, "config=1408")),
    )
)


def told(year: int, hour: int = 8, minute: int = 30, second: int = 7) -> bytes:
    """Write a camera's answer to GetSystemDateAndTime."""
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><tds:GetSystemDateAndTimeResponse><tt:'
        f"UTCDateTime><tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>{minute}</tt:Minute><tt:Second>{second}</tt:Second>"
        f"</tt:Time><tt:Date><tt:Year>{year}</tt:Year><tt:Month>12</tt:Month><tt:Day>31</tt:Day></tt:Date>"
        "</tt:UTCDateTime></tds:GetSystemDateAndTimeResponse></s:Body></s:Envelope>"
    ).encode()


CAMERA_CLOCKS: Final = (
    BETWEEN.join((told(2026), told(2026, second=8), told(2026, second=9))),
    BETWEEN.join((told(1970), told(2037, hour=24, second=60))),
    BETWEEN.join((told(9999, 23, 59, 59), told(2026))),
    told(9999, 23, 59, 59),
    told(1, 0, 0, 0),
)
_AT: Final = f"http://{SENDER}/onvif/device_service"
DISCOVERY_REPLIES: Final = (
    *replies(PROBE_ID, SENDER).values(),
    reply(
        PROBE_ID, match(1, f"{_AT} https://x:99999/ http://[::1]:8/a?b=c", "onvif://www.onvif.org/name/%E2%80%AE%1B")
    ),
    reply(PROBE_ID, match(2, _AT)).replace(b"ProbeMatch>", b"Hello>"),
    b"<ProbeMatch>" * 200 + b"<a/>" * ((DATAGRAM_BYTES_MAX - 3000) // 4),
)
