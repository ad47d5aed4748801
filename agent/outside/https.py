"""Sealed parts over HTTPS: carries out what the upload machine asks for, and fetches the store's receipts.

Rules of this file: TLS 1.3, the operator's authorities and nobody else's, no redirect, no proxy from the environment,
no cookies; every request and every answer has a limit; the token goes into one header and into no error. The errors of
httpx and httpcore can repeat header values, so they are never chained or quoted.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import random
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import httpx

from agent.clock import SECOND_NS, Clock, Instant
from agent.command.request import UploadMethod, UploadTarget
from agent.crypto import Secret
from agent.deliver.part import SealedPart
from agent.deliver.put import PutUpload, forgetting
from agent.deliver.put_message import PIECE_BYTES, piece_count
from agent.deliver.receipt import RECEIPT_BYTES_MAX
from agent.deliver.request import Event, Request
from agent.deliver.tus_answer import URL_CHARS_MAX, Answer, Lost, is_retryable
from agent.deliver.upload import PATCH_BYTES_MAX, TusUpload, offers_termination, termination
from agent.errors import BadInputError, ConfigurationError, TransomError, UnavailableError
from agent.outside.bounded_wire import WIRE_ERRORS, BoundedTransport
from agent.outside.pacer import Pacer, Passage, WithdrawnError
from agent.outside.tls_dates import follow_clock

READ_BYTES: Final = 256 * 1024
ANSWER_BYTES_MAX: Final = 64 * 1024
BEGUN_MAX: Final = 64  # uploads of which it is remembered that they are new
UNSENT_BYTES_MAX: Final = 128 * 1024
"""What the kernel keeps beyond what is on its way: what has been handed over can neither be slowed nor stopped."""

_TOKEN: Final = re.compile(rb"[A-Za-z0-9\-._~+/]{1,8192}=*")  # RFC 6750 section 2.1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the uploader waits for what, in seconds."""

    connect_s: float = 10
    silence_s: float = 30  # no byte moved in either direction
    request_s: float = 600  # one request as a whole: 4 MiB at 7 KB/s
    question_s: float = 60  # one that brings no bytes of a part: who answers it drop by drop holds a turn no longer
    upload_s: float = 20  # retries inside one call
    farewell_s: float = 5  # to tell a store that an upload is given up


