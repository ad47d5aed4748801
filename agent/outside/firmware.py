"""New firmware into the hub: fetched from the operator's host, handed to the firmware bridge, which alone may install.

Rules of this file: TLS 1.3 to listed hosts, no redirect, exactly the bytes that were announced or nothing; a bundle has
its digest as its name, so what was fetched before a crash is not fetched again. Who signed it is RAUC's question.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from agent.errors import BadInputError, UnavailableError
from agent.outside.https import tls_context
from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import BridgeError
from firmware_bridge.messages import Progress, Refused

FETCH_S_MAX: Final = 6 * 3600.0  # 2 GiB at 100 KB/s
SILENCE_S: Final = 60.0
FREE_BYTES_MIN: Final = 256 * 1024**2
READABLE: Final = 0o644  # the folder lets nobody in but the bridge; systemd's umask would keep that out too


class BridgeFirmware:
    """Fetches into `folder`, installs through the bridge at `socket` (`upkeep.Firmware`)."""

    def __init__(self, folder: Path, socket: Path, authorities_pem: Callable[[], Sequence[str]]) -> None:
        self._folder, self._socket, self._authorities_pem = folder, socket, authorities_pem

    async def fetch(self, url: str, sha256: str, size: int) -> Path:
        """Fetch a bundle; one that is there whole already is taken. Raises BadInputError, UnavailableError."""
        path = self._folder / f"{sha256}.raucb"
        try:
            if path.exists() and await asyncio.to_thread(_digest, path) == sha256:
                return path
            room = os.statvfs(self._folder)
            if room.f_bavail * room.f_frsize < size + FREE_BYTES_MIN:
                raise UnavailableError("there is no room for the bundle", cure=f"make room in {self._folder}")
            unfinished = path.with_suffix(".unfinished")
            try:
                async with asyncio.timeout(FETCH_S_MAX):
                    await self._write(url, sha256, size, unfinished)
                unfinished.chmod(READABLE)
                unfinished.rename(path)
            finally:
                unfinished.unlink(missing_ok=True)
        except TimeoutError as error:
            raise UnavailableError("the bundle did not come in time") from error
        except OSError as error:
            raise UnavailableError(f"the bundle cannot be stored: {error.strerror}") from error
        return path

    async def _write(self, url: str, sha256: str, size: int, path: Path) -> None:
        """Write what the host sends, and refuse it unless it is what was announced."""
        digest, received = hashlib.sha256(), 0
        client = httpx.AsyncClient(
            verify=tls_context(self._authorities_pem()),
            timeout=SILENCE_S,
            headers={"User-Agent": "transom", "Accept-Encoding": "identity"},
            trust_env=False,
            follow_redirects=False,
        )
        with path.open("wb") as file:
            try:
                async with client, client.stream("GET", url) as answer:
                    if answer.status_code != HTTPStatus.OK:
                        raise UnavailableError(f"the bundle's host answers {answer.status_code}")
                    async for piece in answer.aiter_raw():
                        received += len(piece)
                        if received > size:
                            raise BadInputError(f"the bundle is longer than {size} bytes")
                        digest.update(piece)
                        await asyncio.to_thread(file.write, piece)
            except httpx.HTTPError as error:
                raise UnavailableError(f"the bundle cannot be fetched ({type(error).__name__})") from None
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        if (received, digest.hexdigest()) != (size, sha256):
            raise BadInputError("the bundle is not the one that was announced")

    async def install(self, bundle: Path, progress: Callable[[int], object]) -> tuple[bool, str]:
        """Let the bridge install it; return whether it did, and the version or its refusal. Raises UnavailableError."""

        def tell(step: Progress) -> None:
            progress(step.percent)

        try:
            answer = await asyncio.to_thread(BridgeClient(self._socket).install, bundle, tell)
        except BridgeError as error:
            raise UnavailableError(str(error)) from error
        with contextlib.suppress(OSError):
            await asyncio.to_thread(bundle.unlink)
        return (False, answer.text) if isinstance(answer, Refused) else (True, answer)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
