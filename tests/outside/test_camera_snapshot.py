"""GetSnapshotUri of cameras over real sockets: fetched with Digest, from the host that answered, or not at all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.camera import CameraStream, Login
from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, Ready, VirtualCamera, running_camera
from agent.demo.camera_quirks import Quirks
from agent.demo.h264_rtp import EncoderSettings
from agent.errors import BadInputError
from agent.outside.camera_snapshot import fetch_snapshot, snapshot_url
from agent.outside.onvif_failures import CameraFaultError, CameraUnreachableError, LoginRefusedError
from agent.outside.soap_login import Refusals
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

LOGIN = Login("hub", Secret("päss:w/o%rd"))
AT = "http://192.168.5.20:8000/onvif/device_service"


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


@contextmanager
def camera(**settings: object) -> Iterator[tuple[VirtualCamera, Ready]]:
    """Run a small camera."""
    small = EncoderSettings(width=160, height=88, fps=5)
    with running_camera(CameraSettings(login=LOGIN, interface="", encoder=small, **settings)) as running:  # type: ignore[arg-type] # a test's settings
        yield running


def fetch(address: str, login: Login = LOGIN) -> bytes:
    """Fetch the picture of the camera at an address."""
    return fetch_snapshot(
        CameraStream(CameraId("door"), "Door", "rtsp://x/", login, None), address, hub_now, refusals=Refusals()
    )


@pytest.mark.parametrize("has_media2", [False, True])
@pytest.mark.parametrize("told_host", ["", "192.168.1.108"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_picture_is_fetched(algorithm: str, told_host: str, *, has_media2: bool) -> None:
    """By either media service, by either Digest, from the camera's own host whatever it names."""
    quirks = Quirks(told_host=told_host)
    with camera(has_media2=has_media2, quirks=quirks, digest_algorithms=(algorithm,)) as (one, ready):
        picture = fetch(ready.onvif)
        assert one.lockout.refused == 0
    assert picture[:2] == b"\xff\xd8"


def test_a_login_that_the_picture_refuses_is_sent_once() -> None:
    """ONVIF is open here and the picture is not: one wrong Digest, then an end."""
    with camera(quirks=Quirks(logins="token", lockout_after=0)) as (one, ready):
        with pytest.raises(LoginRefusedError):
            fetch(ready.onvif, Login("hub", Secret("wrong")))
        assert one.lockout.refused == 1


def test_what_is_not_there_is_said() -> None:
    """No GetSnapshotUri at all; then a device that names an address where there is nothing."""
    with serve(OnvifDevice()) as address, pytest.raises((CameraFaultError, BadInputError)):
        fetch(address, Login(USER, Secret(PASSWORD)))
    with pytest.raises(CameraUnreachableError):
        fetch("http://127.0.0.1:1/onvif/device_service")


@pytest.mark.parametrize(
    ("told", "url"),
    [
        (
            "http://192.168.5.20/cgi-bin/snap.cgi?channel=1&x=a b",
            "http://192.168.5.20/cgi-bin/snap.cgi?channel=1&x=a%20b",
        ),
        ("http://192.168.5.20:81/snap", "http://192.168.5.20:81/snap"),
        ("http://10.0.0.1:81/snap", "http://192.168.5.20:8000/snap"),
        ("https://192.168.5.20/snap", "http://192.168.5.20:8000/snap"),
        ("http://user:secret@10.0.0.1/snap#part", "http://192.168.5.20:8000/snap"),
        (" http://[fe80::1]/snap\n", "http://192.168.5.20:8000/snap"),
        ("http://127.0.0.1", "http://192.168.5.20:8000/"),
    ],
)
def test_addresses_stay_on_the_camera(told: str, url: str) -> None:
    """Path and query are the camera's choice, host and scheme are not; a login in it is left out."""
    assert snapshot_url(told, AT) == url


@pytest.mark.parametrize(
    "told",
    [None, 7, "", "snap.jpg", "file:///etc/passwd", "ftp://192.168.5.20/x", "http://[::1/x", "http://h/\r\nX: y"],
)
def test_what_is_no_address_is_refused(told: object) -> None:
    """Files, half addresses, header lines."""
    with pytest.raises(BadInputError):
        snapshot_url(told, AT)


@given(st.text(max_size=60))
def test_any_address_is_on_the_camera_or_refused(text: str) -> None:
    """Whatever stands where a host should."""
    with contextlib.suppress(BadInputError):
        assert snapshot_url(f"http://{text}", AT).startswith("http://192.168.5.20")


def test_an_error_does_not_show_the_address() -> None:
    """Some makers write user and password into it."""
    with pytest.raises(BadInputError) as refused:
        snapshot_url("ftp://10.0.0.1/snap?user=admin&pwd=planted", AT)
    assert "planted" not in str(refused.value)
