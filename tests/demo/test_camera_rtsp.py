"""The RTSP server, asked by a raw viewer and by FFmpeg: logins, transports, sessions, packets, and rude viewers."""

from __future__ import annotations

import collections
import io
import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlsplit

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.demo import block_code
from agent.demo.camera import CameraSettings, Ready, running_camera
from agent.demo.h264_rtp import EncoderSettings
from tests.simulators.raw_viewer import RawViewer

LOGIN = Login("hub", Secret("night-owl 7"))
TEST_ENCODER = EncoderSettings(width=320, height=180, fps=30, gop=15)


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    """Run one camera for all tests of this file; its clock is 90 s slow."""
    wanted = CameraSettings(login=LOGIN, interface="", encoder=TEST_ENCODER, clock_offset_ms=-90_000)
    with running_camera(wanted) as (_, where):
        yield where


def viewer(ready: Ready, algorithm: str = "SHA-256", password: str = "night-owl 7") -> RawViewer:  # noqa: S107 - a test's
    """Connect to the main stream."""
    return RawViewer(ready.rtsp, "hub", password, algorithm)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_both_digests_open_the_stream(ready: Ready, algorithm: str) -> None:
    """Whichever of the two offered algorithms a viewer speaks, it gets the description with parameter sets."""
    with viewer(ready, algorithm) as raw:
        reply = raw.ask("DESCRIBE")
    assert reply.status == 200
    assert reply.header("content-type") == "application/sdp"
    assert re.search(
        r"a=fmtp:96 packetization-mode=1;profile-level-id=\w{6};sprop-parameter-sets=\S+,\S+\r", reply.body
    )


def test_challenges_come_in_the_order_of_the_settings(ready: Ready) -> None:
    """SHA-256 is offered first, MD5 last and without qop, as cameras do for old clients."""
    with viewer(ready) as raw:
        asked = raw.ask_once("DESCRIBE").headers["www-authenticate"]
    assert [re.search(r"algorithm=([\w-]+)", each)[1] for each in asked] == ["SHA-256", "MD5"]  # type: ignore[index] # else it fails
    assert ["qop" in each for each in asked] == [True, False]


def test_a_camera_that_offers_only_sha256_refuses_md5() -> None:
    """An algorithm that is not in the settings opens nothing, even with the right password."""
    only = CameraSettings(login=LOGIN, interface="", encoder=TEST_ENCODER, digest_algorithms=("SHA-256",))
    with running_camera(only) as (_, where), viewer(where) as raw:
        forged = raw.ask_once("DESCRIBE").header("www-authenticate").replace("SHA-256", "MD5")
        raw._challenge = forged
        assert raw.ask_once("DESCRIBE").status == 401
        raw._challenge = ""
        assert raw.ask("DESCRIBE").status == 200


@pytest.mark.parametrize("method", ["DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER", "TEARDOWN", "RECORD"])
def test_without_the_password_nothing_but_options_is_answered(ready: Ready, method: str) -> None:
    """A wrong password and none at all are both 401, for every method."""
    with viewer(ready, password="wrong") as raw:  # noqa: S106 - a wrong one
        assert raw.ask("OPTIONS").status == 200
        assert raw.ask_once(method).status == 401
        assert raw.ask(method).status == 401


def test_an_old_nonce_is_called_stale_and_a_new_one_works() -> None:
    """When a nonce has expired the camera says stale=true, which tells the viewer that its password is right."""
    brief = CameraSettings(login=LOGIN, interface="", encoder=TEST_ENCODER, nonce_s=0)
    with running_camera(brief) as (_, where), viewer(where) as raw:
        reply = raw.ask("DESCRIBE")
        assert reply.status == 401
        assert all("stale=true" in each for each in reply.headers["www-authenticate"])
    with running_camera(brief) as (_, where), viewer(where, password="wrong") as raw:  # noqa: S106 - a wrong one
        assert not any("stale" in each for each in raw.ask("DESCRIBE").headers["www-authenticate"])


