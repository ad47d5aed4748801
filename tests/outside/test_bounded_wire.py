"""A store's answers on the wire: any that is whole comes through, none goes on for ever."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from agent.errors import BadInputError
from agent.outside.bounded_wire import ANSWER_WIRE_BYTES_MAX, WIRE_ERRORS, BoundedTransport
from agent.outside.https import tls_context
from tests.simulators.tls_store import certificate_of

BODY_BYTES = 60 * 1024
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES + bytes(BODY_BYTES)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4000),
    "interim answers with fields": (b"", b"HTTP/1.1 103 E\r\n" + b"a:\r\n" * 4000 + b"\r\n"),
    "extensions of chunks": (CHUNKED, b"1;" + b"e" * 15_000 + b"\r\nx\r\n"),
    "small chunks": (CHUNKED, b"1\r\nx\r\n" * 4000),
    "trailing fields": (CHUNKED + b"0\r\n", b"a:\r\n" * 4000),
}


@contextmanager
def answering(folder: Path, first: bytes, again: bytes) -> Iterator[tuple[str, str]]:
    """Answer each request with `first`, and then with `again` for as long as somebody reads; give address and PEM."""
    pem, chain = certificate_of(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):  # the listener is closed; whoever read has gone
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as client:
                    while client.recv(65_536):
                        client.sendall(first)
                        while again:
                            client.sendall(again)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", pem
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


async def ask(url: str, pem: str, times: int = 1) -> list[int]:
    """Ask so often over one connection; return how long the bodies were."""
    async with httpx.AsyncClient(transport=BoundedTransport(tls_context([pem])), timeout=20) as client:
        async with asyncio.timeout(60):
            return [len((await client.get(url)).content) for _ in range(times)]


@pytest.mark.parametrize("kind", ENDLESS)
def test_no_answer_goes_on_for_ever(tmp_path: Path, kind: str) -> None:
    """Whatever it is made of, it ends at the limit; before, it kept the event loop busy until the request's end."""
    with answering(tmp_path, *ENDLESS[kind]) as (url, pem):
        began_s = time.thread_time()
        with pytest.raises((BadInputError, *WIRE_ERRORS)):
            asyncio.run(ask(url, pem))
        assert time.thread_time() - began_s < 4


def test_each_request_may_be_answered_up_to_the_limit(tmp_path: Path) -> None:
    """A connection that is kept counts anew: many whole answers have more than the limit together."""
    with answering(tmp_path, WHOLE, b"") as (url, pem):
        assert asyncio.run(ask(url, pem, times=8)) == [BODY_BYTES] * 8
    assert 8 * BODY_BYTES > 2 * ANSWER_WIRE_BYTES_MAX
