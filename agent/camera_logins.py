"""The hub's configuration and keys to its folder of camera logins: for the daemon, and for a person without the key."""

from __future__ import annotations

import os
from typing import Final

from agent.config import Config
from agent.outside.keystore import Keystore
from agent.outside.login_folder import LoginFolder

FOLDER: Final = "logins"  # in data_dir


def open_logins(config: Config, keys: Keystore) -> LoginFolder:
    """Open the folder for the daemon, and leave its public half there. Raises as `LoginFolder`."""
    fallback = config.cameras.login.read() if config.cameras.login else None
    logins = LoginFolder(config.data_dir / FOLDER, keys.key_encryption_key(), fallback)
    logins.publish()
    return logins


def logins_of_person(config: Config) -> LoginFolder:
    """Open the folder with the hub's key if it can be had here, else to put logins only. Makes no key."""
    is_key_here = "CREDENTIALS_DIRECTORY" in os.environ or (config.key_dir / "kek").exists()
    key = Keystore(config.key_dir).key_encryption_key() if is_key_here else None
    fallback = config.cameras.login.read() if config.cameras.login and key is not None else None
    return LoginFolder(config.data_dir / FOLDER, key, fallback)
