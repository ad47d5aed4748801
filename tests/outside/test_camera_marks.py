"""What real devices on real sockets tell of themselves, and whether one is still the camera it was."""

from __future__ import annotations

import time

import pytest

from agent.acquire.camera import Login
from agent.acquire.identity import Known, Marks, marks_of
from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.crypto import Secret
from agent.outside.camera_marks import ask_marks, endpoint_reference, is_still, tells_time
from agent.outside.onvif_failures import LoginRefusedError
from agent.outside.soap_login import Refusals
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

EPR = "urn:uuid:00000000-0000-0000-0000-00000000aa01"
OTHER = "urn:uuid:00000000-0000-0000-0000-00000000aa02"
LOGIN = Login(USER, Secret(PASSWORD))
WHOLE = marks_of(EPR, "Acme", "SN0042", "02:00:00:00:00:42")


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


@pytest.mark.parametrize("login", ["digest-sha-256", "digest-md5", "token", "none"])
def test_a_device_tells_its_marks(login: str) -> None:
    """Serial number and MAC behind whatever login; the endpoint reference from discovery, else from the device."""
    with serve(OnvifDevice(login=login, epr=EPR.removeprefix("urn:uuid:"))) as address:
        assert ask_marks(address, EPR, LOGIN, hub_now, refusals=Refusals()) == WHOLE
        assert ask_marks(address, "", LOGIN, hub_now, refusals=Refusals()) == WHOLE


def test_a_device_that_wants_a_login_tells_a_stranger_its_endpoint_reference_only() -> None:
    """Without a login that is all there is, and no error."""
    with serve(OnvifDevice(epr=EPR)) as address:
        assert ask_marks(address, "", None, hub_now, refusals=Refusals()) == marks_of(EPR)
        assert endpoint_reference(address, hub_now) == EPR
    with serve(OnvifDevice()) as address:
        assert ask_marks(address, "", None, hub_now, refusals=Refusals()) == Marks()
        assert endpoint_reference(address, hub_now) == ""


def test_a_refused_login_is_raised_and_sent_once() -> None:
    """Cameras lock accounts: the caller must know, and the next question does not send it again."""
    device, refusals = OnvifDevice(), Refusals()
    with serve(device) as address:
        for _ in range(2):
            with pytest.raises(LoginRefusedError):
                ask_marks(address, EPR, Login(USER, Secret("wrong")), hub_now, refusals=refusals)
    assert device.refused_logins == 1


@pytest.mark.parametrize("device", [OnvifDevice(), OnvifDevice(is_clock_secret=True), OnvifDevice(login="none")])
def test_a_knock_is_answered_by_what_speaks_onvif(device: OnvifDevice) -> None:
    """With the time, or with the wish for a login: none is sent."""
    with serve(device) as address:
        assert tells_time(address, hub_now)
    assert (device.asked, device.refused_logins) == (["GetSystemDateAndTime"], 0)


def known_at(address: str) -> Known:
    """Return the camera that was last at an address."""
    return Known(CameraId("door"), WHOLE, address)


def test_the_camera_is_known_by_discovery_alone() -> None:
    """The right endpoint reference is enough, and nothing else is asked; another one is looked into."""
    device = OnvifDevice()
    with serve(device) as address:
        assert is_still(known_at(address), lambda _: [OTHER, EPR], "127.0.0.1", LOGIN, hub_now) is True
        assert device.asked == []
        assert is_still(known_at(address), lambda _: [OTHER], "127.0.0.1", LOGIN, hub_now) is True  # it was reset


def test_another_device_is_known_by_its_hardware() -> None:
    """With another endpoint reference, without any, and with a cloned one beside the camera's twin."""
    with serve(OnvifDevice(serial="SN0077", mac="02:00:00:00:00:77")) as address:
        for eprs in ([OTHER], []):
            assert is_still(known_at(address), lambda _, eprs=eprs: eprs, "127.0.0.1", LOGIN, hub_now) is False
        assert is_still(known_at(address), lambda _: [EPR], "127.0.0.1", LOGIN, hub_now, has_twin=True) is False
    with serve(OnvifDevice()) as address:
        assert is_still(known_at(address), lambda _: [EPR], "127.0.0.1", LOGIN, hub_now, has_twin=True) is True


def test_a_device_that_tells_nothing_is_neither() -> None:
    """Its ONVIF is off: there is no evidence; another endpoint reference alone is evidence enough."""
    closed = "http://127.0.0.1:9/onvif/device_service"
    assert is_still(known_at(closed), lambda _: [], "127.0.0.1", LOGIN, hub_now) is None
    assert is_still(known_at(closed), lambda _: [OTHER], "127.0.0.1", LOGIN, hub_now) is False
