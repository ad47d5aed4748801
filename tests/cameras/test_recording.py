"""One camera's ways to fail and to annoy: certificates, redirections, UDP, floods and drips; each beside the others."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.acquire.camera import CameraStream, Login
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS
from agent.crypto import Secret, sha256_hex
from agent.outside.rtsp_sockets import RtspDialer
from tests.simulators.recorder_bench import DOOR, YARD, Bench, recording, stream_of
from tests.simulators.rtsp_camera import CameraScript, RtspCamera
from tests.simulators.tls_front import Certificate, TlsFront
from tests.simulators.udp_camera import UdpCamera


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Make a camera's own certificate."""
    return Certificate.made(tmp_path)


def secured(camera: RtspCamera, front: TlsFront) -> CameraStream:
    """Describe a camera behind TLS."""
    return replace(stream_of(camera), url=front.url)


def frames(octets: bytes) -> Iterator[bytes]:
    """Split interleaved frames."""
    while octets:
        size = 4 + struct.unpack(">H", octets[2:4])[0]
        yield octets[:size]
        octets = octets[size:]


def is_healthy(bench: Bench, camera: RtspCamera, name: CameraId = YARD) -> bool:
    """Say whether a camera was recorded without a gap, in one session, from its first picture on."""
    numbers = [meta.sequence for meta, _ in bench.sink.of(name)]
    whole = camera.media[0].startswith(bench.stored(name))
    return whole and camera.sessions == 1 and numbers == list(range(1, len(numbers) + 1))


# ------------------------------------------------------------------------------------------------ certificates
def test_tls_is_recorded_byte_for_byte_and_the_certificate_is_told(certificate: Certificate) -> None:
    """The ring has the media as sent; the pin is there for whoever stores it, and holds the next time."""
    pin = sha256_hex(certificate.der)
    script = CameraScript(user="owner", password="hunter2")  # noqa: S106 - a test's password
    with RtspCamera(script) as camera, TlsFront(camera.port, certificate) as front:
        with recording(secured(camera, front)) as bench:
            bench.wait_until(lambda: len(bench.sink.of(DOOR)) >= 8)
            assert bench.recorder.pins() == {DOOR: pin}
        assert camera.media[0].startswith(bench.stored())
        with recording(replace(secured(camera, front), pin=pin)) as bench:
            bench.wait_until(lambda: len(bench.sink.of(DOOR)) >= 2)
    assert not bench.health().error


@pytest.mark.parametrize("is_restarted", [True, False])
def test_another_certificate_gets_no_login_until_a_person_says_so(tmp_path: Path, *, is_restarted: bool) -> None:
    """Not a byte of RTSP is sent; the wait is long, the words say what to do; a forgotten pin is believed at once."""
    old, new = Certificate.made(tmp_path), Certificate.made(tmp_path)
    script = CameraScript(user="owner", password="hunter2", pictures_per_session=30)  # noqa: S106 - a test's password
    with RtspCamera(script) as camera, TlsFront(camera.port, old) as front:
        pinned = replace(secured(camera, front), pin=sha256_hex(old.der))
        if is_restarted:
            front.certificate = new
        with recording(pinned) as bench:
            if not is_restarted:
                bench.wait_until(lambda: bench.sink.of(DOOR))
                front.certificate = new
            bench.wait_until(lambda: bench.health().state is CameraState.CERTIFICATE_REFUSED)
            asked, health = len(camera.requests), bench.health()
            assert health.next_try_at is not None
            assert health.next_try_at - bench.clock.instant() > 590 * SECOND_NS
            assert "another TLS certificate" in health.error
            assert "transom cameras forget" in health.error
            bench.wait_until(lambda: front.refused)
            assert (len(camera.requests), asked == 0) == (asked, is_restarted)
            bench.recorder.add(replace(pinned, pin=""))
            bench.wait_until(lambda: bench.recorder.pins() == {DOOR: sha256_hex(new.der)})
            bench.wait_until(lambda: len(camera.requests) > asked)


def test_a_pin_that_is_not_stored_yet_is_not_forgotten(tmp_path: Path) -> None:
    """A search that finds the camera again, before anybody has stored its certificate, opens no door to another one."""
    old, new = Certificate.made(tmp_path), Certificate.made(tmp_path)
    with RtspCamera(CameraScript(pictures_per_session=30)) as camera, TlsFront(camera.port, old) as front:
        stream = secured(camera, front)
        with recording(stream) as bench:
            bench.wait_until(lambda: bench.sink.of(DOOR))
            front.certificate = new
            bench.recorder.add(replace(stream, name="Found again"))
            bench.wait_until(lambda: bench.health().state is CameraState.CERTIFICATE_REFUSED)
            assert bench.recorder.pins() == {DOOR: sha256_hex(old.der)}


