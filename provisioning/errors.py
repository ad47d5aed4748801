"""Errors by what the caller must do; the same three kinds as the agent's, without knowing the agent."""

from __future__ import annotations


class ProvisioningError(Exception):
    """An expected failure: `str()` says what happened and, in brackets, what a person can do next.

    Never holds a secret, a key or a one-use code.
    """

    def __init__(self, what: str, *, cure: str = "") -> None:
        super().__init__(what)
        self.cure = cure

    def __str__(self) -> str:
        what = super().__str__()
        return f"{what} ({self.cure})" if self.cure else what


class BadInputError(ProvisioningError):
    """Bytes from outside are not what they must be: drop them, never retry the same bytes."""


class UnavailableError(ProvisioningError):
    """The world failed (network, server, disk): try again later."""


class ConfigurationError(ProvisioningError):
    """A person must mend something before this can work."""
