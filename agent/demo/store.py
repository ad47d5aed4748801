"""The central server's store: takes sealed parts by tus 1.0 and signs a receipt for each one it holds.

It can read nothing of what it keeps. Protocol: tus.io 1.0.0 core, creation, checksum (sha256), termination.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agent.clock import WallTime
from agent.deliver.part import Receipt
from agent.deliver.receipt import sign_receipt
from agent.signing import SigningKey

UPLOAD_BYTES_MAX: Final = 4 * 1024**3
PATCH_BYTES_MAX: Final = 64 * 1024**2
_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,159}")  # no leading dot: the name becomes a path
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_SUFFIX: Final = {"manifest": ".json"}
_TUS: Final = {"Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}


@dataclass
class Upload:
    """One upload as the store sees it."""

    part: str
    size: int
    path: Path
    first_byte_at: WallTime | None = None
    stored_at: WallTime | None = None
    receipted_at: WallTime | None = None  # when its receipt was signed for the hub, for the first time
    sha256: str = ""


@dataclass
class Store:
    """Keeps parts in `folder`; `uploads` and `contents` are what the demo and the tests ask about."""

    folder: Path
    hub: str
    token: str
    key: SigningKey
    uploads: dict[str, Upload] = field(default_factory=dict)
    contents: dict[str, set[str]] = field(default_factory=dict)  # part -> every different content it ever came with
    pause_s: float = 0.0  # before each piece that arrives: a slow uplink, for tests that cut the power in between

    def routes(self) -> list[Route]:
        """Return the store's part of the central server."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return [
            Route("/files", self.options, methods=["OPTIONS"]),
            Route("/files", self.create, methods=["POST"]),
            Route("/files/{upload}", self.offset, methods=["HEAD"]),
            Route("/files/{upload}", self.append, methods=["PATCH"]),
            Route("/files/{upload}", self.terminate, methods=["DELETE"]),
            Route("/receipts/{part}", self.receipt, methods=["GET"]),
        ]

    def held(self) -> dict[str, Upload]:
        """Return the parts that are here whole, by name."""
        return {upload.part: upload for upload in self.uploads.values() if upload.stored_at is not None}

    def forget_unfinished(self) -> None:
        """Let every upload expire that is not whole (tus 1.0, expiration extension): it is not found any more."""
        for name, upload in list(self.uploads.items()):
            if upload.stored_at is None:
                del self.uploads[name]
                upload.path.unlink(missing_ok=True)

    async def options(self, _: Request) -> Response:
        """Say what this store can do."""
        offered = {"Tus-Version": "1.0.0", "Tus-Extension": "creation,checksum,termination"}
        offered |= {"Tus-Checksum-Algorithm": "sha256", "Tus-Max-Size": str(UPLOAD_BYTES_MAX)}
        return Response(status_code=204, headers=_TUS | offered)

    async def create(self, request: Request) -> Response:
        """Handle tus creation: `Upload-Length` and `Upload-Metadata` with the part's name."""
        if (refusal := self.refusal(request)) is not None:
            return refusal
        metadata = _metadata(request.headers.get("upload-metadata", ""))
        length = request.headers.get("upload-length", "")
        part = metadata.get("part", "")
        if not _LENGTH.fullmatch(length) or (place := self.place(part)) is None:
            return Response("a part needs a name and a length", 400, headers=_TUS)
        if int(length) > UPLOAD_BYTES_MAX:
            return Response("too large", 413, headers=_TUS)
        name = secrets.token_hex(16)
        path = place.with_name(f"{place.name}.{name}")
        path.touch(mode=0o600)
        self.uploads[name] = Upload(part, int(length), path)
        return Response(status_code=201, headers=_TUS | {"Location": str(request.url_for("offset", upload=name))})

    async def offset(self, request: Request) -> Response:
        """Handle HEAD: how many bytes are here."""
        upload = self._upload(request)
        if isinstance(upload, Response):
            return upload
        have = upload.path.stat().st_size if upload.stored_at is None else upload.size
        return Response(headers=_TUS | {"Upload-Offset": str(have), "Upload-Length": str(upload.size)})

    async def append(self, request: Request) -> Response:
        """Handle PATCH: bytes at exactly the offset we are at; what arrived before a broken connection is kept."""
        upload = self._upload(request)
        if isinstance(upload, Response):
            return upload
        have = upload.path.stat().st_size if upload.stored_at is None else upload.size
        if request.headers.get("upload-offset") != str(have):
            return Response("another offset", 409, headers=_TUS | {"Upload-Offset": str(have)})
        algorithm, _, checksum = request.headers.get("upload-checksum", "").partition(" ")
        digest, start = hashlib.sha256(), have
        with upload.path.open("r+b") as file:
            file.seek(have)
            try:
                async for piece in request.stream():
                    await asyncio.sleep(self.pause_s)
                    upload.first_byte_at = upload.first_byte_at or WallTime(time.time_ns())
                    have += len(piece)
                    if have > upload.size or have - start > PATCH_BYTES_MAX:
                        file.truncate(start)
                        return Response("more than announced", 413, headers=_TUS)
                    digest.update(piece)
                    file.write(piece)
            except ClientDisconnect:
                return Response(status_code=400, headers=_TUS)
            expected = base64.b64encode(digest.digest()).decode()
            if algorithm and not (algorithm == "sha256" and hmac.compare_digest(checksum, expected)):
                file.truncate(start)
                return Response("checksum mismatch", 460, headers=_TUS)
            file.flush()
            os.fsync(file.fileno())
        if have == upload.size and upload.path.exists():
            self.complete(upload)
        has_expired = not upload.path.exists()  # meanwhile
        return Response(status_code=410 if has_expired else 204, headers=_TUS | {"Upload-Offset": str(have)})

    async def terminate(self, request: Request) -> Response:
        """Handle DELETE: an unfinished upload may be given up."""
        upload = self._upload(request)
        if isinstance(upload, Response):
            return upload
        if upload.stored_at is not None:
            return Response("it is evidence now", 403, headers=_TUS)
        upload.path.unlink(missing_ok=True)
        del self.uploads[request.path_params["upload"]]
        return Response(status_code=204, headers=_TUS)

    async def receipt(self, request: Request) -> Response:
        """Sign what we hold of a part; 404 while we do not."""
        if (refusal := self.refusal(request, is_tus=False)) is not None:
            return refusal
        upload = self.held().get(request.path_params["part"])
        if upload is None or upload.stored_at is None:
            return Response("not here", 404)
        upload.receipted_at = upload.receipted_at or WallTime(time.time_ns())
        held = Receipt(upload.part, upload.size, upload.sha256, upload.stored_at, token="")
        token = sign_receipt(held, self.hub, self.key)
        if not upload.part.endswith(".manifest"):  # officers get it beside the part
            upload.path.with_name(f"{upload.part}.receipt").write_text(token)
        return Response(token, media_type="application/jose")

    def place(self, part: str) -> Path | None:
        """Say where a part lies once it is whole, in a folder that is there; None for what is no part's name."""
        if not _PART.fullmatch(part):
            return None
        clip, _, number = part.rpartition(".")
        path = self.folder / clip / (part + _SUFFIX.get(number, ".mp4.age"))
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return path

    def complete(self, upload: Upload) -> None:
        """Give a whole part its name; a part that is here already must have the same bytes."""
        upload.sha256 = hashlib.sha256(upload.path.read_bytes()).hexdigest()
        self.contents.setdefault(upload.part, set()).add(upload.sha256)
        final = upload.path.with_suffix("")
        if not final.exists():
            upload.path.rename(final)
            upload.path = final
        upload.stored_at = WallTime(time.time_ns())

    def _upload(self, request: Request) -> Upload | Response:
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        return self.uploads.get(request.path_params["upload"]) or Response("no such upload", 404, headers=_TUS)

    def refusal(self, request: Request, *, is_tus: bool = True) -> Response | None:
        """Answer who has no token, or speaks no tus; None for everybody else."""
        bearer = request.headers.get("authorization", "")
        if not hmac.compare_digest(bearer.encode(), f"Bearer {self.token}".encode()):
            return Response("not authorized", 401, headers=_TUS)
        if is_tus and request.headers.get("tus-resumable") != "1.0.0":
            return Response("tus 1.0.0 only", 412, headers=_TUS | {"Tus-Version": "1.0.0"})
        return None


def _metadata(header: str) -> dict[str, str]:
    """Read `Upload-Metadata`: comma-separated `key base64(value)`; what cannot be read is left out."""
    found = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found