def test_storing_the_pin_does_not_interrupt_the_recording(certificate: Certificate) -> None:
    """The stream that comes back from the book with the pin is the stream that is recorded."""
    with RtspCamera(CameraScript()) as camera, TlsFront(camera.port, certificate) as front:
        stream = secured(camera, front)
        with recording(stream) as bench:
            bench.wait_until(lambda: bench.sink.of(DOOR))
            bench.recorder.add(replace(stream, pin=sha256_hex(certificate.der)))
            chunks = len(bench.sink.of(DOOR))
            bench.wait_until(lambda: len(bench.sink.of(DOOR)) > chunks + 3)
    assert camera.sessions == 1


def test_a_camera_with_a_certificate_is_not_recorded_without_tls() -> None:
    """Whoever can answer for the camera cannot talk the hub out of TLS, nor get its login so."""
    with RtspCamera(CameraScript()) as camera, recording(replace(stream_of(camera), pin="ab" * 32)) as bench:
        bench.wait_until(lambda: bench.health().state is CameraState.CERTIFICATE_REFUSED)
        assert "without" in bench.health().error
    assert camera.sessions == 0


def test_a_handshake_that_never_ends_disturbs_nobody(certificate: Certificate) -> None:
    """Beside a camera that takes the connection and says nothing, the others are recorded without a gap."""
    with RtspCamera(CameraScript()) as good, TlsFront(1, certificate) as front:
        front.is_stuck = True
        with recording(stream_of(good, YARD), CameraStream(DOOR, "Door", front.url, None, None)) as bench:
            bench.wait_until(lambda: len(bench.sink.of(YARD)) >= 10)
            assert bench.health().state is CameraState.CONNECTING
    assert is_healthy(bench, good)


# ------------------------------------------------------------------------------------------------ UDP
@pytest.mark.parametrize("buffer_bytes", [100_000, 4 * 1024 * 1024])
def test_a_camera_that_sends_by_udp_only_is_recorded(buffer_bytes: int) -> None:
    """After its 461 the media comes by UDP; what strangers send does not; a lost packet is a lost packet, no more."""
    with UdpCamera(lost=frozenset({7, 13})) as camera, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stream = CameraStream(DOOR, "Door", camera.url, None, None)
        with recording(stream, dialer=RtspDialer(buffer_bytes), tick_ms=100) as bench:
            bench.wait_until(lambda: camera.client_ports[0])
            for number in range(200):
                stranger.sendto(b"\x80" + bytes([96, 0, number]) + b"evil" * 10, ("127.0.0.1", camera.client_ports[0]))
            bench.wait_until(lambda: len(bench.sink.of(DOOR)) >= 8)
        bench.wait_until(lambda: "TEARDOWN" in camera.methods)
    got = list(frames(bench.stored()))
    assert got == camera.sent[: len(got)]
    assert len(got) > 100
    assert camera.methods.count("SETUP") == 2
    assert bench.health().error == ""


def test_pictures_do_not_leave_tls_for_udp(certificate: Certificate) -> None:
    """A camera behind TLS that wants to send beside it is refused, with words."""
    with UdpCamera() as camera, TlsFront(camera.port, certificate) as front:
        with recording(CameraStream(DOOR, "Door", front.url, None, None)) as bench:
            bench.wait_until(lambda: "allow RTP over TCP" in bench.health().error)
        assert camera.client_ports == (0, 0)


# ------------------------------------------------------------------------------------------------ health
def test_counts_go_on_over_sessions() -> None:
    """A camera that hangs up again and again is counted on; what its clock and its times are is told."""
    script = CameraScript(pictures_per_session=30, sends_reports=True)
    offset = ClockOffset(-3_000_000_000, -2_999_000_000)
    with RtspCamera(script) as camera, recording(stream_of(camera, clock=offset)) as bench:
        seen: list[CameraHealth] = []

        def is_enough() -> bool:
            seen.append(bench.health())
            return seen[-1].reconnects >= 2 and seen[-1].pictures > 60

        bench.wait_until(is_enough)
    for count in ("bytes_received", "pictures", "packets", "packets_lost", "reconnects", "runs"):
        counted = [getattr(health, count) for health in seen]
        assert counted == sorted(counted), count
    assert seen[-1].packets >= 8 * seen[-1].pictures
    assert (seen[-1].clock_offset_ns, seen[-1].clock_offset_error_ns) == (-2_999_500_000, 500_000)
    assert {health.time_source for health in seen} > {None}


def test_lost_packets_are_counted_and_dropped_ones_told_apart() -> None:
    """What the network lost shows in the numbers; what this hub had no room for, the kernel counts."""
    with UdpCamera() as camera:
        stream = CameraStream(DOOR, "Door", camera.url, None, None)
        with recording(stream, dialer=RtspDialer(4 * 1024 * 1024), tick_ms=100) as bench:
            bench.wait_until(lambda: bench.health().pictures > 50)
            health = bench.health()
    assert health.packets_lost > 50 * 80  # this camera leaves out most numbers
    assert health.datagrams_dropped == 0


