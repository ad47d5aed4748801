"""The network to a list of cameras for people: everything that answered, and what is amiss with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera, ambiguous
from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.errors import TransomError
from agent.outside.discovery_sockets import SEARCH_S, discover
from agent.outside.onvif import REFUSALS, Device, identify
from agent.outside.soap_login import Refusals

CAMERAS_AT_ONCE: Final = 8
_NOTHING_KNOWN: Final = Device("", "", "", "")


@dataclass(frozen=True, slots=True)
class ListedCamera:
    """One row of `transom cameras discover`; all texts printable."""

    address: str  # the device service's URL
    epr: str
    camera: CameraId
    name: str
    hardware: str
    device: Device  # empty texts unless a login was given, or the camera tells anybody
    note: str  # what to do about it; empty if all is well


def discover_table(
    interfaces: Sequence[str] | None,
    seconds: float = SEARCH_S,
    login: Login | None = None,
    *,
    now: Callable[[], WallTime],
    stop: Event | None = None,
    refusals: Refusals = REFUSALS,
) -> list[ListedCamera]:
    """Search for cameras, ask each who it is, and list them by name. Raises ConfigurationError (no such interface)."""
    found = discover(interfaces, seconds, stop)
    clones = ambiguous(found)

    def listed(camera: FoundCamera) -> ListedCamera:
        device, note = _NOTHING_KNOWN, ""
        try:
            card = identify(camera, login, now, refusals=refusals)
            device, note = card.device, card.note
        except TransomError as error:
            note = str(error)
        if camera.camera in clones:
            note = "; ".join(filter(None, ("another device answers with the same identity: remove one", note)))
        return ListedCamera(camera.addresses[0], camera.epr, camera.camera, camera.name, camera.hardware, device, note)

    with ThreadPoolExecutor(CAMERAS_AT_ONCE, thread_name_prefix="identify") as threads:
        return sorted(threads.map(listed, found), key=lambda row: (row.name, row.address))
