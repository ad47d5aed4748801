"""A bundle over a line that breaks: what has come stays on the disk, and the rest is asked for (RFC 9110, section 14).

Rules of this file: what is on the disk is never taken for whole before its digest is the announced one; a host that
sends another range than it was asked for, or another file than before, begins anew; every wait and size has a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import re
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from agent.errors import BadInputError, UnavailableError

SILENCE_S: Final = 60.0
FRUITLESS_MAX: Final = 8
"""Tries on end that brought nothing: with the pauses between them some 20 minutes."""
PAUSE_S: Final = (1.0, 300.0)
ETAG_CHARS_MAX: Final = 256
READ_BYTES: Final = 1 << 20
ANNOUNCE: Final = "order it with the size and the sha256 of the file that the host has"

_STRONG: Final = re.compile(r'"[\x21\x23-\x7e]{1,254}"')
_RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")


class Announced(NamedTuple):
    """What the order says of a bundle."""

    url: str
    sha256: str
    size: int


class BundleFetch:
    """Fetches one bundle into `path`; beside it stands the host's name for what is there (`.etag`)."""

    def __init__(
        self, wanted: Announced, path: Path, tls: ssl.SSLContext, pause_s: tuple[float, float] = PAUSE_S
    ) -> None:
        self._wanted, self._path, self._tls = wanted, path, tls
        self._etag_path, self._pause_s = path.with_suffix(".etag"), pause_s
        self._is_resumed = False

    async def run(self) -> None:
        """Return once the whole bundle is there, and synced.

        Raises BadInputError if the host has another one, UnavailableError if it cannot be had; what came stays then.
        """
        fruitless = 0
        self._is_resumed = await asyncio.to_thread(self._here) > 0
        while True:
            before = await asyncio.to_thread(self._here)
            try:
                await self._ask(before)
                if await asyncio.to_thread(self._is_whole):
                    return
            except UnavailableError:
                fruitless = 0 if await asyncio.to_thread(self._here) > before else fruitless + 1
                if fruitless >= FRUITLESS_MAX:
                    raise
                await asyncio.sleep(self._pause(fruitless))

    def _pause(self, fruitless: int) -> float:
        shortest_s, longest_s = self._pause_s
        return min(longest_s, shortest_s * (1 << fruitless)) * random.uniform(0.5, 1)  # noqa: S311 - jitter

    async def _ask(self, here: int) -> None:
        """Ask for what is missing, once, and keep what comes."""
        if here >= self._wanted.size:
            return
        headers = {"User-Agent": "transom", "Accept-Encoding": "identity"}
        if here:
            headers |= {"Range": f"bytes={here}-"} | self._if_range()
        client = httpx.AsyncClient(
            verify=self._tls, timeout=SILENCE_S, headers=headers, trust_env=False, follow_redirects=False
        )
        try:
            async with client, client.stream("GET", self._wanted.url) as answer:
                start = self._start_of(answer, here)
                self._is_resumed |= start > 0
                await self._keep(answer, start)
        except httpx.HTTPError as error:
            cure = "is its host there, with a certificate that the trust bundle's tls_anchors know?"
            raise UnavailableError(f"the bundle cannot be fetched ({type(error).__name__})", cure=cure) from None

    def _start_of(self, answer: httpx.Response, here: int) -> int:
        """Say where the answer's bytes belong. Raises UnavailableError for an answer without any."""
        if answer.status_code == HTTPStatus.OK:
            return 0
        if answer.status_code == HTTPStatus.PARTIAL_CONTENT and here:
            told = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if told and [int(number) for number in told.groups()] == [here, self._wanted.size - 1, self._wanted.size]:
                return here
        if answer.status_code in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            self._begin_anew()  # its file is another one than what is here
            raise UnavailableError("the bundle's host sends another part than it was asked for", cure=ANNOUNCE)
        raise UnavailableError(f"the bundle's host answers {answer.status_code}", cure="is it there?")

    async def _keep(self, answer: httpx.Response, start: int) -> None:
        if start == 0:
            self._begin_anew()
            await asyncio.to_thread(self._note_etag, answer.headers.get("ETag", ""))
        with self._path.open("r+b" if start else "wb") as file:
            file.seek(start)
            came = start
            try:
                async for piece in answer.aiter_raw():
                    came += len(piece)
                    if came > self._wanted.size:
                        raise BadInputError(f"the bundle is longer than {self._wanted.size} bytes", cure=ANNOUNCE)
                    await asyncio.to_thread(file.write, piece)
            finally:
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        if came < self._wanted.size and answer.headers.get("Content-Length") == str(came - start):
            raise BadInputError("the bundle is shorter than it was announced", cure=ANNOUNCE)

    def _is_whole(self) -> bool:
        """Say whether the bundle is there; False: it begins anew. Raises BadInputError if the host has another one."""
        if self._here() == self._wanted.size:
            with self._path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == self._wanted.sha256:
                    self._etag_path.unlink(missing_ok=True)
                    return True
        elif self._here() < self._wanted.size:
            raise UnavailableError("the bundle's host broke off", cure="order it when the line is better")
        was_resumed, self._is_resumed = self._is_resumed, False
        self._begin_anew()
        if was_resumed:  # pieces of two files: the whole of one may still be right
            return False
        raise BadInputError("the bundle is not the one that was announced", cure=ANNOUNCE)

    def _here(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _begin_anew(self) -> None:
        self._path.unlink(missing_ok=True)
        self._etag_path.unlink(missing_ok=True)

    def _note_etag(self, etag: str) -> None:
        """Keep the host's name for the file, if it is a strong one: a weak one says nothing of bytes (section 8.8)."""
        self._etag_path.write_text(etag if _STRONG.fullmatch(etag) else "")

    def _if_range(self) -> dict[str, str]:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            etag = self._etag_path.read_text("ascii")[:ETAG_CHARS_MAX]
            if _STRONG.fullmatch(etag):
                return {"If-Range": etag}
        return {}  # the digest says at the end whether the pieces are of one file
