"""A SOAP envelope to a camera's answer, logged in the way that camera wants and no more often than it must be.

Rules of this file: a login goes out only after the camera asked for one; HTTP Digest first, then WS-UsernameToken; one
refusal ends it (ONVIF Core 5.9). A password never leaves in clear: Basic is not answered.
"""

from __future__ import annotations

import copy
import re
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from lxml import etree

from agent.acquire.camera import Login
from agent.acquire.camera_clock import offset_from_second
from agent.acquire.digest import Authenticator, choose, parse_challenges
from agent.acquire.discovery import printable
from agent.acquire.lenient_xml import Element, element, elements, local_name, parse_xml
from agent.acquire.timeline import ClockOffset
from agent.acquire.username_token import NONCE_BYTES, username_token
from agent.clock import WallTime
from agent.errors import BadInputError
from agent.outside.onvif_failures import (
    AccountLockedError,
    CameraFaultError,
    CameraUnreachableError,
    ClockWrongError,
    LoginNeededError,
    LoginRefusedError,
    NotOnvifError,
    RightsMissingError,
)
from agent.outside.soap_http import ANSWER_BYTES_MAX, Answer, post, request_target
from agent.outside.soap_login import Refusals

CALL_S_MAX: Final = 8.0
CONTENT_TYPE: Final = "application/soap+xml; charset=utf-8"
_REFUSAL_WORDS: Final = ("notauthorized", "failedauthentication", "invalidsecurity", "not authorized", "unauthorized")
_CLOCK_WORDS: Final = ("messageexpired", "expired", "time check failed")  # the last one: Dahua
_LOCK_WORDS: Final = re.compile(
    r"\block(?:ed|out)?\b|too many (?:failed|wrong|illegal|log-?in|auth|attempt)"
    r"|(?:account|user|address|ip) (?:is )?blocked",
    re.IGNORECASE,
)  # not "too many subscriptions"
_LOCK_STATUS: Final = (HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS)
_ATTEMPTS_LEFT: Final = re.compile(r"still have (\d{1,3}) attempt", re.IGNORECASE)  # Dahua, Imou
_GONE_WORDS: Final = ("subscription", "resourceunknown")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer read: `body` is the first element in the SOAP body; None if the answer was no SOAP at all."""

    answer: Answer
    body: Element | None

    @property
    def fault(self) -> str:
        """What a SOAP fault says, codes first, printable and short; empty if it is none."""
        if self.body is None or local_name(self.body) != "Fault":
            return ""
        words = elements(self.body, "Value", "faultcode", "Text", "faultstring")
        return (
            "; ".join(filter(None, (printable(word.text or "") for word in words)))[:200] or "a fault without a reason"
        )

    @property
    def is_refusal(self) -> bool:
        """Whether the camera wants a login, or another one."""
        if self.answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or self.is_locked:
            return True
        said = self.fault.lower()
        if any(word in said for word in _GONE_WORDS):
            return False  # it is the subscription that has expired, not the login
        return any(word in said for word in (*_REFUSAL_WORDS, *_CLOCK_WORDS))

    @property
    def is_locked(self) -> bool:
        """Whether the camera says that nobody can log in for a while."""
        return self.answer.status in _LOCK_STATUS or bool(_LOCK_WORDS.search(self.fault))


class SoapClient:
    """One camera's SOAP services with one login, for one thread, until `budget_s` seconds have passed.

    `now` is the hub's UTC clock. Set `clock` once the camera's offset is known: tokens are made in the camera's time.
    """

    def __init__(
        self,
        login: Login | None,
        now: Callable[[], WallTime],
        *,
        budget_s: float,
        refusals: Refusals,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.clock: ClockOffset | None = None
        self._login = login
        self._now = now
        self._until_s = time.monotonic() + budget_s
        self._refusals = refusals
        self._tls = tls
        self._authenticator = Authenticator(login)
        self._is_token_wanted = False
        self._is_login_proven = False
        self._http_clock: ClockOffset | None = None  # from the Date header: whole seconds, but told without a login

    def ask(self, url: str, envelope: Element, content_type: str) -> Reply:
        """Send a SOAP 1.2 envelope and return the answer, which is SOAP and no fault.

        Raises the failures of `onvif_failures`, and BadInputError for an answer over 4 MiB.
        """
        reply = self._exchange(url, envelope, content_type)
        if reply.is_refusal:
            reply = self._logged_in(url, envelope, content_type, reply)
        self._authenticator.accepted()
        return _checked(reply, urlsplit(url).netloc)

    def greet(self, url: str, envelope: Element) -> None:
        """Find out whether SOAP is spoken there, without a login: a fault is an answer too. Raises as `ask`."""
        reply = self._exchange(url, envelope, CONTENT_TYPE)
        if not reply.is_refusal and not reply.fault:
            _checked(reply, urlsplit(url).netloc)

    @property
    def login_kind(self) -> str:
        """How the camera took the login; empty if it asked for none so far."""
        if not self._is_login_proven:
            return ""
        return "WS-UsernameToken" if self._is_token_wanted else "HTTP Digest"

    def _logged_in(self, url: str, envelope: Element, content_type: str, reply: Reply) -> Reply:
        host = urlsplit(url).hostname or ""
        if self._login is None:
            raise LoginNeededError(f"{host} wants a login", cure="enter the camera's ONVIF user and password")
        if not self._is_login_proven:
            self._refusals.check(host, self._login)
            if reply.is_locked:  # before anything was sent: sending would only prolong it
                raise self._refused(host, self._login, reply)
        is_digest_refused = False
        while reply.answer.status == HTTPStatus.UNAUTHORIZED and self._is_digest_possible(reply):
            reply = self._exchange(url, envelope, content_type)
            is_digest_refused = reply.answer.status == HTTPStatus.UNAUTHORIZED
        if reply.is_refusal and not is_digest_refused and not self._is_token_wanted:
            self._is_token_wanted = True
            reply = self._exchange(url, envelope, content_type)
        if reply.is_refusal:
            raise self._refused(host, self._login, reply)
        self._is_login_proven = True
        return reply

    def _is_digest_possible(self, reply: Reply) -> bool:
        strongest = choose(parse_challenges(reply.answer.challenges))
        is_digest = strongest is not None and strongest.scheme == "digest"
        return is_digest and self._authenticator.challenged(reply.answer.challenges)

    def _refused(self, host: str, login: Login, reply: Reply) -> LoginRefusedError | ClockWrongError:
        if self._is_login_proven:
            return RightsMissingError(
                f"{host} does not let this user ask that: {reply.fault or 'access denied'}",
                cure="give the camera's ONVIF user the role Operator or Administrator",
            )
        self._refusals.remember(host, login)
        if reply.is_locked:
            return AccountLockedError(
                f"{host} has locked this account, or this hub's address: {reply.fault or 'too many logins'}",
                cure="wait 30 min or restart the camera, find out what else logs in there with a wrong password, then "
                "check user and password; nothing is sent to it for 10 min",
            )
        is_time_known = self.clock is not None or self._http_clock is not None
        is_clock_named = any(word in reply.fault.lower() for word in _CLOCK_WORDS)
        if self._is_token_wanted and (is_clock_named or not is_time_known):
            return ClockWrongError(
                f"{host} refuses the login and its clock may be wrong: {reply.fault or 'it does not tell its time'}",
                cure="set the camera's clock or its NTP server, then check user and password; tried again in 10 min",
            )
        return LoginRefusedError(
            f"{host} refuses this user or password{_attempts_left(reply.fault)}",
            cure="enter the user and password of the camera's ONVIF account, which some makers keep apart from the web "
            "page's; the same login is not sent again for 10 min",
        )

    def _exchange(self, url: str, envelope: Element, content_type: str) -> Reply:
        deadline_s = min(self._until_s, time.monotonic() + CALL_S_MAX)
        headers: dict[str, str | bytes] = {"Content-Type": content_type, "User-Agent": "transom"}
        proof = self._authenticator.authorization("POST", request_target(url), secrets.token_hex(16))
        if proof is not None:
            headers["Authorization"] = proof.encode("latin-1")
        body = etree.tostring(self._with_token(envelope), encoding="utf-8", xml_declaration=True)
        answer = post(url, body, headers, deadline_s=deadline_s, now=self._now, tls=self._tls)
        if answer.date is not None:
            self._http_clock = offset_from_second(answer.date, answer.asked, answer.answered)
        return Reply(answer, _soap_body(answer))

    def _with_token(self, envelope: Element) -> Element:
        if not self._is_token_wanted or self._login is None:
            return envelope
        offset = self.clock or self._http_clock
        created = WallTime(self._now() + (offset.estimate_ns if offset is not None else 0))
        copied = copy.deepcopy(envelope)
        header = element(copied, "Header")
        if header is None:
            header = etree.Element(f"{{{etree.QName(copied).namespace}}}Header")
            copied.insert(0, header)
        header.append(username_token(self._login, created, secrets.token_bytes(NONCE_BYTES)))
        return copied


def _attempts_left(fault: str) -> str:
    told = _ATTEMPTS_LEFT.search(fault)
    return f" and locks the account after {told[1]} more" if told else ""


def _soap_body(answer: Answer) -> Element | None:
    try:
        root = parse_xml(answer.body, ANSWER_BYTES_MAX)
    except BadInputError:
        return None  # a web page, a DTD, rubbish: whatever it is, it is not SOAP
    body = element(root, "Body") if local_name(root) == "Envelope" else None
    return next((child for child in body if local_name(child)), None) if body is not None else None


def _checked(reply: Reply, where: str) -> Reply:
    if reply.fault:
        raise CameraFaultError(f"{where} answers: {reply.fault}", cure="restart the camera if this lasts")
    if reply.answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise CameraUnreachableError(
            f"{where} answers HTTP {reply.answer.status}", cure="restart the camera if this lasts"
        )
    if reply.body is None or reply.answer.status != HTTPStatus.OK:
        raise NotOnvifError(
            f"{where} answers HTTP {reply.answer.status} without SOAP",
            cure="switch on ONVIF in the camera's settings; if this is no camera, leave it out",
        )
    return reply
