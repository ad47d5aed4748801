"""The identity folder: what the hub was born with, where it enrolled, who owns it, and which of these it has so far.

Rules of this file: the folder is 0700 and every file in it 0600; a file is written whole, synced, then renamed. The
last file of a step (`factory.json`, `enrolment.json`, `owner.json`) is its commit mark, so a power cut leaves the state
before or the state after; nothing else in the folder says anything about the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.credentials import RENEWAL_FILES, CredentialStore
from provisioning.enrolment import Enrolment
from provisioning.errors import BadInputError, ConfigurationError, UnavailableError
from provisioning.factory import FactoryIdentity
from provisioning.hub_id import checked_hub_id
from provisioning.keys import key_pem, pin, read_key
from provisioning.pairing import OwnerKey, read_owner
from provisioning.private_files import read_private, remove_private, write_private
from provisioning.secret import read_secret, secret_text

USED_CODES_MAX: Final = 64
"""Claims live 15 minutes: what is older than the last 64 has long expired."""

_Made = TypeVar("_Made")


class HubState(StrEnum):
    """How far a hub has come."""

    BLANK = "blank"
    ENROLLED = "enrolled"
    PAIRED = "paired"


class _FactoryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hub_id: str
    host: str
    label_secret: str
    owner_secret: str
    version: Literal[1] = 1


class _EnrolmentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enrolment: Enrolment
    version: Literal[1] = 1


class _OwnerFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jwk: dict[str, str]
    version: Literal[1] = 1


class _UsedCodesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: list[str]
    version: Literal[1] = 1


class IdentityStore:
    """One hub's identity folder.

    Everything here raises UnavailableError for a failing disk and ConfigurationError for a damaged folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.credentials: Final = CredentialStore(folder)

    def state(self) -> HubState:
        """Read back how far this hub has come."""
        if not (self.folder / "enrolment.json").exists():
            return HubState.BLANK
        return HubState.PAIRED if (self.folder / "owner.json").exists() else HubState.ENROLLED

    def save_factory(self, identity: FactoryIdentity) -> None:
        """Write a new hub's identity; refuses to overwrite one."""
        if (self.folder / "factory.json").exists():
            raise ConfigurationError("there is a hub in this folder already", cure="choose an empty folder")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise UnavailableError(f"cannot make the identity folder: {error.strerror}") from error
        self._write("factory.key", key_pem(identity.key))
        content = _FactoryFile(
            identity.hub_id, identity.host, secret_text(identity.label_secret), secret_text(identity.owner_secret)
        )
        self._write("factory.json", msgspec.json.encode(content))

    def load_factory(self) -> FactoryIdentity:
        """Read who this hub is."""
        content = self._required("factory.json", _FactoryFile)
        pem = self._read("factory.key")
        if pem is None:
            raise _damaged("factory.key")

        def identity() -> FactoryIdentity:
            secrets = read_secret(content.label_secret), read_secret(content.owner_secret)
            return FactoryIdentity(checked_hub_id(content.hub_id), content.host, read_key(pem), *secrets)

        return _checked("factory.json", identity)

    def spend_code(self, code: bytes) -> None:
        """Note, before it is sent, that a claim code is used. Raises BadInputError if it was."""
        used = self._optional("used_codes.json", _UsedCodesFile)
        digests = used.sha256 if used else []
        digest = hashlib.sha256(code).hexdigest()
        if digest in digests:
            raise BadInputError("this claim code was used before", cure="make a new one in the installer's app")
        content = _UsedCodesFile([*digests, digest][-USED_CODES_MAX:])
        self._write("used_codes.json", msgspec.json.encode(content))

    def save_enrolment(self, enrolment: Enrolment, mtls_key: ec.EllipticCurvePrivateKey) -> None:
        """Keep an enrolment: key, certificate, then the commit mark."""
        remove_private(*(self.folder / name for name in RENEWAL_FILES))  # of a reset that the power cut short
        self._write("mtls.key", key_pem(mtls_key))
        self._write("mtls.crt", enrolment.certificate_chain_pem.encode())
        self._write("enrolment.json", msgspec.json.encode(_EnrolmentFile(enrolment)))

    def load_enrolment(self) -> Enrolment | None:
        """Read where this hub enrolled, or None."""
        content = self._optional("enrolment.json", _EnrolmentFile)
        return content.enrolment if content else None

    def enrolment_pin(self) -> bytes:
        """Return the pin of the key made at this enrolment: another enrolment, also of the same hub, has another.

        A renewal makes a new key and leaves this one here: it is still the same enrolment.
        """
        pem = self._read("mtls.key")
        if pem is None:
            raise _damaged("mtls.key")
        return pin(read_key(pem).public_key())

    def save_owner(self, owner: OwnerKey) -> None:
        """Pin the owner's key. Raises ConfigurationError if there is an owner, or the hub is not enrolled."""
        if self.state() is not HubState.ENROLLED:
            raise ConfigurationError("only an enrolled hub without an owner can be paired", cure="reset the hub first")
        self._write("owner.json", msgspec.json.encode(_OwnerFile(owner.jwk)))

    def load_owner(self) -> OwnerKey | None:
        """Read who owns this hub, or None."""
        content = self._optional("owner.json", _OwnerFile)
        return None if content is None else _checked("owner.json", lambda: read_owner(content.jwk))

    def reset(self) -> None:
        """Forget owner and enrolment, in the order in which a power cut can only leave less than before.

        Also which disk the agent's ring was on: the next owner may have another.
        """
        names = ("owner.json", "enrolment.json", "mtls.key", "mtls.crt", *RENEWAL_FILES, "ring-volume")
        try:
            remove_private(*(self.folder / name for name in names))
        except UnavailableError as error:
            raise UnavailableError(f"cannot reset the hub: {error}") from error

    def _required(self, name: str, kind: type[_Made]) -> _Made:
        content = self._optional(name, kind)
        if content is None:
            raise ConfigurationError(
                f"no {name} in the identity folder", cure="transom-provision factory makes a hub's identity"
            )
        return content

    def _optional(self, name: str, kind: type[_Made]) -> _Made | None:
        content = self._read(name)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _damaged(name) from error

    def _read(self, name: str) -> bytes | None:
        return read_private(self.folder / name)

    def _write(self, name: str, content: bytes) -> None:
        write_private(self.folder / name, content)


def _checked(name: str, make: Callable[[], _Made]) -> _Made:
    try:
        return make()
    except BadInputError as error:
        raise _damaged(name) from error


def _damaged(name: str) -> ConfigurationError:
    return ConfigurationError(f"{name} in the identity folder is damaged", cure="restore it, or reset and enrol again")
