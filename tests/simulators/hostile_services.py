"""Devices that hold out a hand to discovery and hurt whoever takes it: SOAP answers of every bad kind.

One server on one address; the path of a request says which kind of answer it gets.
"""

from __future__ import annotations

import gzip
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from tests.fuzz.edits import random_mutation
from tests.simulators.onvif_device import _ENVELOPE, OnvifDevice

HUGE_BYTES: Final = 100 * 1024 * 1024
STALL_S: Final = 20.0  # longer than anybody should wait
_PIECE: Final = b"<a>" * 20_000
_XXE: Final = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
_REMOTE: Final = b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/evil.dtd">'
_LAUGHS: Final = (
    b"<!DOCTYPE l [<!ENTITY l0 'ha'>"
    + b"".join(b"<!ENTITY l%d '%s'>" % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]>"
)
_SOUND: Final = [
    _ENVELOPE.format(OnvifDevice().answer(operation, "127.0.0.1:80")).encode()
    for operation in ("GetSystemDateAndTime", "GetServices", "GetCapabilities", "GetProfiles", "GetStreamUri")
]


def _answer(body: bytes, head: bytes = b"", status: bytes = b"200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %s\r\nContent-Type: application/soap+xml\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status,
        head,
        size,
        body,
    )


def _send_huge(client: socket.socket, _: random.Random) -> None:
    client.sendall(_answer(b"", length=HUGE_BYTES))
    for _piece in range(HUGE_BYTES // len(_PIECE)):
        client.sendall(_PIECE)


def _send_endless_chunks(client: socket.socket, _: random.Random) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _piece in range(HUGE_BYTES // len(_PIECE)):
        client.sendall(b"%x\r\n%s\r\n" % (len(_PIECE), _PIECE))


def _drip(client: socket.socket, _: random.Random) -> None:
    until_s = time.monotonic() + STALL_S
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while time.monotonic() < until_s:
        client.sendall(b"<")
        threading.Event().wait(0.1)


def _drip_headers(client: socket.socket, _: random.Random) -> None:
    until_s = time.monotonic() + STALL_S
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    while time.monotonic() < until_s:
        client.sendall(b"X: y\r\n")
        threading.Event().wait(0.1)


def _say_nothing(client: socket.socket, _: random.Random) -> None:
    client.settimeout(STALL_S)
    client.recv(65_536)


def _once(octets: bytes) -> Callable[[socket.socket, random.Random], None]:
    return lambda client, _: client.sendall(octets)


def _fuzzed(client: socket.socket, rnd: random.Random) -> None:
    client.sendall(_answer(random_mutation(_SOUND, rnd)))


def _noise(client: socket.socket, rnd: random.Random) -> None:
    client.sendall(rnd.randbytes(rnd.randrange(2000)))


KINDS: Final[dict[str, Callable[[socket.socket, random.Random], None]]] = {
    "fuzzed": _fuzzed,
    "fuzzed again": _fuzzed,
    "fuzzed once more": _fuzzed,
    "noise": _noise,
    "a file as entity": _once(_answer(_XXE + _SOUND[0].replace(b">", b">&b;", 1))),
    "a DTD elsewhere": _once(_answer(_REMOTE + _SOUND[1])),
    "billion laughs": _once(_answer(_LAUGHS + b"<a>&l9;</a>")),
    "100 MB": _send_huge,
    "endless chunks": _send_endless_chunks,
    "redirect to itself": _once(_answer(b"", b"Location: /redirect%20to%20itself\r\n", b"302 Found")),
    "redirect elsewhere": _once(_answer(b"", b"Location: http://127.0.0.1:9/\r\n", b"307 Temporary Redirect")),
    "drip": _drip,
    "headers that drip": _drip_headers,
    "silence": _say_nothing,
    "closed at once": _once(b""),
    "a thousand headers": _once(_answer(_SOUND[0], b"".join(b"X-%d: y\r\n" % n for n in range(1000)))),
    "a header of a megabyte": _once(_answer(_SOUND[0], b"X: " + b"y" * 1_000_000 + b"\r\n")),
    "a length that lies": _once(_answer(_SOUND[0], length=10_000_000)),
    "no length that is one": _once(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + _SOUND[0]),
    "a bomb in gzip": _once(_answer(gzip.compress(bytes(10_000_000)), b"Content-Encoding: gzip\r\n")),
    "deep": _once(_answer(b"<a>" * 100_000 + b"</a>" * 100_000)),
    "many challenges": _once(_answer(b"", b'WWW-Authenticate: Digest realm="a", nonce="b"\r\n' * 90, b"401 No")),
    "challenged for ever": _once(
        _answer(b"", b'WWW-Authenticate: Digest realm="a", nonce="b", stale=true\r\n', b"401 No")
    ),
    "a login page": _once(_answer(b"<html><body>Log in</body></html>")),
    "Latin-1": _once(_answer("<a>é</a>".encode("latin-1"))),
    "UTF-16": _once(_answer(_SOUND[0].decode().encode("utf-16"))),
}


@contextmanager
def hostile_services(address: str, seed: int) -> Iterator[list[str]]:
    """Serve on a free port of an address; give the URL of each kind of answer, in the order of `KINDS`."""
    rnd, answers, is_over = random.Random(seed), list(KINDS.values()), threading.Event()  # noqa: S311 - the same in each run

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(STALL_S)
            request = client.recv(65_536).split(b" ")
            number = int(request[1].rpartition(b"/")[2]) if len(request) > 1 and request[1][-1:].isdigit() else 0
            answers[number % len(answers)](client, rnd)
            client.shutdown(socket.SHUT_WR)
            client.recv(65_536)

    def accept() -> None:
        while not is_over.is_set():
            with suppress(OSError):
                client, _ = server.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server((address, 0), backlog=512) as server:
        server.settimeout(0.2)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield [f"http://{address}:{server.getsockname()[1]}/onvif/{number}" for number in range(len(answers))]
        finally:
            is_over.set()
            thread.join()
