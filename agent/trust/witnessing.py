"""The audit log and those who cosign it: requests out, cosigned checkpoints in; the hub alone cannot rewrite it.

Rules of this file: who may cosign stands in the trust bundle, and the owner always may; nothing is written down about
it (an entry would ask for the next cosignature, for ever); what is no good is dropped, so many a minute.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from typing import Final

from agent.clock import SECOND_NS, Clock, Instant
from agent.consent.standing import Standing
from agent.errors import BadInputError
from agent.evidence.cosignature import Witness, parse_witness
from agent.evidence.note import NOTE_CHARS_MAX
from agent.ports import WitnessedLog
from agent.signing import public_jwk

REQUEST_EVERY_S: Final = 60
"""The log is read for it, so not after every entry; with something new to cosign an hour is the longest."""
TAKEN_PER_MINUTE_MAX: Final = 60

log: Final = logging.getLogger("transom.witnessing")


class Witnessing:
    """Asks for cosignatures and takes them."""

    def __init__(self, audit: WitnessedLog, standing: Callable[[], Standing], clock: Clock) -> None:
        self._audit, self._standing, self._clock = audit, standing, clock
        self._asked: Instant | None = None
        self._minute, self._taken = 0, 0
        self.refused = 0

    def take(self, payload: bytes) -> None:
        """Take a cosigned checkpoint; when this returns, what is good of it is stored. Raises UnavailableError."""
        minute = self._clock.instant() // (60 * SECOND_NS)
        self._taken = self._taken + 1 if minute == self._minute else 1
        self._minute = minute
        if self._taken > TAKEN_PER_MINUTE_MAX or len(payload) > NOTE_CHARS_MAX:
            self.refused += 1
            return
        try:
            self._audit.keep_cosigned(payload.decode(), witnesses_of(self._standing()))
        except (BadInputError, UnicodeDecodeError):
            self.refused += 1

    async def requests(self) -> list[tuple[str, bytes]]:
        """Write what to send to the witnesses now: the key id in hex, and the request. Raises UnavailableError."""
        now = self._clock.instant()
        witnesses = witnesses_of(self._standing())
        if not witnesses or (self._asked is not None and now - self._asked < REQUEST_EVERY_S * SECOND_NS):
            return []
        requests = await asyncio.to_thread(self._audit.witness_requests, witnesses)
        self._asked = now
        return [(witness.key_id.hex(), request.encode()) for witness, request in requests]


def witnesses_of(standing: Standing) -> tuple[Witness, ...]:
    """Name everybody whose cosignature counts: those of the trust bundle, and the owner by an Ed25519 key.

    That is the key their policy names, else the owner's own: there is no type of cosignature for a P-256 key.
    """
    found = []
    for line in standing.trust.witnesses:
        try:
            found.append(parse_witness(line))
        except BadInputError as error:
            log.warning("a witness in the trust bundle: %s", error)
    named = standing.policy.cosigner if standing.policy else None
    key = named.key() if named else standing.owner
    if standing.owner is not None and key is not None and (owner := public_jwk(key))["crv"] == "Ed25519":
        found.append(Witness(owner_name(standing.audience.hub), base64.urlsafe_b64decode(owner["x"] + "=")))
    return tuple(found)


def owner_name(hub: str) -> str:
    """Name the owner of a hub as a witness."""
    return f"{hub}/owner"
