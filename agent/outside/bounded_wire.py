"""Requests to stores whose answers end: what comes back for one request is counted on the wire, whatever it is made of.

httpx and httpcore limit a head and let us limit a body, but read interim answers (1xx, RFC 9110 section 15.2) and
chunks' extensions for as long as they come: a store could keep the hub's event loop busy for ten minutes a request.

Rules of this file: httpcore's errors go up as they are, `WIRE_ERRORS` names them; a limit that is passed is bad input.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final

import httpcore
import httpx

from agent.errors import BadInputError

ANSWER_WIRE_BYTES_MAX: Final = 192 * 1024
"""Of all that answers one request: 100 KiB of head (httpcore's own limit), 64 KiB of body, and their chunks."""

CONNECTIONS_MAX: Final = 100
KEPT_MAX: Final = 20  # between two requests
KEPT_S: Final = 5.0
WIRE_ERRORS: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)

SocketOptions = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class BoundedTransport(httpx.AsyncBaseTransport):
    """What httpx sends by; no proxy, no HTTP/2. Raises `WIRE_ERRORS`, BadInputError for an answer without end."""

    def __init__(self, tls: ssl.SSLContext, socket_options: SocketOptions = ()) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=KEPT_MAX,
            keepalive_expiry=KEPT_S,
            network_backend=_Backend(),
            socket_options=list(socket_options),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return the answer's head, with its body to be read."""
        url = request.url
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        answer = await self._pool.handle_async_request(asked)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=dict(answer.extensions)
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """An answer's body, piece by piece."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._answer.stream
        if isinstance(pieces, AsyncIterable):
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


class _Backend(httpcore.AnyIOBackend):
    """Connects as httpcore does, to streams that count."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Counted(await super().connect_tcp(host, port, timeout, local_address, socket_options))


class _Counted(httpcore.AsyncNetworkStream):
    """One connection; counts what has come since something was last sent."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream, self._come = stream, 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the same
        octets = await self._stream.read(max_bytes, timeout)
        self._come += len(octets)
        if self._come > ANSWER_WIRE_BYTES_MAX:
            raise BadInputError(f"the store answers one request with more than {ANSWER_WIRE_BYTES_MAX} bytes")
        return octets

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the same
        self._come = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the same
    ) -> httpcore.AsyncNetworkStream:
        return _Counted(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the same
        return self._stream.get_extra_info(info)
