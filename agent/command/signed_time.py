"""A question for the time goes out, a signed answer comes back: what of it the hub may believe, and when it asks again.

Rules of this file: an answer counts once, for the newest question of this hub alone; the bound is what really passed
between question and answer by the hub's own monotonic clock; time never goes behind what is known. No clock, no I/O.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.clock import DRIFT_PPM_MAX, SECOND_NS, SIGNED_ERROR_NS_MAX, Instant, SignedTime, WallTime, parse_rfc3339
from agent.command.envelope import Audience
from agent.command.statement import open_strictly, unverified_claims, unverified_kid
from agent.command.strict_json import decode
from agent.command.trust import TrustBundle
from agent.command.words import SKEW_NS, Claims, Moment
from agent.errors import BadInputError

TIME_TYP: Final = "transom-time+jwt"
NONCE_BYTES: Final = 16
ANSWER_BYTES_MAX: Final = 4096
ROUND_TRIP_NS_MAX: Final = 5 * SECOND_NS
ANSWERS_LOOKED_AT_MAX: Final = 8
"""Of those that name the question's nonce; somebody who floods the hub makes it verify so many signatures."""

ASK_S_MIN: Final = 10
ASK_S_MAX: Final = 300
"""Unanswered, the pause doubles from one to the other."""

ASK_AGAIN_S: Final = 3600
"""At `DRIFT_PPM_MAX` the bound has grown by 0.72 s then; it reaches its limit after some 13 h without an answer."""

Nonce = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]


class TimeRequest(Claims, frozen=True):
    """The hub's question, as JSON."""

    aud: Annotated[str, Meta(max_length=128)]  # as in a command: `hub:<hub>:<pairing epoch>`
    nonce: Nonce  # 16 fresh random bytes
    v: int = 1


class TimeClaims(Claims, frozen=True):
    """The claims of a `transom-time+jwt`. It has no expiry: the nonce is its date."""

    aud: Annotated[str, Meta(max_length=128)]
    nonce: Nonce
    now: Moment


class TimeFault(StrEnum):
    """Why an answer does not count."""

    NOT_ASKED = "not_asked"  # another nonce, or what cannot be read: dropped without a word
    LATE = "late"
    BAD_SIGNATURE = "bad_signature"
    BAD_SHAPE = "bad_shape"
    WRONG_AUDIENCE = "wrong_audience"
    BEHIND = "behind"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Question:
    """What is waited for."""

    nonce: str
    at: Instant  # since boot, just before it was sent


@dataclass(frozen=True, slots=True)
class TimeAnswer:
    """An answer that counts: what it says, and by which key."""

    time: SignedTime
    told: WallTime
    kid: str
    round_trip_ns: int


def judge_answer(
    token: bytes, question: Question, received: Instant, trust: TrustBundle, audience: Audience, known: WallTime
) -> TimeAnswer | TimeFault:
    """Check one answer that came at `received` (since boot); `known` is a time that has passed for certain.

    The server read its clock at some moment between question and answer, so UTC minus the time since boot lies between
    its time less `received` and its time less the question's, and what the hub's clock may have lost in between.

    1. At most 4 KiB, a compact JWS whose claims have the nonce of the newest question, which has no answer yet.
    2. It came within 5 s.
    3. A time key of the trust bundle, not revoked, signed it, as a time.
    4. Its shape.
    5. It is for this hub and this pairing.
    6. It is not behind what is known: the bundle's issue (less the skew), the newest trusted time on the disk.
    7. It is before the bundle's expiry (with the skew): beyond it the hub would refuse everything in any case.
    """
    try:
        return _judge(token, question, received, trust, audience, known)
    except _FaultError as error:
        return error.fault


