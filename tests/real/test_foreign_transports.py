"""How cameras send and whom they let in, by a server nobody of us wrote: UDP, TLS, logins, channels, time-outs."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

from agent.acquire.camera import Login
from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId
from agent.crypto import Secret
from tests.simulators.foreign_streams import Mount, gst_streams, of_channel, split
from tests.simulators.recording_hub import RecordingHub
from tests.simulators.tls_front import Certificate
from tests.simulators.wire_tap import WireTap

FILM: Final = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=192,framerate=10/1"
    " ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 bitrate=600 ! h264parse config-interval=-1"
    " ! video/x-h264,stream-format=byte-stream,alignment=au ! rtph264pay mtu=400"
)
SOUND: Final = (
    "audiotestsrc is-live=true samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 ! mulawenc"
    " ! rtppcmupay name=pay1 pt=0"
)
PLAIN: Final = Mount(f"( {FILM} name=pay0 pt=96 {SOUND} )", mtu=400)
UDP: Final = Mount(PLAIN.launch, is_udp=True, mtu=400)
# A network that loses one packet in twenty, and lets some be overtaken.
BAD_NETWORK: Final = Mount(
    f"( {FILM} name=maker0 pt=96 ! netsim drop-probability=0.05 delay-probability=0.1 min-delay=1 max-delay=15"
    " allow-reordering=true name=pay0 )".replace("pattern=ball", "pattern=snow"),
    is_udp=True,
    mtu=400,
)
LOGIN: Final = Login("viewer", Secret("correct horse"))
DOOR: Final = CameraId("door")


def numbers(packets: list[bytes]) -> list[int]:
    """Return the sequence numbers, counted on where they wrap."""
    counted: list[int] = []
    for packet in packets:
        number, newest = int.from_bytes(packet[2:4]), counted[-1] if counted else 0
        counted.append(number if not counted else newest + (number - newest + 2**15) % 2**16 - 2**15)
    return counted


def is_piece(stored: list[bytes], sent: list[bytes]) -> bool:
    """Say whether the stored is an unbroken piece of what was sent."""
    at = sent.index(stored[0])
    return sent[at : at + len(stored)] == stored


def test_a_server_that_sends_by_udp_only(tmp_path: Path) -> None:
    """It refuses the connection's way; picture and sound come as datagrams, and every packet is stored."""
    with gst_streams(tmp_path / "gst", {"udp": UDP}) as server, RecordingHub(tmp_path / "ring") as hub:
        camera = hub.record("udp", server.url("udp"), has_sound=True)
        hub.wait_recorded(camera, 2)
        (run,) = hub.runs(camera)
        frames = split(hub.wire(run))
        assert [track.encoding for track in hub.header(camera).tracks] == ["H264", "PCMU"]
        sent = [[packet.octets for packet in server.sent("udp", number)] for number in (0, 1)]
        assert hub.health(camera).error == ""
    assert run[0].meta.is_key
    assert is_piece(of_channel(frames, 0), sent[0])
    assert is_piece(of_channel(frames, 2), sent[1])
    assert len(of_channel(frames, 2)) > 50


