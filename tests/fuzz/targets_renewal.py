"""Renewals of the hub's certificate: what the server is sent, and what it answers."""

from __future__ import annotations

import json
from typing import Final

from agent.errors import BadInputError
from provisioning import errors as theirs
from provisioning.factory import FactoryIdentity
from provisioning.issuing import HubAuthority
from provisioning.reissue import HubKeys, accept_renewal, read_renewal
from provisioning.renewal import finish_renewal, start_renewal
from provisioning.secret import Secret
from tests.vectors.provisioning import make_renewals as made

_AUTHORITY: Final = HubAuthority(made.key("authority"), made.certificate(of="authority"))
_HUB: Final = FactoryIdentity(made.HUB, "hub.example", made.key("factory"), Secret(bytes(16)), Secret(bytes(16)))
_KEYS: Final = HubKeys(bytes.fromhex(made.pin("present")))
_ATTEMPT: Final = start_renewal(_HUB, made.key("present"), made.certificate(), made.key("next"))

REQUESTS: Final = (json.dumps(made.asked()).encode(),)
ANSWERS: Final = (
    accept_renewal(read_renewal(REQUESTS[0]), _HUB.record, _KEYS, authority=_AUTHORITY, now_s=made.NOW_S)[0],
)


def request(raw: bytes) -> None:
    """Nothing is certified but the key that the hub has asked for by both of its keys."""
    try:
        _, keys = accept_renewal(read_renewal(raw), _HUB.record, _KEYS, authority=_AUTHORITY, now_s=made.NOW_S)
    except theirs.BadInputError as error:
        raise BadInputError(str(error)) from error
    assert keys.offered == bytes.fromhex(made.pin("next"))


def answer(raw: bytes) -> None:
    """Nothing is kept but a chain for the key that was asked for; what it is worth, the broker says."""
    try:
        chain_pem = finish_renewal(_ATTEMPT, raw, made.NOW_S)
    except theirs.BadInputError as error:
        raise BadInputError(str(error)) from error
    assert chain_pem == json.loads(raw)["certificate_chain_pem"]
