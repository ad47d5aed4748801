"""What browsers and worse send to the owner's page: requests, and logins whose signature is good."""

from __future__ import annotations

import asyncio
from typing import Final

import h11

from agent.clock import SECOND_NS, Instant
from agent.crypto import canonical_json
from agent.errors import BadInputError
from agent.outside.page_server import _Ends, _RefusedError, _Talk
from agent.owner.gate import turned_away
from agent.owner.login import LOGIN_TYP, Nonces, open_login
from agent.owner.sessions import cookie_in
from agent.page_ports import PageLimits, PageRequest
from agent.signing import sign_statement
from tests.vectors.command.scene import AUDIENCE, NOW, OWNER
from tests.vectors.owner.make_logins import BORN, NONCE_KEY, ORIGIN, claims

LIMITS: Final = PageLimits()
HEAD: Final = b"Host: 192.168.1.20:8443\r\nOrigin: https://192.168.1.20:8443\r\nSec-Fetch-Site: same-origin\r\n"
COOKIE: Final = b"Cookie: __Host-transom=abcdefgh; other=1\r\n"
REQUESTS: Final = (
    b"GET /accesses?before=120 HTTP/1.1\r\n" + HEAD + COOKIE + b"\r\n",
    b"POST /answer HTTP/1.1\r\n" + HEAD + COOKIE + b"Content-Length: 5\r\n\r\na.b.c",
    b"POST /login HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
)
LOGINS: Final = (canonical_json(claims()), canonical_json(claims(exp=claims()["iat"] + 1)))


def page_request(raw: bytes) -> None:
    """Check that a request which is heard is our own page's, and within its limits."""
    request = asyncio.run(_read(raw))
    assert len(request.body) <= LIMITS.body_bytes
    cookie_in(request.headers.get("cookie", ""))
    if turned_away(request) is None:
        assert request.headers["host"].lower() == "192.168.1.20:8443"
        assert request.method == "GET" or request.headers["origin"] == ORIGIN


async def _read(raw: bytes) -> PageRequest:
    reader = asyncio.StreamReader()
    reader.feed_data(raw)
    reader.feed_eof()
    talk = _Talk(reader, None, _Ends("192.168.1.9", "192.168.1.20", 8443), LIMITS)  # type: ignore[arg-type] # it only reads
    try:
        request = await talk.read()
    except (h11.RemoteProtocolError, _RefusedError) as error:
        raise BadInputError("not a request within the limits") from error
    if request is None:
        raise BadInputError("not a whole request")
    return request


def owner_login(raw: bytes) -> None:
    """Check that whatever claims are signed, what lets in is for this hub, this page, in time, and once."""
    if not raw:
        raise BadInputError("nothing to sign")
    token, nonces = sign_statement(raw, OWNER.key, LOGIN_TYP), Nonces(NONCE_KEY)
    bound = {"audience": AUDIENCE, "origin": ORIGIN, "nonces": nonces, "now": NOW, "is_clock_trusted": True}
    login = open_login(token, OWNER.key, instant=Instant(BORN + SECOND_NS), **bound)  # type: ignore[arg-type] # by name
    assert login.origin == ORIGIN
    assert list(nonces._used) == [login.nonce]
