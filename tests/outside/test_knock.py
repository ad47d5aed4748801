"""Hosts that were given are asked one by one, on real sockets; hosts that were not are never sent a byte."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest

from agent.acquire.discovery import FoundCamera
from agent.acquire.given_addresses import GivenHost, given_hosts
from agent.clock import WallTime
from agent.outside.discovery_sockets import PORT
from agent.outside.knock import HOSTS_PER_SEARCH_MAX, Knocking, probe_one
from tests.simulators.discovery_replies import EPR, match, reply
from tests.simulators.onvif_device import OnvifDevice, serve


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


@contextmanager
def answering_alone(host: str, number: int, sender: str = "") -> Iterator[list[bytes]]:
    """Answer unicast probes to `host`, from there or from another address; give what was heard."""
    heard: list[bytes] = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        device.bind((host, PORT))
        out.bind((sender or host, 0))
        device.settimeout(0.1)
        is_over = Event()

        def answer() -> None:
            while not is_over.is_set():
                try:
                    probe, asker = device.recvfrom(65_536)
                except TimeoutError:
                    continue
                heard.append(probe)
                (out if sender else device).sendto(reply("", match(number, f"http://{host}/")), asker)

        thread = Thread(target=answer)
        thread.start()
        try:
            yield heard
        finally:
            is_over.set()
            thread.join()


def ask(*given: GivenHost, settled: frozenset[str] = frozenset()) -> dict[str, FoundCamera]:
    """Ask hosts once; return who was found, by host."""
    return {found.sender: found for found in Knocking(given, hub_now, Event()).search(lambda: settled)}


def test_a_given_host_answers_a_probe_of_its_own() -> None:
    """It is found with its endpoint reference; its neighbours hear nothing."""
    with answering_alone("127.0.71.1", 1) as heard, answering_alone("127.0.71.2", 2) as neighbour:
        found = ask(*given_hosts(["127.0.71.1"], []))
    assert found["127.0.71.1"].epr == EPR.format(1)
    assert heard
    assert not neighbour


def test_an_answer_from_elsewhere_does_not_count() -> None:
    """Only a host that was asked can be found."""
    with answering_alone("127.0.71.3", 3, sender="127.0.71.66") as heard:
        assert ask(GivenHost("127.0.71.3", ())) == {}
    assert heard


@pytest.mark.parametrize("epr", ["", EPR.format(5)])
def test_a_host_without_discovery_is_found_by_a_knock(epr: str) -> None:
    """It answers ONVIF on a port of its own; its endpoint reference comes from there, or from its serial later."""
    device = OnvifDevice(epr=epr)
    with serve(device, "127.0.71.4") as address:
        found = ask(*given_hosts([f"127.0.71.4:{urlsplit(address).port}"], []))
    (one,) = found.values()
    assert (one.epr, one.addresses, one.name) == (epr, (address,), "camera at 127.0.71.4")
    assert device.refused_logins == 0


def test_what_is_no_camera_is_not_found_and_holds_nothing_up() -> None:
    """A web page, a service that says nothing, a port that is closed, a host that is not there."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.71.7", 0)))
        hosts = [f"127.0.71.7:{silent.getsockname()[1]}", "127.0.71.8:9", "127.0.71.9"]
        began = time.monotonic()
        assert ask(*given_hosts(hosts, [])) == {}
    assert time.monotonic() - began < 20


def test_cameras_that_record_are_left_alone() -> None:
    """They are not asked again and again."""
    with answering_alone("127.0.71.10", 1) as heard:
        assert ask(*given_hosts(["127.0.71.10"], []), settled=frozenset({"127.0.71.10"})) == {}
    assert not heard


def test_a_range_is_asked_bit_by_bit_at_a_pace() -> None:
    """256 hosts a search, the rest in the next ones, and round again; a datagram pair every 10 ms."""
    given = [GivenHost(f"127.0.{72 + number // 256}.{number % 256}", ()) for number in range(HOSTS_PER_SEARCH_MAX + 1)]
    knocking = Knocking(given, hub_now, Event())
    with answering_alone("127.0.73.0", 7) as last, answering_alone("127.0.72.200", 8):
        began = time.monotonic()
        assert [found.sender for found in knocking.search()] == ["127.0.72.200"]
        assert time.monotonic() - began > 2.5
        assert not last
        assert {found.sender for found in knocking.search()} == {"127.0.73.0", "127.0.72.200"}


def test_a_search_that_is_stopped_ends_soon() -> None:
    """The daemon does not wait for a range, nor for one that does not answer."""
    stop = Event()
    stop.set()
    began = time.monotonic()
    assert list(Knocking(given_hosts([], ["127.0.74.1-127.0.74.200"]), hub_now, stop).search()) == []
    assert list(probe_one("127.0.74.1", stop, 60)) == []
    assert time.monotonic() - began < 2  # two datagrams to each of the range take as long


def test_hosts_of_either_family_are_asked() -> None:
    """IPv6 goes by its own socket; where there is none, the others are asked all the same."""
    with answering_alone("127.0.71.11", 1):
        assert set(ask(GivenHost("::1", ()), GivenHost("127.0.71.11", ()))) == {"127.0.71.11"}
