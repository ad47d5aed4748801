"""A camera's own picture (GetSnapshotUri) as the bytes it sends: a second source, where no key picture can be had.

Rules of this file: only the host that answered ONVIF is asked, whatever address it names; HTTP Digest only, one refused
login ends it; the bytes are a stranger's: nothing but the child may decode them, and the address may hold a login, so
no error shows it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from agent.acquire.camera import CameraStream, Login
from agent.acquire.digest import Authenticator, choose, parse_challenges
from agent.acquire.discovery import bracketed
from agent.clock import WallTime
from agent.errors import BadInputError
from agent.outside.onvif import REFUSALS, OnvifCamera
from agent.outside.onvif_failures import CameraUnreachableError, LoginRefusedError
from agent.outside.soap import SoapClient
from agent.outside.soap_http import Answer, get, request_target
from agent.outside.soap_login import Refusals

BUDGET_S: Final = 10.0  # for ONVIF's questions and the picture
PICTURE_BYTES_MAX: Final = 4 * 1024 * 1024
URL_CHARACTERS_MAX: Final = 1024
_BEGIN: Final = b"\xff\xd8\xff"  # JPEG's first marker and the begin of the next (T.81, B.1.1)


def fetch_snapshot(
    stream: CameraStream, address: str, now: Callable[[], WallTime], *, wanted: str = "", refusals: Refusals = REFUSALS
) -> bytes:
    """Fetch what the camera at a device service's `address` shows of the profile that is recorded.

    Blocking, 10 s at most. At most 4 MiB that begin as a JPEG does. Raises the failures of `onvif.examine`.
    """
    until_s = time.monotonic() + BUDGET_S
    client = SoapClient(stream.login, now, budget_s=BUDGET_S, refusals=refusals)
    client.clock = stream.clock
    camera = OnvifCamera(address, client, now)
    told = camera.media().snapshot_uri(camera.main_profile(wanted))
    url = snapshot_url(told, address)
    picture = _fetch(url, stream.login, until_s, now).body
    if not picture.startswith(_BEGIN) or len(picture) > PICTURE_BYTES_MAX:
        raise BadInputError("what the camera calls its picture is no JPEG")
    return picture


def snapshot_url(told: object, address: str) -> str:
    """Keep path and query of the picture's address and ask for it at the host of `address`, by that one's scheme.

    Its port is believed only if it named that host and scheme. Raises BadInputError.
    """
    text = told.strip() if isinstance(told, str) else ""
    known = urlsplit(address)
    try:
        parts = urlsplit(text)
        is_same = (parts.hostname, parts.scheme) == (known.hostname, known.scheme)
        port = parts.port if is_same else known.port
    except ValueError as error:
        raise BadInputError("the address of the camera's picture is no URL") from error
    is_plain = text.isascii() and text.isprintable() and len(text) <= URL_CHARACTERS_MAX
    if not is_plain or parts.scheme not in {"http", "https"}:
        raise BadInputError("the address of the camera's picture is no HTTP URL")
    netloc = bracketed(known.hostname or "") + (f":{port}" if port else "")
    path, query = (part.replace(" ", "%20") for part in (parts.path or "/", parts.query))
    return urlunsplit((known.scheme, netloc, path, query, ""))


def _fetch(url: str, login: Login | None, until_s: float, now: Callable[[], WallTime]) -> Answer:
    where, authenticator = urlsplit(url).netloc, Authenticator(login)
    answer = get(url, {"User-Agent": "transom"}, deadline_s=until_s, now=now)
    while answer.status == HTTPStatus.UNAUTHORIZED:
        strongest = choose(parse_challenges(answer.challenges))
        is_digest = strongest is not None and strongest.scheme == "digest"
        if not is_digest or not authenticator.challenged(answer.challenges):
            raise LoginRefusedError(f"{where} does not show its own picture by this login")
        proof = authenticator.authorization("GET", request_target(url), secrets.token_hex(16)) or ""
        headers: dict[str, str | bytes] = {"User-Agent": "transom", "Authorization": proof.encode("latin-1")}
        answer = get(url, headers, deadline_s=until_s, now=now)
    if answer.status != HTTPStatus.OK:
        raise CameraUnreachableError(f"{where} answers HTTP {answer.status} when asked for its own picture")
    return answer
