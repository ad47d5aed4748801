"""The daemon's dealings with provisioning: a blank hub is enrolled by a code, and an owner's pairing is judged."""

from __future__ import annotations

import logging
from typing import Final

from agent.buffer.latch import KeyFrameLatch
from agent.claim_watch import ClaimWatch
from agent.clock import SECOND_NS, Clock
from agent.command.trust import open_first_bundle
from agent.config import Config
from agent.errors import BadInputError
from agent.outside.audit_file import AuditFile
from agent.outside.bridge import seconds_since_press
from agent.outside.database import Database
from agent.outside.keystore import Keystore
from agent.ports import Cutter
from agent.trust.documents import Desk, Pairing, first_standing
from provisioning.enrolment import Enrolment
from provisioning.enrolment_https import enrol
from provisioning.errors import BadInputError as BadAnswerError
from provisioning.pairing import OwnerKey, pair_owner
from provisioning.store import IdentityStore

_log: Final = logging.getLogger("transom")


async def enrolled(
    keys: Keystore, identity: IdentityStore, clock: Clock, latch: KeyFrameLatch, cutter: Cutter
) -> Enrolment:
    """Wait until the installer's code was shown to one of the cameras and the server has taken the hub."""
    _log.info("this hub is blank: hold the installer's claim code before any of its cameras")
    public = keys.evidence_key().public_key().public_bytes_raw()

    def try_claim(text: str) -> Enrolment:
        return enrol(identity, text, evidence_key=public, now_s=clock.now() // SECOND_NS, check=_check_trust)

    return await ClaimWatch(latch, cutter, try_claim).run()


def _check_trust(enrolment: Enrolment) -> None:
    try:
        open_first_bundle(enrolment.trust_bundle.encode())
    except BadInputError as error:
        raise BadAnswerError(f"the server's trust bundle: {error}", cure="tell the operator") from error


def open_desk(
    config: Config, clock: Clock, identity: IdentityStore, enrolment: Enrolment, journal: Database, audit: AuditFile
) -> Desk:
    """Open the desk for signed documents, with the owner and the trust that the hub begins with."""
    factory, pin = identity.load_factory(), identity.enrolment_pin()

    def decide(statement: bytes) -> OwnerKey | str:
        now_s = clock.instant() / SECOND_NS
        since_s = seconds_since_press(config.bridge_socket) if config.bridge_socket else None
        return pair_owner(
            statement,
            hub_id=factory.hub_id,
            owner_secret=factory.owner_secret,
            enrolment=pin,
            paired=identity.load_owner(),
            pressed_s=None if since_s is None else now_s - since_s,
            now_s=now_s,
        )

    first = first_standing(enrolment.hub_id, enrolment.pairing_epoch, enrolment.trust_bundle, identity.load_owner())
    return Desk(first, journal, audit, Pairing(decide, identity.save_owner), clock)
