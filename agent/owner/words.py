"""What the hub's words mean to the person who owns it: states, reasons, actions and times, in plain English.

Rules of this file: every word of the code has one here, or is shown as it is; nothing is made to look better or worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from agent.acquire.stream import CameraId
from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime, parse_rfc3339
from agent.command.request import RefusalReason
from agent.command.trust import TrustBundle
from agent.consent.schedule import zone_of
from agent.errors import BadInputError

OWNERS_COPY: Final = "you, by the key of your copy"
MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 24 * 3600


class Tone(StrEnum):
    """How a line is drawn; the words beside it say the same."""

    LEFT = "left"  # footage has left the hub
    KEPT = "kept"  # nothing has left
    GOING = "going"  # it is under way
    ASKING = "asking"  # it waits for the owner
    TROUBLE = "trouble"
    PLAIN = "plain"


STATES: Final[Mapping[JobState, tuple[str, Tone]]] = MappingProxyType(
    {
        JobState.RECEIVED: ("Being decided", Tone.GOING),
        JobState.AWAITING_OWNER: ("Waits for your answer", Tone.ASKING),
        JobState.HELD: ("Kept on the hub, not sent", Tone.GOING),
        JobState.IN_PROGRESS: ("Being sent", Tone.GOING),
        JobState.SUCCEEDED: ("Sent", Tone.LEFT),
        JobState.PARTIAL: ("Sent, with gaps", Tone.LEFT),
        JobState.REJECTED: ("Refused", Tone.KEPT),
        JobState.FAILED: ("Not delivered", Tone.TROUBLE),
        JobState.CANCELED: ("Stopped", Tone.TROUBLE),
        JobState.TIMED_OUT: ("Gave up: the store did not take it in time", Tone.TROUBLE),
    }
)
"""Of an upload."""

ORDER_STATES: Final[Mapping[JobState, tuple[str, Tone]]] = MappingProxyType(
    {
        JobState.SUCCEEDED: ("Done", Tone.PLAIN),
        JobState.IN_PROGRESS: ("Under way", Tone.GOING),
        JobState.TIMED_OUT: ("Ended by itself; the kept copy was destroyed", Tone.KEPT),
    }
)
"""Where a command that sends nothing differs."""

REASONS: Final[Mapping[RefusalReason, str]] = MappingProxyType(
    {
        RefusalReason.NOT_PAIRED: "the hub had no owner or no policy",
        RefusalReason.SHARING_OFF: "you do not share at that time",
        RefusalReason.OWNER_DECLINED: "you did not say yes",
        RefusalReason.WINDOW_TOO_LONG: "it asked for more time than you allow",
        RefusalReason.WINDOW_TOO_FAR_BEFORE: "it began longer before the incident than you allow",
        RefusalReason.WINDOW_TOO_FAR_AFTER: "it ended longer after the incident than you allow",
        RefusalReason.WINDOW_TOO_OLD: "it asked for footage that is older than you allow",
        RefusalReason.WINDOW_TOO_FAR_AHEAD: "it reached further ahead than you allow",
        RefusalReason.INCIDENT_TYPE: "you do not share for this kind of incident",
        RefusalReason.AGENCY: "you do not share with this agency",
        RefusalReason.CAMERA_NOT_SHARED: "you share none of these cameras",
        RefusalReason.TOO_MANY_UPLOADS: "there were as many today as you allow",
        RefusalReason.AGENCY_CANCELED: "the agency took it back",
        RefusalReason.NO_ROOM: "there was no room to keep it",
        RefusalReason.UNKNOWN_JOB: "there is no such command to change",
        RefusalReason.JOB_ENDED: "that command had ended",
        RefusalReason.TOO_LATE: "its end was being sent already",
        RefusalReason.NOT_LATER: "it did not end later than before",
        RefusalReason.TRUST_EXPIRED: "the agency's list of whom to trust is out of date",
        RefusalReason.CLOCK_UNTRUSTED: "the hub did not know the time",
        RefusalReason.REVOKED: "the officer's key was revoked",
        RefusalReason.EXPIRED: "the command was too old",
        RefusalReason.REPLAYED: "it was a copy of an earlier command",
    }
)

ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "clip.upload": "Clip asked for",
        "clip.hold": "Footage to be kept",
        "clip.release": "Kept footage let go",
        "clip.cancel": "Clip taken back",
        "clip.extend": "Clip to run longer",
        "trust.update": "Whom to trust, renewed",
        "config.set": "Settings changed",
        "firmware.install": "Software update",
    }
)

BASES: Final[Mapping[str, str]] = MappingProxyType(
    {"consent": "your consent", "warrant": "a warrant", "exigent": "danger in delay"}
)
"""What the agency names as its legal basis; on the hub your policy decides, whatever it says."""


def because(reason: RefusalReason | str | None) -> str:
    """Say why, in the owner's words if there are any."""
    if not reason:
        return ""
    try:
        return REASONS.get(RefusalReason(reason)) or str(reason).replace("_", " ")
    except ValueError:
        return str(reason).replace("_", " ")


