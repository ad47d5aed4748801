"""A camera found on the network to the stream to record: its clock first, then its services, profiles and stream URI.

Rules of this file: no address a camera writes down is followed to another host; every answer may be missing or wrong;
blocking, bounded by a budget, for worker threads. media2 (Profile T) is asked where the camera has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from lxml import etree

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera, bracketed, printable
from agent.acquire.media_profiles import Profile, choose_profile
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.outside.onvif_clock import CLOCK_QUESTIONS, GET_CLOCK, measure_clock
from agent.outside.onvif_failures import (
    CameraFaultError,
    CameraUnreachableError,
    NoStreamError,
    NotOnvifError,
)
from agent.outside.onvif_media import MEDIA2, Media, MediaOne, MediaTwo, ask_key_picture, get_services, no_stream
from agent.outside.onvif_services import DEVICE, MEDIA, Service
from agent.outside.soap import SoapClient
from agent.outside.soap_login import Refusals

BUDGET_S: Final = 30.0  # for everything asked of one camera in one go
ADDRESSES_MAX: Final = 4
CLOCK_WRONG_NS: Final = 5 * SECOND_NS  # from here on cameras and hubs disagree about logins and evidence
URL_CHARACTERS_MAX: Final = 1024

REFUSALS: Final = Refusals()
"""The process's memory of refused logins; tests bring their own."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Device:
    """What a camera says it is; every text printable, any may be empty."""

    maker: str
    model: str
    firmware: str
    serial: str


@dataclass(frozen=True, slots=True)
class CameraCard:
    """A camera for people: who it is, and what is amiss with it."""

    camera: CameraId
    name: str
    device: Device
    clock: ClockOffset | None
    note: str  # empty if all is well


def examine(
    found: FoundCamera,
    login: Login | None,
    now: Callable[[], WallTime],
    *,
    refusals: Refusals = REFUSALS,
    wanted: str = "",
) -> CameraStream:
    """Ask a camera for everything the recorder needs; takes about 2 s for its clock, at most 30 s.

    `wanted` is the name or token of the profile to record; empty: what the camera calls its main one.
    Raises the failures of `onvif_failures`, each with its cure, and BadInputError for answers that make no sense.
    """

    def stream(camera: OnvifCamera) -> CameraStream:
        clock = camera.measure_clock()
        profile = camera.main_profile(wanted)
        url = camera.stream_url(profile)
        return CameraStream(found.camera, found.name, url, login, clock, encoding=profile.encoding)

    return _at_first_answer(found, login, now, refusals, stream)


def identify(
    found: FoundCamera, login: Login | None, now: Callable[[], WallTime], *, refusals: Refusals = REFUSALS
) -> CameraCard:
    """Ask a camera who it is, for a list; quicker than `examine`. Raises the same."""

    def card(camera: OnvifCamera) -> CameraCard:
        clock = camera.measure_clock(questions=1)
        return CameraCard(found.camera, found.name, camera.device(), clock, clock_note(clock))

    return _at_first_answer(found, login, now, refusals, card)


def camera_of(
    found: FoundCamera, login: Login | None, now: Callable[[], WallTime], *, refusals: Refusals = REFUSALS
) -> OnvifCamera:
    """Return the camera at the first of its addresses that answers, its clock measured. Raises as `examine`."""

    def measured(camera: OnvifCamera) -> OnvifCamera:
        camera.greet()
        camera.measure_clock(questions=1)
        return camera

    return _at_first_answer(found, login, now, refusals, measured)


def answering_address(found: FoundCamera, now: Callable[[], WallTime]) -> str:
    """Find out, without a login, at which of its addresses a device speaks ONVIF. Raises as `examine`."""

    def greeted(camera: OnvifCamera) -> str:
        camera.greet()
        return camera.address

    return _at_first_answer(found, None, now, Refusals(), greeted)


def clock_note(clock: ClockOffset | None) -> str:
    """Say what is wrong with a camera's clock; empty if nothing is."""
    if clock is None:
        return "it does not tell its time; times in its footage come from arrival only"
    seconds = abs(clock.estimate_ns) // SECOND_NS
    if abs(clock.estimate_ns) < CLOCK_WRONG_NS:
        return ""
    hours, minutes = seconds // 3600, seconds // 60 % 60
    amount = f"{hours} h {minutes} min" if seconds >= 60 else f"{seconds} s"  # noqa: PLR2004 - seconds in a minute
    return f"its clock is {amount} {'fast' if clock.estimate_ns > 0 else 'slow'}; set its NTP server"


def _at_first_answer(
    found: FoundCamera,
    login: Login | None,
    now: Callable[[], WallTime],
    refusals: Refusals,
    question: Callable[[OnvifCamera], _Found],
) -> _Found:
    until_s = time.monotonic() + BUDGET_S
    failure: CameraUnreachableError | NotOnvifError = CameraUnreachableError(
        "the camera announced no address", cure="enter its address by hand"
    )
    for address in found.addresses[:ADDRESSES_MAX]:
        client = SoapClient(login, now, budget_s=until_s - time.monotonic(), refusals=refusals)
        try:
            return question(OnvifCamera(address, client, now))
        except (CameraUnreachableError, NotOnvifError) as error:
            failure = error
    raise failure


