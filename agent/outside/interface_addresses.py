"""The hub's own addresses in its networks, so that a person can be told where its page is."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
from typing import Final

from agent.outside.discovery_sockets import usable_interfaces

EVERY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - a word of the configuration; nothing is bound here
_SIOCGIFADDR: Final = 0x8915  # <linux/sockios.h>
_NAME_BYTES: Final = 15
_ADDRESS: Final = slice(20, 24)  # of struct ifreq: the name, then a sockaddr_in


def own_addresses() -> list[str]:
    """Return the IPv4 address of every wired or wireless interface that is up and has one."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        for name in usable_interfaces():
            with contextlib.suppress(OSError):  # without an address
                told = fcntl.ioctl(channel, _SIOCGIFADDR, struct.pack("256s", name.encode()[:_NAME_BYTES]))
                found.append(socket.inet_ntoa(told[_ADDRESS]))
    return found
