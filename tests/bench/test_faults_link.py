"""The line loses, delays and holds up what it is told to, changes nothing, and lets nobody overtake."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.bench.faults_link import FAR, QUEUE_S_MAX, Direction, Line, Link
from tests.bench.own_namespaces import enter_own_network

PACKET = bytes(1000)
GOOD = Line(rate_bit_s=8_000_000, delay_s=0.01)


def direction() -> Direction:
    """Make one with a luck of its own."""
    return Direction(random.Random(1))  # noqa: S311 - no secret


def test_a_packet_takes_its_time() -> None:
    """Its bits at the line's rate, and then the delay; the next one waits for the line to be free."""
    way = direction()
    way.take(PACKET, GOOD, 100.0)
    way.take(PACKET, GOOD, 100.0)
    assert way.due() == pytest.approx(100.011)
    assert way.arrived(100.0109) == []
    assert way.arrived(100.0111) == [PACKET]
    assert way.due() == pytest.approx(100.012)


def test_what_would_wait_too_long_is_lost() -> None:
    """A router has so much room, and no more."""
    way = direction()
    for _ in range(2000):
        way.take(PACKET, GOOD, 0.0)
    assert len(way.arrived(10.0)) == pytest.approx(QUEUE_S_MAX / 0.001, abs=2)


@pytest.mark.parametrize(("loss", "least", "most"), [(0.0, 3000, 3000), (0.1, 2600, 2800), (1.0, 0, 0)])
def test_so_many_packets_are_lost(loss: float, least: int, most: int) -> None:
    """As many as the line is told, by chance."""
    way, line = direction(), msgspec.structs.replace(GOOD, loss=loss)
    for number in range(3000):
        way.take(PACKET, line, number * 0.002)
    assert least <= len(way.arrived(100.0)) <= most


def test_nobody_overtakes_on_a_line_that_became_faster() -> None:
    """What was sent first arrives first."""
    way = direction()
    way.take(b"slow", Line(rate_bit_s=1000, delay_s=1.0), 0.0)
    way.take(b"fast", Line(rate_bit_s=10**9, delay_s=0.0), 0.2)
    assert way.arrived(100.0) == [b"slow", b"fast"]


@pytest.fixture
def link(tmp_path: Path) -> Iterator[tuple[Link, socket.socket]]:
    """Put up a real line, and somebody who listens at its far end."""
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        pytest.skip("a line of TUN devices takes root and /dev/net/tun")
    made: list[tuple[Link, socket.socket]] = []

    def run() -> None:
        enter_own_network()  # of this thread, and of the line that it starts
        made.append((Link(tmp_path / "link.log", 1), socket.create_server((FAR, 0))))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    link, far = made[0]
    with closing(far):
        yield link, far
    link.stop()


def test_real_bytes_arrive_through_a_bad_line_and_none_through_a_cut_one(link: tuple[Link, socket.socket]) -> None:
    """TCP between two networks: whole through loss, not at all without a line, and again when it is mended."""
    line, far = link
    content = os.urandom(100_000)
    line.be(Line(loss=0.05))
    with closing(line.near(socket.socket)) as near, closing(line.near(socket.socket)) as other:
        near.settimeout(30)
        near.connect(far.getsockname())
        talk, _ = far.accept()
        with closing(talk):
            talk.settimeout(30)
            sender = threading.Thread(target=near.sendall, args=(content,))
            sender.start()
            received = b""
            while len(received) < len(content):
                received += talk.recv(65_536)
            sender.join()
            assert received == content

            line.be(Line(is_plugged_in=False))
            with pytest.raises(OSError, match="unreachable"):
                other.connect(far.getsockname())
            line.be(Line())
            near.sendall(b"!")
            assert talk.recv(1) == b"!"
