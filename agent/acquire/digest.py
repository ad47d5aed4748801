"""A camera's challenge to the answer that proves the login: Digest (RFC 7616, RFC 2617), for RTSP and HTTP.

Rules of this file: no randomness (the client nonce comes in); no credential in any error; Basic is answered only where
a camera offers nothing else, over TLS or not, and never after it has spoken Digest.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.acquire.camera import Login
from agent.crypto import md5_hex, sha256_hex
from agent.errors import ConfigurationError

CHALLENGE_BYTES_MAX: Final = 8 * 1024  # of one header value; a longer one is passed over
CHALLENGES_MAX: Final = 16
STALE_NONCES_MAX: Final = 3  # in a row; a camera that calls every fresh nonce stale is not asked for ever
# Strongest first. SHA-512-256 is left out: no camera is known to offer it, and not every OpenSSL has it.
ALGORITHMS: Final = ("SHA-256", "SHA-256-SESS", "MD5", "MD5-SESS")
_SCHEMES: Final = frozenset({"basic", "digest", "bearer", "negotiate", "ntlm", "mutual", "hoba", "wsse"})
_ITEM: Final = re.compile(r'([!#$%&\'*+.^_`|~\w-]+)(?:[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s,"]*))?')
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # a tab may stand in a header
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a WWW-Authenticate header: the scheme and the names of its parameters in lower case."""

    scheme: str
    parameters: dict[str, str]

    @property
    def algorithm(self) -> str:
        """The digest algorithm in upper case; MD5 if none is named (RFC 7616 section 3.3)."""
        return self.parameters.get("algorithm", "MD5").upper()

    @property
    def rank(self) -> int | None:
        """0 is the strongest; None if this client cannot answer it."""
        if self.scheme == "basic":
            return len(ALGORITHMS)
        if self.scheme != "digest" or self.algorithm not in ALGORITHMS or "nonce" not in self.parameters:
            return None
        if "qop" in self.parameters and not self.has_qop_auth:
            return None  # auth-int only
        return ALGORITHMS.index(self.algorithm)

    @property
    def has_qop_auth(self) -> bool:
        """Whether the camera speaks RFC 2617's quality of protection; without it, RFC 2069's short answer is due."""
        return "auth" in re.split(r"[\s,]+", self.parameters.get("qop", "").lower())


