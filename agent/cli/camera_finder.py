"""What a person calls a camera (its name here, or an address) to the device that answers there.

Rules of this file: no login is sent to find out who a camera is; an address is asked at ONVIF's usual ports only if no
port was given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera
from agent.acquire.given_addresses import given_hosts
from agent.acquire.identity import Marks, recognise
from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.errors import UnavailableError
from agent.outside.camera_marks import ask_marks, endpoint_reference
from agent.outside.discovery_sockets import search
from agent.outside.onvif import answering_address


def is_address(text: str) -> bool:
    """Whether a person means an address, and not a camera's name."""
    return bool(re.search(r"[.:\[]", text))


def device_addresses(text: str) -> tuple[str, ...]:
    """Spell an address out to device service URLs, most likely first. Raises ConfigurationError."""
    return given_hosts([text], ())[0].services


def camera_at(
    text: str, login: Login | None, now: Callable[[], WallTime], known: Mapping[CameraId, Marks] | None = None
) -> FoundCamera:
    """Ask who is at an address: one of the `known` if it has the marks of one, else named by its own.

    Raises ConfigurationError, and the failures of `onvif.examine`.
    """
    addresses = device_addresses(text)
    host = urlsplit(addresses[0]).hostname or ""
    found = FoundCamera(CameraId("cam-unknown"), "", f"camera at {host}", "", host, addresses)
    address = answering_address(found, now)
    epr = endpoint_reference(address, now)
    marks = ask_marks(address, epr, None if epr else login, now)
    return replace(found, camera=recognise(marks, known or {}), epr=marks.epr, addresses=(address,))


def find_camera(
    camera: CameraId, known: Sequence[FoundCamera], interfaces: Sequence[str] | None, seconds: float
) -> FoundCamera:
    """Search the network for a camera by its name; those in `known` are where they were if no search finds them.

    Raises UnavailableError if it is nowhere, ConfigurationError for an interface that does not exist.
    """
    found = search(interfaces, seconds)
    here = next((one for one in found if one.camera == camera), None)
    here = here or next((one for one in known if one.camera == camera), None)
    if here is None:
        raise UnavailableError(
            f"camera {camera} does not answer on this network",
            cure="check its power and cable; if it is behind a router, give its address instead",
        )
    return here