class HttpsUploader:
    """The `Uploader` of `agent.ports` over httpx. Build it inside the running event loop; close it with `aclose()`.

    `authorities_pem` are the certificates that the store's chain must end in; `hosts` says where a signer may send
    pieces, as `listed_hosts` writes them: nowhere, if not told.
    """

    def __init__(
        self,
        authorities_pem: Sequence[str],
        clock: Clock,
        patience: Patience = Patience(),
        hosts: Callable[[], Collection[str]] = tuple,
        pacer: Pacer | None = None,
    ) -> None:
        timeout = httpx.Timeout(patience.silence_s, connect=patience.connect_s)
        self._tls = tls_context(authorities_pem)
        # one identity on the wire; no compression, so that no answer unfolds to more than it was
        headers = {"User-Agent": "transom", "Accept-Encoding": "identity"}
        options = [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)]
        transport = BoundedTransport(self._tls, options)
        self._client = httpx.AsyncClient(
            transport=transport, timeout=timeout, headers=headers, trust_env=False, follow_redirects=False
        )
        self._clock = clock
        self._pacer = pacer or Pacer(clock)
        self._patience = patience
        self._hosts = hosts
        self._begun: dict[str, TusUpload] = {}  # created in this life, and nothing sent yet
        self._chance = random.SystemRandom().random

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def create(self, part: SealedPart, target: UploadTarget) -> str:
        """Create the upload and return its URL, for a signer its own. Raises BadInputError, UnavailableError."""
        if target.method is UploadMethod.PUT:
            return _https(target.url)
        upload = self._tus(part, target, None)
        while upload.location is None:
            await self._step(upload, part, target)
        self._begun = {**dict(list(self._begun.items())[1 - BEGUN_MAX :]), part.id: upload}
        return upload.location

    async def send(
        self, part: SealedPart, target: UploadTarget, location: str, may_go_on: Callable[[], bool] = lambda: True
    ) -> bool:
        """Send what the store does not have yet; create the upload anew if the store has forgotten it.

        Asks `may_go_on` before each request (of at most PIECE_BYTES), and the pacer on the way; False if one of them
        said no before the end.
        Raises BadInputError, UnavailableError; call again later after the latter: nothing that arrived is sent twice.
        """
        upload: TusUpload | PutUpload
        begun = self._begun.pop(part.id, None)
        if target.method is UploadMethod.PUT:
            upload = await self._put(part, target)
        else:
            upload = begun if begun and begun.location == location else self._tus(part, target, location)
        while not upload.is_finished:
            if not may_go_on():
                return False
            if isinstance(upload, TusUpload):
                upload.patch_bytes_max = self._pacer.request_bytes(PATCH_BYTES_MAX)
            try:
                await self._step(upload, part, target)
            except WithdrawnError:
                return False
        return True

    async def drop(self, part: SealedPart, target: UploadTarget, location: str) -> None:
        """Ask the store to drop what it has of an unfinished upload, once; what it does not hear expires there."""
        with contextlib.suppress(TransomError, TimeoutError):
            async with asyncio.timeout(self._patience.farewell_s):
                request = forgetting(part, _https(target.url))
                if target.method is UploadMethod.TUS:
                    request = termination(_https(target.url), location)
                    offer = await self._request(Request("OPTIONS", target.url), part, target.token)
                    if isinstance(offer, Lost) or not offers_termination(offer):
                        return
                await self._request(request, part, target.token)

    async def receipt(self, part: SealedPart, target: UploadTarget) -> str:
        """Fetch the store's receipt (not verified here). Raises UnavailableError while there is none, BadInputError."""
        url = f"{_https(target.receipts_url).rstrip('/')}/{quote(part.id, safe='')}"
        event = await self._request(Request("GET", url), part, target.token)
        if isinstance(event, Lost):
            raise UnavailableError(f"the receipt of part {part.id} could not be fetched ({event.why})")
        if event.status in (HTTPStatus.ACCEPTED, HTTPStatus.NOT_FOUND) or is_retryable(event.status):
            raise UnavailableError(f"the store has no receipt for part {part.id} yet (status {event.status})")
        if event.status != HTTPStatus.OK:
            raise BadInputError(f"the store refuses the receipt of part {part.id} with status {event.status}")
        if len(event.body) > RECEIPT_BYTES_MAX or not event.body.isascii():
            raise BadInputError(f"the store's receipt for part {part.id} is not one")
        return event.body.decode("ascii").strip()

    def _tus(self, part: SealedPart, target: UploadTarget, location: str | None) -> TusUpload:
        return TusUpload(part, _https(target.url), give_up=self._give_up(), chance=self._chance, location=location)

    async def _put(self, part: SealedPart, target: UploadTarget) -> PutUpload:
        digests = await asyncio.to_thread(_digests, part.path, part.size)
        url, hosts = _https(target.url), self._hosts()
        return PutUpload(part, url, hosts, digests, give_up=self._give_up(), chance=self._chance)

    def _give_up(self) -> Instant:
        return Instant(self._clock.instant() + int(self._patience.upload_s * SECOND_NS))

    async def _step(self, upload: TusUpload | PutUpload, part: SealedPart, target: UploadTarget) -> None:
        due = upload.deadline()
        if due is not None:
            await asyncio.sleep(max(0, due - self._clock.instant()) / SECOND_NS)
        request = upload.next_effect(self._clock.instant())
        if request is not None:
            upload.feed(await self._request(request, part, target.token), self._clock.instant())

    async def _request(self, request: Request, part: SealedPart, token: Secret) -> Event:
        """Make one request; a failure of the network is an event, not an error. `token` goes to no presigned URL."""
        headers = dict(request.headers)
        if not request.is_presigned:
            headers["Authorization"] = _bearer(token)
        if not request.length:
            return await self._within_limits(request, headers, request.text or None)
        headers["Content-Length"] = str(request.length)
        if request.has_checksum:
            digest = await asyncio.to_thread(_digest, part.path, request.offset, request.length)
            headers["Upload-Checksum"] = f"sha256 {base64.b64encode(digest).decode()}"
        with self._pacer.passage(part.id) as passage:
            event = await self._within_limits(request, headers, _body(part.path, request, self._pacer, passage))
            passage.is_answered = isinstance(event, Answer)
            return event

    async def _within_limits(
        self, request: Request, headers: Mapping[str, str], content: AsyncIterator[bytes] | bytes | None
    ) -> Event:
        limit_s = min(self._patience.request_s, self._patience.question_s)
        if request.length:
            limit_s = max(self._patience.request_s, self._pacer.seconds_for(request.length))
        try:
            async with asyncio.timeout(limit_s):
                return await self._exchange(request, headers, content)
        except httpx.InvalidURL:
            raise BadInputError("the store's address is not a URL") from None
        except TimeoutError:
            return Lost("the store takes too long")
        except (*WIRE_ERRORS, httpx.TransportError) as error:
            _raise_if_untrusted(error)
            return Lost(type(error).__name__)

    async def _exchange(
        self, request: Request, headers: Mapping[str, str], content: AsyncIterator[bytes] | bytes | None
    ) -> Answer:
        follow_clock(self._tls, self._clock)
        async with self._client.stream(request.method, request.url, headers=headers, content=content) as response:
            self._client.cookies.clear()
            body = b""
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    raise BadInputError(f"the store answers with more than {ANSWER_BYTES_MAX} bytes")
            return Answer(response.status_code, {k.lower(): value for k, value in response.headers.items()}, body)