class Authenticator:
    """Answers one camera's challenges with one login, for one connection or several.

    Call `challenged` with every 401's WWW-Authenticate values, `authorization` for every request, and `accepted` when a
    request that carried an answer was not refused. Raises ConfigurationError if the login cannot stand in a header.
    """

    def __init__(self, login: Login | None) -> None:
        if login is not None and not login.user.isprintable():
            raise ConfigurationError("the camera's user name has control characters", cure="enter the user name again")
        self._login = login
        self._challenge: Challenge | None = None
        self._nonce_count = 0
        self._session_cnonce = ""
        self._was_sent = False
        self._was_accepted = False  # since the last challenge
        self._stale_nonces = 0

    def challenged(self, header_values: Iterable[str]) -> bool:
        """Take a refusal; say whether the same request is worth sending once more.

        A second refusal of the same login is final, unless the camera took the login in between or calls the nonce
        stale: cameras lock accounts.
        """
        strongest = choose(parse_challenges(header_values))
        if self._login is None or strongest is None:
            return False
        if strongest.scheme == "basic" and self._challenge is not None and self._challenge.scheme == "digest":
            return False  # it knows better: whoever asks for the password in the clear now may be somebody else
        if self._was_sent and not self._was_accepted:
            is_stale = strongest.parameters.get("stale", "").lower() == "true"
            if not is_stale or self._stale_nonces >= STALE_NONCES_MAX:
                return False
            self._stale_nonces += 1
        self._was_accepted = False
        self._challenge, self._nonce_count, self._was_sent = strongest, 0, False
        return True

    @property
    def is_in_clear(self) -> bool:
        """Whether the next answer would show the password to whoever asks."""
        return self._challenge is not None and self._challenge.scheme == "basic"

    def accepted(self) -> None:
        """Note that the camera took the login: a later challenge only means that its nonce has run out."""
        self._was_accepted = self._was_accepted or self._was_sent
        self._stale_nonces = 0

    def authorization(self, method: str, uri: str, cnonce: str) -> str | None:
        """Return the Authorization value for a request, or None while there was no challenge.

        `uri` must be the request line's, `cnonce` fresh and unguessable. The value's characters are Latin-1: send it
        as `.encode("latin-1")`, so that a realm goes back as the bytes it came as.
        """
        if self._login is None or self._challenge is None:
            return None
        self._was_sent = True
        if self._challenge.scheme == "basic":
            userpass = self._login.user.encode() + b":" + self._login.password.reveal()
            return "Basic " + base64.b64encode(userpass).decode()
        self._nonce_count += 1
        if self._nonce_count == 1:
            self._session_cnonce = cnonce
        return self._digest(self._login, self._challenge, method, uri, cnonce)

    def _digest(self, login: Login, challenge: Challenge, method: str, uri: str, cnonce: str) -> str:
        given = challenge.parameters
        realm, nonce, user = given.get("realm", ""), given["nonce"], login.user.encode()
        is_session = challenge.algorithm.endswith("-SESS")

        def hashed(*fields: bytes) -> bytes:
            joined = b":".join(fields)
            if challenge.algorithm.startswith("SHA-256"):
                return sha256_hex(joined).encode()
            return md5_hex(joined).encode()

        a1 = hashed(user, octets(realm), login.password.reveal())
        if is_session:  # RFC 7616 section 3.4.2: the nonces of the first answer stay in the session key
            a1 = hashed(a1, octets(nonce), self._session_cnonce.encode())
        a2 = hashed(octets(method), octets(uri))
        is_user_hashed = given.get("userhash", "").lower() == "true"  # RFC 7616 section 3.4.4: the name stays unseen
        name = hashed(user, octets(realm)) if is_user_hashed else user
        words = [f"username={_quoted(name.decode('latin-1'))}", f"realm={_quoted(realm)}", f"nonce={_quoted(nonce)}"]
        words.append(f"uri={_quoted(uri)}")
        if "algorithm" in given:
            words.append(f"algorithm={given['algorithm']}")
        if challenge.has_qop_auth:
            count = f"{self._nonce_count:08x}"
            response = hashed(a1, octets(nonce), count.encode(), cnonce.encode(), b"auth", a2)
            words += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        else:
            response = hashed(a1, octets(nonce), a2)
            if is_session:
                words.append(f'cnonce="{self._session_cnonce}"')
        words.append(f'response="{response.decode()}"')
        if is_user_hashed:
            words.append("userhash=true")
        if "opaque" in given:
            words.append(f"opaque={_quoted(given['opaque'])}")
        return "Digest " + ", ".join(words)


def parse_challenges(header_values: Iterable[str]) -> list[Challenge]:
    """Read the challenges of several header values, each of which may hold several (RFC 7235 section 4.1).

    Never raises: what cannot be read is passed over. A bare word that is no known scheme belongs to a realm that the
    camera forgot to quote (`realm=IP Camera`) and is passed over as well.
    """
    challenges: list[Challenge] = []
    for text in header_values:
        if len(text) > CHALLENGE_BYTES_MAX or not _is_one_line(text):
            continue
        parameters: dict[str, str] | None = None
        for match in _ITEM.finditer(text):
            name, setting = match[1].lower(), match[2]
            if setting is None and name in _SCHEMES:
                if len(challenges) == CHALLENGES_MAX:
                    return challenges
                parameters = {}
                challenges.append(Challenge(name, parameters))
            elif setting is not None and parameters is not None:
                parameters.setdefault(name, _unquoted(setting))
    return challenges


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """Return the strongest challenge this client can answer, the first among equals; None if there is none."""
    answerable = [challenge for challenge in challenges if challenge.rank is not None]
    return min(answerable, key=lambda challenge: challenge.rank or 0, default=None)


def octets(text: str) -> bytes:
    """Return the bytes a header's text stood for: Latin-1 as it was decoded, UTF-8 where that is impossible."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _is_one_line(text: str) -> bool:
    return not _CONTROL.search(text)


def _unquoted(setting: str) -> str:
    return _ESCAPED.sub(r"\1", setting[1:-1]) if setting.startswith('"') else setting


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
