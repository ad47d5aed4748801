"""WS-Discovery on loopback: several cameras on one port answer the right probes and say Hello and Bye."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import socket
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, Ready, running_camera
from agent.demo.camera_answers import Identity
from agent.demo.camera_discovery import GROUP, PORT, DiscoveryResponder, _listener, parse_probe
from agent.demo.h264_rtp import EncoderSettings
from agent.errors import BadInputError, UnavailableError
from tests.simulators.recording_hub import RecordingHub

LOOPBACK = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), socket.if_nametoindex("lo"))


def wanted(name: str) -> CameraSettings:
    """Describe a small camera."""
    return CameraSettings(login=Login("hub", Secret("pw")), name=name, encoder=EncoderSettings(width=160, height=120))


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[Ready]]:
    """Run two cameras on the same machine."""
    with running_camera(wanted("Front door")) as (_, front), running_camera(wanted("Back yard")) as (_, back):
        yield [front, back]


def probe(types: str = "", scopes: str = "") -> bytes:
    """Write a Probe."""
    return (
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
        'xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl">'
        f"<e:Header><w:MessageID>uuid:{uuid.uuid4()}</w:MessageID></e:Header><e:Body><d:Probe><d:Types>{types}"
        f"</d:Types><d:Scopes>{scopes}</d:Scopes></d:Probe></e:Body></e:Envelope>"
    ).encode()


def ask(datagram: bytes, known: list[Ready], answers: int) -> list[str]:
    """Send a datagram on loopback; return that many answers of the cameras we know (others may run beside us)."""
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, LOOPBACK)
        asker.bind(("127.0.0.1", 0))
        asker.settimeout(5 if answers else 0.3)
        asker.sendto(datagram, (GROUP, PORT))
        try:
            while len(found) < max(answers, 1):
                text, sender = asker.recvfrom(65_535)
                if any(camera.epr in text.decode() for camera in known):
                    assert sender[0] == "127.0.0.1"
                    found.append(text.decode())
        except TimeoutError:
            pass
    return found


@pytest.mark.parametrize(
    "types", ["", "dn:NetworkVideoTransmitter", "tds:Device", "dn:NetworkVideoTransmitter tds:Device"]
)
def test_every_camera_answers_a_probe(cameras: list[Ready], types: str) -> None:
    """Both cameras of the machine answer with their own EPR, address and scopes, related to the question."""
    datagram = probe(types)
    answers = sorted(ask(datagram, cameras, 2))
    question = re.search(rb"uuid:[0-9a-f-]+", datagram)
    assert question
    for camera in cameras:
        [mine] = [answer for answer in answers if camera.epr in answer]
        assert f"<d:XAddrs>{camera.onvif}</d:XAddrs>" in mine
        assert f"<a:RelatesTo>{question[0].decode()}</a:RelatesTo>" in mine
        assert "discovery/ProbeMatches</a:Action>" in mine


def test_scopes_choose_the_camera(cameras: list[Ready]) -> None:
    """A scope names one camera; a scope that none has, or a type of something else, gets silence."""
    [answer] = ask(probe(scopes="onvif://www.onvif.org/name/Back%20yard"), cameras, 1)
    assert cameras[1].epr in answer
    assert ask(probe(scopes="onvif://www.onvif.org/name/Attic"), cameras, 0) == []
    assert ask(probe(types="wsdp:Printer"), cameras, 0) == []


def test_rubbish_is_not_answered_and_hurts_nobody(cameras: list[Ready]) -> None:
    """After bad datagrams of all kinds both cameras still answer."""
    for rubbish in (b"", b"\x16\x03\x01", b"<a/>", b'<!DOCTYPE a [<!ENTITY b "c">]>' + probe(), b"x" * 20_000):
        assert ask(rubbish, cameras, 0) == [] if rubbish == b"<a/>" else True
    assert len(ask(probe(), cameras, 2)) == 2


def test_a_camera_says_hello_and_bye() -> None:
    """Who listens on the group hears a Hello with the address at the start and a Bye at the end."""
    with _listener("lo") as hearing:
        hearing.settimeout(5)
        with running_camera(wanted("Shed")) as (_, ready):
            pass
        heard = []
        while len(heard) < 2:
            text = hearing.recv(65_535).decode()
            if ready.epr in text:
                heard.append(text)
    assert "<d:Hello>" in heard[0]
    assert ready.onvif in heard[0]
    assert "<d:Bye>" in heard[1]


def test_a_camera_on_ipv6_is_recorded(tmp_path: Path) -> None:
    """RTSP by an address in brackets, from the search to the ring."""
    with (
        running_camera(dataclasses.replace(wanted("Roof"), address="::1")) as (_, ready),
        RecordingHub(tmp_path) as hub,
    ):
        roof = hub.record("roof", ready.rtsp, login=wanted("").login)
        hub.wait_recorded(roof, 0.5)
        assert "IN IP6 ::1" in hub.header(roof).sdp


def test_an_interface_that_is_not_there_is_said_plainly() -> None:
    """A wrong interface is an error that names it."""
    identity = Identity("x", str(uuid.uuid4()), "http://127.0.0.1:1", "rtsp://127.0.0.1:1", ())

    async def start() -> None:
        DiscoveryResponder(identity, "nosuch0", "127.0.0.1").start()

    with pytest.raises(UnavailableError, match="nosuch0"):
        asyncio.run(start())


@given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda text: probe(text, text))))
@settings(max_examples=200)
def test_parsing_a_probe_returns_or_says_bad_input(datagram: bytes) -> None:
    """No datagram raises anything else."""
    try:
        assert parse_probe(datagram).message
    except BadInputError:
        return
