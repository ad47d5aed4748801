"""A camera found on the network to the stream to record: its clock first, then its services, profiles and stream URI.

Rules of this file: no address a camera writes down is followed to another host; every answer may be missing or wrong;
blocking, bounded by a budget, for worker threads. Profile T's media2 service has its place in `_media_profiles`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from lxml import etree

from agent.acquire.camera import CameraStream, Login
from agent.acquire.camera_clock import narrowed, next_question, offset_from_second, read_camera_time
from agent.acquire.discovery import FoundCamera, bracketed, printable
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.outside.onvif_failures import CameraFaultError, CameraUnreachableError, NoStreamError, NotOnvifError
from agent.outside.onvif_services import DEVICE, MEDIA, Service
from agent.outside.soap import CONTENT_TYPE, SoapClient
from agent.outside.soap_login import Refusals

BUDGET_S: Final = 30.0  # for everything asked of one camera in one go
ADDRESSES_MAX: Final = 4
CLOCK_QUESTIONS: Final = 8
CLOCK_S_MAX: Final = 2.0
CLOCK_ERROR_ENOUGH_NS: Final = 10_000_000
CLOCK_WRONG_NS: Final = 5 * SECOND_NS  # from here on cameras and hubs disagree about logins and evidence
PROFILES_MAX: Final = 64
SERVICES_MAX: Final = 64
TOKEN_CHARACTERS_MAX: Final = 256
URL_CHARACTERS_MAX: Final = 1024
PIXELS_MAX: Final = 1 << 16  # along one edge

REFUSALS: Final = Refusals()
"""The process's memory of refused logins; tests bring their own."""

