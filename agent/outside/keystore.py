"""Where the hub's own keys lie: the key-encryption key of the ring and the key that signs evidence.

Rules of this file: a key file is created once, with mode 0600, synced before use, and never inside the data directory,
so that a copied or stolen data disk opens nothing. Under systemd the keys come as credentials instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.crypto import Secret
from agent.errors import ConfigurationError
from agent.outside.folders import sync_folder

KEY_BYTES: Final = 32


class Keystore:
    """Keys from systemd credentials (`$CREDENTIALS_DIRECTORY`), else from `directory`, made there at first start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        self._credentials = Path(credentials) if credentials else None

    def key_encryption_key(self) -> Secret:
        """Return the 32 bytes that wrap the ring's data keys."""
        return self._key("kek")

    def evidence_key(self) -> Ed25519PrivateKey:
        """Return the key that signs manifests and audit checkpoints."""
        return Ed25519PrivateKey.from_private_bytes(self._key("evidence.key").reveal())

    def _key(self, name: str) -> Secret:
        for path in [self._credentials / name] if self._credentials else []:
            if path.exists():
                return _read(path)
        path = self._directory / name
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path} can be read by others", cure=f"chmod 600 {path}")
        return _read(path)


def _read(path: Path) -> Secret:
    content = path.read_bytes()
    if len(content) != KEY_BYTES:
        raise ConfigurationError(
            f"{path} has {len(content)} bytes instead of {KEY_BYTES}",
            cure="restore it from where it was sealed; without it the footage on this hub cannot be read",
        )
    return Secret(content)


def _create(path: Path) -> None:
    """Write a new key so that after a power cut there is either a whole key or none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, os.urandom(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.rename(path)
    sync_folder(path.parent)