class OnvifCamera:
    """One camera at the address of its device service, for one thread. Every call raises the failures of `examine`."""

    def __init__(self, address: str, client: SoapClient, now: Callable[[], WallTime]) -> None:
        self.address, self.client = address, client
        self._now = now
        self._media: tuple[Media, tuple[Profile, ...]] | None = None

    def greet(self) -> None:
        """Find out whether ONVIF is spoken there, without a login."""
        self.client.greet(self.address, etree.fromstring(GET_CLOCK))

    def measure_clock(self, questions: int = CLOCK_QUESTIONS) -> ClockOffset | None:
        """Bound the camera's clock minus the hub's within 2 s; None if the camera does not tell its time.

        The first call to make: logins are only valid in the camera's time.
        """
        return measure_clock(self.address, self.client, self._now, questions)

    def device(self) -> Device:
        """Ask who made it; empty texts if the camera does not say."""
        try:
            answer = Service(DEVICE, self.address, self.client).call("GetDeviceInformation")
        except (CameraFaultError, BadInputError):
            return Device("", "", "", "")
        return Device(
            maker=_text(answer, "Manufacturer"),
            model=_text(answer, "Model"),
            firmware=_text(answer, "FirmwareVersion"),
            serial=_text(answer, "SerialNumber"),
        )

    def profiles(self) -> tuple[Profile, ...]:
        """Return the media profiles that have a video encoder; raises NoStreamError if there is no media service."""
        return self._media_and_profiles()[1]

    def main_profile(self, wanted: str = "") -> Profile:
        """Return the wanted profile, else the main one (`media_profiles.choose_profile`). Raises NoStreamError."""
        media, profiles = self._media_and_profiles()
        chosen = choose_profile(profiles, wanted)
        if chosen is None:
            raise no_stream(media, profiles, wanted)
        return chosen

    def stream_url(self, profile: Profile) -> str:
        """Return `rtsp://host[:port]/path`: the host that answered, no userinfo. Treat the path as confidential."""
        return rtsp_url(self._media_and_profiles()[0].stream_uri(profile), self.address)

    def ask_key_picture(self, profile: Profile) -> bool:
        """Ask for a key picture now; False if the camera does not know how."""
        return ask_key_picture(self._media_and_profiles()[0], self.client, profile)

    def media(self) -> Media:
        """Return the media service that is used: media2 if the camera has it and shows profiles there, else media 1."""
        return self._media_and_profiles()[0]

    def _media_and_profiles(self) -> tuple[Media, tuple[Profile, ...]]:
        if self._media is not None:
            return self._media
        services = self.services()
        media: list[Media] = [MediaTwo(services[MEDIA2], self.client)] if MEDIA2 in services else []
        media += [MediaOne(services[MEDIA], self.client)] if MEDIA in services else []
        if not media:
            raise NoStreamError("the camera has no ONVIF media service", cure="it may be a device without video")
        for one in media:
            try:
                self._media = one, one.profiles()
            except (CameraFaultError, BadInputError, NotOnvifError):
                if one is media[-1]:
                    raise
                continue  # it announces media2 and has it not, or not for this user: media 1 may answer
            if self._media[1]:
                break
        return self._media or (media[-1], ())

    def services(self) -> dict[str, str]:
        """Return the service addresses by namespace, all on the host that answered."""
        try:
            told = get_services(self.client, self.address)
        except (CameraFaultError, BadInputError):  # ONVIF before 2.1 has GetCapabilities only
            told = {}
        if MEDIA not in told and MEDIA2 not in told:
            capabilities = Service(DEVICE, self.address, self.client).call("GetCapabilities", {"Category": "All"})
            xaddr = _field(capabilities, "Media", "XAddr")
            told |= {MEDIA: xaddr} if isinstance(xaddr, str) else {}
        return {name: same_host(xaddr, self.address) for name, xaddr in told.items()}


def same_host(xaddr: str, address: str) -> str:
    """Keep an announced service's path and query, and ask for it at the host that answered (`address`).

    Its port is believed only if it named that host: behind NAT and on clones both are stale together.
    """
    known = urlsplit(address)
    try:
        told = urlsplit(xaddr.strip()[:URL_CHARACTERS_MAX])
        is_same = told.hostname == known.hostname and told.scheme == known.scheme
        port = told.port if is_same else known.port
    except ValueError:
        return address
    netloc = bracketed(known.hostname or "") + (f":{port}" if port else "")
    path = told.path if told.path.isascii() and told.path.isprintable() else known.path
    return urlunsplit((known.scheme, netloc, path.replace(" ", "%20") or known.path, "", ""))


def rtsp_url(told: object, address: str) -> str:
    """Check a stream URI: RTSP with or without TLS, printable ASCII, at most 1024 characters.

    Its host becomes that of `address`.
    """
    text = told.strip() if isinstance(told, str) else ""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadInputError("the camera's stream address is not a URL") from error
    scheme = parts.scheme.lower()
    if (
        scheme not in {"rtsp", "rtsps"}
        or not text.isascii()
        or not text.isprintable()
        or len(text) > URL_CHARACTERS_MAX
    ):
        raise BadInputError("the camera's stream address is not an RTSP URL")
    netloc = bracketed(urlsplit(address).hostname or "") + (f":{port}" if port else "")
    return urlunsplit((scheme, netloc, parts.path.replace(" ", "%20") or "/", parts.query.replace(" ", "%20"), ""))


def _field(value: Any, *path: str) -> object:  # noqa: ANN401 - zeep's types are made at run time
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value


def _text(value: object, name: str) -> str:
    told = _field(value, name)
    return printable(told) if isinstance(told, str) else ""