def test_a_network_that_loses_and_reorders(tmp_path: Path) -> None:
    """What arrived is stored, in its right order but where a packet came very late; what did not arrive is counted."""
    with gst_streams(tmp_path / "gst", {"bad": BAD_NETWORK}) as server, RecordingHub(tmp_path / "ring") as hub:
        camera = hub.record("bad", server.url("bad"))
        hub.wait_recorded(camera, 3)
        hub.stop()
        health = hub.health(camera)
        runs = hub.runs(camera)
        stored = [packet for run in runs for packet in of_channel(split(hub.wire(run)), 0)]
        sent = [packet.octets for packet in server.sent("bad")]
    assert set(stored) <= set(sent)
    assert len(set(stored)) == len(stored)
    order = numbers(stored)
    overtaken, overtaken_on_the_wire = (
        sum(after < before for before, after in pairwise(one)) for one in (order, numbers(sent))
    )
    assert overtaken_on_the_wire > len(order) // 50
    assert overtaken < overtaken_on_the_wire // 2  # between two looks at the ports they are stored as they came
    missing = max(order) - min(order) + 1 - len(order)
    assert missing > len(order) // 50
    assert abs(health.packets_lost - missing) <= max(10, missing // 5)
    assert health.loss_share > 0.01


def test_tls_with_digest_then_another_certificate(tmp_path: Path) -> None:
    """It is recorded and its certificate noted; one with another certificate is told nothing, and a person is."""
    first, second = Certificate.made(tmp_path, rsa_bits=2048), Certificate.made(tmp_path, rsa_bits=2048)
    login = ("digest", LOGIN.user, "correct horse")
    with RecordingHub(tmp_path / "ring") as hub:
        with gst_streams(tmp_path / "one", {"live": PLAIN}, certificate=first.path, login=login) as server:
            camera = hub.record(DOOR, server.url("live"), login=LOGIN, has_sound=True)
            hub.wait_recorded(camera, 2)
            assert hub.recorder.pins() == {DOOR: hashlib.sha256(first.der).hexdigest()}
            (run,) = hub.runs(camera)
            stored = of_channel(split(hub.wire(run)), 0)
            assert is_piece(stored, [packet.octets for packet in server.sent("live")])
        runs = len(hub.runs(camera))
        with gst_streams(
            tmp_path / "two", {"live": PLAIN}, certificate=second.path, login=login, port=server.port
        ) as other:
            hub.wait(lambda: hub.health(camera).state is CameraState.CERTIFICATE_REFUSED, "the refusal")
            assert not list(other.folder.glob("*.packets"))
        assert "certificate" in hub.health(camera).error
        assert len(hub.runs(camera)) == runs
        assert hub.recorder.pins() == {DOOR: hashlib.sha256(first.der).hexdigest()}


def test_tls_with_basic(tmp_path: Path) -> None:
    """A camera that knows no digest gets the password, because TLS hides it; a plain one would not."""
    certificate, login = Certificate.made(tmp_path), ("basic", LOGIN.user, "correct horse")
    with (
        gst_streams(tmp_path / "tls", {"live": PLAIN}, certificate=certificate.path, login=login) as secure,
        RecordingHub(tmp_path / "ring") as hub,
    ):
        camera = hub.record(DOOR, secure.url("live"), login=LOGIN)
        stranger = hub.record("stranger", secure.url("live"), login=Login("viewer", Secret("battery staple")))
        hub.wait_recorded(camera, 1)
        hub.wait(lambda: hub.health(stranger).state is CameraState.LOGIN_REFUSED, "a refused login")
        assert hub.runs(stranger) == []


def test_a_server_that_chooses_the_channels(tmp_path: Path) -> None:
    """Media is found on the channels that were answered, not on those that were asked for."""
    other = {b"interleaved=0-1": b"interleaved=6-7", b"interleaved=8-9": b"interleaved=14-15"}
    with (
        gst_streams(tmp_path / "gst", {"live": PLAIN}) as server,
        WireTap(server.port, other) as tap,
        RecordingHub(tmp_path / "ring") as hub,
    ):
        camera = hub.record(DOOR, tap.url("live"), has_sound=True)
        hub.wait_recorded(camera, 1)
        assert [track.channel for track in hub.header(camera).tracks] == [6, 14]
        frames = split(hub.wire(hub.runs(camera)[0]))
        assert is_piece(of_channel(frames, 6), [packet.octets for packet in server.sent("live")])
        assert is_piece(of_channel(frames, 14), [packet.octets for packet in server.sent("live", 1)])


def test_a_session_is_kept_that_the_server_would_drop(tmp_path: Path) -> None:
    """A viewer that says nothing more after PLAY is dropped within seconds; the hub's session goes on."""
    mounts = {"kept": UDP, "dropped": UDP}
    with gst_streams(tmp_path / "gst", mounts, timeout_s=2) as server, RecordingHub(tmp_path / "ring") as hub:
        camera = hub.record(DOOR, server.url("kept"))
        hub.wait_recorded(camera, 0.1)
        began = time.monotonic()
        assert silent_viewer(server.url("dropped"), server.port) < 5
        hub.wait_recorded(camera, 5)
        assert time.monotonic() - began > 3
        health = hub.health(camera)
        assert (health.reconnects, health.error, len(hub.runs(camera))) == (0, "", 1)


def silent_viewer(url: str, port: int) -> float:
    """Play a stream by UDP without ever saying that it is still wanted; return for how many seconds it came."""
    with (
        socket.create_connection(("127.0.0.1", port)) as control,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media,
    ):
        media.bind(("127.0.0.1", 0))
        media.settimeout(1.5)
        ours = media.getsockname()[1]

        def ask(method: str, where: str, number: int, more: str = "") -> str:
            control.sendall(f"{method} {where} RTSP/1.0\r\nCSeq: {number}\r\n{more}\r\n".encode())
            return control.recv(65_536).decode()

        ask("DESCRIBE", url, 1, "Accept: application/sdp\r\n")
        answer = ask("SETUP", f"{url}/stream=0", 2, f"Transport: RTP/AVP;unicast;client_port={ours}-{ours + 1}\r\n")
        session = re.search(r"Session: *([^;\r]+)", answer)
        assert session, answer
        assert "200 OK" in ask("PLAY", url, 3, f"Session: {session[1]}\r\n")
        began = last = time.monotonic()
        with contextlib.suppress(TimeoutError):
            while media.recv(65_536):
                last = time.monotonic()
                assert last - began < 20, "the server drops nobody"
        return last - began


def test_a_server_that_is_started_anew(tmp_path: Path) -> None:
    """Its camera is reached again and goes on in a new run with a key picture; the others notice nothing."""
    with (
        gst_streams(tmp_path / "other", {"live": PLAIN}) as steady,
        RecordingHub(tmp_path / "ring") as hub,
    ):
        other = hub.record("other", steady.url("live"))
        with gst_streams(tmp_path / "one", {"live": PLAIN}) as server:
            camera = hub.record(DOOR, server.url("live"))
            hub.wait_recorded(camera, 1)
            before = {packet.octets for packet in server.sent("live")}
        with gst_streams(tmp_path / "two", {"live": PLAIN}, port=server.port) as server:
            hub.wait(lambda: len(hub.runs(camera)) == 2, "the second run")
            hub.wait_recorded(camera, 1)
            after = [packet.octets for packet in server.sent("live")]
            first, second = hub.runs(camera)
        hub.wait_recorded(other, 3)
        (whole,) = hub.runs(other)
        assert is_piece(of_channel(split(hub.wire(whole)), 0), [packet.octets for packet in steady.sent("live")])
        assert set(of_channel(split(hub.wire(first)), 0)) <= before
        assert is_piece(of_channel(split(hub.wire(second)), 0), after)
        assert first[0].meta.is_key
        assert second[0].meta.is_key
        assert first[0].meta.run < second[0].meta.run
        assert first[-1].meta.last_picture <= second[0].meta.first_picture
        assert hub.health(camera).reconnects > 0
        assert (hub.health(other).reconnects, hub.health(other).error) == (0, "")
