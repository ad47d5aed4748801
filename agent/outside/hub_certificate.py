"""The hub's certificate towards the broker: which pair each connection is tried with, and which of them has worked.

Rules of this file:
- While a new pair is on trial, connections are tried with it and with the present one by turns, the new one first; so a
  pair that the broker does not take costs one try.
- paho's thread tells what it tried and what was taken; everything else is called from the event loop or its threads.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from agent.errors import BadInputError, ConfigurationError, UnavailableError
from provisioning import errors as theirs
from provisioning.credentials import CredentialStore, RenewalStage
from provisioning.keys import pin
from provisioning.renewal_https import RenewalDesk
from provisioning.renewal_pace import Validity

_Made = TypeVar("_Made")

log: Final = logging.getLogger("transom.certificate")


class HubCertificate:
    """One hub's pairs (`certificate_watch.Certificate`); `desk` is None where nobody renews."""

    def __init__(
        self,
        store: CredentialStore,
        desk: RenewalDesk | None,
        by_clock: Callable[[ssl.SSLContext], None] = lambda _: None,
    ) -> None:
        self._store, self._desk, self._by_clock = store, desk, by_clock
        self._lock = threading.Lock()
        self._is_new_tried = False  # by the newest connection
        self._tries, self._refusals, self._is_proven = 0, 0, False

    @property
    def can_renew(self) -> bool:
        """Whether there is somebody to ask."""
        return self._desk is not None

    def stage(self) -> RenewalStage:
        """Say how far the renewal is."""
        return _translated(self._store.stage)

    def validity(self) -> Validity:
        """Return the life of the pair in force."""
        return Validity.of(_translated(self._store.present_leaf))

    def next_validity(self) -> Validity:
        """Return the life of the pair on trial."""
        return Validity.of(_translated(self._store.next_leaf))

    def name(self) -> str:
        """Return the pin of the key in force, for the log."""
        return pin(_translated(self._store.present_key).public_key()).hex()

    def ask(self, now_s: int | None) -> None:
        """Get the next pair; blocking. Raises UnavailableError, BadInputError, ConfigurationError."""
        if self._desk is not None:
            _translated(partial(self._desk.ask, now_s))

    def confirm(self) -> None:
        """Tell the server which pair is in force; blocking. Raises as `ask` does."""
        if self._desk is None:
            self.drop()
        else:
            _translated(self._desk.confirm)

    def accept(self) -> None:
        """Put the pair that has worked in force."""
        with self._lock:
            _translated(self._store.promote)
            self._tries, self._refusals, self._is_proven = 0, 0, False

    def drop(self) -> None:
        """Give up the pair on trial, or what is left of a renewal that has ended."""
        with self._lock:
            _translated(self._store.forget_next)
            self._tries, self._refusals, self._is_proven = 0, 0, False

    def trial(self) -> tuple[bool, int, int]:
        """Say whether the new pair has worked, how often only the old one did, and how often the new one was tried."""
        with self._lock:
            return self._is_proven, self._refusals, self._tries

    # ------------------------------------------------ called in paho's thread
    def before_connecting(self, context: ssl.SSLContext) -> None:
        """Choose the pair of the next connection, and whether dates count for it."""
        self._by_clock(context)
        with self._lock:
            following = self._store.next()
            self._is_new_tried = following is not None and not self._is_new_tried
            pair = following if following is not None and self._is_new_tried else self._store.present()
            self._tries += self._is_new_tried
            try:
                context.load_cert_chain(pair.certificate, pair.key)
            except (OSError, ssl.SSLError) as error:  # paho's thread must live: the context keeps what it had
                log.warning("%s cannot be used: %s", pair.certificate.name, error.strerror)

    def accepted(self) -> None:
        """Note that the broker took the newest connection."""
        with self._lock:
            if self._is_new_tried:
                self._is_proven = True
            elif self._tries > 0:
                self._refusals += 1
            self._is_new_tried = False  # the next connection begins with the new one again


def _translated(call: Callable[[], _Made]) -> _Made:
    """Call, and raise the agent's errors instead of provisioning's."""
    try:
        return call()
    except theirs.BadInputError as error:
        raise BadInputError(str(error)) from error
    except theirs.UnavailableError as error:
        raise UnavailableError(str(error)) from error
    except theirs.ConfigurationError as error:
        raise ConfigurationError(str(error)) from error
