"""One question and one answer over one TLS 1.3 connection, which as a whole has a deadline.

Rules of this file: whom to trust is the caller's context; every answer has a limit, and no redirect is followed.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Final

from provisioning.errors import UnavailableError

CONNECT_S_MAX: Final = 10.0
CONVERSATION_S_MAX: Final = 30.0
SERVER_ERRORS: Final = 500
"""Statuses from here on mean "later"."""


def tls_1_3() -> ssl.SSLContext:
    """Return a client's context that trusts nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


@contextlib.contextmanager
def tls_conversation(
    host: str, port: int, context: ssl.SSLContext, limit_s: float, cure: str
) -> Iterator[tuple[http.client.HTTPConnection, ssl.SSLSocket]]:
    """Connect, for at most `limit_s` in all. Raises UnavailableError with `cure` if that fails."""
    with contextlib.ExitStack() as stack:
        try:
            plain = stack.enter_context(socket.create_connection((host, port), CONNECT_S_MAX))
            stack.enter_context(_time_limit(plain, limit_s))
            server = stack.enter_context(context.wrap_socket(plain, server_hostname=host))
        except ssl.SSLCertVerificationError as error:
            raise UnavailableError(f"{host}:{port} shows a certificate that nobody here trusts", cure=cure) from error
        except (OSError, UnicodeError) as error:
            raise UnavailableError(f"no TLS 1.3 connection to {host}:{port}", cure=cure) from error
        connection = http.client.HTTPConnection(host, port)
        connection.sock = server
        yield connection, server


def post(
    connection: http.client.HTTPConnection, path: str, body: bytes, answer_bytes_max: int, cure: str
) -> tuple[int, bytes]:
    """Post JSON; return status and answer, which may be one byte longer than the limit, for the caller to refuse.

    Raises UnavailableError with `cure` if the server breaks off.
    """
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(answer_bytes_max + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError("the server broke off", cure=cure) from error


@contextlib.contextmanager
def _time_limit(server: socket.socket, limit_s: float) -> Iterator[None]:
    # A socket's timeout is for one read: a server that drips a byte now and then would hold the hub for hours.
    # The twin is the same connection; it stays ours when TLS takes the socket over.
    with server.dup() as twin:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(limit_s, hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
