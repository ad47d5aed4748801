"""Why a camera cannot be used, told apart so that an installer knows what to do: one class for each cure."""

from __future__ import annotations

from agent.errors import ConfigurationError, TransomError, UnavailableError


class CameraUnreachableError(UnavailableError):
    """Nothing answers there, or not in time: try again later."""


class NotOnvifError(ConfigurationError):
    """Something answers, but it does not speak ONVIF: it is switched off, or this is no camera."""


class LoginNeededError(ConfigurationError):
    """The camera wants a login and none was given."""


class LoginRefusedError(ConfigurationError):
    """The camera refused this login, or refused it a short while ago: it is not sent again until that time is over."""


class AccountLockedError(LoginRefusedError):
    """The camera says that it has locked the account or this hub's address: time alone mends that."""


class RightsMissingError(LoginRefusedError):
    """The login is right, and its user may not ask for that."""


class ClockWrongError(ConfigurationError):
    """The camera refuses a login whose time it does not like, and does not tell its time."""


class NoStreamError(ConfigurationError):
    """The camera offers no profile that can be recorded, or hides it (H.265 in media 1)."""


class CameraFaultError(UnavailableError):
    """The camera answered one question with a SOAP fault that has nothing to do with the login."""


_WORDS: dict[type[TransomError], str] = {
    CameraUnreachableError: "not reachable",
    NotOnvifError: "ONVIF off",
    LoginNeededError: "login missing",
    AccountLockedError: "account locked",
    RightsMissingError: "rights missing",
    LoginRefusedError: "password wrong",
    ClockWrongError: "clock wrong",
    NoStreamError: "no stream",
    CameraFaultError: "camera fault",
}


def word_of(error: TransomError) -> str:
    """Name a failure in two words, for tables and programs; "failed" for one that has no name."""
    return next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "failed")
