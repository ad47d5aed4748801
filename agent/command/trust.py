"""The trust bundle: the signed list of roots, recipients and upload hosts that the hub measures every command against.

Rules of this file: the first bundle is pinned at enrolment; every later one needs the signatures of a threshold of the
roots that the hub knows *and* of its own roots, and a higher version: neither broker nor server can swap it or roll it
back.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from agent.clock import WallTime
from agent.command.roles import ClipAction
from agent.command.statement import base64url, open_strictly
from agent.command.strict_json import decode
from agent.command.words import Claims, Identifier, Jwk, Label, NumericDate, Thumbprint, Version, wall_time
from agent.errors import BadInputError
from agent.signing import SigningKey

TRUST_TYP: Final = "transom-trust+jwt"
ROOTS_MAX: Final = 8

AgeRecipient = Annotated[
    str, Meta(pattern=r"^(age1[02-9ac-hj-np-z]{58}|age1pq1[02-9ac-hj-np-z]{1952})\Z", max_length=2000)
]
"""An X25519 (`age1...`) or hybrid post-quantum (`age1pq1...`) recipient of age v1."""

Host = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?\Z")]
"""`host` (port 443) or `host:port`, lower case."""


WitnessLine = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:/-]{1,128}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}\Z")]
"""Who may cosign the hub's audit log, as `name+hash+key` (`evidence/FORMAT.md`)."""


def is_post_quantum(recipient: str) -> bool:
    """Say whether an age recipient is of the hybrid kind, which must not be mixed with the classical one."""
    return recipient.startswith("age1pq1")


class Agency(Claims, frozen=True):
    """Whose bundle it is."""

    id: Identifier
    name: Label


class TrustedRecipient(Claims, frozen=True):
    """Someone who may be named to open clips, from `nbf` up to but not at `exp`."""

    id: Identifier
    age: AgeRecipient
    nbf: NumericDate
    exp: NumericDate
    name: Label = ""

    @property
    def is_post_quantum(self) -> bool:
        """Whether it is of the hybrid kind, which must not be mixed with the classical one."""
        return is_post_quantum(self.age)


class TrustBundle(Claims, frozen=True):
    """The claims of a `transom-trust+jwt`. Empty lists trust nobody."""

    agency: Agency
    version: Version
    iat: NumericDate
    exp: NumericDate
    roots: Annotated[tuple[Jwk, ...], Meta(min_length=1, max_length=ROOTS_MAX)]
    threshold: Annotated[int, Meta(ge=1, le=ROOTS_MAX)]
    recipients: Annotated[tuple[TrustedRecipient, ...], Meta(max_length=64)] = ()
    upload_hosts: Annotated[tuple[Host, ...], Meta(max_length=32)] = ()
    tls_anchors: Annotated[tuple[Annotated[str, Meta(max_length=8192)], ...], Meta(max_length=8)] = ()  # PEM
    store_keys: Annotated[tuple[Jwk, ...], Meta(max_length=16)] = ()  # sign receipts
    time_keys: Annotated[tuple[Jwk, ...], Meta(max_length=8)] = ()  # sign the server's time (`signed_time.py`)
    witnesses: Annotated[tuple[WitnessLine, ...], Meta(max_length=8)] = ()  # cosign the audit log
    second_officer: Annotated[tuple[ClipAction, ...], Meta(max_length=5)] = ()  # actions that need an approval
    revoked_keys: Annotated[tuple[Thumbprint, ...], Meta(max_length=256)] = ()
    revoked_grants: Annotated[tuple[Identifier, ...], Meta(max_length=256)] = ()
    min_iat: NumericDate = 0  # grants and commands issued before are revoked

    @property
    def issued(self) -> WallTime:
        """When it was made."""
        return wall_time(self.iat)

    @property
    def expires(self) -> WallTime:
        """From when on the hub refuses every command until it has a newer one."""
        return wall_time(self.exp)

    def root_keys(self) -> dict[str, SigningKey]:
        """Return the roots by their thumbprints."""
        return {jwk.thumbprint: jwk.key() for jwk in self.roots}

    def store_signers(self) -> tuple[SigningKey, ...]:
        """Return the keys that sign receipts."""
        return tuple(jwk.key() for jwk in self.store_keys)

    def time_signers(self) -> dict[str, SigningKey]:
        """Return the keys that may sign the server's time by their thumbprints, without revoked ones."""
        return {jwk.thumbprint: jwk.key() for jwk in self.time_keys if jwk.thumbprint not in self.revoked_keys}


