"""What a person calls a camera becomes the device that answers there, or words that help."""

from __future__ import annotations

import time

import pytest

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera, camera_id
from agent.acquire.given_addresses import ONVIF_PORTS
from agent.acquire.identity import UnrecognisedError, marks_of
from agent.acquire.stream import CameraId
from agent.cli.camera_finder import camera_at, device_addresses, find_camera, is_address
from agent.clock import WallTime
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, running_camera
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.onvif_failures import CameraUnreachableError
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

PATH = "/onvif/device_service"


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        ("192.168.5.20", f"http://192.168.5.20{PATH}", len(ONVIF_PORTS)),
        ("192.168.5.20:8000", f"http://192.168.5.20:8000{PATH}", 1),
        ("fd00::20", f"http://[fd00::20]{PATH}", len(ONVIF_PORTS)),
        ("[fd00::20]:8000", f"http://[fd00::20]:8000{PATH}", 1),
        ("https://10.0.0.1/", f"https://10.0.0.1{PATH}", 1),
        ("http://10.0.0.1:81/onvif/other", "http://10.0.0.1:81/onvif/other", 1),
    ],
)
def test_an_address_becomes_the_places_to_ask(text: str, first: str, count: int) -> None:
    """ONVIF's usual ports, unless a port or a whole URL was given."""
    assert is_address(text)
    assert device_addresses(text)[0] == first
    assert len(device_addresses(text)) == count


@pytest.mark.parametrize(
    "text", ["", "camera.local", "10.0.0", "10.0.0.1:x", "http://[", "rtsp://10.0.0.1/", "http://u:planted@10.0.0.1/"]
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    """Somebody may have written a login into it."""
    with pytest.raises(ConfigurationError, match="no camera address") as told:
        device_addresses(text)
    assert "planted" not in str(told.value)


def test_names_are_no_addresses() -> None:
    """A camera's name has neither dots nor colons."""
    assert not is_address("cam-abcdefghij")


def test_who_is_at_an_address_is_asked_without_a_login() -> None:
    """The endpoint reference names the camera as a search does."""
    epr = "urn:uuid:00000000-0000-0000-0000-00000000aa01"
    device = OnvifDevice(epr=epr)
    with serve(device) as address:
        found = camera_at(address, Login(USER, Secret("wrong")), hub_now)
    assert (found.camera, found.epr, found.addresses) == (camera_id(epr), epr, (address,))
    assert device.refused_logins == 0


def test_a_device_without_an_endpoint_reference_is_named_by_its_serial_number() -> None:
    """Whatever address it has next time, it is the same; one that tells nothing cannot be added."""
    with serve(OnvifDevice()) as address:
        one = camera_at(address, Login(USER, Secret(PASSWORD)), hub_now)
    with serve(OnvifDevice()) as elsewhere:
        other = camera_at(elsewhere, Login(USER, Secret(PASSWORD)), hub_now)
    assert one.addresses != other.addresses
    assert one.camera == other.camera == camera_id("urn:transom:device:ACME SN0042")
    with serve(OnvifDevice(serial="", mac="")) as address, pytest.raises(UnrecognisedError, match="serial number"):
        camera_at(address, Login(USER, Secret(PASSWORD)), hub_now)


def test_a_camera_that_is_known_keeps_its_name() -> None:
    """By its marks, whatever it was called when it was found first."""
    known = {CameraId("cam-old"): marks_of("urn:uuid:1", "Acme", "SN0042")}
    with serve(OnvifDevice()) as address:
        assert camera_at(address, Login(USER, Secret(PASSWORD)), hub_now, known).camera == "cam-old"


def test_nobody_at_an_address_is_said_so() -> None:
    """The port that is closed is named."""
    with pytest.raises(CameraUnreachableError, match=r"127\.0\.0\.1:9 cannot be reached"):
        camera_at("127.0.0.1:9", None, hub_now)


def test_a_camera_is_found_by_its_name() -> None:
    """On the network if it answers there, else where it was added, else nowhere."""
    with running_camera(CameraSettings(login=Login("hub", Secret("pw")))) as (_, ready):
        name = camera_id(ready.epr)
        assert find_camera(name, (), ["lo"], 5.0).addresses == (ready.onvif,)
    added = FoundCamera(CameraId("cam-added"), "", "x", "", "10.0.0.1", ("http://10.0.0.1/",))
    assert find_camera(added.camera, [added], ["lo"], 0.1) == added
    with pytest.raises(UnavailableError, match="does not answer on this network"):
        find_camera(CameraId("cam-gone"), [added], ["lo"], 0.1)
