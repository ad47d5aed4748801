"""Browsers to the owner's page: HTTP/1.1 over TLS, whole requests within limits in, answers out.

h11 reads and writes the protocol; this file has the sockets, the time and the limits. A server of others was not taken
since none of them limits how many wait in the handshake, or how long a request may take to come.

Rules of this file:
- A connection is counted before a byte of it is read, and costs a bounded time and memory whatever it does.
- Nothing in it blocks the event loop; a bug in a page ends that request and not the hub.
- A body says its length: no browser sends one in chunks, and a hundred thousand chunks of a byte cost half a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import Coroutine
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

import h11

from agent.clock import Clock
from agent.errors import UnavailableError
from agent.loose_thread import in_thread
from agent.outside.page_crowd import Crowd, is_near
from agent.page_ports import PageLimits, PageRequest, PageResponse, Respond

READ_BYTES: Final = 16 * 1024
HEAD_LINES_MAX: Final = 100  # a browser sends twenty; each costs more time than its bytes
QUERY_FIELDS_MAX: Final = 8
LINGER_S: Final = 1.0  # for a refused sender to read why
LINGER_BYTES_MAX: Final = 256 * 1024
GOODBYE_S: Final = 2.0
FULL_S: Final = 0.5  # no more file descriptors
REFUSED_S: Final = 0.01  # after each connection that is not let in: a flood of them costs next to nothing
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_TEXT: Final = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}

log: Final = logging.getLogger("transom.page")


class _RefusedError(Exception):
    """A request that is not read any further: the status, and words for whoever sent it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class _Ends(NamedTuple):
    """Whose two ends a connection has: the browser's address, the hub's, the hub's port."""

    peer: str
    local: str
    port: int


