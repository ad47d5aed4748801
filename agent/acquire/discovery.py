"""Multicast question to cameras found: WS-Discovery messages (April 2005 draft, as ONVIF Core section 7 uses it).

Rules of this file: whoever answers is a stranger. A reply can be broken, cloned or hostile; all it can cause is a
BadInputError. The sender's own address is believed before any address written in the reply, and a camera's identity
is its endpoint reference (EPR), never its address.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from agent.acquire.lenient_xml import Element, elements, local_name, parse_xml, text_of
from agent.acquire.stream import CameraId
from agent.errors import BadInputError

DATAGRAM_BYTES_MAX: Final = 64 * 1024
MATCHES_PER_REPLY_MAX: Final = 16
SCOPES_MAX: Final = 64
TYPES_MAX: Final = 16
XADDRS_MAX: Final = 8
TEXT_CHARACTERS_MAX: Final = 256  # of one scope, type, address or EPR
LIST_CHARACTERS_MAX: Final = 16 * 1024  # of one list of them, as sent
NAME_CHARACTERS_MAX: Final = 64
DEVICE_PATH: Final = "/onvif/device_service"

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_ONVIF_SCOPE: Final = "onvif://www.onvif.org/"


class ProbeKind(StrEnum):
    """What to ask for. The types of one probe are ANDed and devices announce one or the other, so both are asked."""

    VIDEO_TRANSMITTER = "dn:NetworkVideoTransmitter"
    DEVICE = "tds:Device"


class ReplyKind(StrEnum):
    """What a device says: it matches a probe (or a resolve), it came, it goes."""

    MATCH = "match"
    HELLO = "hello"
    BYE = "bye"


_KIND_OF_ELEMENT: Final = {
    "ProbeMatch": ReplyKind.MATCH,
    "ResolveMatch": ReplyKind.MATCH,
    "Hello": ReplyKind.HELLO,
    "Bye": ReplyKind.BYE,
}
_NAMESPACE_OF_KIND: Final = {
    ProbeKind.VIDEO_TRANSMITTER: "http://www.onvif.org/ver10/network/wsdl",
    ProbeKind.DEVICE: "http://www.onvif.org/ver10/device/wsdl",
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """One device's word about itself, and the address it came from."""

    kind: ReplyKind
    relates_to: str  # the normalised id of the probe it answers; empty if it does not say
    epr: str  # normalised: `urn:uuid:` and a lower-case UUID wherever there is one
    types: tuple[str, ...]
    scopes: tuple[str, ...]
    xaddrs: tuple[str, ...]  # http and https only
    sender: str  # IP address

    @property
    def is_onvif(self) -> bool:
        """Tell a camera from the printers and computers that answer to `Device` too."""
        if any("NetworkVideoTransmitter" in name for name in self.types):
            return True
        speaks_onvif = any(scope.lower().startswith("onvif://") for scope in self.scopes)
        return speaks_onvif or any("/onvif" in address.lower() for address in self.xaddrs)


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A camera that answered on the network: who it is, and where to ask it, best address first."""

    camera: CameraId
    epr: str
    name: str  # printable, for people
    hardware: str  # printable, may be empty
    sender: str  # IP address
    addresses: tuple[str, ...]  # device service URLs, all on `sender`


def probe(kind: ProbeKind, message_id: str) -> bytes:
    """Write one Probe; `message_id` is a `urn:uuid:` of the caller's making."""
    prefix = kind.partition(":")[0]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"'
        f' xmlns:{prefix}="{_NAMESPACE_OF_KIND[kind]}">'
        f"<e:Header><w:MessageID>{message_id}</w:MessageID>"
        '<w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>'
        '<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>'
        f"<e:Body><d:Probe><d:Types>{kind}</d:Types></d:Probe></e:Body></e:Envelope>"
    ).encode()


def parse_reply(datagram: bytes, sender: str) -> tuple[Announcement, ...]:
    """Read the announcements in one datagram from the IP address `sender`, at least one and at most 16.

    The wrapper (`ProbeMatches`), the Action and the namespaces are not asked for: real devices leave them out or get
    them wrong. Raises BadInputError if no device with an EPR announces itself.
    """
    root = parse_xml(datagram.strip(b"\x00 \r\n\t"), DATAGRAM_BYTES_MAX)
    relates_to = normalise_epr(text_of(root, "RelatesTo", characters_max=TEXT_CHARACTERS_MAX))
    announcements = []
    for node in islice(elements(root, *_KIND_OF_ELEMENT), MATCHES_PER_REPLY_MAX):
        epr = normalise_epr(_epr_text(node))
        if epr:
            announcements.append(_announcement(node, relates_to, epr, sender))
    if not announcements:
        raise BadInputError("a discovery reply without a device")
    return tuple(announcements)


