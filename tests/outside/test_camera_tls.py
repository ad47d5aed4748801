"""TLS with cameras, against real servers with certificates that nobody signed."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.cameras.link import CameraLink
from agent.errors import UnavailableError
from agent.outside.camera_tls import CIPHERTEXT_BYTES
from agent.outside.rtsp_sockets import RtspDialer
from tests.simulators.eventually import until
from tests.simulators.tls_front import Certificate, server_context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Make a camera's own certificate."""
    return Certificate.made(tmp_path_factory.mktemp("camera"))


@contextmanager
def served(context: ssl.SSLContext, serve: Callable[[ssl.SSLSocket], object]) -> Iterator[CameraLink]:
    """Dial a server that does `serve` once with its first connection, then waits for the other side to close."""

    def run() -> None:
        far, _ = server.accept()
        far.settimeout(5)
        with far, suppress(OSError), context.wrap_socket(far, server_side=True) as camera:
            serve(camera)
            while camera.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run)
        thread.start()
        link = RtspDialer().dial("127.0.0.1", server.getsockname()[1], is_secure=True)
        try:
            yield link
        finally:
            link.close()
            thread.join()


def test_bytes_go_both_ways_and_the_certificate_is_told(certificate: Certificate) -> None:
    """Nothing is believed of the certificate, but its digest is known before the first byte is sent."""
    heard: list[bytes] = []
    with served(
        server_context(certificate), lambda camera: (heard.append(camera.recv(5)), camera.sendall(b"hi"))
    ) as link:
        assert link.certificate == ""
        with pytest.raises(UnavailableError, match="not open"):
            link.send(b"a password")
        until(link.is_open)
        assert link.certificate == hashlib.sha256(certificate.der).hexdigest()
        room = memoryview(bytearray(100))
        assert link.receive_into(room) == 0
        link.send(b"hello")
        until(lambda: link.receive_into(room) == 2)
        assert (bytes(room[:2]), heard) == (b"hi", [b"hello"])


def test_much_is_read_in_few_calls_and_never_more_than_there_is_room(certificate: Certificate) -> None:
    """A megabyte in records of any size comes through a room of any size, byte for byte."""
    sent = bytes(range(256)) * 4096

    def serve(camera: ssl.SSLSocket) -> None:
        for at in range(0, len(sent), 1397):
            camera.sendall(sent[at : at + 1397])

    with served(server_context(certificate), serve) as link:
        until(link.is_open)
        got, sizes = bytearray(), (1, 17, 100_000, 2 * CIPHERTEXT_BYTES, 300_000)

        def has_all() -> bool:
            room = memoryview(bytearray(sizes[len(got) % len(sizes)]))
            got.extend(room[: link.receive_into(room)])
            return len(got) >= len(sent)

        until(has_all)
    assert got == sent


def test_the_end_is_told_after_what_came_before_it(certificate: Certificate) -> None:
    """Closing, politely or not, loses nothing that was sent before."""

    def serve(camera: ssl.SSLSocket) -> None:
        camera.sendall(b"the last words")
        camera.close()

    with served(server_context(certificate), serve) as link:
        until(link.is_open)
        room = memoryview(bytearray(100))
        until(lambda: link.receive_into(room) == 14)
        with pytest.raises(UnavailableError, match="closed"):
            until(lambda: link.receive_into(room))


@pytest.mark.parametrize(
    ("octets", "words"), [(b"RTSP/1.0 400 Bad Request\r\n\r\n" * 3, "wrong version number"), (b"", "closed")]
)
def test_a_camera_without_tls_is_told_as_such(octets: bytes, words: str) -> None:
    """A port that speaks something else ends the handshake with words for a person."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = RtspDialer().dial("127.0.0.1", server.getsockname()[1], is_secure=True)
        far, _ = server.accept()
        far.sendall(octets)
        if not octets:
            far.close()
        with pytest.raises(UnavailableError, match=words):
            until(link.is_open)
        link.close()
        far.close()


def test_old_protocols_are_refused(certificate: Certificate) -> None:
    """TLS 1.1 is not spoken, and the cure says what to do."""
    context = server_context(certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with served(context, lambda _: None) as link, pytest.raises(UnavailableError, match="firmware"):
        until(link.is_open)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_small_old_key_is_good_enough(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Cameras have RSA keys of 1024 bits; the pin, not the key's signature, says who it is."""
    context = server_context(Certificate.made(tmp_path, rsa_bits=1024))
    context.minimum_version = context.maximum_version = version
    with served(context, lambda _: None) as link:
        until(link.is_open)
        assert link.certificate


def test_a_camera_cannot_make_the_hub_compute_for_long(certificate: Certificate) -> None:
    """Diffie-Hellman in a group of the camera's choice is not agreed to."""
    context = server_context(certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE:@SECLEVEL=0")
    with served(context, lambda _: None) as link, pytest.raises(UnavailableError, match="handshake failure"):
        until(link.is_open)


def test_a_camera_cannot_choose_a_slow_group(certificate: Certificate) -> None:
    """TLS 1.3 has groups to agree on by name; only the one that costs a millisecond is offered."""
    context = server_context(certificate)
    context.set_ecdh_curve("secp521r1")
    with served(context, lambda _: None) as link, pytest.raises(UnavailableError, match="handshake failure"):
        until(link.is_open)


def test_a_handshake_that_drips_never_waits(certificate: Certificate) -> None:
    """A server whose handshake comes byte by byte costs a moment per call, and opens in the end.

    One thread is both sides here: a call that waited for the server would wait for ever.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    camera = server_context(certificate).wrap_bio(incoming, outgoing, server_side=True)
    longest_s = 0.0
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = RtspDialer().dial("127.0.0.1", server.getsockname()[1], is_secure=True)
        far, _ = server.accept()
        far.settimeout(0)
        is_open = False
        while not is_open:
            began = time.thread_time()
            is_open = link.is_open()
            longest_s = max(longest_s, time.thread_time() - began)
            with suppress(BlockingIOError):
                incoming.write(far.recv(1000))
            with suppress(ssl.SSLWantReadError):
                camera.do_handshake()
            if outgoing.pending:
                far.send(outgoing.read(1))
        link.close()
        far.close()
    assert longest_s < 0.2


def test_tls_is_loaded_when_a_camera_speaks_it_and_not_before() -> None:
    """A hub whose cameras have no TLS does not pay for it."""
    code = (
        "import sys, agent.outside.rtsp_sockets as s; d = s.RtspDialer(); d.dial('127.0.0.1', 9).close();"
        "before = 'ssl' in sys.modules; d.dial('127.0.0.1', 9, is_secure=True).close();"
        "print(before, 'ssl' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "True"]