class PageServer:
    """Serves `respond` from `start` to `stop`; used from the event loop only."""

    def __init__(self, context: ssl.SSLContext, limits: PageLimits, respond: Respond, clock: Clock) -> None:
        self._context, self._limits, self._respond, self._clock = context, limits, respond, clock
        self._crowd = Crowd(limits)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None

    async def start(self, address: str, port: int) -> int:
        """Listen; return the port, which the kernel chooses for 0. Raises UnavailableError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        is_all = address == "::" and socket.has_dualstack_ipv6()
        try:
            self._listener = socket.create_server((address, port), family=family, backlog=16, dualstack_ipv6=is_all)
        except OSError as error:
            raise UnavailableError(
                f"the owner's page cannot be served at {address} port {port}: {error.strerror}",
                cure="set owner_page.address and owner_page.port to what this machine has free",
            ) from error
        self._listener.settimeout(0)
        self._begin(self._accept_for_ever(self._listener), "page")
        return int(self._listener.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._listener is not None:
            self._listener.close()

    def _begin(self, work: Coroutine[None, None, None], name: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept_for_ever(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, remote = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("the owner's page takes no connection: %s", error.strerror)
                await asyncio.sleep(FULL_S)
                continue
            peer = _plain(str(remote[0]))
            if not is_near(peer) or not self._crowd.enter(peer, self._clock.instant()):
                connection.close()
                await asyncio.sleep(REFUSED_S)
                continue
            self._begin(self._serve(connection, peer), f"page {peer}")

    async def _serve(self, connection: socket.socket, peer: str) -> None:
        loop, limits = asyncio.get_running_loop(), self._limits
        reader = asyncio.StreamReader(READ_BYTES, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport: asyncio.Transport | None = None
        try:
            local = connection.getsockname()
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so for its own sockets only
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=limits.request_s,
                ssl_shutdown_timeout=GOODBYE_S,
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            talk = _Talk(reader, writer, _Ends(peer, _plain(str(local[0])), int(local[1])), self._limits)
            await self._talk(talk)
            writer.close()
            async with asyncio.timeout(GOODBYE_S):
                await writer.wait_closed()
        except (OSError, TimeoutError, h11.LocalProtocolError) as error:  # it went away, or is too slow
            log.debug("a connection from %s ended: %s", peer, error)
        except UnavailableError as error:
            log.warning("an answer to %s broke off: %s", peer, error)
        finally:
            self._crowd.leave(peer)
            if transport is not None:
                transport.abort()
            else:
                connection.close()

    async def _talk(self, talk: _Talk) -> None:
        """Answer one request after the other until either side has enough."""
        while (request := await self._next_request(talk)) is not None:
            async with asyncio.timeout(self._limits.answer_s):
                await talk.write(await self._answer(request), is_head=request.method == "HEAD")
            if not talk.begin_anew():
                return

    async def _next_request(self, talk: _Talk) -> PageRequest | None:
        """Read a request that is within the limits; None at the end, or after saying which limit it was."""
        try:
            async with asyncio.timeout(self._limits.request_s):
                request = await talk.read()
        except TimeoutError:
            if not talk.is_idle:
                await talk.refuse(408, "The request took too long to come.")
        except _RefusedError as error:
            await talk.refuse(error.status, error.words)
        except h11.RemoteProtocolError as error:
            await talk.refuse(error.error_status_hint, "This is not a request that a browser sends.")
        else:
            if request is None or self._crowd.may_ask(talk.ends.peer, self._clock.instant()):
                return request
            await talk.refuse(429, "Too many requests. Wait a minute, then load the page again.")
        return None

    async def _answer(self, request: PageRequest) -> PageResponse:
        try:
            return await self._respond(request)
        except Exception:
            log.exception("the owner's page met a bug at %s", request.path)
            return PageResponse(500, _TEXT, b"This page has met a mistake of its own. The hub goes on; load it again.")


class _Talk:
    """One connection's bytes and its protocol machine."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: _Ends, limits: PageLimits
    ) -> None:
        self.ends = ends
        self._reader, self._writer, self._limits = reader, writer, limits
        self._machine = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request has come."""
        return self._machine.their_state is h11.IDLE and not self._machine.trailing_data[0]

    async def read(self) -> PageRequest | None:
        """Read a whole request; None at the end."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            if head is None:
                self._check_lines()
            event = self._machine.next_event()
            if event is h11.NEED_DATA:
                self._machine.receive_data(await self._reader.read(READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
                if any(name == b"transfer-encoding" for name, _ in head.headers):
                    raise _RefusedError(411, "A request must say how many bytes it has.")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._limits.body_bytes:
                    raise _RefusedError(413, f"A request may have {self._limits.body_bytes} bytes.")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body), self.ends)
            else:
                return None

    def _check_lines(self) -> None:
        waiting, _ = self._machine.trailing_data
        end = _HEAD_END.search(waiting)
        if waiting.count(b"\n", 0, end.start() if end else len(waiting)) > HEAD_LINES_MAX:
            raise _RefusedError(431, f"A request may have {HEAD_LINES_MAX} header fields.")

    async def write(self, response: PageResponse, *, is_head: bool = False) -> None:
        """Write an answer, waiting for the browser to take it."""
        fields = dict(response.headers)
        if response.pieces is None:
            fields["content-length"] = str(len(response.body))
        status = h11.Response(status_code=response.status, headers=list(fields.items()))
        octets = self._machine.send(status) or b""
        if response.pieces is not None:
            while piece := await in_thread(lambda: next(response.pieces or iter(()), b"")):
                await self._send(octets + (self._machine.send(h11.Data(data=piece)) or b""))
                octets = b""
        elif not is_head:
            octets += self._machine.send(h11.Data(data=response.body)) or b""
        await self._send(octets + (self._machine.send(h11.EndOfMessage()) or b""))

    async def refuse(self, status: int, words: str) -> None:
        """Say what is wrong to somebody who may still be sending, and let them read it."""
        if self._machine.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        await self.write(PageResponse(status, {**_TEXT, "connection": "close"}, words.encode()))
        left = LINGER_BYTES_MAX
        with contextlib.suppress(TimeoutError, OSError, ssl.SSLError):
            async with asyncio.timeout(LINGER_S):
                while left > 0 and (octets := await self._reader.read(READ_BYTES)):
                    left -= len(octets)

    def begin_anew(self) -> bool:
        """Be ready for the next request; False if there will be none."""
        if self._machine.our_state is not h11.DONE or self._machine.their_state is not h11.DONE:
            return False
        self._machine.start_next_cycle()
        return True

    async def _send(self, octets: bytes) -> None:
        self._writer.write(octets)
        async with asyncio.timeout(self._limits.request_s):
            await self._writer.drain()


def _plain(address: str) -> str:
    """Write an IPv4 address as browsers do, also where the socket is of both families (RFC 4291 section 2.5.5.2)."""
    return address.removeprefix("::ffff:") if "." in address else address


def _request(head: h11.Request, body: bytes, ends: _Ends) -> PageRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path, _, query = head.target.decode("ascii", "replace").partition("?")
    return PageRequest(head.method.decode("ascii"), path, _fields(query), headers, body, *ends)


def _fields(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        return {}
