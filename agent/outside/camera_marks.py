"""A device's address to the marks by which it is recognised: endpoint reference, serial number, MAC.

Rules of this file: what a device does not tell is an empty mark, never an error; a login goes out only where the
caller gave one, and a refused one is raised, so that it is not tried again; blocking, bounded by a budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from lxml import etree

from agent.acquire.camera import Login
from agent.acquire.camera_clock import read_camera_time
from agent.acquire.discovery import normalise_epr
from agent.acquire.identity import Known, Marks, contradicts, marks_of
from agent.acquire.lenient_xml import Element, text_of
from agent.acquire.timeline import ClockOffset
from agent.clock import WallTime
from agent.errors import BadInputError, TransomError
from agent.outside.onvif import REFUSALS
from agent.outside.onvif_failures import CameraFaultError, LoginNeededError, LoginRefusedError, NotOnvifError
from agent.outside.onvif_services import DEVICE
from agent.outside.soap import CONTENT_TYPE, SoapClient
from agent.outside.soap_login import Refusals

MARKS_S_MAX: Final = 5.0
KNOCK_S_MAX: Final = 3.0
_UNTOLD: Final = (BadInputError, CameraFaultError, NotOnvifError)


def ask_marks(
    address: str,
    epr: str,
    login: Login | None,
    now: Callable[[], WallTime],
    clock: ClockOffset | None = None,
    *,
    refusals: Refusals = REFUSALS,
) -> Marks:
    """Ask a device service for what tells its device from others; `epr` is what discovery said, and may be empty.

    `clock` is the camera's offset, for logins in its time. Raises the failures of `onvif_failures` that are about the
    login or the network.
    """
    client = SoapClient(login, now, budget_s=MARKS_S_MAX, refusals=refusals)
    client.clock = clock
    if not epr:
        epr = _endpoint_reference(client, address)
    try:
        told = _ask(client, address, "GetDeviceInformation")
    except LoginNeededError:
        return marks_of(epr)
    maker, serial = (text_of(told, name) if told is not None else "" for name in ("Manufacturer", "SerialNumber"))
    try:
        links = _ask(client, address, "GetNetworkInterfaces")
    except (LoginNeededError, LoginRefusedError):  # it took the login a moment ago: this user may not see it
        links = None
    return marks_of(epr, maker, serial, text_of(links, "HwAddress") if links is not None else "")


def is_still(
    known: Known,
    answers: Callable[[str], Sequence[str]],
    host: str,
    login: Login | None,
    now: Callable[[], WallTime],
    *,
    has_twin: bool = False,
) -> bool | None:
    """Say whether the device at `host` is the camera that is known; None if it does not tell.

    `answers` asks a host alone by WS-Discovery and returns the endpoint references that it tells; with the right one
    no login is sent, unless another camera has it too (`has_twin`).
    """
    eprs = answers(host)
    if known.marks.epr in eprs and not has_twin:
        return True
    seen = marks_of(eprs[0]) if eprs else Marks()
    if known.address:
        with suppress(TransomError):  # its ONVIF is away, or refuses the login: what discovery said is all there is
            seen = ask_marks(known.address, known.marks.epr if known.marks.epr in eprs else seen.epr, login, now)
    if seen.is_empty:
        return None
    return not contradicts(known.marks, seen)


def tells_time(address: str, now: Callable[[], WallTime]) -> bool:
    """Say whether an ONVIF device answers there: it tells its time, or wants a login for that; no login is sent."""
    client = SoapClient(None, now, budget_s=KNOCK_S_MAX, refusals=REFUSALS)
    try:
        reply = client.ask(address, _question("GetSystemDateAndTime"), CONTENT_TYPE)
        return reply.body is not None and read_camera_time(reply.body) is not None
    except LoginNeededError:
        return True
    except _UNTOLD:
        return False


def endpoint_reference(address: str, now: Callable[[], WallTime]) -> str:
    """Ask a device service for its endpoint reference, without a login; empty if it does not tell."""
    try:
        return _endpoint_reference(SoapClient(None, now, budget_s=KNOCK_S_MAX, refusals=REFUSALS), address)
    except TransomError:
        return ""


def _endpoint_reference(client: SoapClient, address: str) -> str:
    """Core section 8.3.4: PRE_AUTH, and optional; it answers with a bare UUID."""
    try:
        told = _ask(client, address, "GetEndpointReference")
    except LoginNeededError:
        return ""
    return normalise_epr(text_of(told, "GUID")) if told is not None else ""


def _ask(client: SoapClient, address: str, operation: str) -> Element | None:
    try:
        return client.ask(address, _question(operation), CONTENT_TYPE).body
    except _UNTOLD:
        return None


def _question(operation: str) -> Element:
    return etree.fromstring(
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>'
        f'<{operation} xmlns="{DEVICE}"/></s:Body></s:Envelope>'
    )
