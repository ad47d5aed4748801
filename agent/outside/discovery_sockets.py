"""The hub's networks to cameras found: WS-Discovery over one UDP socket per interface.

Rules of this file: interfaces are chosen by index, since a hub may have one address on two or none on one; multicast
never leaves the link (TTL 1); a reply is handed to `Search`, which cannot be stopped by one.
"""

from __future__ import annotations

import fcntl
import random
import select
import socket
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Event
from typing import Final

from agent.acquire.discovery import DATAGRAM_BYTES_MAX, FoundCamera, ProbeKind
from agent.acquire.search import PROBES_EACH, Search, SearchCounts
from agent.errors import ConfigurationError

GROUP_IPV4: Final = "239.255.255.250"
GROUP_IPV6: Final = "ff02::c"
PORT: Final = 3702
MULTICAST_TTL: Final = 1
RECEIVE_BUFFER_BYTES: Final = 1 << 20
SEARCH_S: Final = 4.0  # ONVIF devices answer within half a second; a busy one takes longer
STOP_CHECK_S: Final = 0.2

# <linux/sockios.h>, <linux/if.h>
_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_POINTOPOINT: Final = 0x10
_IFF_MULTICAST: Final = 0x1000
_NOT_A_CAMERA_NETWORK: Final = ("docker", "veth", "br-", "virbr", "tun", "wg")


@dataclass(frozen=True, slots=True)
class _Link:
    """One interface asked with one address family."""

    socket: socket.socket
    group: tuple[str, int] | tuple[str, int, int, int]
    interface: str


def discover(
    interfaces: Sequence[str] | None = None,
    seconds: float = SEARCH_S,
    stop: Event | None = None,
    counts: SearchCounts | None = None,
) -> list[FoundCamera]:
    """Search for `seconds` and return every camera that answered, at most 64. See `search`."""
    return list(search(interfaces, seconds, stop, counts))


def search(
    interfaces: Sequence[str] | None = None,
    seconds: float = SEARCH_S,
    stop: Event | None = None,
    counts: SearchCounts | None = None,
) -> Iterator[FoundCamera]:
    """Ask on the interfaces and yield each camera as its answer comes; blocks between answers for up to `seconds`.

    None means every usable one: up, multicast, neither loopback, tunnel nor virtual bridge. A name given is used as
    it is, `lo` too. `stop` ends the search early; `counts` is filled in as replies come.
    Raises ConfigurationError if a named interface does not exist.
    """
    finding = Search({kind: f"urn:uuid:{uuid.uuid4()}" for kind in ProbeKind})
    if counts is not None:
        finding.counts = counts
    jitter = [random.random() for _ in range(PROBES_EACH * len(ProbeKind))]  # noqa: S311 - spreads load, hides nothing
    with ExitStack() as sockets:
        links = list(_open_links(chosen_interfaces(interfaces), sockets))
        yield from _ask_and_listen(finding, links, finding.probes(jitter), seconds, stop or Event())


def _ask_and_listen(
    finding: Search, links: list[_Link], schedule: list[tuple[float, bytes]], seconds: float, stop: Event
) -> Iterator[FoundCamera]:
    started = time.monotonic()
    by_socket = {link.socket: link for link in links}
    while (elapsed := time.monotonic() - started) < seconds and links and not stop.is_set():
        while schedule and schedule[0][0] <= elapsed:
            _, datagram = schedule.pop(0)
            for link in links:
                _send(link, datagram)
        wait_s = min(seconds - elapsed, schedule[0][0] - elapsed if schedule else STOP_CHECK_S, STOP_CHECK_S)
        for readable in select.select(list(by_socket), [], [], wait_s)[0]:
            try:
                datagram, address = readable.recvfrom(DATAGRAM_BYTES_MAX)
            except OSError:
                continue  # the interface went away, or an ICMP error for an earlier probe
            yield from finding.take(datagram, sender_of(address, by_socket[readable].interface))


def _send(link: _Link, datagram: bytes) -> None:
    try:
        link.socket.sendto(datagram, link.group)
    except OSError:
        return  # no address yet, no carrier, no IPv6: the other interfaces are asked all the same


def sender_of(address: tuple[str, ...], interface: str) -> str:
    """Return the IP address of who sent a datagram; a link-local one names the interface it came by."""
    host = address[0].partition("%")[0]
    return f"{host}%{interface}" if host.lower().startswith("fe80:") else host


def usable_interfaces() -> list[str]:
    """Return the names of the interfaces that can have cameras behind them."""
    return [name for _, name in socket.if_nameindex() if _is_usable(name)]


def _is_usable(name: str) -> bool:
    if name.startswith(_NOT_A_CAMERA_NETWORK):
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
    except OSError:
        return False  # it went away between the two questions
    flags = struct.unpack("16xH22x", answer)[0]
    wanted, unwanted = _IFF_UP | _IFF_MULTICAST, _IFF_LOOPBACK | _IFF_POINTOPOINT
    return flags & wanted == wanted and not flags & unwanted


def chosen_interfaces(interfaces: Sequence[str] | None) -> list[tuple[str, int]]:
    """Return names and indexes of the interfaces to ask on; None means every usable one. Raises ConfigurationError."""
    names = usable_interfaces() if interfaces is None else list(dict.fromkeys(interfaces))
    indexes = {name: index for index, name in socket.if_nameindex()}
    for name in names:
        if interfaces is not None and name not in indexes:
            raise ConfigurationError(
                f"there is no network interface {name!r}", cure=f"name one of: {', '.join(sorted(indexes))}"
            )
    return [(name, indexes[name]) for name in names if name in indexes]


def _open_links(chosen: list[tuple[str, int]], sockets: ExitStack) -> Iterator[_Link]:
    for name, index in chosen:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                opened = sockets.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                yield _Link(opened, _prepare(opened, name, index), name)
            except OSError:
                continue  # this family does not work here; the other may


def _prepare(opened: socket.socket, name: str, index: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """Tie a socket to one interface and return the group to send to."""
    opened.settimeout(0)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    is_loopback = name == "lo"
    with suppress(PermissionError):  # answers from another network are not heard; kernels before 5.7 want root for it
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, MULTICAST_TTL)
        opened.bind(("::1" if is_loopback else "::", 0))
        return GROUP_IPV6, PORT, 0, index
    ip_mreqn = struct.pack("=4s4si", bytes(4), bytes(4), index)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ip_mreqn)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, MULTICAST_TTL)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(is_loopback))  # the hub does not find itself
    opened.bind(("127.0.0.1" if is_loopback else "", 0))  # else the kernel would send from another interface's address
    return GROUP_IPV4, PORT
