"""Time stamps for checkpoints: asked of an authority over HTTP (RFC 3161 section 3.4), kept beside the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx

from agent.errors import UnavailableError
from agent.evidence.stamp import RESPONSE_BYTES_MAX, STAMPS_BYTES_MAX, Stamp, encode_stamp
from agent.outside.appended_file import AppendedFile

ANSWER_S_MAX: Final = 15.0
QUERY: Final = "application/timestamp-query"
REPLY: Final = "application/timestamp-reply"


async def ask_authority(url: str, request: bytes) -> bytes:
    """Post a request and return the answer, unread. Raises UnavailableError; redirects are not followed."""
    content = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=ANSWER_S_MAX, follow_redirects=False) as client,
            client.stream("POST", url, content=request, headers={"Content-Type": QUERY, "Accept": REPLY}) as answer,
        ):
            if answer.status_code != httpx.codes.OK or answer.headers.get("content-type", "").lower() != REPLY:
                raise UnavailableError(f"the time stamping authority answered {answer.status_code}, without a stamp")
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > RESPONSE_BYTES_MAX:
                    raise UnavailableError(f"the time stamping authority answered more than {RESPONSE_BYTES_MAX} bytes")
    except httpx.HTTPError as error:
        raise UnavailableError(f"the time stamping authority does not answer ({type(error).__name__})") from error
    return bytes(content)


class StampFile:
    """The file of stamps: it only grows, until half of the older ones must go. Raises UnavailableError."""

    def __init__(self, path: Path) -> None:
        self._file = AppendedFile(path)
        self._file.cut_torn_line()

    def keep(self, stamp: Stamp) -> None:
        """Store a stamp; it is on the disk when this returns."""
        line = encode_stamp(stamp) + b"\n"
        if self._file.size + len(line) > STAMPS_BYTES_MAX:
            lines = self._file.content(2 * STAMPS_BYTES_MAX).splitlines(keepends=True)
            self._file.replace(b"".join(lines[(len(lines) + 1) % 2 :: 2]))
        self._file.append(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
