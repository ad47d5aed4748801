"""HTTP to servers that do everything wrong, on real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.clock import WallTime, parse_rfc3339
from agent.errors import BadInputError
from agent.outside.onvif_failures import CameraUnreachableError, NotOnvifError
from agent.outside.soap_http import ANSWER_BYTES_MAX, Answer, post

DEADLINE_S = 0.6
OK = b"HTTP/1.1 200 OK\r\n"


def ask(address: str, deadline_s: float = DEADLINE_S) -> Answer:
    """Post to a server with a deadline from now."""
    return post(address, b"<x/>", {}, deadline_s=time.monotonic() + deadline_s, now=lambda: WallTime(time.time_ns()))


@contextmanager
def server(behave: Callable[[socket.socket, threading.Event], None], *, reads_first: bool = True) -> Iterator[str]:
    """Accept one connection after another, read the request, and behave until told to stop."""
    stop = threading.Event()

    def run() -> None:
        while True:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                if stop.is_set():
                    return
                if reads_first:
                    connection.recv(65536)
                behave(connection, stop)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=run)
        thread.start()
        port = listening.getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/onvif"
        finally:
            stop.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


def sending(answer: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Make a server that sends these bytes and closes."""
    return lambda connection, _: connection.sendall(answer)


def silent(_: socket.socket, stop: threading.Event) -> None:
    """Answer nothing at all."""
    stop.wait(30)


def dripping(connection: socket.socket, stop: threading.Event) -> None:
    """Send a good beginning, then a byte now and then, never the end."""
    connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
    while not stop.wait(0.05):
        connection.sendall(b"x")


def dripping_headers(connection: socket.socket, stop: threading.Event) -> None:
    """Send interim answers for ever."""
    while not stop.wait(0.05):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("behave", [silent, dripping, dripping_headers])
def test_nobody_holds_us_beyond_the_deadline(behave: Callable[[socket.socket, threading.Event], None]) -> None:
    """A silent, a dripping and an ever-continuing camera all cost the deadline and no more."""
    with server(behave) as address:
        started = time.monotonic()
        with pytest.raises(CameraUnreachableError, match="in time"):
            ask(address)
        assert DEADLINE_S - 0.05 <= time.monotonic() - started < DEADLINE_S + 10


@pytest.mark.parametrize(
    "headers", [b"Content-Length: 99999999999\r\n\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"]
)
def test_a_huge_answer_is_cut_off(headers: bytes) -> None:
    """With a length, without one, and in one chunk: reading stops at 4 MiB."""

    def flood(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(OK + headers)
        while not stop.is_set():
            connection.sendall(bytes(65536))

    with server(flood) as address, pytest.raises(BadInputError, match=str(ANSWER_BYTES_MAX)):
        ask(address, 10)


def test_a_redirect_is_not_followed() -> None:
    """The camera cannot send us elsewhere; the person learns why."""
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with server(sending(elsewhere)) as address, pytest.raises(NotOnvifError, match="redirect"):
        ask(address)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff\xfe rubbish\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        OK + b"a: b\r\n" * 500,
        OK + b"Content-Length: 10\r\n\r\nshort",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"x" * 100_000,
    ],
)
def test_broken_http_is_one_kind_of_failure(answer: bytes) -> None:
    """Whatever breaks the protocol: the camera is unreachable, and nothing else is raised."""
    with server(sending(answer)) as address, pytest.raises(CameraUnreachableError, match="broke off"):
        ask(address)


def test_an_answer_is_told_with_its_times_and_challenges() -> None:
    """Status, body, both challenges, the camera's date, and the hub's clock before and after."""
    answer = (
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=a\r\nWWW-Authenticate: Basic realm=b\r\n"
        b"Date: Mon, 04 May 2026 03:02:01 GMT\r\n\r\n<html>Unauthorized</html>"
    )
    before = time.time_ns()
    with server(sending(answer)) as address:
        told = ask(address)
    assert (told.status, told.body) == (401, b"<html>Unauthorized</html>")
    assert told.challenges == ("Digest realm=a", "Basic realm=b")
    assert told.date == parse_rfc3339("2026-05-04T03:02:01Z")
    assert before <= told.asked <= told.answered <= time.time_ns()


def test_a_camera_with_a_certificate_of_its_own_is_asked_over_tls(tmp_path: Path) -> None:
    """HTTPS works with the self-signed certificates cameras come with."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "camera")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2026, 1, 1), datetime(2036, 1, 1))  # noqa: DTZ001 - UTC by definition
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = tmp_path / "camera.pem"
    pem.write_bytes(private + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def behave(connection: socket.socket, _: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(OK + b"Content-Length: 2\r\n\r\nhi")

    with server(behave, reads_first=False) as address:
        assert ask(address.replace("http:", "https:"), 5).body == b"hi"


@pytest.mark.parametrize(
    "date", [b"yesterday", b"Mon, 99 May 2026 03:02:01 GMT", b"", b"Mon, 04 May 99999 03:02:01 GMT"]
)
def test_a_date_that_is_none_is_passed_over(date: bytes) -> None:
    """The Date header is a hint and can fail nothing."""
    with server(sending(OK + b"Date: " + date + b"\r\n\r\nx")) as address:
        assert ask(address).date is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999/", "http:///", "https://127.0.0.1:1/"])
def test_an_address_that_leads_nowhere_is_unreachable(address: str) -> None:
    """Bad ports, no host, nobody there."""
    with pytest.raises(CameraUnreachableError):
        ask(address)
