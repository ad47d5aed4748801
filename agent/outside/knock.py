"""Hosts that the installer gave to cameras found: a probe to each alone, then a knock at ONVIF's ports.

Rules of this file: nobody is asked who was not given, and answers of others do not count; so many a second and so many
at once, so that a search is no flood; no login is sent. Blocking, for a worker thread.
"""

from __future__ import annotations

import select
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Final
from urllib.parse import urlsplit

from agent.acquire.discovery import DATAGRAM_BYTES_MAX, FoundCamera, ProbeKind, camera_id
from agent.acquire.given_addresses import GivenHost
from agent.acquire.search import Search
from agent.clock import WallTime
from agent.errors import TransomError
from agent.outside.camera_marks import endpoint_reference, tells_time
from agent.outside.discovery_sockets import PORT

HOSTS_PER_SEARCH_MAX: Final = 256
PROBES_PER_SECOND: Final = 100  # hosts; each is sent two datagrams of half a kilobyte
ANSWER_S: Final = 1.0
KNOCKS_AT_ONCE: Final = 16
CONNECT_S_MAX: Final = 0.5  # on a network with a router between, a connection takes milliseconds
SILENT_PORTS_MAX: Final = 2  # a host that lets two connections time out is not there
_WAIT_S: Final = 0.1


class Knocking:
    """Asks the given hosts again and again, so many in each search that it ends soon."""

    def __init__(self, hosts: Sequence[GivenHost], now: Callable[[], WallTime], stop: Event) -> None:
        self._hosts: tuple[GivenHost, ...] = tuple(hosts)
        self._now, self._stop = now, stop
        self._next = 0

    def search(self, settled: Callable[[], frozenset[str]] = frozenset) -> Iterator[FoundCamera]:
        """Ask the next 256 hosts but those in `settled` (recorded from there already) and yield who is a camera."""
        whole = self._hosts[self._next :] + self._hosts[: self._next]
        self._next = (self._next + HOSTS_PER_SEARCH_MAX) % max(1, len(self._hosts))
        skip = settled()
        hosts = [given for given in whole[:HOSTS_PER_SEARCH_MAX] if given.host not in skip]
        answered = set()
        for found in _probe_each([given.host for given in hosts], self._stop):
            answered.add(found.sender)
            yield found
        silent = [given for given in hosts if given.host not in answered]
        with ThreadPoolExecutor(KNOCKS_AT_ONCE, thread_name_prefix="knock") as threads:
            for knocked in threads.map(self._knock, silent):
                if knocked is not None:
                    yield knocked

    def _knock(self, given: GivenHost) -> FoundCamera | None:
        silent_ports = 0
        for url in given.services:
            if self._stop.is_set() or silent_ports >= SILENT_PORTS_MAX:
                return None
            try:
                is_open = _is_open(url)
            except TimeoutError:
                silent_ports += 1
                continue
            try:
                if is_open and tells_time(url, self._now):
                    return _found(given.host, url, endpoint_reference(url, self._now))
            except TransomError:
                continue  # something else listens there
        return None


def probe_one(host: str, stop: Event, seconds: float = ANSWER_S) -> Iterator[FoundCamera]:
    """Ask one host by WS-Discovery, unicast, and yield each device that it says it is."""
    yield from _probe_each([host], stop, seconds)


def _probe_each(hosts: Sequence[str], stop: Event, seconds: float = ANSWER_S) -> Iterator[FoundCamera]:
    """Send each host two probes at our pace and yield the answers until a second after the last."""
    finding = Search({kind: f"urn:uuid:{uuid.uuid4()}" for kind in ProbeKind})
    datagrams = [datagram for _, datagram in finding.probes([0.0] * 6)[: len(ProbeKind)]]
    plain = {host.partition("%")[0]: host for host in hosts}
    left, started, sent = list(hosts), time.monotonic(), 0
    until_s = started + len(left) / PROBES_PER_SECOND + seconds
    with _open(socket.AF_INET) as four, _open(socket.AF_INET6) as six:
        while (now_s := time.monotonic()) < until_s and not stop.is_set():
            while left and sent <= (now_s - started) * PROBES_PER_SECOND:
                _send(six if ":" in left[0] else four, datagrams, left.pop(0))
                sent += 1
            wait_s = min(_WAIT_S, until_s - now_s, 1 / PROBES_PER_SECOND if left else _WAIT_S)
            for readable in select.select([four, six], [], [], wait_s)[0]:
                try:
                    datagram, address = readable.recvfrom(DATAGRAM_BYTES_MAX)
                except OSError:
                    continue  # nobody listens on that host's port
                host = plain.get(address[0].partition("%")[0])
                if host is not None:
                    yield from finding.take(datagram, host)


def _open(family: socket.AddressFamily) -> closing[socket.socket]:
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.settimeout(0)
    return closing(opened)


def _send(sender: socket.socket, datagrams: Sequence[bytes], host: str) -> None:
    for datagram in datagrams:
        try:
            address = socket.getaddrinfo(host, PORT, sender.family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0][4]
            sender.sendto(datagram, address)
        except OSError:
            continue  # no way there, or the last host's refusal: the knock will tell


def _is_open(url: str) -> bool:
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=CONNECT_S_MAX).close()
    except TimeoutError:
        raise
    except OSError:
        return False
    return True


def _found(host: str, url: str, epr: str) -> FoundCamera:
    camera = camera_id(epr or f"urn:transom:unnamed:{url}")  # its serial number will name it
    return FoundCamera(camera, epr, f"camera at {host}", "", host, (url,))
