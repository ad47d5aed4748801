"""The virtual camera's ONVIF device and media services and its snapshots, over HTTP, behind WSSE or HTTP Digest logins.

Rules of this file: one request per connection; rubbish, replays and oversized bodies get a 4xx and change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from agent.clock import SECOND_NS
from agent.demo.camera_answers import (
    DEVICE_PATH,
    MEDIA_PATH,
    OPEN_CALLS,
    SNAPSHOT_PATH,
    Identity,
    UnknownProfileError,
    answer_call,
)
from agent.demo.camera_cadence import CameraClock
from agent.demo.camera_events import EVENTS_PATH, PULL_POINT_PATH, EventRefusedError, EventService
from agent.demo.camera_listener import Listener
from agent.demo.camera_login import DigestGate, Verdict
from agent.demo.camera_media2 import MEDIA2_PATH, answer_media2
from agent.demo.camera_quirks import PLAIN, Lockout, Quirks
from agent.demo.camera_request import HEAD_BYTES_MAX, Request, TooLargeError, read_request
from agent.demo.camera_soap import NAMESPACES, Call, TokenGate, envelope, fault, parse_call
from agent.errors import BadInputError

REQUEST_SECONDS: Final = 10
CONNECTIONS_MAX: Final = 32
_HEAR_OUT_READS: Final = 32
_SOAP_PATHS: Final = (DEVICE_PATH, MEDIA_PATH, MEDIA2_PATH)
_GET_CLOCK: Final = "GetSystemDateAndTime"
_PAGE: Final = b"<html><head><title>401</title></head><body><h1>Access denied<p></body></html>"
_SOAP: Final = "application/soap+xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = _SOAP
    asks: tuple[str, ...] = ()  # WWW-Authenticate


class OnvifServer:
    """Answers ONVIF calls about `identity`, which is set once the ports are known, and serves JPEG snapshots."""

    def __init__(
        self,
        clock: CameraClock,
        digest: DigestGate,
        tokens: TokenGate,
        snapshot: Callable[[], bytes],
        quirks: Quirks = PLAIN,
    ) -> None:
        self.lockout = Lockout(quirks.lockout_after)
        tokens.heard = digest.heard = self.lockout.judged
        self._quirks = quirks
        self.identity: Identity | None = None
        self.on_synchronization_point: Callable[[str], None] = lambda _: None  # called with the profile's token
        self.events: EventService | None = None  # None: it has none
        self._clock = clock
        self._digest = digest
        self._tokens = tokens
        self._snapshot = snapshot
        self._listener = Listener(self._serve, CONNECTIONS_MAX)
        self.start, self.stop = self._listener.start, self._listener.stop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):  # the client is gone or too slow
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await self._read_and_answer(reader)
                if answer is not None:
                    writer.write(self._encode(answer))
                    await writer.drain()
                    await _hear_out(reader, writer)

    async def _read_and_answer(self, reader: asyncio.StreamReader) -> Answer | None:
        try:
            request = await read_request(reader)
        except TooLargeError:
            return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except BadInputError:
            return Answer(HTTPStatus.BAD_REQUEST)
        if request is None:
            return None
        if self.events is not None and request.method == "POST" and request.path in (EVENTS_PATH, PULL_POINT_PATH):
            return await self._answer_events(request, self.events)
        return self.answer(request)

    def answer(self, request: Request) -> Answer:
        """Answer one HTTP request."""
        match request.method, request.path:
            case "POST", path if path in _SOAP_PATHS:
                return self._answer_soap(request)
            case "GET", path if path == SNAPSHOT_PATH:
                return self._answer_snapshot(request)
            case _, path if path in (*_SOAP_PATHS, SNAPSHOT_PATH):
                return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        return Answer(HTTPStatus.NOT_FOUND)

    def _answer_soap(self, request: Request) -> Answer:
        try:
            call = parse_call(request.body)
        except BadInputError:
            return Answer(HTTPStatus.BAD_REQUEST, fault("Sender", "WellFormed", "Not a SOAP 1.2 call"))
        if call.operation not in OPEN_CALLS or (call.operation == _GET_CLOCK and self._quirks.has_secret_clock):
            refusal = self._check_login(request, call)
            if refusal is not None:
                return refusal
        now_s = self._clock.now_ns() // SECOND_NS
        try:
            body = self._body(self.identity, call, now_s) if self.identity else None
        except UnknownProfileError:
            return Answer(HTTPStatus.BAD_REQUEST, fault("Sender", "InvalidArgVal", "No such profile"))
        if body is None:
            text = fault("Receiver", "ActionNotSupported", "Optional action not implemented")
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, text)
        return Answer(HTTPStatus.OK, envelope(body))

    def _body(self, identity: Identity, call: Call, now_s: int) -> str | None:
        if call.operation == "GetServices" and not self._quirks.has_get_services:
            return None
        if call.namespace == NAMESPACES["tr2"] and identity.media2_path:
            body = answer_media2(identity, call.operation, call.texts)
        else:
            body = answer_call(identity, call.operation, call.texts, now_s)
        if body is not None and call.operation == "SetSynchronizationPoint":
            self.on_synchronization_point(call.texts.get("ProfileToken", ""))
        return body

    async def _answer_events(self, request: Request, events: EventService) -> Answer:
        if not events.manners.has_events:
            return Answer(HTTPStatus.NOT_FOUND)
        try:
            call = parse_call(request.body)
        except BadInputError:
            return Answer(HTTPStatus.BAD_REQUEST, fault("Sender", "WellFormed", "Not a SOAP 1.2 call"))
        refusal = self._check_login(request, call)
        if refusal is not None:
            return refusal
        try:
            body = await events.answer(call, request.uri, request.body, self.identity.http if self.identity else "")
        except EventRefusedError as error:
            subcode, reason = error.args
            return Answer(HTTPStatus.BAD_REQUEST, fault("Sender", subcode, reason))
        return Answer(HTTPStatus.OK, envelope(body))

    def _check_login(self, request: Request, call: Call) -> Answer | None:
        """Return the refusal, or None for who may come in: HTTP Digest is looked at first, then the token."""
        header, is_digest_spoken = request.headers.get("authorization"), self._quirks.logins != "token"
        is_token = call.token is not None and self._quirks.logins != "digest"
        if call.token is not None and is_token and (header is None or not is_digest_spoken):
            if self._tokens.judge(call.token) is Verdict.WELCOME:
                return None
            return self._refusal(HTTPStatus.BAD_REQUEST)
        return self._check_digest(request) if is_digest_spoken else self._refusal(HTTPStatus.BAD_REQUEST)

    def _check_digest(self, request: Request) -> Answer | None:
        verdict = self._digest.judge(request.method, request.uri, request.headers.get("authorization"))
        if verdict is Verdict.WELCOME:
            return None
        return self._refusal(HTTPStatus.UNAUTHORIZED, tuple(self._digest.challenges(verdict)))

    def _refusal(self, status: HTTPStatus, asks: tuple[str, ...] = ()) -> Answer:
        status = HTTPStatus(self._quirks.refusal_status or status)
        if self._quirks.is_refusal_a_page:
            return Answer(status, _PAGE, "text/html", asks)
        why = "The account is locked" if self.lockout.is_locked else "Sender not authorized"
        return Answer(status, fault("Sender", "NotAuthorized", why), asks=asks)

    def _answer_snapshot(self, request: Request) -> Answer:
        return self._check_digest(request) or Answer(HTTPStatus.OK, self._snapshot(), "image/jpeg")

    def _encode(self, answer: Answer) -> bytes:
        head = [
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            f"Date: {formatdate(self._clock.now_ns() // SECOND_NS, usegmt=True)}",
            *(f"WWW-Authenticate: {ask}" for ask in answer.asks),
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
        ]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + answer.body


async def _hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a little of what was refused: closing on unread bytes would reset the connection under our answer."""
    writer.write_eof()
    for _ in range(_HEAR_OUT_READS):
        if not await reader.read(HEAD_BYTES_MAX):
            return
