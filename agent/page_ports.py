"""What the owner's page asks of the world, and what its server asks of it: one request in, one answer out.

Beside `ports.py`, for the page alone. Errors are the same: `UnavailableError` (try later), `BadInputError` (the address
in the browser's bar names nothing).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.evidence.audit import Entry


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What one browser, one address and all of them together may take of the hub."""

    connections: int = 32  # at once, in all
    connections_per_address: int = 8  # a browser opens six
    handshakes_per_minute: int = 120  # of one address; each costs a signature
    requests_per_minute: int = 240  # of one address
    header_bytes: int = 16 * 1024
    body_bytes: int = 96 * 1024  # a statement has 64 KiB at most
    request_s: float = 10.0  # for a handshake; for a whole request; for a browser to take the next piece
    answer_s: float = 600.0  # for a whole answer: the log may be large, and the browser far away


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A whole request within the limits. Header names are in lower case; one that came twice is joined by a comma."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    peer: str  # the browser's IP address
    local: str  # the hub's IP address that it came to
    port: int  # likewise


@dataclass(frozen=True, slots=True)
class PageResponse:
    """An answer: `body` as a whole, or `pieces`, each made in a thread when the one before was taken."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    pieces: Iterator[bytes] | None = field(default=None)


Respond = Callable[[PageRequest], Awaitable[PageResponse]]


@dataclass(frozen=True, slots=True)
class PlacedEntry:
    """An entry of the audit log, and the byte of the log with which its line begins."""

    place: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class LogPage:
    """A stretch of the log. `older` is the place to go on from, None at the log's beginning."""

    entries: tuple[PlacedEntry, ...]  # newest first
    older: int | None


class ReadableLog(Protocol):
    """The audit log for somebody who reads it; blocking calls, for worker threads."""

    def head(self) -> tuple[int, str]:
        """Return the number of entries and the tree's root as hex."""

    def checkpoint(self) -> str:
        """Sign the log as it is now. Raises UnavailableError."""

    def page(self, before: int | None, bytes_max: int) -> LogPage:
        """Read what lies in the last `bytes_max` bytes before a place (None: the end). BadInputError: no such place."""

    def entries_from(self, place: int, bytes_max: int) -> tuple[PlacedEntry, ...]:
        """Read entries from a place on, oldest first. Raises BadInputError if no entry begins there."""

    def archive(self) -> Iterator[bytes]:
        """Write the log and its checkpoints as of now as a tar file, piece by piece. Raises UnavailableError."""
