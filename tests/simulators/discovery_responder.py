"""A device on the loopback network that answers probes from an address of its own, well or badly."""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from agent.outside.discovery_sockets import GROUP_IPV4, PORT


@contextmanager
def answering(
    address: str, answers: Callable[[str], list[bytes]], speakers: Sequence[socket.socket] = ()
) -> Iterator[list[bytes]]:
    """Answer each probe from `address` (in 127.0.0.0/8) with what `answers` makes of its id; give the probes heard.

    With `speakers` the answers come from these sockets in turn.
    """
    heard: list[bytes] = []
    wake, done = socket.socketpair()
    with (
        wake,
        done,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking,
    ):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((GROUP_IPV4, PORT))
        group = struct.pack("=4s4si", socket.inet_aton(GROUP_IPV4), bytes(4), socket.if_nametoindex("lo"))
        listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        speaking.bind((address, 0))

        def answer() -> None:
            while wake not in (ready := select.select([listening, wake], [], [])[0]) and ready:
                datagram, asker = listening.recvfrom(65536)
                probe_id = re.search(rb"MessageID>([^<]+)<", datagram)
                if b"Probe>" in datagram and probe_id:
                    heard.append(datagram)
                    for number, reply in enumerate(answers(probe_id[1].decode())):
                        (speakers[number % len(speakers)] if speakers else speaking).sendto(reply, asker)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield heard
        finally:
            done.send(b"!")
            thread.join()