def test_only_tcp_is_set_up(ready: Ready) -> None:
    """UDP is 461; of several wishes the interleaved one is taken; odd channels are refused."""
    with viewer(ready) as raw:
        track = f"{ready.rtsp}/trackID=0"
        assert raw.ask("SETUP", track, Transport="RTP/AVP;unicast;client_port=5000-5001").status == 461
        assert raw.ask("SETUP", track, Transport="RTP/AVP/TCP;interleaved=3-4").status == 461
        assert raw.ask("SETUP", track).status == 461
        both = raw.ask("SETUP", track, Transport="RTP/AVP;client_port=1-2,RTP/AVP/TCP;unicast;interleaved=4-5")
        assert both.status == 200
        assert "interleaved=4-5" in both.header("transport")
        assert both.header("session").endswith(";timeout=60")


def test_wrong_paths_and_sessions_have_their_codes(ready: Ready) -> None:
    """404 for what is not there, 454 for a session that is not ours, 455 for a second SETUP, 501 for the rest."""
    with viewer(ready) as raw:
        raw.ask("DESCRIBE")
        root = ready.rtsp.removesuffix("main")
        assert raw.ask("DESCRIBE", root + "other").status == 404
        assert raw.ask("SETUP", root + "main/trackID=9", Transport="RTP/AVP/TCP").status == 404
        assert raw.ask("PLAY").status == 454
        assert raw.ask("SETUP", root + "main/trackID=0", Transport="RTP/AVP/TCP").status == 200
        assert raw.ask("SETUP", root + "main/trackID=0", Transport="RTP/AVP/TCP").status == 455
        assert raw.ask("PLAY", Session="nonsense").status == 454
        assert raw.ask("RECORD").status == 501


def play_pictures(raw: RawViewer, pictures: int) -> tuple[list[bytes], list[bytes]]:
    """Play until so many pictures are complete; return the RTP packets and the reports."""
    rtp: list[bytes] = []
    reports: list[bytes] = []
    while sum(packet[1] >> 7 for packet in rtp) < pictures:
        channel, packet = raw.packet()
        (rtp if channel == 0 else reports).append(packet)
        assert channel == 1 or reports, "the first packet must be a report"
    return rtp, reports


def test_report_timestamp_and_picture_tell_the_same_tick(ready: Ready) -> None:
    """SR, RTP timestamp and the code in the picture agree to 1 ns, and every picture is on the announced cadence."""
    with viewer(ready) as raw:
        raw.play()
        rtp, reports = play_pictures(raw, 25)
    ntp, mark = struct.unpack(">QI", reports[0][8:20])
    marked = ntp - (2_208_988_800 << 32)  # in 2**-32 s since 1970
    depacketized = av.open(io.BytesIO(annex_b(rtp)), format="h264")
    times = list(dict.fromkeys(struct.unpack(">I", packet[4:8])[0] for packet in rtp))
    codes = [block_code.read(frame.to_ndarray(format="gray")) for frame in depacketized.decode(video=0)]
    depacketized.close()
    readable = [(code, time) for code, time in zip(codes[::-1], times[::-1], strict=False) if code is not None]
    assert len(readable) >= 8
    for code, time in readable:
        ticks_from_mark = (time - mark + 2**31) % 2**32 - 2**31
        assert abs(marked * 90_000 - ((code - ticks_from_mark) << 32)) < 90_000 * 4  # 4 * 2**-32 s is just under 1 ns
        assert ready.cadence.is_tick(code)
    ticks = [code for code, _ in readable]
    assert all(later - sooner == -ready.period_ticks for sooner, later in pairwise(ticks))


def drain(raw: RawViewer) -> None:
    """Read until the camera hangs up; fails if it does not."""
    with pytest.raises(ConnectionError):
        collections.deque(iter(raw.packet, None), maxlen=0)