def tls_context(authorities_pem: Sequence[str]) -> ssl.SSLContext:
    """Return a client context: TLS 1.3, host names checked, chains that end in one of `authorities_pem` only."""
    cure = "list the certificate of the store's authority as PEM in the hub's configuration"
    if not authorities_pem:
        raise ConfigurationError("no certificate authority for the store", cure=cure)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        for pem in authorities_pem:
            context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError("an authority for the store is not a PEM certificate", cure=cure) from error
    return context


def _raise_if_untrusted(error: BaseException) -> None:
    """Raise UnavailableError at once if the other side is not the store: waiting a minute more does not mend that."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            cure = "check the store's certificate, the hub's list of authorities and the hub's clock"
            raise UnavailableError("the store's certificate is not one this hub trusts", cure=cure) from None
        if isinstance(cause, ssl.SSLError) and "VERSION" in (cause.reason or ""):
            raise UnavailableError("the store does not speak TLS 1.3", cure="enable it on the store") from None
        cause = cause.__cause__ or cause.__context__


def _https(url: str) -> str:
    if not url.startswith("https://") or len(url) > URL_CHARS_MAX:
        raise BadInputError("the store's address must begin with https://")
    return url


def _bearer(token: Secret) -> str:
    """Write the token's header; anything that could break out of a header is refused without being repeated."""
    if _TOKEN.fullmatch(token.reveal()) is None:
        raise BadInputError("the command's upload token has characters that no bearer token has")
    return "Bearer " + token.reveal().decode("ascii")


async def _body(path: Path, request: Request, pacer: Pacer, passage: Passage) -> AsyncIterator[bytes]:
    start, end = request.offset, request.offset + request.length
    while start < end:
        content = await asyncio.to_thread(_read, path, start, min(READ_BYTES, end - start))
        while content:
            piece = content[: pacer.piece_bytes(passage)]
            await pacer.leave(passage, len(piece))
            yield piece
            content = content[len(piece) :]
            start += len(piece)


def _digests(path: Path, size: int) -> list[bytes]:
    """Return the SHA-256 of each piece of a file in the outbox."""
    starts = [number * PIECE_BYTES for number in range(piece_count(size))]
    return [_digest(path, start, min(PIECE_BYTES, size - start)) for start in starts]


def _digest(path: Path, offset: int, length: int) -> bytes:
    digest = hashlib.sha256()
    for start in range(offset, offset + length, READ_BYTES):
        digest.update(_read(path, start, min(READ_BYTES, offset + length - start)))
    return digest.digest()


def _read(path: Path, start: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(length)
    except OSError as error:
        raise UnavailableError(f"{path.name} cannot be read from the outbox ({error.strerror})") from error
    if len(content) != length:
        raise UnavailableError(f"{path.name} is shorter in the outbox than when it was sealed")
    return content
