"""What a person calls a camera (its name here, or an address) to the device that answers there.

Rules of this file: no login is sent to find out who a camera is; an address is asked at ONVIF's usual ports only if no
port was given.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from agent.acquire.camera import Login
from agent.acquire.discovery import DEVICE_PATH, FoundCamera, bracketed, camera_id
from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.discovery_sockets import search
from agent.outside.onvif import endpoint_reference, identify

ONVIF_PORTS: Final = (80, 8000, 2020, 8899, 8080)
"""The standard's, Reolink's, Tapo's, and those of clones."""

_CURE: Final = "write 192.168.5.20, 192.168.5.20:8000, [fd00::20]:8000 or http://192.168.5.20:8000/onvif/device_service"


def is_address(text: str) -> bool:
    """Whether a person means an address, and not a camera's name."""
    return bool(re.search(r"[.:\[]", text))


def device_addresses(text: str) -> tuple[str, ...]:
    """Spell an address out to device service URLs, most likely first. Raises ConfigurationError.

    A login in it is refused without being repeated.
    """
    try:
        parts = urlsplit(text if "://" in text else f"//{_bracketed(text)}")
        host, port = parts.hostname or "", parts.port
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise ConfigurationError("this is no camera's address", cure=_CURE) from None
    if parts.username is not None or parts.scheme not in {"", "http", "https"} or not text.isascii():
        raise ConfigurationError("this is no camera's address; a login is given by --user", cure=_CURE)
    scheme, path = parts.scheme or "http", parts.path if parts.path not in ("", "/") else DEVICE_PATH
    ports: Sequence[int | None] = (port,) if port or parts.scheme else ONVIF_PORTS
    return tuple(f"{scheme}://{bracketed(host)}{f':{one}' if one not in (None, 80) else ''}{path}" for one in ports)


def _bracketed(text: str) -> str:
    return f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text


def camera_at(text: str, login: Login | None, now: Callable[[], WallTime]) -> FoundCamera:
    """Ask who is at an address: named by its endpoint reference, else by maker and serial number.

    Raises ConfigurationError, and the failures of `onvif.examine`.
    """
    addresses = device_addresses(text)
    host = urlsplit(addresses[0]).hostname or ""
    found = FoundCamera(CameraId("cam-unknown"), "", f"camera at {host}", "", host, addresses)
    address, epr = endpoint_reference(found, now)
    found = replace(found, addresses=(address,))
    if not epr:
        device = identify(found, login, now).device
        if not device.serial:
            raise ConfigurationError(
                "the camera tells neither its endpoint reference nor its serial number",
                cure="give its login by --user and --password-file, or update its firmware",
            )
        epr = f"urn:transom:device:{f'{device.maker} {device.serial}'.upper()}"
        found = replace(found, name=f"{device.maker} {device.model}".strip() or found.name)
    return replace(found, camera=camera_id(epr), epr=epr)


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
