"""The signed documents that say whom this hub believes: trust bundle, owner's pairing, owner's policy.

Rules of this file: a document is checked, stored, written to the audit log, and only then believed; a bad one changes
nothing and is told once; versions rise for ever, also across restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agent.command.envelope import Audience
from agent.command.trust import open_first_bundle
from agent.consent.policy import open_policy
from agent.consent.standing import Standing
from agent.crypto import key_from_jwk, sha256_hex, thumbprint
from agent.errors import BadInputError
from agent.ports import Audit, Document, Documents
from provisioning.errors import ProvisioningError
from provisioning.pairing import OwnerKey

POLICY: Final = "policy"
PairOwner = Callable[[bytes], OwnerKey | str]
"""Checks a pairing statement against the owner card and the button and stores the owner; a text is the refusal."""


class Desk:
    """Takes documents as they come and keeps the `Standing` that follows from them."""

    def __init__(self, first: Standing, stored: Documents, audit: Audit, pair_owner: PairOwner) -> None:
        self.standing = first
        self._stored, self._audit, self._pair_owner = stored, audit, pair_owner
        policy = stored.document(POLICY)
        if policy is not None and first.owner is not None:
            opened = open_policy(policy.token, first.owner, first.audience.hub, policy.version - 1)
            self.standing = replace(first, policy=opened, policy_sha256=sha256_hex(policy.token.encode()))

    def take_pairing(self, statement: bytes) -> bool:
        """Take a pairing statement; True if this made somebody the owner."""
        try:
            owner = self._pair_owner(statement)
        except ProvisioningError as error:
            owner = str(error)
        if isinstance(owner, str):
            self._audit.append("pairing_refused", "", {"why": owner})
            return False
        key = key_from_jwk(dict(owner.jwk))
        self._audit.append("paired", "", {"owner": thumbprint(key)})
        self.standing = replace(self.standing, owner=key)
        return True

    def take_policy(self, token: bytes) -> bool:
        """Take a policy; True if it is the owner's and newer than the one in force."""
        before = self.standing
        if before.owner is None:
            return False  # a retained policy may come before the pairing; the server sends it again after that
        digest = sha256_hex(token)
        if digest == before.policy_sha256:
            return False
        try:
            text = token.decode("ascii")
            policy = open_policy(text, before.owner, before.audience.hub, before.policy.version if before.policy else 0)
        except (BadInputError, UnicodeDecodeError) as error:
            self._audit.append("policy_refused", "", {"why": str(error)})
            return False
        self._stored.put_document(POLICY, Document(policy.version, text))
        self._audit.append("policy", "", {"version": policy.version, "sha256": digest, "mode": policy.mode})
        self.standing = replace(before, policy=policy, policy_sha256=digest)
        return True


def first_standing(hub: str, epoch: int, trust_bundle: str, owner: OwnerKey | None) -> Standing:
    """Make what an enrolled hub believes before any policy. Raises BadInputError if the stored bundle is damaged."""
    bundle = open_first_bundle(trust_bundle.encode())
    return Standing(Audience(hub, epoch), bundle, key_from_jwk(dict(owner.jwk)) if owner else None)
