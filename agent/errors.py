"""Errors by what the caller must do: the input lies, the world failed, a person must act; anything else is our bug."""

from __future__ import annotations


class TransomError(Exception):
    """An expected failure: `str()` says what happened, `cure` what a person can do next (may be empty).

    Neither may ever hold a credential, a key, a token or a URL with userinfo.
    """

    def __init__(self, what: str, *, cure: str = "") -> None:
        super().__init__(what)
        self.cure = cure

    def __str__(self) -> str:
        what = super().__str__()
        return f"{what} ({self.cure})" if self.cure else what


class BadInputError(TransomError):
    """Bytes from outside are not what they must be: drop them, count them, never retry the same bytes."""


class UnavailableError(TransomError):
    """The world failed (network, disk, camera, server): retry later with backoff."""


class ConfigurationError(TransomError):
    """A person must mend something before this can work: say so and exit with code 2."""
