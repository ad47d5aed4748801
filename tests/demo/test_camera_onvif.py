"""The ONVIF services, asked by raw HTTP: what is open, both logins, faults, and requests that mean harm."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.demo import block_code
from agent.demo.camera import CameraSettings, Ready, running_camera
from agent.demo.camera_soap import NAMESPACES, parse_call
from agent.demo.h264_rtp import EncoderSettings
from agent.errors import BadInputError
from tests.simulators.raw_viewer import digest_header

UUID = "0d9f6a1c-5c0e-4a52-9b2e-7c1d0e3f4a5b"
OFFSET_S = 3600
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    """Run one camera whose clock is an hour fast."""
    wanted = CameraSettings(
        login=Login("hub", Secret("pw")),
        name="Front door & yard",
        interface="",
        uuid=UUID,
        clock_offset_ms=OFFSET_S * 1000,
        encoder=EncoderSettings(width=320, height=180),
    )
    with running_camera(wanted) as (_, where):
        yield where


def soap(body: str, header: str = "") -> bytes:
    """Write a call."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return f"<s:Envelope {spaces}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()


def wsse(password: str = "pw", user: str = "hub", age_s: float = 0, nonce: bytes = b"") -> str:  # noqa: S107 - a test's
    """Write a WS-UsernameToken by the camera's clock, made `age_s` ago."""
    nonce = nonce or secrets.token_bytes(16)
    moment = datetime.fromtimestamp(time.time() + OFFSET_S - age_s, UTC)
    created = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    hashed = nonce + created.encode() + password.encode()
    digest = base64.b64encode(hashlib.sha1(hashed).digest()).decode()  # noqa: S324 - the digest that WS-Security prescribes
    return (
        f'<w:Security xmlns:w="{WSS}wssecurity-secext-1.0.xsd" xmlns:u="{WSS}wssecurity-utility-1.0.xsd">'
        f"<w:UsernameToken><w:Username>{user}</w:Username>"
        f'<w:Password Type="{WSS}username-token-profile-1.0#PasswordDigest">{digest}</w:Password>'
        f"<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce><u:Created>{created}</u:Created>"
        "</w:UsernameToken></w:Security>"
    )


def send(
    ready: Ready, body: bytes, method: str = "POST", path: str = "", **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Send one HTTP request; return status, body and headers."""
    split = urlsplit(ready.onvif)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=5)
    try:
        connection.request(method, path or split.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def texts(body: bytes, name: str) -> list[str]:
    """Return the texts of all elements of one local name."""
    return [element.text or "" for element in etree.fromstring(body).iter(f"{{*}}{name}")]


def call(ready: Ready, body: str) -> bytes:
    """Call with a good token; must succeed."""
    status, answer, _ = send(ready, soap(body, wsse()))
    assert status == 200, answer
    return answer


def test_the_clock_is_open_and_wrong_as_set(ready: Ready) -> None:
    """GetSystemDateAndTime needs no login and tells the camera's own time in whole seconds."""
    status, body, headers = send(ready, soap("<tds:GetSystemDateAndTime/>"))
    parts = [int(texts(body, name)[0]) for name in ("Year", "Month", "Day", "Hour", "Minute", "Second")]
    told = datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc] - six integers
    assert status == 200
    assert -2 < told - time.time() - OFFSET_S < 1
    assert headers["Date"].startswith(datetime.fromtimestamp(told, UTC).strftime("%a, %d %b %Y %H:%M"))


def test_the_camera_says_who_and_where_it_is(ready: Ready) -> None:
    """Services, capabilities, device information, scopes and interfaces hold what a hub needs."""
    media, events = (ready.onvif.replace("device", name) for name in ("media", "event"))
    assert set(texts(call(ready, "<tds:GetServices/>"), "XAddr")) == {ready.onvif, media, events}
    assert texts(call(ready, "<tds:GetCapabilities/>"), "XAddr") == [ready.onvif, media]
    assert texts(call(ready, "<tds:GetDeviceInformation/>"), "SerialNumber") == ["7c1d0e3f4a5b"]
    assert texts(send(ready, soap("<tds:GetEndpointReference/>"))[1], "GUID") == [f"urn:uuid:{UUID}"]
    assert texts(call(ready, "<tds:GetNetworkInterfaces/>"), "HwAddress") == ["02:1d:0e:3f:4a:5b"]
    assert "onvif://www.onvif.org/name/Front%20door%20%26%20yard" in texts(call(ready, "<tds:GetScopes/>"), "ScopeItem")


def test_both_profiles_lead_to_their_streams(ready: Ready) -> None:
    """The main and sub profiles have their size and an RTSP address; an unknown one is a fault."""
    profiles = etree.fromstring(call(ready, "<trt:GetProfiles/>")).findall(".//{*}Profiles")
    assert [profile.get("token") for profile in profiles] == ["main", "sub"]
    assert [profile.findtext(".//{*}Resolution/{*}Width") for profile in profiles] == ["320", "160"]
    for token, url in (("main", ready.rtsp), ("sub", ready.rtsp_sub)):
        asked = f"<trt:GetStreamUri><trt:ProfileToken>{token}</trt:ProfileToken></trt:GetStreamUri>"
        assert texts(call(ready, asked), "Uri") == [url]
    unknown = "<trt:GetStreamUri><trt:ProfileToken>x</trt:ProfileToken></trt:GetStreamUri>"
    status, body, _ = send(ready, soap(unknown, wsse()))
    assert (status, texts(body, "Value")) == (400, ["s:Sender", "ter:InvalidArgVal"])
    assert len(texts(call(ready, "<trt:GetVideoEncoderConfigurations/>"), "GovLength")) == 2
    assert texts(call(ready, "<trt:GetVideoSources/>"), "Framerate") == ["15"]


