"""One question to a camera and its answer over HTTP/1.1: one request per connection, by one deadline, to nobody else.

Rules of this file: the deadline is for the whole exchange, so that a camera that drips a byte now and then cannot hold
us; no redirect, proxy, cookie or .netrc is followed; the answer is bounded; nothing here knows a password.
"""

from __future__ import annotations

import email.utils
import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from agent.acquire.camera_clock import YEAR_MAX
from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.outside.onvif_failures import CameraUnreachableError, NotOnvifError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
READ_BYTES_MAX: Final = 64 * 1024
_IS_IT_ON: Final = "check that the camera is on and on this network"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and between which two readings of the hub's clock it was made."""

    status: int
    body: bytes
    challenges: tuple[str, ...]  # the WWW-Authenticate header's values
    date: WallTime | None  # the Date header: the camera's clock in whole seconds
    asked: WallTime
    answered: WallTime


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str | bytes],
    *,
    deadline_s: float,
    now: Callable[[], WallTime],
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Post `body` and read the whole answer before `time.monotonic()` reaches `deadline_s`.

    Raises CameraUnreachableError if that fails, BadInputError for over 4 MiB, NotOnvifError for a redirect.
    """
    return _exchange("POST", url, body, headers, deadline_s, now, tls)


def get(url: str, headers: Mapping[str, str | bytes], *, deadline_s: float, now: Callable[[], WallTime]) -> Answer:
    """Get what lies at a URL. Bounds and errors are those of `post`."""
    return _exchange("GET", url, None, headers, deadline_s, now, None)


def _exchange(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str | bytes],
    deadline_s: float,
    now: Callable[[], WallTime],
    tls: ssl.SSLContext | None,
) -> Answer:
    address = urlsplit(url)
    where = address.netloc
    with _connect(address, deadline_s, tls) as connected:
        connection = http.client.HTTPConnection(address.hostname or "", _port(address))
        connection.sock = _BoundSocket(connected, deadline_s)
        try:
            asked = now()
            connection.request(method, _target(address), body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            if (response.length or 0) > ANSWER_BYTES_MAX:  # said beforehand: not a byte of it is taken
                raise BadInputError(f"{where} sent an answer over {ANSWER_BYTES_MAX} bytes")
            content = response.read(ANSWER_BYTES_MAX + 1)
            answered = now()
        except TimeoutError as error:
            raise CameraUnreachableError(f"{where} did not answer in time", cure=_IS_IT_ON) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CameraUnreachableError(f"{where} broke off: {type(error).__name__}", cure=_IS_IT_ON) from error
        finally:
            connection.close()
    if len(content) > ANSWER_BYTES_MAX:
        raise BadInputError(f"{where} sent an answer over {ANSWER_BYTES_MAX} bytes")
    if response.length:
        raise CameraUnreachableError(f"{where} broke off {response.length} bytes early", cure=_IS_IT_ON)
    if http.HTTPStatus.MULTIPLE_CHOICES <= response.status < http.HTTPStatus.BAD_REQUEST:
        raise NotOnvifError(
            f"{where} answers with a redirect, which is not followed",
            cure="if the camera allows HTTPS only, allow HTTP for ONVIF or enter its https:// address",
        )
    challenges = tuple(response.headers.get_all("WWW-Authenticate") or ())
    return Answer(response.status, content, challenges, _date(response.headers.get("Date")), asked, answered)


def request_target(url: str) -> str:
    """Return what stands in the request line for a URL: its path and query (RFC 9112 section 3.2.1)."""
    return _target(urlsplit(url))


def _target(address: SplitResult) -> str:
    return (address.path or "/") + (f"?{address.query}" if address.query else "")


def _port(address: SplitResult) -> int:
    return address.port or (443 if address.scheme == "https" else 80)


def _connect(address: SplitResult, deadline_s: float, tls: ssl.SSLContext | None) -> socket.socket:
    where, host = address.netloc, address.hostname or ""
    try:
        connected = socket.create_connection((host, _port(address)), timeout=_left_s(deadline_s))
        if address.scheme != "https":
            return connected
        try:
            connected.settimeout(_left_s(deadline_s))
            return (tls or _any_certificate()).wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise
    except TimeoutError as error:
        raise CameraUnreachableError(f"{where} does not answer", cure=_IS_IT_ON) from error
    except (OSError, ValueError) as error:
        raise CameraUnreachableError(f"{where} cannot be reached: {type(error).__name__}", cure=_IS_IT_ON) from error


@cache
def _any_certificate() -> ssl.SSLContext:
    """Accept the self-signed certificates cameras come with.

    Unverified TLS is no weaker than the HTTP it replaces, and the logins used on it never show the password.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _BoundSocket:
    """The part of a socket that http.client uses, every wait ending at one deadline; it does not own the socket."""

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._connected = connected
        self._deadline_s = deadline_s
        self._request = b""

    def sendall(self, content: bytes) -> None:
        """Gather the request: small firmware takes what one read brings for the whole of it."""
        self._request += content

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Send the request, all at once, and give the answer."""
        self._connected.settimeout(_left_s(self._deadline_s))
        self._connected.sendall(self._request)
        return io.BufferedReader(_BoundReader(self._connected, self._deadline_s), READ_BYTES_MAX)

    def close(self) -> None:
        """Leave the socket to its owner: http.client closes before it has read the answer."""


class _BoundReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._connected = connected
        self._deadline_s = deadline_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._connected.settimeout(_left_s(self._deadline_s))
        return self._connected.recv_into(buffer)


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _date(header: str | None) -> WallTime | None:
    if header is None:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(header)
        return WallTime(int(moment.timestamp()) * SECOND_NS) if moment.year <= YEAR_MAX else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None
