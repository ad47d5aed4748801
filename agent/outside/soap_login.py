"""Logins that cameras refused a short while ago, so that the hub never locks an owner out of a camera."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from agent.acquire.camera import Login
from agent.outside.onvif_failures import LoginRefusedError

QUIET_S: Final = 600.0  # cameras lock an account for minutes after a few refusals (seen: Reolink, Hikvision)
REFUSALS_MAX: Final = 1024


class Refusals:
    """Remembers (camera, login) pairs for 10 minutes; safe to share between threads. `seconds` is a monotonic clock."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._key = secrets.token_bytes(32)
        self._until_s: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def check(self, host: str, login: Login) -> None:
        """Raise LoginRefusedError if this camera refused this login less than 10 minutes ago."""
        with self._lock:
            left_s = self._until_s.get(self._name(host, login), 0.0) - self._seconds()
        if left_s > 0:
            raise LoginRefusedError(
                f"{host} refused this login a short while ago; it is not sent again for {left_s / 60:.0f} min",
                cure="enter the right user and password now, or wait: cameras lock accounts after a few refusals",
            )

    def remember(self, host: str, login: Login) -> None:
        """Note a refusal."""
        with self._lock:
            now_s = self._seconds()
            self._until_s = {name: until_s for name, until_s in self._until_s.items() if until_s > now_s}
            if len(self._until_s) >= REFUSALS_MAX:
                self._until_s.pop(next(iter(self._until_s)))
            self._until_s[self._name(host, login)] = now_s + QUIET_S

    def _name(self, host: str, login: Login) -> bytes:
        """Tell logins apart without keeping them."""
        fields = host.encode(), login.user.encode(), login.password.reveal()
        return hashlib.blake2b(
            b"".join(len(field).to_bytes(4, "big") + field for field in fields), key=self._key
        ).digest()
