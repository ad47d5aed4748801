"""New firmware into the hub: fetched from the operator's host, handed to the firmware bridge, which alone may install.

Rules of this file: TLS 1.3 to listed hosts, no redirect, exactly the bytes that were announced or nothing; a bundle has
its digest as its name, so what was fetched before a crash is not fetched again, nor what came of one before the line
broke (`bundle_fetch.py`); one half bundle at most lies there. Who signed it is RAUC's question.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from agent.errors import BadInputError, UnavailableError
from agent.loose_thread import in_thread
from agent.outside.bundle_fetch import PAUSE_S, Announced, BundleFetch
from agent.outside.https import tls_context
from firmware_bridge import errors as bridge_errors
from firmware_bridge.client import BridgeClient
from firmware_bridge.messages import Progress, Refused

FETCH_S_MAX: Final = 6 * 3600.0  # 2 GiB at 100 KB/s
INSTALL_TRIES_MAX: Final = 5
INSTALL_RETRY_S: Final = 10.0
"""A bridge or a RAUC that died is back by then: systemd starts the bridge again after 5 s."""
FREE_BYTES_MIN: Final = 256 * 1024**2
READABLE: Final = 0o644  # the folder lets nobody in but the bridge; systemd's umask would keep that out too


class BridgeFirmware:
    """Fetches into `folder`, installs through the bridge at `socket` (`upkeep.Firmware`)."""

    def __init__(
        self,
        folder: Path,
        socket: Path,
        authorities_pem: Callable[[], Sequence[str]],
        *,
        retry_s: float = INSTALL_RETRY_S,
        pause_s: tuple[float, float] = PAUSE_S,
        before_connecting: Callable[[ssl.SSLContext], None] = lambda _: None,
        on_installed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_installed` is told the version that starts with the next boot, before anybody else is."""
        self._pause_s, self._on_installed = pause_s, on_installed
        self._folder, self._socket, self._authorities_pem = folder, socket, authorities_pem
        self._retry_s, self._before_connecting = retry_s, before_connecting

    async def fetch(self, url: str, sha256: str, size: int) -> Path:
        """Fetch a bundle; what is there already, whole or in part, is not fetched again.

        Raises BadInputError, UnavailableError; after the latter what came stays for the next order of the same bundle.
        """
        path = self._folder / f"{sha256}.raucb"
        unfinished = path.with_suffix(".unfinished")
        try:
            if path.exists() and await asyncio.to_thread(_digest, path) == sha256:
                return path
            here = await asyncio.to_thread(self._sweep, unfinished)
            room = os.statvfs(self._folder)
            if room.f_bavail * room.f_frsize < size - here + FREE_BYTES_MIN:
                raise UnavailableError("there is no room for the bundle", cure=f"make room in {self._folder}")
            context = tls_context(self._authorities_pem())
            self._before_connecting(context)
            async with asyncio.timeout(FETCH_S_MAX):
                await BundleFetch(Announced(url, sha256, size), unfinished, context, self._pause_s).run()
            unfinished.chmod(READABLE)
            unfinished.rename(path)
        except BadInputError:
            await asyncio.to_thread(self._sweep)
            raise
        except TimeoutError as error:
            raise UnavailableError(
                "the bundle did not come in time", cure="order it when the line is better"
            ) from error
        except OSError as error:
            raise UnavailableError(f"the bundle cannot be stored: {error.strerror}", cure="look at the disk") from error
        return path

    def _sweep(self, kept: Path | None = None) -> int:
        """Remove what other orders left half; return the size of what is kept."""
        for half in (*self._folder.glob("*.unfinished"), *self._folder.glob("*.etag")):
            if kept is None or half.stem != kept.stem:
                half.unlink(missing_ok=True)
        return kept.stat().st_size if kept is not None and kept.exists() else 0

    async def install(self, bundle: Path, progress: Callable[[int], object]) -> tuple[bool, str]:
        """Let the bridge install it; return whether it did, and what follows, or why not. Raises UnavailableError.

        A bridge or a RAUC that dies on the way is asked again: to install twice is to install once.
        """

        def tell(step: Progress) -> None:
            progress(step.percent)

        ask = partial(BridgeClient(self._socket).install, bundle, tell)
        for tries_left in reversed(range(INSTALL_TRIES_MAX)):
            try:
                answer = await in_thread(ask)
            except bridge_errors.BadInputError as error:
                return False, str(error)
            except bridge_errors.ConfigurationError as error:
                raise UnavailableError(str(error)) from error
            except bridge_errors.UnavailableError as error:
                if not tries_left:
                    raise UnavailableError(str(error)) from error
                await asyncio.sleep(self._retry_s)
            else:
                break
        if isinstance(answer, Refused):
            return False, answer.text
        follows = "runs already" if answer.is_running else "starts with the next boot"
        if not answer.is_running:
            self._on_installed(answer.version)
        return True, f"version {answer.version} {follows}"

    async def discard(self, bundle: Path) -> None:
        """Remove a bundle that has been decided about."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(bundle.unlink)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
