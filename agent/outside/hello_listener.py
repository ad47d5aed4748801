"""Hello and Bye of devices between two searches to a nudge: something has come or gone, so search again.

Rules of this file: a Hello is only a reason to look, never believed; it is read in a thread of its own, so many a
second and so many of one sender, and the kernel throws away the rest; nothing is kept of what was read.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from select import select
from typing import Final

from agent.acquire.discovery import DATAGRAM_BYTES_MAX, Announcement, ReplyKind, parse_reply
from agent.errors import BadInputError
from agent.outside.discovery_sockets import GROUP_IPV4, GROUP_IPV6, PORT, chosen_interfaces, sender_of

READ_PER_SECOND_MAX: Final = 64
READ_PER_SENDER_MAX: Final = 8  # in the same second; a video encoder has a Hello for each channel
RECEIVE_BUFFER_BYTES: Final = 64 * 1024
REOPEN_S: Final = 30.0
"""Interfaces come and go: the sockets are opened anew this often."""
_IP_MULTICAST_ALL: Final = 49  # Linux, ip(7): take only what was joined on this socket
_IPV6_MULTICAST_ALL: Final = 29
_WAIT_S: Final = 0.5


class HelloListener:
    """Calls `tell` in a thread of its own for each Hello and Bye of a camera; `interfaces` are as in `search`."""

    def __init__(self, interfaces: Sequence[str] | None, tell: Callable[[Announcement], None]) -> None:
        self.read = self.bad = self.over_limit = 0
        self._interfaces, self._tell = interfaces, tell
        self._stop = threading.Event()
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hello", daemon=True)

    def start(self) -> None:
        """Listen from now on, as soon as there is a network."""
        self._thread.start()

    def stop(self) -> None:
        """End, which takes half a second at most."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wait_listening(self, seconds: float) -> bool:
        """Wait until its sockets are open; say whether they are."""
        return self._is_listening.wait(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            with ExitStack() as stack:
                names = {each: name for name, each in _open_sockets(self._interfaces, stack)}
                if names:
                    self._is_listening.set()
                self._listen(names, time.monotonic() + REOPEN_S)

    def _listen(self, names: dict[socket.socket, str], until_s: float) -> None:
        second, counts = 0.0, Counter[str]()
        while not self._stop.is_set() and (now_s := time.monotonic()) < until_s:
            if now_s - second >= 1:
                second = now_s
                counts.clear()
            if counts.total() >= READ_PER_SECOND_MAX or not names:
                self._stop.wait(min(_WAIT_S, 1.01 - (now_s - second)))
                continue
            for readable in select(list(names), [], [], _WAIT_S)[0]:
                with suppress(OSError):  # the interface went away: opened anew in a while
                    datagram, address = readable.recvfrom(DATAGRAM_BYTES_MAX)
                    self._take(datagram, sender_of(address, names[readable]), counts)

    def _take(self, datagram: bytes, sender: str, counts: Counter[str]) -> None:
        counts[sender] += 1
        if counts[sender] > READ_PER_SENDER_MAX:
            self.over_limit += 1
            return
        if b"Hello" not in datagram and b"Bye" not in datagram:
            return  # somebody's probe, our own too
        self.read += 1
        try:
            announcements = parse_reply(datagram, sender)
        except BadInputError:
            self.bad += 1
            return
        for one in announcements:
            # A Bye has neither types nor scopes: whether it is a camera's is not known.
            if one.kind is ReplyKind.BYE or (one.kind is ReplyKind.HELLO and one.is_onvif):
                self._tell(one)


def _open_sockets(interfaces: Sequence[str] | None, stack: ExitStack) -> Iterator[tuple[str, socket.socket]]:
    for name, index in chosen_interfaces(interfaces):
        for family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):  # this family does not work here; the other may
                opened = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                _join(opened, index)
                yield name, opened


def _join(opened: socket.socket, index: int) -> None:
    """Join the group on one interface; bound to the group itself, it takes nobody else's datagrams on the port."""
    opened.settimeout(0)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        opened.setsockopt(socket.SOL_SOCKET, option, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        membership = socket.inet_pton(socket.AF_INET6, GROUP_IPV6) + struct.pack("=I", index)  # ipv6(7)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        opened.bind((GROUP_IPV6, PORT, 0, index))
    else:
        opened.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        membership = struct.pack("=4s4si", socket.inet_aton(GROUP_IPV4), bytes(4), index)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        opened.bind((GROUP_IPV4, PORT))
