"""Errors by what the caller must do; the same three kinds as the agent's, without knowing the agent."""

from __future__ import annotations


class BridgeError(Exception):
    """An expected failure: `str()` says what happened and, in brackets, what a person can do next."""

    def __init__(self, what: str, *, cure: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.what} ({self.cure})" if self.cure else self.what


class BadInputError(BridgeError):
    """A request or a file is not what it must be: never retry the same bytes."""


class UnavailableError(BridgeError):
    """Hardware, RAUC or the bus does not answer: try again later."""


class ConfigurationError(BridgeError):
    """A person must mend something before this can work."""
