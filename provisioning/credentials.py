"""The key and certificate by which the hub shows its server who it is: the present pair, and the one to come after it.

Rules of this file:
- A key and its certificate change together: `mtls.pem` holds both, and one rename puts the next pair in its place.
- The present pair stays until the next one has worked with the broker, so a power cut between any two writes leaves a
  hub that can connect.
- The pair of the enrolment stays where it is: it names the enrolment, and a firmware from before renewals, to which
  the hub may fall back, knows no other.
Specified in FORMAT.md, sections 5 and 6.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.errors import BadInputError, ConfigurationError
from provisioning.keys import key_pem, pin, read_chain, read_key
from provisioning.private_files import read_private, remove_private, rename_private, write_private

PRESENT: Final = "mtls.pem"
NEXT_KEY: Final = "renewal.key"
NEXT: Final = "renewal.pem"
RENEWAL_FILES: Final = (NEXT, NEXT_KEY, PRESENT)
"""In the order in which a reset may be cut short."""


class RenewalStage(StrEnum):
    """How far a renewal is; the files alone say it."""

    SETTLED = "settled"
    ASKED = "asked"  # there is a new key, without a certificate yet
    ON_TRIAL = "on trial"  # the next pair is whole, and has not worked yet
    UNCONFIRMED = "unconfirmed"  # it is the present one, and the server has not been told


class Pair(NamedTuple):
    """Where a key and its certificate chain are, both as PEM; one file may hold both."""

    certificate: Path
    key: Path


class CredentialStore:
    """The pairs of one hub, in its identity folder.

    Everything here raises UnavailableError for a failing disk and ConfigurationError for a damaged folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def present(self) -> Pair:
        """Name the pair in force."""
        newest = self._folder / PRESENT
        return Pair(newest, newest) if newest.exists() else Pair(self._folder / "mtls.crt", self._folder / "mtls.key")

    def present_key(self) -> ec.EllipticCurvePrivateKey:
        """Read the key in force."""
        return read_key(self._required(self.present().key))

    def present_leaf(self) -> x509.Certificate:
        """Read the certificate in force."""
        path = self.present().certificate
        return _leaf(self._required(path), path)

    def next(self) -> Pair | None:
        """Name the pair that is on trial, if there is one."""
        path = self._folder / NEXT
        return Pair(path, path) if path.exists() else None

    def next_leaf(self) -> x509.Certificate:
        """Read the certificate that is on trial."""
        path = self._folder / NEXT
        return _leaf(self._required(path), path)

    def next_key(self) -> ec.EllipticCurvePrivateKey | None:
        """Read the key that a renewal asks for, or asked for."""
        pem = read_private(self._folder / NEXT_KEY)
        return None if pem is None else read_key(pem)

    def stage(self) -> RenewalStage:
        """Say how far the renewal is."""
        if self.next() is not None:
            return RenewalStage.ON_TRIAL
        key = self.next_key()
        if key is None:
            return RenewalStage.SETTLED
        is_present = pin(key.public_key()) == pin(self.present_key().public_key())
        return RenewalStage.UNCONFIRMED if is_present else RenewalStage.ASKED

    def keep_next_key(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Keep a new key before anybody is asked to certify it."""
        write_private(self._folder / NEXT_KEY, key_pem(key))

    def keep_next(self, key: ec.EllipticCurvePrivateKey, chain_pem: str) -> None:
        """Keep the next pair; it is on trial from now on."""
        write_private(self._folder / NEXT, key_pem(key) + chain_pem.encode())

    def promote(self) -> None:
        """Put the next pair, which has worked, in the place of the present one."""
        rename_private(self._folder / NEXT, self._folder / PRESENT)

    def forget_next(self) -> None:
        """End a renewal: drop a pair that did not work, or note that the server knows of the one that did."""
        remove_private(self._folder / NEXT, self._folder / NEXT_KEY)

    def _required(self, path: Path) -> bytes:
        content = read_private(path)
        if content is None:
            raise ConfigurationError(f"no {path.name} in the identity folder", cure="reset the hub and enrol it again")
        return content


def _leaf(pem: bytes, path: Path) -> x509.Certificate:
    try:
        return read_chain(pem.decode("ascii", "replace"))[0]
    except BadInputError as error:
        raise ConfigurationError(f"{path.name} is damaged", cure="reset the hub and enrol it again") from error
