"""A device that only IPv6 reaches: says Hello on ff02::c, then answers each probe; ends with its standard input.

python -m tests.simulators.device_on_ipv6 INTERFACE UUID
"""

from __future__ import annotations

import re
import select
import socket
import struct
import sys

from tests.simulators.discovery_replies import EPR, match, reply

GROUP, PORT = "ff02::c", 3702


def main() -> None:
    """Answer until standard input ends."""
    interface, name = sys.argv[1:]
    index = socket.if_nametoindex(interface)
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listening,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as speaking,
    ):
        membership = socket.inet_pton(socket.AF_INET6, GROUP) + struct.pack("=I", index)
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        listening.bind((GROUP, PORT, 0, index))
        speaking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        described = match(1, "").replace(EPR.format(1), f"urn:uuid:{name}")
        hello = reply("", described).replace(b"ProbeMatch>", b"Hello>")
        speaking.sendto(hello, (GROUP, PORT, 0, index))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in (ready := select.select([listening, sys.stdin], [], [])[0]) and ready:
            probe, asker = listening.recvfrom(65_536)
            asked = re.search(rb"MessageID>([^<]+)<", probe)
            if asked and b"Probe>" in probe:
                speaking.sendto(reply(asked[1].decode(), described), asker)


if __name__ == "__main__":
    main()
