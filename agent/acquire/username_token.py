"""A login to the WS-Security header a camera checks: UsernameToken Profile 1.0 with PasswordDigest (ONVIF Core 5.9.4).

Rules of this file: no clock and no randomness; nothing is kept between two calls, so threads cannot mix up their times.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from agent.acquire.camera import Login
from agent.acquire.lenient_xml import Element
from agent.clock import SECOND_NS, WallTime

NONCE_BYTES: Final = 16
_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE: Final = f"{_WSS}wssecurity-secext-1.0.xsd"
_WSU: Final = f"{_WSS}wssecurity-utility-1.0.xsd"
_PASSWORD_DIGEST: Final = f"{_WSS}username-token-profile-1.0#PasswordDigest"
_BASE64_BINARY: Final = f"{_WSS}soap-message-security-1.0#Base64Binary"


def username_token(login: Login, created: WallTime, nonce: bytes) -> Element:
    """Build the Security header; `created` is in the camera's time, `nonce` 16 fresh random bytes.

    `Created` ends in `Z`: some Hikvision firmware refuses `+00:00`. SHA-1 is what the profile prescribes.
    """
    stamp = datetime.fromtimestamp(created // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    proof = hashlib.sha1(nonce + stamp.encode() + login.password.reveal(), usedforsecurity=False).digest()
    security = etree.Element(f"{{{_WSSE}}}Security", nsmap={"wsse": _WSSE, "wsu": _WSU})
    token = etree.SubElement(security, f"{{{_WSSE}}}UsernameToken")
    etree.SubElement(token, f"{{{_WSSE}}}Username").text = login.user
    password = etree.SubElement(token, f"{{{_WSSE}}}Password", Type=_PASSWORD_DIGEST)
    password.text = base64.b64encode(proof).decode()
    nonce_element = etree.SubElement(token, f"{{{_WSSE}}}Nonce", EncodingType=_BASE64_BINARY)
    nonce_element.text = base64.b64encode(nonce).decode()
    etree.SubElement(token, f"{{{_WSU}}}Created").text = stamp
    return security
