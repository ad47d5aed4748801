"""Lets hubs find the virtual camera: answers WS-Discovery probes on one interface, says Hello at start and Bye at stop.

WS-Discovery April 2005 as ONVIF Core section 7 uses it, over UDP 239.255.255.250:3702, or [ff02::c]:3702 for a camera
whose address is IPv6. Several cameras of one machine
share the port; each of them gets every probe. The interface is chosen by index: loopback has no multicast flag and no
route for the group, but joining and sending by index work.

Rules of this file: a datagram that is not a probe we can answer is ignored, whatever it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
import uuid
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote
from xml.sax.saxutils import escape

from lxml import etree

from agent.demo.camera_answers import DEVICE_PATH, Identity
from agent.demo.camera_quirks import PLAIN, Quirks
from agent.errors import BadInputError, UnavailableError

GROUP: Final = "239.255.255.250"
GROUP_IPV6: Final = "ff02::c"
PORT: Final = 3702
Address = tuple[str, int] | tuple[str, int, int, int]
DATAGRAM_BYTES_MAX: Final = 16 * 1024
SCOPES_MAX: Final = 32
_IP_MULTICAST_ALL: Final = 49  # Linux, ip(7): take only what was joined on this socket
_ACTION: Final = "http://schemas.xmlsoap.org/ws/2005/04/discovery/"
_TYPES: Final = "dn:NetworkVideoTransmitter tds:Device"
_OUR_TYPES: Final = frozenset(kind.partition(":")[2] for kind in _TYPES.split())
_SPACES: Final = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl"'
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A question for devices that have all of `types` (local names) and all of `scopes` (prefixes)."""

    message: str
    types: tuple[str, ...]
    scopes: tuple[str, ...]

    def is_for(self, identity: Identity) -> bool:
        """Say whether this camera is meant; no types and no scopes mean everybody."""
        has_scopes = all(any(own.lower().startswith(scope.lower()) for own in identity.scopes) for scope in self.scopes)
        return has_scopes and _OUR_TYPES.issuperset(self.types)