class Signature(Claims, frozen=True):
    """One root's signature over the shared payload (RFC 7515 section 7.2.1, without an unprotected header)."""

    protected: Annotated[str, Meta(max_length=1024)]
    signature: Annotated[str, Meta(max_length=128)]


class SignedBundle(Claims, frozen=True):
    """A JWS in the general JSON form: one payload, several signatures."""

    payload: str
    signatures: Annotated[tuple[Signature, ...], Meta(min_length=1, max_length=2 * ROOTS_MAX)]


def open_trust_bundle(raw: bytes, current: TrustBundle) -> TrustBundle:
    """Read the successor of `current`. Raises BadInputError; the hub then keeps what it has."""
    signed, bundle = _read(raw)
    if bundle.agency.id != current.agency.id:
        raise BadInputError("a trust bundle of another agency")
    if bundle.version <= current.version:
        raise BadInputError(f"trust bundle {bundle.version} is not newer than {current.version}")
    _require(signed, current, current.threshold)
    _require(signed, bundle, bundle.threshold)
    return bundle


def open_first_bundle(raw: bytes) -> TrustBundle:
    """Read the bundle that enrolment brought over its authenticated channel: every root it lists must have signed it.

    The signatures prove that the roots exist, not who they are; the owner pins them once more in the policy. The
    bundle's own threshold would not do here: a server could sign by a root of its own, list the root that the owner
    pins beside it, name itself under the recipients' ids, and read what a true command sends.
    """
    signed, bundle = _read(raw)
    _require(signed, bundle, len(bundle.roots))
    return bundle


def open_kept_bundle(raw: bytes, first: TrustBundle) -> TrustBundle:
    """Read back a bundle that `open_trust_bundle` accepted after `first`. Raises BadInputError if it is not one."""
    signed, bundle = _read(raw)
    if bundle.agency.id != first.agency.id or bundle.version <= first.version:
        raise BadInputError("a kept trust bundle that does not follow the one of enrolment")
    _require(signed, bundle, bundle.threshold)
    return bundle


def is_in_force(raw: bytes, current: TrustBundle) -> bool:
    """Say whether a message carries the bundle that the hub has already, whoever signed it."""
    try:
        return _read(raw)[1] == current
    except BadInputError:
        return False


def _read(raw: bytes) -> tuple[SignedBundle, TrustBundle]:
    signed = decode(raw, SignedBundle, "signed trust bundle")
    bundle = decode(base64url(signed.payload), TrustBundle, "trust bundle")
    if bundle.exp <= bundle.iat:
        raise BadInputError("a trust bundle that expires before it is issued")
    if len(bundle.root_keys()) != len(bundle.roots) or bundle.threshold > len(bundle.roots):
        raise BadInputError("a trust bundle needs distinct roots, and at least as many as its threshold")
    if len({recipient.id for recipient in bundle.recipients}) != len(bundle.recipients):
        raise BadInputError("a trust bundle names a recipient twice")
    bundle.time_signers()
    bundle.store_signers()  # every key must be a key now, not when a receipt comes
    return signed, bundle


def _require(signed: SignedBundle, roots: TrustBundle, count: int) -> None:
    good = {
        name
        for name, key in roots.root_keys().items()
        if any(_is_signed(f"{one.protected}.{signed.payload}.{one.signature}", key) for one in signed.signatures)
    }
    if len(good) < count:
        raise BadInputError(f"{len(good)} of {count} root signatures on the trust bundle")


def _is_signed(token: str, key: SigningKey) -> bool:
    try:
        open_strictly(token, key, TRUST_TYP)
    except BadInputError:
        return False
    return True
