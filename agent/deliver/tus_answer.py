"""What a store answered, read strictly: status, offset, address, and how long it asks to be left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from agent.errors import BadInputError

URL_CHARS_MAX: Final = 2048
_URL: Final = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+", re.ASCII)  # RFC 3986 without "#"
_OFFSET: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_RETRYABLE: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.LOCKED,  # another request of ours still holds the upload
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def words(self, name: str) -> tuple[str, ...]:
        """Split a comma-separated header."""
        return tuple(word.strip().lower() for word in self.headers.get(name, "").split(","))


@dataclass(frozen=True, slots=True)
class Lost:
    """There was no answer: the connection failed or took too long."""

    why: str


def is_retryable(status: int) -> bool:
    """Say whether the same request may succeed later."""
    return status in _RETRYABLE or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED)


def retry_after_s(answer: Answer) -> int:
    """Read `Retry-After` in seconds; 0 if it is absent or a date (RFC 9110 section 10.2.3)."""
    asked = answer.headers.get("retry-after", "")
    return int(asked) if _SECONDS.fullmatch(asked) else 0


def read_time_left_s(answer: Answer) -> int | None:
    """Read how long the store keeps an unfinished upload, in whole seconds of its own clock; None if it does not say.

    `Upload-Expires` less `Date`, so that no two clocks need agree; 0 or less once it is over.
    """
    try:
        until, now = (parsedate_to_datetime(answer.headers[name]) for name in ("upload-expires", "date"))
        return int((until - now).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):  # one with a zone and one without cannot be compared
        return None


def read_offset(answer: Answer) -> int:
    """Read `Upload-Offset`. Raises BadInputError."""
    offset = answer.headers.get("upload-offset", "")
    if not _OFFSET.fullmatch(offset):
        raise BadInputError("the store's answer has no valid Upload-Offset", cure="is it a tus 1.0 server?")
    return int(offset)


def read_location(answer: Answer, url: str) -> str:
    """Read `Location`, absolute or relative to the creation `url`, on the same origin. Raises BadInputError."""
    location = answer.headers.get("location", "")
    if not _is_url(location):
        raise BadInputError("the store's answer has no valid Location", cure="is it a tus 1.0 server?")
    try:
        address = urljoin(url, location)
    except ValueError:
        raise BadInputError("the store's Location is not a URL") from None
    if not is_same_origin(url, address):
        raise BadInputError(
            "the store sends the upload to another place than the command names",
            cure="let it answer with paths (@tus/server: relativeLocation) or know its address (tusd: -behind-proxy)",
        )
    return address


def is_same_origin(url: str, other: str) -> bool:
    """Say whether both are well-formed, without userinfo, and of one scheme, host and port (RFC 6454)."""
    origin = _origin(url)
    return origin is not None and origin == _origin(other)


def _origin(url: str) -> tuple[str, str, int] | None:
    if not _is_url(url):
        return None
    try:
        pieces: SplitResult = urlsplit(url)
        port = pieces.port
    except ValueError:
        return None
    if pieces.scheme not in _DEFAULT_PORT or not pieces.hostname or "@" in pieces.netloc:
        return None
    return pieces.scheme, pieces.hostname, port or _DEFAULT_PORT[pieces.scheme]


def _is_url(text: str) -> bool:
    return len(text) <= URL_CHARS_MAX and _URL.fullmatch(text) is not None