def test_without_a_login_the_camera_asks_for_one(ready: Ready) -> None:
    """No login is 401 with Digest challenges and a NotAuthorized fault."""
    status, body, headers = send(ready, soap("<trt:GetProfiles/>"))
    assert (status, texts(body, "Value")) == (401, ["s:Sender", "ter:NotAuthorized"])
    assert len(headers.get_all("WWW-Authenticate")) == 2


@pytest.mark.parametrize(
    "mistake",
    [{"password": "wrong"}, {"user": "other"}, {"age_s": 9}, {"age_s": -9}, {"age_s": OFFSET_S}],
    ids=["password", "user", "old", "early", "by the right clock"],
)
def test_bad_tokens_are_not_authorized(ready: Ready, mistake: dict[str, Any]) -> None:
    """A wrong password, user or time is 400 NotAuthorized, as cameras answer."""
    status, body, _ = send(ready, soap("<trt:GetProfiles/>", wsse(**mistake)))
    assert (status, texts(body, "Value")) == (400, ["s:Sender", "ter:NotAuthorized"])


def test_a_token_works_once(ready: Ready) -> None:
    """The same token again is a replay and refused."""
    body = soap("<tds:GetScopes/>", wsse())
    assert [send(ready, body)[0] for _ in range(3)] == [200, 400, 400]


def test_a_password_in_the_clear_is_refused(ready: Ready) -> None:
    """PasswordText is no login here, even if the text is right."""
    header = wsse().replace("#PasswordDigest", "#PasswordText")
    assert send(ready, soap("<trt:GetProfiles/>", header))[0] == 400


def test_http_digest_opens_calls_and_snapshots(ready: Ready) -> None:
    """With either algorithm a call succeeds, and a snapshot is a JPEG that tells a time on the cadence."""
    for number in range(2):
        asked = send(ready, soap("<trt:GetProfiles/>"))[2].get_all("WWW-Authenticate")[number]
        login = digest_header(asked, "POST", "/onvif/device_service", "hub", "pw")
        assert send(ready, soap("<trt:GetProfiles/>"), Authorization=login)[0] == 200
        asked_uri = "<trt:GetSnapshotUri><trt:ProfileToken>main</trt:ProfileToken></trt:GetSnapshotUri>"
        path = urlsplit(texts(call(ready, asked_uri), "Uri")[0]).path
        assert send(ready, b"", "GET", path)[0] == 401
        login = digest_header(asked, "GET", path, "hub", "pw")
        status, body, headers = send(ready, b"", "GET", path, Authorization=login)
        assert (status, headers["Content-Type"]) == (200, "image/jpeg")
        ticks = block_code.read(np.asarray(cv2.imdecode(np.frombuffer(body, np.uint8), 0), np.uint8))
        assert ticks is not None
        assert ready.cadence.is_tick(ticks)
        wrong = digest_header(asked, "GET", path, "hub", "PW")
        assert send(ready, b"", "GET", path, Authorization=wrong)[0] == 401


def test_calls_that_are_not_there_are_faults(ready: Ready) -> None:
    """An unknown operation is ActionNotSupported; unknown paths and methods have their HTTP codes."""
    status, body, _ = send(ready, soap("<tds:FormatDisk/>", wsse()))
    assert (status, texts(body, "Value")) == (500, ["s:Receiver", "ter:ActionNotSupported"])
    assert send(ready, b"", "GET", "/")[0] == 404
    assert send(ready, b"", "GET", "/onvif/device_service")[0] == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\x16\x03\x01 not xml", 400),
        (b"<a/>", 400),
        (soap(""), 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]>' + soap("<trt:GetProfiles/>"), 400),
        (soap("<trt:GetProfiles/>")[:-30], 400),
        (b"<a>" * 10_000, 400),
        (b"x" * 70_000, 413),
    ],
    ids=["empty", "binary", "not SOAP", "no call", "document type", "cut off", "deep", "too large"],
)
def test_rubbish_is_refused_and_nothing_breaks(ready: Ready, body: bytes, status: int) -> None:
    """Bodies that are not calls get a 4xx, and the next call works."""
    assert send(ready, body)[0] == status
    call(ready, "<trt:GetProfiles/>")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"rubbish\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", b"413"),
    ],
)
def test_heads_that_lie_are_refused(ready: Ready, head: bytes, status: bytes) -> None:
    """Bad request lines, headers and lengths get their 4xx."""
    split = urlsplit(ready.onvif)
    with socket.create_connection((split.hostname or "", split.port or 0), 5) as rude:
        rude.sendall(head)
        rude.shutdown(socket.SHUT_WR)
        assert rude.recv(4096).split(b" ")[1] == status


@given(st.one_of(st.binary(max_size=400), st.text(max_size=200).map(lambda text: soap(f"<a>{text}</a>"))))
@settings(max_examples=200)
def test_parsing_a_call_returns_or_says_bad_input(body: bytes) -> None:
    """No bytes raise anything else."""
    try:
        parse_call(body)
    except BadInputError:
        return