def _announcement(node: Element, relates_to: str, epr: str, sender: str) -> Announcement:
    xaddrs = [text for text in _words(node, "XAddrs") if text.lower().startswith(("http://", "https://"))]
    return Announcement(
        _KIND_OF_ELEMENT[local_name(node)],
        relates_to,
        epr,
        types=tuple(_words(node, "Types")[:TYPES_MAX]),
        scopes=tuple(_scopes(_words(node, "Scopes"))[:SCOPES_MAX]),
        xaddrs=tuple(xaddrs[:XADDRS_MAX]),
        sender=sender,
    )


def _epr_text(node: Element) -> str:
    # Among the children only: a device could nest so many matches that looking through each costs seconds.
    reference = next((child for child in node if local_name(child) == "EndpointReference"), None)
    if reference is None:
        return ""
    return text_of(reference, "Address") or (reference.text or "").strip()[:TEXT_CHARACTERS_MAX]


def _words(node: Element, name: str) -> list[str]:
    text = text_of(node, name, characters_max=LIST_CHARACTERS_MAX)
    return [word for word in re.split(r"[\s,;]+", text) if 0 < len(word) <= TEXT_CHARACTERS_MAX]


def _scopes(words: list[str]) -> list[str]:
    """Put back together what an unencoded blank took apart ("name/OSS Model": seen on OEM firmware)."""
    scopes: list[str] = []
    for word in words:
        if ":" in word or not scopes:
            scopes.append(word)
        else:
            scopes[-1] = f"{scopes[-1]} {word}"[:TEXT_CHARACTERS_MAX]
    return scopes


def normalise_epr(text: str) -> str:
    """Reduce the ways to write a UUID to one: `urn:uuid:`, lower case, hyphens; other text is only stripped."""
    match = _UUID.search(text)
    if match is None:
        return text.strip()
    digits = match[0].replace("-", "").lower()
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def camera_id(epr: str) -> CameraId:
    """Name a camera for ever: `cam-` and 10 base32 characters (50 bits) of the SHA-256 of its normalised EPR."""
    digest = hashlib.sha256(normalise_epr(epr).encode(errors="replace")).digest()
    return CameraId("cam-" + base64.b32encode(digest)[:10].decode().lower())


def rank_addresses(announcement: Announcement) -> tuple[str, ...]:
    """Return where to ask the camera: only ever the host that answered, since that address is known to work.

    Announced addresses that name the sender come first; each other one is kept with its host replaced, because stale,
    link-local and factory hosts still carry the right port and path. What names no usable port or path is left out.
    """
    own: list[str] = []
    moved: list[str] = []
    for xaddr in announcement.xaddrs:
        try:
            parts = urlsplit(xaddr)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            continue
        netloc = bracketed(announcement.sender) + (f":{port}" if port else "")
        address = urlunsplit((parts.scheme.lower(), netloc, _ascii(parts.path) or DEVICE_PATH, _ascii(parts.query), ""))
        (own if _same_host(host, announcement.sender) else moved).append(address)
    usual = f"http://{bracketed(announcement.sender)}{DEVICE_PATH}"
    return tuple(dict.fromkeys(own or moved or [usual]))


def _ascii(text: str) -> str:
    return quote(text, safe="/%=&?;:@!$'()*+,~-._", errors="replace")


def bracketed(host: str) -> str:
    """Write a host for a URL: IPv6 addresses in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _same_host(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one.partition("%")[0]) == ipaddress.ip_address(other.partition("%")[0])
    except ValueError:
        return False


def name_of(announcement: Announcement) -> str:
    """Return what to call the camera, printable: its name, else its hardware, else where it is."""
    name = scope_value(announcement, "name") or scope_value(announcement, "hardware")
    return name or f"camera at {announcement.sender}"


def scope_value(announcement: Announcement, category: str) -> str:
    """Return the first value of an ONVIF scope (`name`, `hardware`, `location`), printable; empty if there is none."""
    start = f"{_ONVIF_SCOPE}{category}/".lower()
    for scope in announcement.scopes:
        if scope.lower().startswith(start):
            value = printable(unquote(scope[len(start) :], errors="replace").strip("/"))
            if value:
                return value
    return ""


def printable(text: str) -> str:
    """Make a stranger's text safe to show: no control, escape or bidi characters, at most 64 characters."""
    return "".join(character for character in text if character.isprintable()).strip()[:NAME_CHARACTERS_MAX]


def found_camera(announcement: Announcement) -> FoundCamera:
    """Turn a match into a camera to ask."""
    return FoundCamera(
        camera=camera_id(announcement.epr),
        epr=announcement.epr,
        name=name_of(announcement),
        hardware=scope_value(announcement, "hardware"),
        sender=announcement.sender,
        addresses=rank_addresses(announcement),
    )


def ambiguous(found: Iterable[FoundCamera]) -> frozenset[CameraId]:
    """Return the identities that more than one device claims: cloned UUIDs, or somebody posing as a camera.

    A camera may answer once by IPv4 and once by IPv6; that is one device.
    """
    senders: dict[tuple[CameraId, bool], set[str]] = {}
    for camera in found:
        senders.setdefault((camera.camera, ":" in camera.sender), set()).add(camera.sender)
    return frozenset(camera for (camera, _), addresses in senders.items() if len(addresses) > 1)
