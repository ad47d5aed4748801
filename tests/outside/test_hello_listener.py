"""Hello and Bye on the loopback's group, from devices that behave and devices that do not."""

from __future__ import annotations

import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agent.acquire.camera import Login
from agent.acquire.discovery import Announcement, ReplyKind
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, running_camera
from agent.demo.h264_rtp import EncoderSettings
from agent.outside.discovery_sockets import GROUP_IPV4, PORT
from agent.outside.hello_listener import READ_PER_SECOND_MAX, READ_PER_SENDER_MAX, REOPEN_S, HelloListener
from tests.simulators.eventually import PATIENCE_S, until

INDEX = socket.if_nametoindex("lo")


def hello(number: int, kind: str = "Hello") -> bytes:
    """Write a greeting of a camera."""
    return (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><e:Body>'
        f"<d:{kind}><a:EndpointReference><a:Address>urn:uuid:00000000-0000-0000-0000-{number:012x}</a:Address>"
        "</a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types>"
        f"<d:MetadataVersion>1</d:MetadataVersion></d:{kind}></e:Body></e:Envelope>"
    ).encode()


@contextmanager
def listening() -> Iterator[tuple[HelloListener, list[Announcement], Callable[[int], None]]]:
    """Listen on loopback; give the listener, what it told, and a wait for so many."""
    heard: list[Announcement] = []
    news = threading.Condition()

    def tell(one: Announcement) -> None:
        with news:
            heard.append(one)
            news.notify()

    def wait_for(count: int) -> None:
        with news:
            assert news.wait_for(lambda: len(heard) >= count, PATIENCE_S), f"{len(heard)} of {count}"

    listener = HelloListener(["lo"], tell)
    listener.start()
    try:
        assert listener.wait_listening(PATIENCE_S)
        yield listener, heard, wait_for
    finally:
        listener.stop()


def send(sender: str, *datagrams: bytes) -> None:
    """Send to the group on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        group = struct.pack("=4s4si", bytes(4), bytes(4), INDEX)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, group)
        out.bind((sender, 0))
        for datagram in datagrams:
            out.sendto(datagram, (GROUP_IPV4, PORT))


def of(heard: list[Announcement], sender: str) -> list[Announcement]:
    """Choose what came from one address: other tests' cameras greet too."""
    return [one for one in heard if one.sender == sender]


def test_a_camera_that_comes_and_goes_is_heard() -> None:
    """The virtual camera's own Hello and Bye, each once."""
    name = str(uuid.uuid4())
    settings = CameraSettings(
        login=Login("hub", Secret("pw")), uuid=name, encoder=EncoderSettings(width=160, height=120)
    )
    with listening() as (_, heard, _wait):
        with running_camera(settings):
            pass
        until(lambda: len([one for one in heard if name in one.epr]) >= 2)
    assert [one.kind for one in heard if name in one.epr] == [ReplyKind.HELLO, ReplyKind.BYE]


def test_a_camera_that_does_not_greet_is_not_heard() -> None:
    """A cable that is pulled says nothing: the switch of the virtual camera does what it says."""
    settings = CameraSettings(
        login=Login("hub", Secret("pw")), is_greeting=False, encoder=EncoderSettings(width=160, height=120)
    )
    with listening() as (_, heard, wait_for):
        with running_camera(settings) as (_camera, ready):
            pass
        send("127.0.75.9", hello(9))
        wait_for(1)
    assert not [one for one in heard if one.epr == ready.epr]


def test_rubbish_is_heard_by_nobody_and_stops_nothing() -> None:
    """Broken, foreign and hostile datagrams; then a Hello, which is heard."""
    rubbish = [b"", b"Hello", b"<Hello>", b"<!DOCTYPE a [<!ENTITY Hello 'x'>]><a>&Hello;</a>", b"\xff" * 60_000]
    printer = hello(1).replace(b"dn:NetworkVideoTransmitter", b"wsdp:Printer")
    with listening() as (listener, heard, wait_for):
        send("127.0.75.1", *rubbish)
        send("127.0.75.2", printer, hello(2))
        wait_for(1)
    assert [one.epr[-1] for one in of(heard, "127.0.75.2")] == ["2"]
    assert of(heard, "127.0.75.1") == []
    assert listener.bad >= 2


def test_a_flood_of_one_sender_hides_nobody() -> None:
    """Thousands of Hellos cost few readings a second, and another device is still heard."""
    with listening() as (listener, heard, _):
        began = time.monotonic()
        send("127.0.75.3", *[hello(number) for number in range(3000)])

        def is_heard() -> bool:
            send("127.0.75.4", hello(4))
            threading.Event().wait(0.2)
            return bool(of(heard, "127.0.75.4"))

        until(is_heard)
        seconds = time.monotonic() - began
    assert len(of(heard, "127.0.75.3")) <= READ_PER_SENDER_MAX * (seconds + 1)
    assert listener.read <= READ_PER_SECOND_MAX * (seconds + 1)


def test_a_listener_without_a_network_waits_and_ends() -> None:
    """No interface is no error, and stopping does not wait for one."""
    listener = HelloListener([], pytest.fail)
    listener.start()
    began = time.monotonic()
    listener.stop()
    assert time.monotonic() - began < REOPEN_S
