"""The broker's topic for commands: whatever comes there, the hub reads a command that was signed, or refuses."""

from __future__ import annotations

from typing import Final

import msgspec

from agent.command.envelope import verify
from agent.command.request import Refusal
from agent.command.trust import TrustBundle
from agent.crypto import sha256_hex
from agent.demo.authority import command_of
from agent.errors import BadInputError
from tests.vectors.command.case import Case
from tests.vectors.command.forgeries import CASES
from tests.vectors.command.scene import AUDIENCE, NOW, trust_claims

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