def test_a_key_picture_that_does_not_come_is_noticed_meanwhile() -> None:
    """The interval is that of the newest two, or what has passed since the newest if that is more already."""
    script = CameraScript(key_every=10)
    with RtspCamera(script) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.health().key_interval_s == 0.1)
        script.key_every = 1_000_000
        bench.wait_until(lambda: (bench.health().key_interval_s or 0) > 1)


# ------------------------------------------------------------------------------------------------ redirections
def test_a_redirection_on_the_camera_itself_is_followed() -> None:
    """Another port of the same host: no wait, no failure."""
    with RtspCamera(CameraScript()) as target:
        script = CameraScript(status_of={"DESCRIBE": 302}, headers_of={"DESCRIBE": f"Location: {target.url}"})
        with RtspCamera(script) as camera, recording(stream_of(camera)) as bench:
            bench.wait_until(lambda: len(bench.sink.of(DOOR)) >= 3)
            assert bench.health().reconnects == 0
        assert camera.sessions == 1
    assert target.media[0].startswith(bench.stored())


@pytest.mark.parametrize("location", ["{own}", "rtsp://127.0.0.2:{port}/stream"])
def test_circles_and_other_hosts_are_failures(location: str) -> None:
    """Three redirections in a row at most, and never to another host; then the camera waits as after any failure."""
    script = CameraScript(status_of={"DESCRIBE": 301})
    with RtspCamera(script) as camera:
        script.headers_of["DESCRIBE"] = "Location: " + location.format(own=camera.url, port=camera.port)
        with recording(stream_of(camera), backoff_s_min=60, backoff_s_max=60) as bench:
            bench.wait_until(lambda: bench.health().state is CameraState.WAITING)
            assert bench.health().reconnects == 1
        assert camera.sessions == (4 if "own" in location else 1)


def test_a_camera_that_asks_for_patience_gets_it() -> None:
    """Retry-After is kept to, up to a limit."""
    script = CameraScript(status_of={"DESCRIBE": 503}, headers_of={"DESCRIBE": "Retry-After: 100"})
    with RtspCamera(script) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.health().next_try_at is not None)
        next_try = bench.health().next_try_at
        assert next_try is not None
        assert 90 * SECOND_NS < next_try - bench.clock.instant() < 150 * SECOND_NS


# ------------------------------------------------------------------------------------------------ floods and drips
@pytest.mark.parametrize(
    "flood",
    [b"$\x09\x00\x00" * 30_000, b"$\x09\x05\x78" + bytes(1400), b"\r\n" * 30_000],
    ids=["tiny frames", "foreign channel", "blank lines"],
)
def test_a_flood_costs_the_others_nothing(flood: bytes) -> None:
    """Beside a camera that sends as fast as it can, another one is recorded byte for byte and on time."""
    flooding = CameraScript(picture_s=0, flood=flood * (1 + 100_000 // len(flood)))
    with (
        RtspCamera(CameraScript()) as good,
        RtspCamera(flooding) as bad,
        recording(stream_of(good, YARD), stream_of(bad)) as bench,
    ):
        bench.wait_until(lambda: len(bench.sink.of(YARD)) >= 15 and bench.health().bytes_received > 3_000_000)
        sent, stored = len(good.media[0]), len(bench.stored(YARD))
    assert sent - stored < 600_000  # under a second behind
    assert is_healthy(bench, good)


def test_a_drip_costs_the_others_nothing() -> None:
    """Beside cameras that send byte by byte, answers and media, another one is recorded without a gap."""
    with (
        RtspCamera(CameraScript()) as good,
        RtspCamera(CameraScript(drips=True)) as bad,
        recording(stream_of(good, YARD), stream_of(bad)) as bench,
    ):
        bench.wait_until(lambda: len(bench.sink.of(YARD)) >= 15 and "PLAY" in bad.methods())
    assert is_healthy(bench, good)


def test_backoff_of_one_is_no_backoff_of_another() -> None:
    """A camera that comes back after the other's failures is recorded at once."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = CameraStream(DOOR, "Dead", f"rtsp://127.0.0.1:{closed.getsockname()[1]}/", None, None)
    with RtspCamera(CameraScript()) as good, recording(dead, backoff_s_min=60, backoff_s_max=60) as bench:
        bench.wait_until(lambda: bench.health().state is CameraState.WAITING)
        bench.recorder.add(stream_of(good, YARD))
        bench.wait_until(lambda: bench.sink.of(YARD))
        assert bench.health().reconnects == 1


def test_a_login_that_was_refused_is_not_sent_after_a_redirection() -> None:
    """The long wait is kept, wherever the camera has led to."""
    script = CameraScript(user="owner", password="right")  # noqa: S106 - a test's password
    with RtspCamera(script) as target:
        lure = CameraScript(status_of={"DESCRIBE": 302}, headers_of={"DESCRIBE": f"Location: {target.url}"})
        with RtspCamera(lure) as camera:
            stream = replace(stream_of(camera), login=Login("owner", Secret("wrong")))
            with recording(stream) as bench:
                bench.wait_until(lambda: bench.health().state is CameraState.LOGIN_REFUSED)
    assert target.sessions == 1
