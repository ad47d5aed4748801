"""Who has logged in, and for how long: a session lets its browser read, and nothing else.

Rules of this file: the cookie's value is kept as its digest only; a session is its owner's, and ends with them (another
owner, another pairing); time is an argument.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Final

from agent.clock import SECOND_NS, Instant
from agent.crypto import sha256_hex

COOKIE: Final = "__Host-transom"
SECRET_BYTES: Final = 32
ID_CHARACTERS: Final = 16
LASTS_S_MAX: Final = 8 * 3600
"""However busy it is, a session ends after a working day."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is let in."""

    id: str  # the digest's first characters: for the audit log
    who: str  # whose it is: pairing and thumbprint
    begun: Instant
    used: Instant


class Sessions:
    """All sessions: at most `count_max`, each until it was not used for `idle_s`."""

    def __init__(self, count_max: int, idle_s: float) -> None:
        self._count_max, self._idle_ns = count_max, int(idle_s * SECOND_NS)
        self._open: dict[str, Session] = {}

    def begin(self, secret: bytes, who: str, now: Instant) -> tuple[Session, str]:
        """Open a session; return it and the cookie's value. The one that was unused longest makes room."""
        self._forget(now)
        while len(self._open) >= self._count_max:
            del self._open[min(self._open, key=lambda one: self._open[one].used)]
        value = base64.urlsafe_b64encode(secret).decode().rstrip("=")
        digest = sha256_hex(value.encode())
        session = Session(id_of(value), who, now, now)
        self._open[digest] = session
        return session, value

    def find(self, value: str, who: str, now: Instant, *, is_used: bool = True) -> Session | None:
        """Return the session of a cookie, if it is still open and `who`'s; `is_used`: and keep it open."""
        self._forget(now)
        digest = sha256_hex(value.encode())
        session = self._open.get(digest)
        if session is None or session.who != who:
            return None
        if is_used:
            self._open[digest] = session = replace(session, used=now)
        return session

    def end(self, value: str) -> None:
        """Close a session."""
        self._open.pop(sha256_hex(value.encode()), None)

    def _forget(self, now: Instant) -> None:
        self._open = {
            digest: one
            for digest, one in self._open.items()
            if now - one.used < self._idle_ns and now - one.begun < LASTS_S_MAX * SECOND_NS
        }


def id_of(value: str) -> str:
    """Name a session by its cookie, so that nobody gets the cookie from the name."""
    return sha256_hex(b"session " + value.encode())[:ID_CHARACTERS]


def cookie_in(header: str) -> str:
    """Find the session's cookie in a `Cookie` header (RFC 6265 section 4.2); empty if it is not there exactly once."""
    found = [value for name, _, value in (pair.strip().partition("=") for pair in header.split(";")) if name == COOKIE]
    return found[0] if len(found) == 1 else ""


def set_cookie(value: str) -> str:
    """Write the `Set-Cookie` header; with an empty value the browser forgets it."""
    age = "; Max-Age=0" if not value else ""
    return f"{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{age}"