_GET_CLOCK: Final = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>'
    f'<GetSystemDateAndTime xmlns="{DEVICE}"/></s:Body></s:Envelope>'
)
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Device:
    """What a camera says it is; every text printable, any may be empty."""

    maker: str
    model: str
    firmware: str
    serial: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One media profile with its video encoder."""

    token: str
    name: str
    encoding: str  # "H264", "H265", "JPEG" ...
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CameraCard:
    """A camera for people: who it is, and what is amiss with it."""

    camera: CameraId
    name: str
    device: Device
    clock: ClockOffset | None
    note: str  # empty if all is well


def examine(
    found: FoundCamera, login: Login | None, now: Callable[[], WallTime], *, refusals: Refusals = REFUSALS
) -> CameraStream:
    """Ask a camera for everything the recorder needs; takes about 2 s for its clock, at most 30 s.

    Raises the failures of `onvif_failures`, each with its cure, and BadInputError for answers that make no sense.
    """

    def stream(camera: OnvifCamera) -> CameraStream:
        clock = camera.measure_clock()
        url = camera.stream_url(camera.main_profile())
        return CameraStream(found.camera, found.name, url, login, clock)

    return _at_first_answer(found, login, now, refusals, stream)


def identify(
    found: FoundCamera, login: Login | None, now: Callable[[], WallTime], *, refusals: Refusals = REFUSALS
) -> CameraCard:
    """Ask a camera who it is, for a list; quicker than `examine`. Raises the same."""

    def card(camera: OnvifCamera) -> CameraCard:
        clock = camera.measure_clock(questions=1)
        return CameraCard(found.camera, found.name, camera.device(), clock, clock_note(clock))

    return _at_first_answer(found, login, now, refusals, card)


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
        self._address = address
        self._client = client
        self._now = now

    def measure_clock(self, questions: int = CLOCK_QUESTIONS) -> ClockOffset | None:
        """Bound the camera's clock minus the hub's within 2 s; None if the camera does not tell its time.

        The first call to make: logins are only valid in the camera's time.
        """
        until_s = time.monotonic() + CLOCK_S_MAX
        offsets: list[ClockOffset] = []
        for left in range(questions - 1, -1, -1):
            try:
                reply = self._client.ask(self._address, etree.fromstring(_GET_CLOCK), CONTENT_TYPE)
                second = read_camera_time(reply.body) if reply.body is not None else None
            except (CameraFaultError, BadInputError):
                second = None  # it speaks SOAP and keeps its time to itself
            if second is None:
                break
            offsets.append(offset_from_second(second, reply.answer.asked, reply.answer.answered))
            self._client.clock = narrowed(offsets)
            wait_s = self._wait_s(left)
            if wait_s is None or time.monotonic() + wait_s > until_s:
                break
            time.sleep(wait_s)
        return self._client.clock

    def _wait_s(self, questions_left: int) -> float | None:
        clock = self._client.clock
        if questions_left == 0 or clock is None or clock.high_ns - clock.low_ns <= 2 * CLOCK_ERROR_ENOUGH_NS:
            return None
        now = self._now()
        return (next_question(clock, now, questions_left) - now) / SECOND_NS

    def device(self) -> Device:
        """Ask who made it; empty texts if the camera does not say."""
        try:
            answer = Service(DEVICE, self._address, self._client).call("GetDeviceInformation")
        except (CameraFaultError, BadInputError):
            return Device("", "", "", "")
        return Device(
            maker=_text(answer, "Manufacturer"),
            model=_text(answer, "Model"),
            firmware=_text(answer, "FirmwareVersion"),
            serial=_text(answer, "SerialNumber"),
        )

    def profiles(self) -> tuple[Profile, ...]:
        """Return the media profiles that have a video encoder."""
        return self._media_profiles(self._media_url())

    def main_profile(self) -> Profile:
        """Return the H.264 profile with the most pixels, the first among equals. Raises NoStreamError."""
        profiles = self.profiles()
        usable = [profile for profile in profiles if profile.encoding == "H264"]
        if not usable:
            others = ", ".join(sorted({profile.encoding for profile in profiles})) or "no video profile"
            raise NoStreamError(
                f"the camera offers no H.264 stream by ONVIF media 1 (it offers {others})",
                cure="set the encoding of the main stream to H.264 in the camera's settings",
            )
        return max(usable, key=lambda profile: profile.width * profile.height)

    def stream_url(self, profile: Profile) -> str:
        """Return `rtsp://host[:port]/path`: the host that answered, no userinfo. Treat the path as confidential."""
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        media = Service(MEDIA, self._media_url(), self._client)
        answer = media.call("GetStreamUri", {"StreamSetup": setup, "ProfileToken": profile.token})
        return rtsp_url(_field(answer, "Uri"), self._address)

    def _media_url(self) -> str:
        services = self._services()
        if MEDIA not in services:
            raise NoStreamError("the camera has no ONVIF media service", cure="it may be a device without video")
        return services[MEDIA]

    def _services(self) -> dict[str, str]:
        """Return the service addresses by namespace, all on the host that answered."""
        device = Service(DEVICE, self._address, self._client)
        try:
            answer = device.call("GetServices", {"IncludeCapability": False})
            told = [(_field(service, "Namespace"), _field(service, "XAddr")) for service in _list(answer, SERVICES_MAX)]
        except (CameraFaultError, BadInputError):  # ONVIF before 2.1 has GetCapabilities only
            capabilities = device.call("GetCapabilities", {"Category": "All"})
            told = [(MEDIA, _field(capabilities, "Media", "XAddr"))]
        return {
            name: same_host(xaddr, self._address)
            for name, xaddr in told
            if isinstance(name, str) and isinstance(xaddr, str)
        }

    def _media_profiles(self, url: str) -> tuple[Profile, ...]:
        answer = Service(MEDIA, url, self._client).call("GetProfiles")
        profiles = (_profile(told) for told in _list(answer, PROFILES_MAX))
        return tuple(profile for profile in profiles if profile is not None)


def _profile(told: object) -> Profile | None:
    encoder = _field(told, "VideoEncoderConfiguration")
    token, encoding = _field(told, "token"), _field(encoder, "Encoding")
    width, height = _field(encoder, "Resolution", "Width"), _field(encoder, "Resolution", "Height")
    if not (isinstance(token, str) and isinstance(encoding, str) and len(token) <= TOKEN_CHARACTERS_MAX):
        return None
    pixels = [edge if isinstance(edge, int) and 0 <= edge <= PIXELS_MAX else 0 for edge in (width, height)]
    return Profile(token, _text(told, "Name"), printable(encoding).upper(), *pixels)


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


def _list(value: object, count_max: int) -> list[object]:
    return value[:count_max] if isinstance(value, list) else []