def annex_b(rtp: list[bytes]) -> bytes:
    """Undo the packetisation, from the first parameter sets on."""
    stream = b""
    for payload in (packet[12:] for packet in rtp):
        kind = payload[0] & 0x1F
        if kind == 24:
            at = 1
            while at < len(payload):
                (size,) = struct.unpack_from(">H", payload, at)
                stream += b"\0\0\0\1" + payload[at + 2 : at + 2 + size]
                at += 2 + size
        elif not stream:
            continue
        elif kind == 28:
            start = b"\0\0\0\1" + bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)) if payload[1] & 0x80 else b""
            stream += start + payload[2:]
        else:
            stream += b"\0\0\0\1" + payload
    return stream


def test_several_viewers_share_the_camera_with_numbers_of_their_own(ready: Ready) -> None:
    """Two viewers and one of the small stream play at once; SSRCs and timestamps differ from session to session."""
    with viewer(ready) as one, viewer(ready, "MD5") as two, RawViewer(ready.rtsp_sub, "hub", "night-owl 7") as small:
        for raw in (one, two, small):
            raw.play()
        heads = {play_pictures(raw, 3)[0][0][4:12] for raw in (one, two, small)}
    assert len(heads) == 3


def test_keep_alive_and_viewer_reports_are_taken_while_playing(ready: Ready) -> None:
    """GET_PARAMETER is answered between packets, a viewer's RTCP is skipped, TEARDOWN ends the connection."""
    with viewer(ready) as raw:
        raw.play()
        raw.socket.sendall(b"$\x01\x00\x08" + bytes(8))
        assert raw.ask("GET_PARAMETER").status == 200
        play_pictures(raw, 2)
        session = raw.ask("OPTIONS").header("session").split(";")[0]
        assert raw.ask("TEARDOWN", Session=session).status == 200
        drain(raw)


def test_a_silent_viewer_is_let_go() -> None:
    """A session without a word from the viewer ends after its timeout, although packets flow."""
    brief = CameraSettings(login=LOGIN, interface="", encoder=TEST_ENCODER, session_s=1)
    with running_camera(brief) as (_, where), viewer(where) as raw:
        raw.play()
        drain(raw)


def test_a_viewer_that_does_not_read_is_dropped() -> None:
    """Nothing is buffered without end for a viewer that stopped reading; the others play on."""
    loud = EncoderSettings(width=640, height=360, fps=30, gop=1, bitrate_bps=40_000_000)
    wanted = CameraSettings(login=LOGIN, interface="", encoder=loud)
    with running_camera(wanted) as (camera, where), viewer(where) as stuck, viewer(where) as fine:
        stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.play()
        fine.play()
        while len(camera._main.viewers) == 2:
            fine.packet()
        assert play_pictures_after_drop(fine) == 5


def play_pictures_after_drop(raw: RawViewer) -> int:
    """Count five more complete pictures."""
    count = 0
    while count < 5:
        channel, packet = raw.packet()
        count += channel == 0 and packet[1] >> 7
    return count


@given(st.one_of(st.binary(max_size=300), st.just(b"DESCRIBE " + b"x" * 20_000), st.just(b"$\0\xff\xff")))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rubbish_ends_only_its_own_connection(ready: Ready, rubbish: bytes) -> None:
    """Whatever a connection sends, it gets 400 or nothing, and the camera goes on."""
    split = urlsplit(ready.rtsp)
    with socket.create_connection((split.hostname or "", split.port or 0), 5) as rude:
        rude.sendall(rubbish + b"\r\n\r\n")
        rude.shutdown(socket.SHUT_WR)
        try:
            said = rude.recv(4096)
        except ConnectionResetError:
            said = b""
    assert said == b"" or said.startswith(b"RTSP/1.0 4")
    with viewer(ready) as raw:
        assert raw.ask("OPTIONS").status == 200


def test_ffmpeg_plays_and_decodes(ready: Ready) -> None:
    """Debian's FFmpeg, which knows MD5 only, plays the stream over TCP and decodes it without an error."""
    url = ready.rtsp.replace("rtsp://", "rtsp://hub:night-owl%207@")
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-rtsp_transport",
        "tcp",
        "-analyzeduration",
        "300000",
        "-i",
        url,
        "-fps_mode",
        "passthrough",
        "-frames:v",
        "45",
        "-f",
        "framemd5",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    pictures = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert len(pictures) == 45
