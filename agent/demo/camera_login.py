"""Who may see the camera: HTTP and RTSP Digest (RFC 7616, and RFC 2069 as old cameras speak it).

Rules of this file: nonces are signed times, so nothing is remembered per client; every comparison takes constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from agent.acquire.camera import Login

NONCE_SECONDS: Final = 300
DIGEST_HASHES: Final[dict[str, Callable[[bytes], hashlib._Hash]]] = {
    "MD5": lambda text: hashlib.md5(text, usedforsecurity=False),  # what most cameras still offer
    "SHA-256": hashlib.sha256,
}
_PAIR: Final = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]*))')


class Verdict(Enum):
    """What a gate says about one request."""

    WELCOME = auto()
    STALE = auto()  # right password, old nonce: ask again with the new one
    REFUSED = auto()
    NOT_ASKED = auto()  # the request brought no login at all


class DigestGate:
    """Checks Digest logins of one user; offers `algorithms` in that order, MD5 without qop as most cameras do."""

    def __init__(self, login: Login, realm: str, algorithms: tuple[str, ...], nonce_s: float = NONCE_SECONDS) -> None:
        self.heard: Callable[[Verdict], Verdict] = lambda verdict: verdict  # what becomes of each verdict
        self._login = login
        self._realm = realm
        self._algorithms = algorithms
        self._nonce_ms = nonce_s * 1000
        self._key = secrets.token_bytes(32)

    def challenges(self, verdict: Verdict) -> list[str]:
        """Return the values of the WWW-Authenticate headers, one per algorithm."""
        stale = ", stale=true" if verdict is Verdict.STALE else ""
        nonce = self._nonce(_now_ms())
        return [
            f'Digest realm="{self._realm}", nonce="{nonce}", algorithm={name}{stale}'
            + (', qop="auth"' if name != "MD5" else "")
            for name in self._algorithms
        ]

    def judge(self, method: str, uri: str, authorization: str | None) -> Verdict:
        """Judge the Authorization header of a request for `uri`."""
        return self.heard(self._judge(method, uri, authorization))

    def _judge(self, method: str, uri: str, authorization: str | None) -> Verdict:
        if authorization is None:
            return Verdict.NOT_ASKED
        scheme, _, rest = authorization.partition(" ")
        said = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(rest)}
        algorithm = said.get("algorithm", "MD5").upper()
        if scheme.lower() != "digest" or algorithm not in self._algorithms or said.get("uri") != uri:
            return Verdict.REFUSED
        expected = self._response(algorithm, method, said)
        is_known = _is_same(said.get("username", ""), self._login.user) & _is_same(said.get("response", ""), expected)
        if not is_known:
            return Verdict.REFUSED
        return self._judge_nonce(said.get("nonce", ""))

    def _response(self, algorithm: str, method: str, said: dict[str, str]) -> str:
        def digest(*parts: bytes) -> str:
            return DIGEST_HASHES[algorithm](b":".join(parts)).hexdigest()

        user = digest(self._login.user.encode(), self._realm.encode(), self._login.password.reveal()).encode()
        wish = digest(method.encode(), said["uri"].encode()).encode()
        nonce = said.get("nonce", "").encode()
        if said.get("qop") == "auth":
            return digest(user, nonce, said.get("nc", "").encode(), said.get("cnonce", "").encode(), b"auth", wish)
        return digest(user, nonce, wish)

    def _nonce(self, made_ms: int) -> str:
        return f"{made_ms:x}-{hmac.digest(self._key, made_ms.to_bytes(8, 'big'), 'sha256').hex()[:32]}"

    def _judge_nonce(self, nonce: str) -> Verdict:
        text = nonce.partition("-")[0]
        if not re.fullmatch(r"[0-9a-f]{1,15}", text):
            return Verdict.REFUSED
        made_ms = int(text, 16)
        if not _is_same(nonce, self._nonce(made_ms)):
            return Verdict.STALE  # from before a restart: the password was right, a new nonce mends it
        return Verdict.WELCOME if _now_ms() - made_ms < self._nonce_ms else Verdict.STALE


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _is_same(said: str, expected: str) -> bool:
    return hmac.compare_digest(said.encode(errors="replace"), expected.encode())