class _FaultError(Exception):
    def __init__(self, fault: TimeFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def _judge(
    token: bytes, question: Question, received: Instant, trust: TrustBundle, audience: Audience, known: WallTime
) -> TimeAnswer:
    # 1. Ours? Whatever else the broker has costs no signature.
    if _nonce_of(token) != question.nonce:
        raise _FaultError(TimeFault.NOT_ASKED)
    # 2.
    round_trip_ns = received - question.at
    if not 0 <= round_trip_ns <= ROUND_TRIP_NS_MAX:
        raise _FaultError(TimeFault.LATE)
    # 3.
    text = token.decode("ascii")
    try:
        kid = unverified_kid(text)
        signed = open_strictly(text, trust.time_signers()[kid], TIME_TYP)
    except (BadInputError, KeyError):
        raise _FaultError(TimeFault.BAD_SIGNATURE) from None
    # 4.
    try:
        claims = decode(signed, TimeClaims, "signed time")
        told = parse_rfc3339(claims.now)
    except BadInputError:
        raise _FaultError(TimeFault.BAD_SHAPE) from None
    # 5.
    if claims.aud != audience.claim:
        raise _FaultError(TimeFault.WRONG_AUDIENCE)
    # 6. and 7.
    if told < max(known, trust.issued - SKEW_NS):
        raise _FaultError(TimeFault.BEHIND)
    if told >= trust.expires + SKEW_NS:
        raise _FaultError(TimeFault.AHEAD)
    drift_ns = -(-round_trip_ns * DRIFT_PPM_MAX // 1_000_000)  # of the hub's own clock, while it waited
    low_ns, high_ns = told - received, told - question.at + drift_ns
    return TimeAnswer(SignedTime(low_ns, high_ns, (low_ns + high_ns) // 2, received), told, kid, round_trip_ns)


class TimeExchange:
    """Questions and answers of one hub; every time here is since boot."""

    def __init__(self) -> None:
        self._question: Question | None = None
        self._next, self._asked = Instant(0), Instant(-ASK_S_MIN * SECOND_NS)
        self._unanswered, self._looked_at = 0, 0

    def is_due(self, now: Instant) -> bool:
        """Say whether to ask."""
        return now >= self._next

    def ask(self, nonce: bytes, now: Instant, audience: Audience) -> bytes:
        """Return the question to send at once; no answer to an earlier one counts any more.

        `nonce` is `NONCE_BYTES` random bytes; the pause until the next question varies by one of them.
        """
        text = base64.urlsafe_b64encode(nonce).rstrip(b"=").decode()
        self._question, self._asked, self._looked_at = Question(text, now), now, 0
        pause_s = min(ASK_S_MAX, ASK_S_MIN << min(self._unanswered, 8))
        self._unanswered += 1
        self._next = Instant(now + pause_s * SECOND_NS + pause_s * SECOND_NS * nonce[0] // 1024)
        return msgspec.json.encode(TimeRequest(aud=audience.claim, nonce=text))

    def hurry(self) -> None:
        """Ask as soon as may be: there is a new connection, or the question could not be sent."""
        self._next = min(self._next, Instant(self._asked + ASK_S_MIN * SECOND_NS))

    def take(
        self, token: bytes, received: Instant, trust: TrustBundle, audience: Audience, known: WallTime
    ) -> TimeAnswer | TimeFault:
        """Judge an answer. The first good one ends the question; so does a late one, and one bad one too many."""
        question = self._question
        if question is None:
            return TimeFault.NOT_ASKED
        answer = judge_answer(token, question, received, trust, audience, known)
        if answer is TimeFault.NOT_ASKED:
            return answer
        self._looked_at += 1
        if isinstance(answer, TimeAnswer):
            self._unanswered, self._question = 0, None
            self._next = Instant(received + ASK_AGAIN_S * SECOND_NS)
        elif answer is TimeFault.LATE or self._looked_at >= ANSWERS_LOOKED_AT_MAX:
            self._question = None
        return answer


def is_believable(signed: SignedTime, now: Instant) -> bool:
    """Say whether signed time is still good enough to go by."""
    return signed.error_ns(now) <= SIGNED_ERROR_NS_MAX


def _nonce_of(token: bytes) -> str:
    """Read the nonce that an answer names, without believing anything; empty if there is none."""
    if len(token) > ANSWER_BYTES_MAX or not token.isascii():
        return ""
    try:
        nonce = unverified_claims(token.decode("ascii")).get("nonce")
    except BadInputError:
        return ""
    return nonce if isinstance(nonce, str) else ""
