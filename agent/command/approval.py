"""The word of a second officer (step 8): another person of the same agency agrees to exactly this command.

Rules of this file: whoever must be asked twice is two people, so key and name must both differ; an approval that is
there must hold even where none is needed; it lends no rights, it only confirms.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from agent.clock import WallTime
from agent.command.claims import APPROVAL_TYP, Approval, ApprovalClaims, CommandClaims
from agent.command.grants import Scope, Signer, follow_chain
from agent.command.refused import RefusedError
from agent.command.request import RefusalReason
from agent.command.roles import APPROVING_ROLES, ROLE_ACTIONS
from agent.command.statement import read_statement
from agent.command.trust import TrustBundle
from agent.command.words import SKEW_NS, wall_time
from agent.errors import BadInputError

APPROVAL_LIFETIME_S_MAX: Final = 24 * 3600


def check_approvals(
    approvals: tuple[Approval, ...],
    command: tuple[CommandClaims, str],
    signer: Signer,
    needs: tuple[TrustBundle, Scope],
    now: WallTime,
) -> tuple[str, ...]:
    """Check every approval of a clip command and return who gave them; `command` is its claims and its SHA-256.

    `needs` is the bundle that may ask for one, and the least scope that an approver must have. Raises RefusedError.
    """
    claims, digest = command
    trust, scope = needs
    subjects = []
    for approval in approvals:
        with _as_bad_approval():
            second = follow_chain(approval.chain, trust, now)
            _check_person(second, signer, claims, scope)
            _check_words(approval, second, claims, digest, now)
        subjects.append(second.grant.sub)
    if not subjects and (signer.grant.scope.second_officer or claims.action in trust.second_officer):
        raise RefusedError(RefusalReason.APPROVAL_MISSING, f"{claims.action} needs a second officer's approval here")
    return tuple(subjects)


@contextmanager
def _as_bad_approval() -> Iterator[None]:
    try:
        yield
    except (RefusedError, BadInputError) as error:
        why = error.detail if isinstance(error, RefusedError) else str(error)
        raise RefusedError(RefusalReason.APPROVAL_BAD, why) from error


def _check_person(second: Signer, first: Signer, claims: CommandClaims, scope: Scope) -> None:
    role = second.grant.role
    if second.thumbprint == first.thumbprint or second.grant.sub == first.grant.sub:
        raise BadInputError("the second officer must be another one")
    if role not in APPROVING_ROLES or claims.action not in ROLE_ACTIONS[role]:
        raise BadInputError(f"{role} may not approve {claims.action}")
    if not scope.is_within(second.grant.scope):
        raise BadInputError(f"the grant of {second.grant.sub} does not cover this command")


def _check_words(approval: Approval, second: Signer, claims: CommandClaims, digest: str, now: WallTime) -> None:
    words = read_statement(approval.approval, second.key, APPROVAL_TYP, ApprovalClaims)
    if words.iss != second.thumbprint or words.sub != second.grant.sub:
        raise BadInputError("an approval in another officer's name")
    if words.command_sha256 != digest or words.aud != claims.aud:
        raise BadInputError("an approval of another command")
    if not 0 < words.exp - words.iat <= APPROVAL_LIFETIME_S_MAX:
        raise BadInputError(f"an approval must live between 1 and {APPROVAL_LIFETIME_S_MAX} seconds")
    if not wall_time(words.iat) - SKEW_NS <= now < wall_time(words.exp) + SKEW_NS:
        raise BadInputError("an approval that is not in time")