def parse_probe(datagram: bytes) -> Probe:
    """Read a Probe; raises BadInputError for anything else."""
    if len(datagram) > DATAGRAM_BYTES_MAX or b"<!DOCTYPE" in datagram or b"<!ENTITY" in datagram:
        raise BadInputError("not a probe: too long or with a document type")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(datagram.strip(b"\0 \r\n\t"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadInputError("not a probe: no XML") from error
    texts = {
        etree.QName(element).localname: (element.text or "").strip()
        for element in root.iter()
        if isinstance(element.tag, str)
    }
    if "Probe" not in texts or not texts.get("MessageID"):
        raise BadInputError("not a probe")
    types = tuple(kind.rpartition(":")[2] for kind in texts.get("Types", "").split())
    scopes = texts.get("Scopes", "").split()
    if len(scopes) > SCOPES_MAX:
        raise BadInputError(f"a probe with over {SCOPES_MAX} scopes")
    return Probe(texts["MessageID"], types, tuple(scopes))


class DiscoveryResponder:
    """Answers probes for one camera; `address` is the one it answers from, IPv4 or IPv6.

    One that is not `is_greeting` says neither Hello nor Bye, like a camera whose cable is pulled.
    """

    def __init__(
        self, identity: Identity, interface: str, address: str, *, is_greeting: bool = True, quirks: Quirks = PLAIN
    ) -> None:
        self._quirks = quirks
        self._is_greeting = is_greeting
        self._identity = identity
        self._interface = interface
        self._address = address
        self._instance = int(time.time())  # rises with every start: WS-Discovery appendix I
        self._messages = 0
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Join the group, say Hello and answer from now on, in the running event loop."""
        try:
            self._sockets = list(_sockets(self._interface, self._address))
        except OSError as error:
            raise UnavailableError(
                f"no discovery on {self._interface}: {error}", cure="choose an interface that exists"
            ) from error
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sockets[1], self._receive)
        if self._is_greeting:
            self._send("Hello", f"<d:Hello>{self._description()}</d:Hello>", self._group())

    def stop(self) -> None:
        """Say Bye and leave."""
        if self._loop is None:
            return
        self._loop.remove_reader(self._sockets[1])
        if self._is_greeting:
            self._send("Bye", f"<d:Bye>{self._reference()}</d:Bye>", self._group())
        for each in self._sockets:
            each.close()
        self._loop = None

    def _group(self) -> Address:
        if ":" in self._address:
            return GROUP_IPV6, PORT, 0, socket.if_nametoindex(self._interface)
        return GROUP, PORT

    def _receive(self) -> None:
        try:
            datagram, asker = self._sockets[1].recvfrom(DATAGRAM_BYTES_MAX + 1)
            probe = parse_probe(datagram)
        except (OSError, BadInputError):
            return
        if probe.is_for(self._identity):
            match = f"<d:ProbeMatch>{self._description()}</d:ProbeMatch>"
            if self._quirks.has_bare_match:
                self._send("ProbeMatch", match, asker, relates_to=probe.message)
            else:
                self._send("ProbeMatches", f"<d:ProbeMatches>{match}</d:ProbeMatches>", asker, probe.message)

    def _send(self, action: str, body: str, to: Address, relates_to: str = "") -> None:
        self._messages += 1
        related = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
        receiver = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
        if not relates_to:
            receiver = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {_SPACES}><s:Header>'
            f"<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>{related}<a:To>{receiver}</a:To>"
            f"<a:Action>{_ACTION}{action}</a:Action>"
            f'<d:AppSequence InstanceId="{self._instance}" MessageNumber="{self._messages}"/>'
            f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
        with contextlib.suppress(OSError):  # best effort, as UDP is: the asker asks again
            self._sockets[0].sendto(self._encoded(text), to)

    def _encoded(self, text: str) -> bytes:
        octets = text.encode("latin-1", "replace") if self._quirks.has_odd_scopes else text.encode()
        return octets + bytes(3) if self._quirks.has_trailing_nuls else octets

    def _reference(self) -> str:
        address = f"<a:Address>urn:uuid:{escape(self._identity.uuid)}</a:Address>"
        return f"<a:EndpointReference>{address}</a:EndpointReference>"

    def _description(self) -> str:
        odd = unquote(" ".join(self._identity.scopes))
        scopes = escape(odd if self._quirks.has_odd_scopes else " ".join(self._identity.scopes))
        return (
            f"{self._reference()}<d:Types>{_TYPES}</d:Types><d:Scopes>{scopes}</d:Scopes>"
            f"<d:XAddrs>{escape(self._identity.http)}{DEVICE_PATH}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
        )


def _sockets(interface: str, address: str) -> tuple[socket.socket, socket.socket]:
    if ":" in address:
        return _speaker_ipv6(interface, address), _listener_ipv6(interface)
    return _speaker(interface, address), _listener(interface)


def _listener_ipv6(interface: str) -> socket.socket:
    listener, index = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), socket.if_nametoindex(interface)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # struct ipv6_mreq, ipv6(7)
        membership = socket.inet_pton(socket.AF_INET6, GROUP_IPV6) + struct.pack("=I", index)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        listener.settimeout(0)
        listener.bind((GROUP_IPV6, PORT, 0, index))
    except OSError:
        listener.close()
        raise
    return listener


def _speaker_ipv6(interface: str, address: str) -> socket.socket:
    speaker, index = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), socket.if_nametoindex(interface)
    try:
        speaker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        speaker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        speaker.settimeout(0)
        speaker.bind((address.partition("%")[0], 0, 0, index))
    except OSError:
        speaker.close()
        raise
    return speaker


def _membership(interface: str) -> bytes:
    index = socket.if_nametoindex(interface)
    return struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), index)  # struct ip_mreqn, ip(7)


def _listener(interface: str) -> socket.socket:
    """Open a socket that gets the group's datagrams from one interface, beside others on the same port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _membership(interface))
        listener.settimeout(0)
        listener.bind((GROUP, PORT))
    except OSError:
        listener.close()
        raise
    return listener


def _speaker(interface: str, address: str) -> socket.socket:
    speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        membership = _membership(interface)
        speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership)
        speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        speaker.settimeout(0)
        speaker.bind((address, 0))
    except OSError:
        speaker.close()
        raise
    return speaker
