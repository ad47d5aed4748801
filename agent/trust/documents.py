"""The signed documents that say whom this hub believes: trust bundle, owner's pairing, owner's policy.

Rules of this file: a document is checked, written to the audit log, stored, and only then believed; a bad one changes
nothing and is written down, up to a number an hour; versions rise for ever, also across restarts. Which policy held
when is on the disk before the policy is believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from agent.clock import SECOND_NS, Clock, Instant, WallTime
from agent.command.envelope import Audience
from agent.command.trust import open_first_bundle, open_kept_bundle, open_trust_bundle
from agent.consent.policy import Policy, open_policy
from agent.consent.standing import Standing
from agent.consent.terms import may_record
from agent.crypto import sha256_hex
from agent.deliver.age import check_usable
from agent.errors import BadInputError, UnavailableError
from agent.ports import Audit, Document, Documents
from agent.signing import key_from_jwk, thumbprint
from agent.trust.mode_watch import ModeWatch
from agent.trust.policy_past import PolicyPast
from provisioning.errors import ProvisioningError
from provisioning.pairing import OwnerKey

POLICY: Final = "policy"
TRUST: Final = "trust"
LOOK_EVERY_S: Final = 1.0
LOOK_AGAIN_S: Final = 10.0  # after the disk failed
REFUSALS_PER_HOUR_MAX: Final = 60
"""A hostile broker can make the hub look at documents, but not fill the audit log with them."""

log: Final = logging.getLogger("transom.documents")


@dataclass(frozen=True, slots=True)
class Pairing:
    """How somebody becomes the owner: two steps, because the audit log is written between them."""

    decide: Callable[[bytes], OwnerKey | str]
    """Checks a pairing statement against owner card, enrolment and button; a text is the refusal."""
    save: Callable[[OwnerKey], None]


class Desk:
    """Takes documents as they come and keeps the `Standing` that follows from them."""

    def __init__(self, first: Standing, stored: Documents, audit: Audit, pairing: Pairing, clock: Clock) -> None:
        self.standing = first
        self._stored, self._audit, self._pairing, self._clock = stored, audit, pairing, clock
        # Bound to the bundle of enrolment: what an earlier enrolment led to says nothing about this one.
        self._trust_name = f"{TRUST} since {sha256_hex(msgspec.json.encode(first.trust))[:16]}"
        self._refusals: list[Instant] = []
        self.refused_unwritten = 0
        self._token = ""  # the statement of the policy in force
        self._take_stored()
        self._past = PolicyPast(stored, clock, self._open_kept)
        self._mode = ModeWatch(stored, audit)
        with contextlib.suppress(UnavailableError):  # a full disk: the next look
            self.look_at_clock()

    def _take_stored(self) -> None:
        """Believe again what was stored, as far as it is of this enrolment and of this owner."""
        first, trust, policy = self.standing, self._stored.document(self._trust_name), self._stored.document(POLICY)
        if trust is not None:
            kept = open_kept_bundle(trust.token.encode(), first.trust)
            self.standing = replace(self.standing, trust=kept)
        if policy is not None and first.owner is not None:
            with contextlib.suppress(BadInputError):  # of an earlier owner: without a policy nothing is shared
                opened = open_policy(policy.token, first.owner, first.audience.hub, policy.version - 1)
                digest = sha256_hex(policy.token.encode())
                self.standing = replace(self.standing, policy=opened, policy_sha256=digest)
                self._token = policy.token

    def _open_kept(self, token: str) -> Policy:
        standing = self.standing
        if standing.owner is None:
            raise BadInputError("no owner has signed this")
        return open_policy(token, standing.owner, standing.audience.hub, 0)

    def look_at_clock(self) -> None:
        """Note that the policy in force holds at this moment, and in which mode; called every second.

        Raises UnavailableError.
        """
        history = self._past.look(self.standing.policy, self._token)
        self.standing = replace(self.standing, history=history)
        clock = self._clock
        self._mode.look(self.standing.policy, clock.now(), clock.instant(), is_clock_trusted=clock.is_trusted())

    async def watch_clock(self) -> None:
        """Look at the clock for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self.look_at_clock()
            except UnavailableError as error:
                log.warning("which policy holds cannot be stored: %s", error)
                await asyncio.sleep(LOOK_AGAIN_S)

    def may_record(self, now: WallTime) -> bool:
        """Say whether the owner lets cameras be recorded at this moment; called in any thread."""
        return may_record(self.standing.policy, now, is_clock_trusted=self._clock.is_trusted())

    def take_trust(self, bundle: bytes) -> bool:
        """Take a trust bundle; True if it is the successor of the one in force, signed by its roots."""
        before = self.standing
        try:
            text = bundle.decode("ascii")
            trust = open_trust_bundle(bundle, before.trust)
        except (BadInputError, UnicodeDecodeError) as error:
            kept = self._stored.document(self._trust_name)
            if kept is None or kept.token.encode() != bundle:  # the retained one comes with every connection
                self._refuse("trust_refused", str(error))
            return False
        self._audit.append("trust", "", {"version": trust.version, "sha256": sha256_hex(bundle)})
        self._stored.put_document(self._trust_name, Document(trust.version, text))
        self.standing = replace(before, trust=trust)
        return True

    def take_pairing(self, statement: bytes) -> bool:
        """Take a pairing statement; True if this made somebody the owner."""
        try:
            owner = self._pairing.decide(statement)
            if isinstance(owner, OwnerKey):
                key = key_from_jwk(dict(owner.jwk))
                self._audit.append("paired", "", {"owner": thumbprint(key)})
                self._pairing.save(owner)
                self.standing = replace(self.standing, owner=key)
                return True
        except ProvisioningError as error:
            owner = str(error)
        self._refuse("pairing_refused", owner)
        return False

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
            for key in policy.owner_copy:  # later a bad one would cost every clip
                check_usable(key)
        except (BadInputError, UnicodeDecodeError) as error:
            # One that held before is no news: the broker retains it, when a newer one came by the hub's own page.
            if not any(held.token.encode() == token for held in before.history.held):
                self._refuse("policy_refused", str(error))
            return False
        self._audit.append("policy", "", {"version": policy.version, "sha256": digest, "mode": policy.mode})
        history = self._past.look(policy, text)
        self._stored.put_document(POLICY, Document(policy.version, text))
        self._token = text
        self.standing = replace(before, policy=policy, policy_sha256=digest, history=history)
        return True

    def _refuse(self, kind: str, why: str) -> None:
        now = self._clock.instant()
        self._refusals = [at for at in self._refusals if now - at < 3600 * SECOND_NS]
        if len(self._refusals) >= REFUSALS_PER_HOUR_MAX:
            self.refused_unwritten += 1
            return
        self._refusals.append(now)
        self._audit.append(kind, "", {"why": why})


def first_standing(hub: str, epoch: int, trust_bundle: str, owner: OwnerKey | None) -> Standing:
    """Make what an enrolled hub believes before any policy. Raises BadInputError if the stored bundle is damaged."""
    bundle = open_first_bundle(trust_bundle.encode())
    return Standing(Audience(hub, epoch), bundle, key_from_jwk(dict(owner.jwk)) if owner else None)
