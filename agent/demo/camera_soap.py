"""Reads what ONVIF clients ask in SOAP, checks their WS-UsernameToken, and writes answers and faults as cameras do.

Rules of this file: no entity is ever resolved, no document type is accepted, and nothing but BadInputError is raised.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from agent.acquire.camera import Login
from agent.clock import SECOND_NS, parse_rfc3339
from agent.demo.camera_cadence import CameraClock
from agent.demo.camera_login import Verdict
from agent.errors import BadInputError

NAMESPACES: Final = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "tns1": "http://www.onvif.org/ver10/topics",
}
SKEW_SECONDS: Final = 5
NONCES_MAX: Final = 1000
_NONCE_BYTES_MAX: Final = 128
_PASSWORD_DIGEST: Final = "#PasswordDigest"  # noqa: S105 - the name of a kind of login, not one


@dataclass(frozen=True, slots=True)
class Token:
    """A WS-UsernameToken as sent (Username Token Profile 1.0)."""

    user: str
    digest: str
    nonce: str
    created: str


@dataclass(frozen=True, slots=True)
class Call:
    """One SOAP call: the namespace and name of its operation, its texts by element name, its login if it has one."""

    namespace: str
    operation: str
    texts: dict[str, str]
    token: Token | None


def parse_call(body: bytes) -> Call:
    """Read a SOAP 1.2 envelope; raises BadInputError for anything else."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise BadInputError("a document type is not accepted")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadInputError("not XML") from error
    soap = NAMESPACES["s"]
    operation = root.find(f"{{{soap}}}Body/*") if root.tag == f"{{{soap}}}Envelope" else None
    if operation is None or not isinstance(operation.tag, str):
        raise BadInputError("not a SOAP 1.2 call")
    name = etree.QName(operation)
    texts = {
        etree.QName(element).localname: (element.text or "").strip()
        for element in operation.iter()
        if isinstance(element.tag, str)
    }
    return Call(name.namespace or "", name.localname, texts, _find_token(root))


def _find_token(root: etree._Element) -> Token | None:
    found: dict[str, str] = {}
    for element in root.iter():
        if isinstance(element.tag, str) and etree.QName(element).localname in (
            "UsernameToken",
            "Username",
            "Password",
            "Nonce",
            "Created",
        ):
            found[etree.QName(element).localname] = (element.text or "").strip()
            if etree.QName(element).localname == "Password" and not element.get("Type", "").endswith(_PASSWORD_DIGEST):
                found["Password"] = ""  # a password in the clear is no login here
    if "UsernameToken" not in found:
        return None
    return Token(found.get("Username", ""), found.get("Password", ""), found.get("Nonce", ""), found.get("Created", ""))


class TokenGate:
    """Checks WS-UsernameTokens: digest, age against the camera's own clock, and that none is used twice."""

    def __init__(self, login: Login, clock: CameraClock) -> None:
        self.heard: Callable[[Verdict], Verdict] = lambda verdict: verdict  # what becomes of each verdict
        self._login = login
        self._clock = clock
        self._seen: dict[bytes, int] = {}  # nonce -> when it may be forgotten, camera time in ns

    def judge(self, token: Token) -> Verdict:
        """Judge one token; a STALE one was made by a clock that disagrees with the camera's, or sent before."""
        return self.heard(self._judge(token))

    def _judge(self, token: Token) -> Verdict:
        try:
            nonce = base64.b64decode(token.nonce, validate=True)
            created_ns = parse_rfc3339(token.created)
        except (binascii.Error, ValueError, BadInputError):
            return Verdict.REFUSED
        secret = self._login.password.reveal()
        expected = base64.b64encode(hashlib.sha1(nonce + token.created.encode() + secret).digest())  # noqa: S324 - WSS 1.0
        is_known = hmac.compare_digest(token.user.encode(), self._login.user.encode())
        is_known &= hmac.compare_digest(token.digest.encode(), expected)
        if not is_known or not 0 < len(nonce) <= _NONCE_BYTES_MAX:
            return Verdict.REFUSED
        now_ns, skew_ns = self._clock.now_ns(), SKEW_SECONDS * SECOND_NS
        self._seen = {seen: until for seen, until in self._seen.items() if until > now_ns}
        is_stale = abs(now_ns - created_ns) > skew_ns or nonce in self._seen or len(self._seen) >= NONCES_MAX
        if is_stale:
            return Verdict.STALE
        self._seen[nonce] = created_ns + 2 * skew_ns
        return Verdict.WELCOME


def envelope(body: str) -> bytes:
    """Wrap an answer."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {spaces}><s:Body>{body}</s:Body></s:Envelope>'.encode()


def fault(who: str, subcode: str, reason: str) -> bytes:
    """Write a SOAP 1.2 fault: `who` is Sender or Receiver, `subcode` one of ONVIF's (Core section 5.8.2)."""
    return envelope(
        f"<s:Fault><s:Code><s:Value>s:{who}</s:Value><s:Subcode><s:Value>ter:{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason></s:Fault>'
    )
