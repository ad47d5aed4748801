"""The virtual camera's media2 service: profiles with H.265, stream addresses, key pictures on request."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera, camera_id
from agent.clock import WallTime
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, Ready, VirtualCamera, running_camera
from agent.demo.h264_rtp import AccessUnit, EncoderSettings
from agent.outside.onvif import OnvifCamera, camera_of
from agent.outside.onvif_media import MEDIA2, ask, get_services
from agent.outside.onvif_services import MEDIA
from agent.outside.soap_login import Refusals
from tests.simulators.eventually import until

LOGIN = Login("hub", Secret("pw"))
GOP = 60


class Watcher:
    """A viewer who notes which pictures are key."""

    def __init__(self) -> None:
        self.keys: list[bool] = []

    def show(self, unit: AccessUnit) -> None:
        """Take one picture."""
        self.keys.append(unit.is_key)


@pytest.fixture(scope="module", params=["H264", "H265"])
def camera(request: pytest.FixtureRequest) -> Iterator[tuple[VirtualCamera, Ready, str]]:
    """Run a camera whose key pictures are 4 s apart."""
    encoder = EncoderSettings(width=320, height=180, gop=GOP, codec=request.param)
    with running_camera(CameraSettings(login=LOGIN, interface="", has_media2=True, encoder=encoder)) as (one, ready):
        yield one, ready, request.param


def reach(ready: Ready) -> OnvifCamera:
    """Reach the camera."""
    found = FoundCamera(camera_id(ready.epr), ready.epr, ready.name, "", "127.0.0.1", (ready.onvif,))
    return camera_of(found, LOGIN, lambda: WallTime(time.time_ns()), refusals=Refusals())


def test_media2_tells_what_is_filmed(camera: tuple[VirtualCamera, Ready, str]) -> None:
    """Codec, size, rate, distance of key pictures and bitrate of both streams, and the main one's address."""
    _, ready, codec = camera
    client = reach(ready)
    assert client.media().namespace == MEDIA2
    main, sub = client.profiles()
    assert (main.token, main.encoding.codec, main.encoding.gop, main.encoding.bitrate_kbps) == ("main", codec, GOP, 400)
    assert (sub.token, sub.encoding.codec, sub.encoding.width) == ("sub", "H264", 160)
    assert client.stream_url(client.main_profile()) == ready.rtsp


def test_media1_hides_h265(camera: tuple[VirtualCamera, Ready, str]) -> None:
    """It has no word for it: real cameras leave such profiles out too."""
    _, ready, codec = camera
    client = reach(ready)
    url = get_services(client.client, client.address)[MEDIA]
    answer = ask(client.client, url, MEDIA, "GetProfiles")
    assert len(answer) == (2 if codec == "H264" else 1)


def test_a_key_picture_comes_on_request(camera: tuple[VirtualCamera, Ready, str]) -> None:
    """Within half a second, though the next one was not due for seconds; other profiles are none the wiser."""
    one, ready, _ = camera
    client, watcher = reach(ready), Watcher()
    profile = client.main_profile()
    one._main.viewers.add(watcher)
    try:
        until(lambda: any(watcher.keys))
        watcher.keys.clear()
        assert client.ask_key_picture(profile)
        until(lambda: any(watcher.keys))
        assert watcher.keys.index(True) < GOP // 4
    finally:
        one._main.viewers.discard(watcher)