def state_words(action: str, state: JobState) -> tuple[str, Tone]:
    """Say how a command stands."""
    own = None if action == "clip.upload" else ORDER_STATES.get(state)
    return own or STATES[state]


class Times:
    """Writes times in the owner's zone (of the policy), else in UTC."""

    def __init__(self, zone: str | None) -> None:
        found = zone_of(zone)
        self._zone: tzinfo = found or UTC
        self.zone = zone if found and zone else "UTC"

    def when(self, moment: WallTime) -> str:
        """Write day and time to the second."""
        return _written(self._local(moment), "%a %-d %b %Y, %H:%M:%S")

    def when_text(self, text: str) -> str:
        """Write an RFC 3339 time likewise; what is none stays as it is."""
        try:
            return self.when(parse_rfc3339(text))
        except BadInputError:
            return text

    def span(self, start: WallTime, end: WallTime) -> str:
        """Write an interval with its length; to whole seconds that hold all of it."""
        begun, ended = self._local(start), self._local(WallTime(-(-end // SECOND_NS) * SECOND_NS))
        last = _written(ended, "%H:%M:%S" if begun.date() == ended.date() else "%a %-d %b, %H:%M:%S")
        return f"{_written(begun, '%a %-d %b %Y, %H:%M:%S')} to {last} ({length((end - start) / SECOND_NS)})"

    def _local(self, moment: WallTime) -> datetime:
        return datetime.fromtimestamp(moment // SECOND_NS, UTC).astimezone(self._zone)


def _written(local: datetime, form: str) -> str:
    """Write a local time; one that comes twice, as clocks are put back, with the zone's name of then."""
    is_twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return local.strftime(f"{form} %Z" if is_twice else form)


def length(seconds: float) -> str:
    """Write how long something is."""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} minutes"
    if seconds < 2 * DAY_S:
        return f"{seconds / HOUR_S:.1f} hours".replace(".0 ", " ")
    return f"{seconds / DAY_S:.1f} days".replace(".0 ", " ")


def agency_words(agency: str, trust: TrustBundle) -> str:
    """Write an agency by its name, if the trust bundle has it, and its id."""
    own = trust.agency.name if trust.agency.id == agency else ""
    return f"{own} ({agency})" if own else agency


def recipient_words(recipient: str, trust: TrustBundle) -> str:
    """Write who can open a clip by their name, if the trust bundle has it, and their id."""
    own = next((one.name for one in trust.recipients if one.id == recipient), "")
    return f"{own} ({recipient})" if own else recipient


def camera_words(camera: str, names: Mapping[CameraId, str]) -> str:
    """Write a camera by its own name and the hub's."""
    own = names.get(CameraId(camera), "")
    return f"{own} ({camera})" if own else camera
