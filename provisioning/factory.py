"""A hub is born: a name, a key that never leaves it, two secrets on paper, and a public record for the operator."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.hub_id import checked_hub_id, make_hub_id
from provisioning.keys import make_key, pin
from provisioning.label import Label, LabelKind
from provisioning.secret import SECRET_BYTES, Secret


@dataclass(frozen=True, slots=True)
class FactoryIdentity:
    """What a hub knows from the factory on; all of it but the id and the host is secret."""

    hub_id: str
    host: str
    """Where the phone apps live, as printed on the label."""
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    """The initial device key (IDevID): it proves that this is the hub the operator bought."""
    label_secret: Secret
    owner_secret: Secret

    @property
    def label(self) -> Label:
        """The label on the hub's outside."""
        return Label(LabelKind.LABEL, self.host, self.hub_id, self.label_secret)

    @property
    def owner_card(self) -> Label:
        """The sealed card in the box."""
        return Label(LabelKind.OWNER_CARD, self.host, self.hub_id, self.owner_secret)

    @property
    def record(self) -> FactoryRecord:
        """What the operator gets to know about this hub."""
        return FactoryRecord(self.hub_id, pin(self.key.public_key()))


@dataclass(frozen=True, slots=True)
class FactoryRecord:
    """The operator's line about one hub: no secret in it."""

    hub_id: str
    key_pin: bytes
    """SHA-256 of the factory key's SubjectPublicKeyInfo."""


def make_identity(host: str, made_ms: int, hub_id: str | None = None) -> FactoryIdentity:
    """Make a new hub's identity, named `hub_id` or by a new ULID of `made_ms` (Unix milliseconds)."""
    return FactoryIdentity(
        hub_id=checked_hub_id(hub_id) if hub_id else make_hub_id(made_ms, secrets.token_bytes(10)),
        host=host.lower(),
        key=make_key(),
        label_secret=Secret(secrets.token_bytes(SECRET_BYTES)),
        owner_secret=Secret(secrets.token_bytes(SECRET_BYTES)),
    )
