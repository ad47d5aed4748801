"""The central server's other way in: signs a URL for each piece that its store does not have, and takes it there.

What an operator's signer does before an S3-compatible store (`deliver/FORMAT.md`), with the store behind the same door:
a URL is good for one piece of one part, for exactly its bytes, for ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agent.clock import WallTime
from agent.deliver.put import CHECKSUM
from agent.deliver.put_message import PIECE_BYTES, URLS_MAX, PieceUrl, Question, Signed, piece_count
from agent.demo.store import Store, Upload
from agent.errors import BadInputError

EXPIRES_S: Final = 600
QUESTION_BYTES_MAX: Final = 64 * 1024


@dataclass
class Begun:
    """A part on its way, in its file at the store; its object is named by part and digest."""

    upload: Upload
    sums: tuple[str, ...]
    pieces: set[int] = field(default_factory=set)


class Signer:
    """Signs for `store`, and is what answers at the URLs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = secrets.token_bytes(32)
        self._begun: dict[str, Begun] = {}

    def routes(self) -> list[Route]:
        """Return the signer's part of the central server."""
        return [
            Route("/puts", self.sign, methods=["POST"]),
            Route("/puts/{part}", self.forget, methods=["DELETE"]),
            Route("/pieces/{object}/{number:int}", self.put, methods=["PUT"]),
        ]

    async def sign(self, request: Request) -> Response:
        """Say which pieces of a part are missing; take the part up once none is."""
        if (refusal := self._store.refusal(request, is_tus=False)) is not None:
            return refusal
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > QUESTION_BYTES_MAX:
                return Response("too large", 413)
        try:
            asked = msgspec.json.decode(body, type=Question)
            is_sound = asked.piece_bytes == PIECE_BYTES and len(asked.pieces) == piece_count(asked.size)
        except (msgspec.MsgspecError, BadInputError):
            is_sound = False
        if not is_sound or (place := self._store.place(asked.part)) is None:
            return Response("no question about a part", 400)
        name = f"{asked.part}.{asked.sha256}"
        missing = self._missing(name, asked, place)
        urls = tuple(PieceUrl(number, self._url(request, name, number)) for number in missing[:URLS_MAX])
        return Response(msgspec.json.encode(Signed(1, EXPIRES_S, urls)), media_type="application/json")

    async def put(self, request: Request) -> Response:
        """Take one piece at the URL that was signed for it, if its bytes are those that it was signed for."""
        name, number = request.path_params["object"], request.path_params["number"]
        digest = request.headers.get(CHECKSUM, "")
        if not self._is_permitted(request, name, number, digest):
            return Response("not what was signed, or expired", 403)
        begun = self._open(name)
        if begun is None:
            return Response("no such upload", 404)
        size = min(PIECE_BYTES, begun.upload.size - (number - 1) * PIECE_BYTES)
        found, left = hashlib.sha256(), size
        with begun.upload.path.open("r+b") as file:
            file.seek((number - 1) * PIECE_BYTES)
            try:
                async for piece in request.stream():
                    begun.upload.first_byte_at = begun.upload.first_byte_at or WallTime(time.time_ns())
                    left -= len(piece)
                    if left < 0:
                        return Response("more than was signed for", 400)
                    found.update(piece)
                    file.write(piece)
            except ClientDisconnect:
                return Response(status_code=400)
            file.flush()
            os.fsync(file.fileno())
        if base64.b64encode(found.digest()).decode() != digest:
            return Response("other bytes than were signed for", 400)
        begun.pieces.add(number)
        return Response(headers={CHECKSUM: digest})

    async def forget(self, request: Request) -> Response:
        """Drop what is unfinished of a part."""
        if (refusal := self._store.refusal(request, is_tus=False)) is not None:
            return refusal
        names = [name for name in self._begun if self._begun[name].upload.part == request.path_params["part"]]
        for name in names:
            self._begun.pop(name).upload.path.unlink(missing_ok=True)
            self._store.uploads.pop(name, None)
        return Response(status_code=204 if names else 404)

    def _missing(self, name: str, asked: Question, place: Path) -> list[int]:
        held = self._store.held().get(asked.part)
        if held is not None and held.sha256 == asked.sha256:
            return []
        if self._open(name) is None:
            upload = Upload(asked.part, asked.size, place.with_name(f"{place.name}.{asked.sha256}"))
            upload.path.touch(mode=0o600)
            self._store.uploads[name] = upload
            self._begun[name] = Begun(upload, asked.pieces)
        begun = self._begun[name]
        missing = [number for number in range(1, len(begun.sums) + 1) if number not in begun.pieces]
        if not missing:
            del self._begun[name]
            self._store.complete(begun.upload)
        return missing

    def _open(self, name: str) -> Begun | None:
        """Return what is begun, unless the store has dropped it."""
        return self._begun.get(name) if name in self._store.uploads else None

    def _is_permitted(self, request: Request, name: str, number: int, digest: str) -> bool:
        until, signature = (request.query_params.get(one, "") for one in ("until", "signature"))
        is_signed = hmac.compare_digest(signature.encode(), self._signature(name, number, until, digest).encode())
        return is_signed and time.time() <= int(until)

    def _url(self, request: Request, name: str, number: int) -> str:
        until, digest = str(int(time.time()) + EXPIRES_S), self._begun[name].sums[number - 1]
        query = urlencode({"until": until, "signature": self._signature(name, number, until, digest)})
        return f"{request.url_for('put', object=name, number=number)}?{query}"

    def _signature(self, name: str, number: int, until: str, digest: str) -> str:
        return hmac.new(self._key, f"{name} {number} {until} {digest}".encode(), "sha256").hexdigest()
