"""A camera is set as a person orders, in both media services, and nothing else of its settings changes."""

from __future__ import annotations

import time

import pytest

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera, camera_id
from agent.clock import WallTime
from agent.crypto import Secret
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.onvif import OnvifCamera, camera_of
from agent.outside.onvif_tuning import tune_encoder, tune_time
from agent.outside.soap_login import Refusals
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

LOGIN = Login(USER, Secret(PASSWORD))


def reach(address: str) -> OnvifCamera:
    """Reach a device."""
    found = FoundCamera(camera_id(address), "", "Front door", "", "127.0.0.1", (address,))
    return camera_of(found, LOGIN, lambda: WallTime(time.time_ns()), refusals=Refusals())


@pytest.mark.parametrize(("media", "width"), [((1,), 1920), ((1, 2), 3840)])
def test_key_pictures_and_bitrate_are_set_and_read_back(media: tuple[int, ...], width: int) -> None:
    """10 s become 2 s; codec, size, quality and rate go back as they came."""
    encodings = (("H264", 640, 360), ("H264", 1920, 1080)) + ((("H265", 3840, 2160),) if 2 in media else ())
    device = OnvifDevice(media=media, gop=250, encodings=encodings)
    with serve(device) as address:
        camera = reach(address)
        tuned = tune_encoder(camera, camera.main_profile(), key_interval_s=2.0, bitrate_kbps=2048)
    assert (tuned.before.key_interval_s, tuned.now.key_interval_s) == (10.0, 2.0)
    assert (tuned.before.bitrate_kbps, tuned.now.bitrate_kbps, tuned.now.width) == (4096, 2048, width)
    (order,) = device.settings
    for kept in ("FrameRateLimit>25<", "Quality>5<", f"Width>{width}<", f'token="v{len(encodings) - 1}"'):
        assert kept in order
    assert ("ForcePersistence>true" in order) == (media == (1,))


def test_only_what_is_ordered_is_set() -> None:
    """The bitrate alone leaves the key pictures as they are."""
    device = OnvifDevice(media=(2,), gop=250)
    with serve(device) as address:
        camera = reach(address)
        tuned = tune_encoder(camera, camera.main_profile(), bitrate_kbps=1000)
    assert (tuned.now.gop, tuned.now.bitrate_kbps) == (250, 1000)


def test_a_camera_that_accepts_and_keeps_what_it_had_is_found_out() -> None:
    """The order was not followed, and what it has is said."""
    device = OnvifDevice(media=(2,), gop=250, is_stubborn=True)
    with serve(device) as address:
        camera = reach(address)
        profile = camera.main_profile()
        with pytest.raises(UnavailableError, match=r"accepted the order and has: .*10\.0 s"):
            tune_encoder(camera, profile, key_interval_s=2.0)


@pytest.mark.parametrize(
    ("key_interval_s", "bitrate_kbps"), [(0.1, None), (11.0, None), (float("nan"), None), (None, 31), (None, 10**6)]
)
def test_numbers_beyond_reason_are_never_sent(key_interval_s: float | None, bitrate_kbps: int | None) -> None:
    """The person is told what is possible."""
    device = OnvifDevice(media=(2,))
    with serve(device) as address:
        camera = reach(address)
        profile = camera.main_profile()
        with pytest.raises(ConfigurationError, match="are possible"):
            tune_encoder(camera, profile, key_interval_s=key_interval_s, bitrate_kbps=bitrate_kbps)
    assert device.settings == []


@pytest.mark.parametrize(
    ("server", "kind"), [("192.168.5.1", "IPv4Address"), ("fd00::1", "IPv6Address"), ("pool.ntp.org", "DNSname")]
)
def test_the_time_server_is_set(server: str, kind: str) -> None:
    """By address or name, not by DHCP; then the camera is told to use it, its daylight setting as it was."""
    device = OnvifDevice()
    with serve(device) as address:
        tune_time(reach(address), server)
    ntp, clock = device.settings
    assert f"{kind}>{server}<" in ntp
    assert "FromDHCP>false<" in ntp
    assert "DateTimeType>NTP<" in clock
    assert "DaylightSavings>false<" in clock


@pytest.mark.parametrize("server", ["", "a b", "<x/>", "-x", "x" * 300, "http://ntp"])
def test_what_is_no_time_server_is_not_sent(server: str) -> None:
    """A word with odd characters never reaches the camera."""
    device = OnvifDevice()
    with serve(device) as address, pytest.raises(ConfigurationError, match="no NTP server"):
        tune_time(reach(address), server)
    assert device.settings == []
