"""A camera is tried step by step: what works is said, and what does not ends the test with a cause and a cure."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera, camera_id
from agent.cli.camera_check import STEPS, Mark, Step, check_camera
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, Ready, running_camera
from agent.demo.h264_rtp import EncoderSettings
from agent.outside.host import HostClock
from agent.outside.soap_login import Refusals
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

LOGIN = Login("hub", Secret("pw"))
SMALL = EncoderSettings(width=320, height=180, gop=15)


def check(address: str, login: Login | None = LOGIN) -> list[Step]:
    """Try a camera at an address."""
    found = FoundCamera(camera_id(address), "", "Front door", "", "127.0.0.1", (address,))
    return list(check_camera(found, login, HostClock(), refusals=Refusals()))


def failure(steps: list[Step]) -> Step:
    """Return the one step that failed; those after it were not tried."""
    assert tuple(step.name for step in steps) == STEPS
    (bad,) = (step for step in steps if step.mark is Mark.BAD)
    after = steps[steps.index(bad) + 1 :]
    assert all(step.mark is Mark.NOT_TRIED for step in after)
    return bad


@pytest.fixture(scope="module")
def profile_t() -> Iterator[Ready]:
    """Run a camera with media2, H.265 and a clock an hour fast."""
    encoder = EncoderSettings(width=320, height=180, gop=15, codec="H265")
    settings = CameraSettings(login=LOGIN, interface="", has_media2=True, clock_offset_ms=3_600_500, encoder=encoder)
    with running_camera(settings) as (_, ready):
        yield ready


def test_every_step_of_a_profile_t_camera_with_h265_works(profile_t: Ready) -> None:
    """From the first connection to picture times with a bound; the wrong clock is named and gets in nobody's way."""
    steps = check(profile_t.onvif)
    assert [step.name for step in steps] == list(STEPS)
    assert [step.mark for step in steps if step.name != "clock"] == [Mark.GOOD] * 7
    said = {step.name: step.said for step in steps}
    assert steps[1].mark is Mark.DOUBTFUL
    assert said["clock"].startswith("clock wrong: its clock is 3600.")
    assert "--ntp" in steps[1].cure
    assert said["login"].startswith("logged in by HTTP Digest: Transom Virtual camera")
    assert said["services"] == "media2 (Profile T)"
    assert "H265, 320x180, 15 fps, 400 kbit/s, key picture every 1.0 s" in said["profiles"]
    assert said["first key picture"].endswith("the next one 1.0 s later")
    assert "(sr+onvif)" in said["time bound"]


def test_a_wrong_password_ends_the_test_and_is_sent_once(profile_t: Ready) -> None:
    """The word for it, the cure, and no password in any of it."""
    bad = failure(check(profile_t.onvif, Login("hub", Secret("planted"))))
    assert (bad.name, bad.word) == ("login", "password wrong")
    assert bad.said.startswith("password wrong: 127.0.0.1 refuses this user or password")
    assert "enter the user and password" in bad.cure
    assert "planted" not in repr(bad)


def test_a_small_stream_beside_a_hidden_one_is_doubted() -> None:
    """Media 1 hides the H.265 main stream: the small one works, and is said to be perhaps not the one."""
    encoder = EncoderSettings(width=320, height=180, gop=15, codec="H265")
    with running_camera(CameraSettings(login=LOGIN, interface="", encoder=encoder)) as (_, ready):
        steps = check(ready.onvif)
    profiles = next(step for step in steps if step.name == "profiles")
    assert profiles.mark is Mark.DOUBTFUL
    assert profiles.said.startswith("`sub` of 1: H264")
    assert "the main one may be H.265" in profiles.cure


def test_nobody_there_is_told_from_no_camera() -> None:
    """A closed port is not reachable; something else that answers has ONVIF off."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        bad = failure(check(f"http://127.0.0.1:{closed.getsockname()[1]}/onvif/device_service"))
    assert (bad.name, bad.word) == ("reach", "not reachable")
    assert "on this network" in bad.cure
    with serve(OnvifDevice()) as address, socket.create_server(("127.0.0.1", 0)) as web:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        bad = failure(check_web(web, answer))
        assert check(address)[0].mark is Mark.GOOD
    assert (bad.name, bad.word) == ("reach", "ONVIF off")
    assert "switch on ONVIF" in bad.cure


def check_web(server: socket.socket, answer: bytes) -> list[Step]:
    """Try what answers every request with this."""
    import threading  # noqa: PLC0415 - for this one test

    def serve_one() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=serve_one)
    thread.start()
    steps = check(f"http://127.0.0.1:{server.getsockname()[1]}/onvif/device_service")
    thread.join()
    return steps


@pytest.mark.parametrize(
    ("device", "login", "name", "word"),
    [
        (OnvifDevice(), None, "login", "login missing"),
        (OnvifDevice(login="token", refusal="Account is locked"), Login(USER, Secret("x")), "login", "account locked"),
        (
            OnvifDevice(login="token", clock_offset_s=-3600.0, is_clock_secret=True, is_date_sent=False),
            Login(USER, Secret(PASSWORD)),
            "login",
            "clock wrong",
        ),
        (OnvifDevice(encodings=()), Login(USER, Secret(PASSWORD)), "profiles", "no stream"),
        (OnvifDevice(login="none", media=()), None, "services", "no stream"),
    ],
)
def test_each_failure_has_its_step_and_its_word(device: OnvifDevice, login: Login | None, name: str, word: str) -> None:
    """An installer, and a program, can tell them apart; each has a cure."""
    with serve(device) as address:
        bad = failure(check(address, login))
    assert (bad.name, bad.word) == (name, word)
    assert bad.cure
    assert device.refused_logins <= 1


def test_a_camera_that_hides_its_time_is_doubted_and_tried_on() -> None:
    """It is logged in to by the time of its HTTP header."""
    device = OnvifDevice(login="token", clock_offset_s=-3600.0, is_clock_secret=True, encodings=())
    with serve(device) as address:
        steps = check(address, Login(USER, Secret(PASSWORD)))
    assert [step.mark for step in steps[:3]] == [Mark.GOOD, Mark.DOUBTFUL, Mark.GOOD]
    assert "WS-UsernameToken" in steps[2].said


def test_a_stream_that_does_not_play_says_why() -> None:
    """ONVIF is well and RTSP refuses the connection: the step is the stream's."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"rtsp://127.0.0.1:{closed.getsockname()[1]}/main"
        with serve(OnvifDevice(login="none", stream_uri=uri)) as address:
            bad = failure(check(address, None))
    assert bad.name == "stream"
    assert "refused" in bad.said.lower() or "cannot be reached" in bad.said


def test_key_pictures_too_far_apart_are_doubted() -> None:
    """10 s by its own word: the command that mends it is named."""
    encoder = EncoderSettings(width=320, height=180, gop=75)
    with running_camera(CameraSettings(login=LOGIN, interface="", encoder=encoder)) as (_, ready):
        found = FoundCamera(camera_id("x"), "", "x", "", "127.0.0.1", (ready.onvif,))
        steps = check_camera(found, LOGIN, HostClock(), refusals=Refusals())
        profiles = next(step for step in steps if step.name == "profiles")
        steps.close()  # type: ignore[attr-defined] - it is a generator
    assert profiles.mark is Mark.DOUBTFUL
    assert "5.0 s apart" in profiles.cure
    assert "--key-interval 2" in profiles.cure
