"""The cameras' logins at rest: sealed to a key that is derived from the key-encryption key, one small file for each.

Whoever may write here can put a login without being able to read any: it is sealed to the public half, which the daemon
leaves in `recipient`. So a person sets logins on a hub whose key only the service is given (systemd credentials).

Rules of this file: a password is never in a name, an error or a log, nor is its length (what is sealed is padded); a
file says which camera it is for, so that moving it to another camera's name opens nothing.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import msgspec

from agent.acquire.camera import Login
from agent.acquire.stream import CameraId
from agent.crypto import Secret, hkdf_sha256
from agent.deliver import bech32
from agent.deliver.age import recipient_of
from agent.deliver.seal import AgeWriter
from agent.deliver.unseal import open_age
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.outside.folders import sync_folder

SITE: Final = CameraId("")
"""The login that all cameras share which have none of their own."""

USER_CHARACTERS_MAX: Final = 128
PASSWORD_CHARACTERS_MAX: Final = 256
FILE_BYTES_MAX: Final = 16 * 1024
PADDED_BYTES: Final = 2048
_PURPOSE: Final = b"transom camera logins v1"
_SUFFIX: Final = ".age"
_SITE_FILE: Final = "_site.age"  # no camera's name has an underscore
_RECIPIENT_FILE: Final = "recipient"
_log: Final = logging.getLogger(__name__)


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    camera: str
    user: str
    password: str
    v: int = 1


class LoginFolder:
    """All logins of the hub, in `folder`. Without `key` (the key-encryption key) they can be put, and not read.

    `fallback` is the login of the configuration file, for cameras for which none was put.
    Raises UnavailableError if the disk fails, ConfigurationError where a person must act.
    """

    def __init__(self, folder: Path, key: Secret | None, fallback: Login | None = None) -> None:
        self._folder, self._fallback = folder, fallback
        self._identity = None if key is None else _identity(key)

    def publish(self) -> None:
        """Leave the public half for whoever has not the key."""
        recipient = self._recipient().encode()
        path = self._folder / _RECIPIENT_FILE
        if not path.exists() or path.read_bytes() != recipient:
            self._write(path, recipient)

    def login_of(self, camera: CameraId) -> Login | None:
        """Return a camera's own login, else the site's, else the configuration file's; None if there is none."""
        put = (login for name in (camera, SITE) if (login := self.read(name)) is not None)
        return next(put, self._fallback)

    def usable_login_of(self, camera: CameraId) -> Login | None:
        """Return the same, and None for what cannot be opened, which goes to the log."""
        try:
            return self.login_of(camera)
        except (ConfigurationError, UnavailableError) as error:
            _log.warning("camera %s: %s", camera, error)
            return None

    def read(self, camera: CameraId) -> Login | None:
        """Return the login that was put for a camera, or for the site; None if there is none."""
        path = self._path(camera)
        if not path.exists():
            return None
        cure = f"enter it again: transom cameras login {camera or '--site'}"
        if self._identity is None:
            raise ConfigurationError(
                f"the login of {camera or 'the site'} is sealed for the hub's service",
                cure="give it by --user and --password-file, or run this with the hub's key",
            )
        try:
            with path.open("rb") as stream:
                content = stream.read(FILE_BYTES_MAX)
            plain = b"".join(open_age(BytesIO(content), self._identity))
            sealed = msgspec.json.decode(plain, type=_Sealed)
        except OSError as error:
            raise UnavailableError(f"{path} cannot be read: {error.strerror}") from error
        except (BadInputError, msgspec.MsgspecError, UnicodeDecodeError):
            raise ConfigurationError(f"{path} does not open with this hub's key", cure=cure) from None
        if sealed.camera != camera:
            raise ConfigurationError(f"{path} is the login of another camera", cure=cure)
        return Login(sealed.user, Secret(sealed.password))

    def put(self, camera: CameraId, login: Login) -> None:
        """Seal a camera's login, or the site's (`SITE`); it is on the disk when this returns."""
        try:
            password = login.password.reveal().decode()
        except UnicodeDecodeError:
            raise ConfigurationError("a password that is not UTF-8", cure="write the file in UTF-8") from None
        is_user = 0 < len(login.user) <= USER_CHARACTERS_MAX and login.user.isprintable()
        if not is_user or len(password) > PASSWORD_CHARACTERS_MAX:
            raise ConfigurationError(
                "a login that is too long, or whose user is no name",
                cure=f"user: 1 to {USER_CHARACTERS_MAX} characters, password: at most {PASSWORD_CHARACTERS_MAX}",
            )
        try:
            plain = msgspec.json.encode(_Sealed(camera, login.user, password))
        except UnicodeEncodeError:
            raise ConfigurationError("a user that is not text", cure="enter it again") from None
        out = BytesIO()
        writer = AgeWriter([self._recipient()], out.write)
        writer.write(plain.ljust(-(-len(plain) // PADDED_BYTES) * PADDED_BYTES))
        writer.finish()
        self._write(self._path(camera), out.getvalue())

    def remove(self, camera: CameraId) -> bool:
        """Forget a login; False if there was none."""
        path = self._path(camera)
        try:
            path.unlink()
            sync_folder(self._folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UnavailableError(f"{path} cannot be removed: {error.strerror}") from error
        return True

    def names(self) -> Iterator[CameraId]:
        """Name the cameras that have a login of their own, and the site (`SITE`) if it has one."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            yield SITE if path.name == _SITE_FILE else CameraId(path.stem)

    def _path(self, camera: CameraId) -> Path:
        if camera and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", camera):
            raise ConfigurationError("this is no camera's name", cure="`transom cameras list` names them")
        return self._folder / (f"{camera}{_SUFFIX}" if camera else _SITE_FILE)

    def _recipient(self) -> str:
        if self._identity is not None:
            return recipient_of(self._identity)
        path = self._folder / _RECIPIENT_FILE
        try:
            return path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read", cure="start the agent once; it writes it") from error

    def _write(self, path: Path, content: bytes) -> None:
        """Replace a file whole, owned by who owns the folder: root may put what the agent must read."""
        unfinished = path.with_name(f"{path.name}.new")
        try:
            _make(self._folder)
            owner = self._folder.stat()
            descriptor = os.open(
                unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            with os.fdopen(descriptor, "wb") as stream:
                if os.geteuid() == 0:
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                stream.write(content)
                stream.flush()
                os.fsync(descriptor)
            unfinished.replace(path)
            sync_folder(self._folder)
        except OSError as error:
            raise UnavailableError(
                f"{path} cannot be written: {error.strerror}", cure="run this as root or as the agent's user"
            ) from error


def _make(folder: Path) -> None:
    if folder.exists():
        return
    folder.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        parent = folder.parent.stat()
        os.chown(folder, parent.st_uid, parent.st_gid)


def _identity(key: Secret) -> Secret:
    """Derive the age identity (X25519) of this hub's logins."""
    return Secret(bech32.encode("AGE-SECRET-KEY-", hkdf_sha256(key, info=_PURPOSE).reveal()))
