"""The WS-Security header, against the profile's own arithmetic."""

from __future__ import annotations

import base64
import hashlib

from agent.acquire.camera import Login
from agent.acquire.lenient_xml import text_of
from agent.acquire.username_token import username_token
from agent.clock import parse_rfc3339
from agent.crypto import Secret


def test_the_digest_is_the_profiles() -> None:
    """Base64(SHA-1(nonce + created + password)), `Created` in Zulu time, no trace of the password."""
    security = username_token(Login("op", Secret("pä")), parse_rfc3339("2026-05-04T03:02:01.999Z"), b"n" * 16)
    assert text_of(security, "Username") == "op"
    assert text_of(security, "Created") == "2026-05-04T03:02:01.000Z"
    assert text_of(security, "Nonce") == base64.b64encode(b"n" * 16).decode()
    proof = hashlib.sha1(b"n" * 16 + b"2026-05-04T03:02:01.000Z" + "pä".encode()).digest()  # noqa: S324 - the profile's
    assert text_of(security, "Password") == base64.b64encode(proof).decode()
