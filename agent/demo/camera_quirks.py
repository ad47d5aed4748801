"""What real cameras do that no standard says, as switches of the virtual one; tests/QUIRKS.md says who does so.

Rules of this file: every quirk is off unless it is set; how events are told has its own manners (`camera_events`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Final, Literal

import msgspec

from agent.acquire.camera import Login
from agent.demo.camera_events import EventManners
from agent.demo.camera_login import Verdict
from agent.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How a camera differs from what the standards ask for."""

    # Logins
    lockout_after: int = 0  # refused logins, after which every login is refused; 0: never
    logins: Literal["both", "digest", "token"] = "both"  # what ONVIF takes: HTTP Digest, WS-UsernameToken
    rtsp_login: Login | None = None  # RTSP has users of its own
    has_secret_clock: bool = False  # GetSystemDateAndTime wants the login
    refusal_status: int = 0  # HTTP status of every refusal; 0: 401, or 400 where there is no Digest
    is_refusal_a_page: bool = False  # HTML instead of a SOAP fault
    # Addresses and services
    told_host: str = ""  # what its addresses name instead of its own host
    has_get_services: bool = True
    # RTSP and RTP
    viewers_max: int = 0  # one more gets 453; 0: as many as there is room for
    has_reports: bool = True  # RTCP sender reports
    jump_every: int = 0  # so many pictures; then one has a timestamp that is hours off; 0: never
    sdp_sets: Literal["given", "missing", "rubbish"] = "given"
    marker: Literal["last", "never", "every"] = "last"  # which packets of a picture have it
    is_annex_b: bool = False  # parameter sets and key picture as one NAL unit with start codes inside
    has_sets_apart: bool = False  # parameter sets in packets of their own, each with the marker
    # Discovery
    has_odd_scopes: bool = False  # raw blanks and Latin-1
    has_bare_match: bool = False  # ProbeMatch without ProbeMatches
    has_trailing_nuls: bool = False


def read_quirks(words: list[str]) -> tuple[Quirks, EventManners]:
    """Read `NAME` or `NAME=VALUE` of either kind. Raises ConfigurationError: what there is."""
    told = {name: value or "true" for name, _, value in (word.partition("=") for word in words)}
    quirks = {field.name for field in fields(Quirks)} - {"rtsp_login"}
    manners = {field.name for field in fields(EventManners)}
    if unknown := told.keys() - quirks - manners:
        raise ConfigurationError(
            f"no such quirk: {', '.join(sorted(unknown))}", cure=f"one of: {', '.join(sorted(quirks | manners))}"
        )
    try:
        return (
            msgspec.convert({name: told[name] for name in told.keys() & quirks}, Quirks, strict=False),
            msgspec.convert({name: told[name] for name in told.keys() & manners}, EventManners, strict=False),
        )
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"a quirk's value: {error}", cure="write NAME=VALUE") from error


def odd_fmtp(quirks: Quirks, fmtp: str) -> str:
    """Return the SDP's format parameters as this camera writes them."""
    if quirks.sdp_sets == "given":
        return fmtp
    rubbish = ";sprop-parameter-sets=6QAB,!!,," if quirks.sdp_sets == "rubbish" else ""
    return re.sub(r";?sprop-[a-z-]+=[^;]*", "", fmtp) + rubbish


class Lockout:
    """Counts refused logins, by whatever way they come; at the limit nobody gets in any more."""

    def __init__(self, after: int = 0) -> None:
        self.refused = 0
        self._after = after

    @property
    def is_locked(self) -> bool:
        """Whether the account is locked."""
        return 0 < self._after <= self.refused

    def judged(self, verdict: Verdict) -> Verdict:
        """Return what becomes of a verdict: once it is locked, the right password is refused too."""
        self.refused += verdict is Verdict.REFUSED
        return Verdict.REFUSED if self.is_locked and verdict is not Verdict.NOT_ASKED else verdict


PLAIN: Final = Quirks()
"""A camera as the standards have it."""
