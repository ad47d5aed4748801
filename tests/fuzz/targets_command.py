"""The broker's topics for commands and times: whatever comes there, the hub reads what was signed, or refuses."""

from __future__ import annotations

from typing import Final

import msgspec

from agent.clock import Instant
from agent.command.envelope import verify
from agent.command.request import Refusal
from agent.command.signed_time import Question, TimeFault, judge_answer
from agent.command.trust import TrustBundle
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from agent.errors import BadInputError
from tests.vectors.command.case import Case
from tests.vectors.command.forgeries import CASES
from tests.vectors.command.scene import AUDIENCE, NOW, trust_claims
from tests.vectors.time.make import ASKED_NS, KNOWN, NONCE, ROUND_NS, TRUST, vectors

_TRUST: Final = msgspec.convert(trust_claims(), TrustBundle)


def _answer_to(raw: bytes) -> str:
    """Return the digest of the command that the hub reads in these bytes. Raises BadInputError: it refuses."""
    answer = verify(raw, _TRUST, AUDIENCE, NOW, is_clock_trusted=True)
    if isinstance(answer, Refusal):
        raise BadInputError(f"{answer.reason}: {answer.detail}")
    return answer.sha256


def _is_plain(case: Case) -> bool:
    return case.expect == "verified" and case.now == NOW and case.trust == trust_claims()


SEEDS: Final = tuple(case.raw for case in CASES.values() if _is_plain(case))
_SIGNED: Final = frozenset(sha256_hex(command_of(raw).encode()) for raw in SEEDS)


def command(raw: bytes) -> None:
    """Nothing is accepted but a command that an officer or an operator has signed, to the byte."""
    assert _answer_to(raw) in _SIGNED


TIMES: Final = tuple(
    vector["answer"].encode() for vector in vectors() if vector["expect"] == "accepted" and vector["name"] == "good"
)
_QUESTION: Final = Question(NONCE, Instant(ASKED_NS))
_TIME_TRUST: Final = msgspec.convert(TRUST, TrustBundle)


def signed_time(raw: bytes) -> None:
    """No time counts but the one that a time key has signed for this question, to the byte."""
    answer = judge_answer(raw, _QUESTION, Instant(ASKED_NS + ROUND_NS), _TIME_TRUST, AUDIENCE, KNOWN)
    if isinstance(answer, TimeFault):
        raise BadInputError(answer.value)
    assert raw in TIMES
