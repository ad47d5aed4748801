"""The owner's signed words: the policy that says what is shared, and the answer to one question.

Rules of this file: every default is the safe one, so an empty policy refuses; unknown fields are refused, since an
older hub must not pass over a wish that it does not understand; only the owner's key, pinned at pairing, counts.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, field

from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.command.statement import read_statement, unverified_claims
from agent.command.strict_json import decode
from agent.command.trust import AgeRecipient, is_post_quantum
from agent.command.words import (
    CAMERAS_MAX,
    SKEW_NS,
    CameraName,
    Claims,
    Identifier,
    IncidentType,
    Jwk,
    NumericDate,
    Sha256,
    Thumbprint,
    Version,
    WindowClaim,
    wall_time,
)
from agent.consent.mask import POLYGONS_MAX, Polygon
from agent.consent.schedule import Hours, Mode, ScheduleRule, ZoneName, check_hours
from agent.crypto import canonical_json
from agent.errors import BadInputError
from agent.signing import SigningKey, public_jwk

POLICY_TYP: Final = "transom-policy+jwt"
ANSWER_TYP: Final = "transom-answer+jwt"
ANSWER_LIFETIME_S_MAX: Final = 24 * 3600
DAY_S: Final = 24 * 3600
HOURS_MAX: Final = 32

Share = Literal["share", "ask", "never"]
SHARES: Final[tuple[Share, ...]] = ("share", "ask", "never")
"""From the widest to the strictest."""

Placement = Literal["indoor", "outdoor", "unknown"]
EVERY_OUTDOOR: Final = "*"

CameraOrOutdoor = Annotated[CameraId, Meta(pattern=r"^([a-z0-9-]{1,32}|\*)\Z")]


class AgencyConsent(Claims, frozen=True):
    """An agency that may ask, and the roots that speak for it: a root swapped by the server is not in this list."""

    id: Identifier
    roots: Annotated[tuple[Thumbprint, ...], Meta(max_length=8)]


class Policy(Claims, frozen=True):
    """The claims of a `transom-policy+jwt`."""

    hub: Identifier
    version: Version
    iat: NumericDate
    mode: Mode = "sharing_off"
    zone: ZoneName | None = None  # of the hours below; needed if there are any
    schedule: Annotated[tuple[ScheduleRule, ...], Meta(max_length=HOURS_MAX)] = ()  # when a stricter mode holds
    quiet: Annotated[tuple[Hours, ...], Meta(max_length=HOURS_MAX)] = ()  # when nobody is to be woken by a question
    cameras: Annotated[dict[CameraOrOutdoor, Share], Meta(max_length=CAMERAS_MAX)] = field(
        default_factory=dict
    )  # `*`: every other one that `placement` calls outdoor; else: never
    placement: Annotated[dict[CameraName, Placement], Meta(max_length=CAMERAS_MAX)] = field(
        default_factory=dict
    )  # else: unknown, which counts as indoor
    sound: Annotated[tuple[CameraName, ...], Meta(max_length=CAMERAS_MAX)] = ()  # shared with the pictures; else: none
    masks: Annotated[
        dict[CameraName, Annotated[tuple[Polygon, ...], Meta(max_length=POLYGONS_MAX)]], Meta(max_length=CAMERAS_MAX)
    ] = field(default_factory=dict)  # what is painted over; a camera that is not named: nothing
    owner_copy: Annotated[tuple[AgeRecipient, ...], Meta(max_length=2)] = ()  # may open every clip; one of each kind
    cosigner: Jwk | None = None  # Ed25519; cosigns the audit log for the owner; null: the owner's own key, if it can
    agencies: Annotated[tuple[AgencyConsent, ...], Meta(max_length=16)] = ()  # empty: no agency
    incident_types: Annotated[tuple[IncidentType, ...], Meta(max_length=64)] | None = ()  # empty: none; null: all
    window_s_max: Annotated[int, Meta(ge=0, le=DAY_S)] = 1800
    before_s_max: Annotated[int, Meta(ge=0, le=DAY_S)] = 1800  # from the window's start to the report of the incident
    after_s_max: Annotated[int, Meta(ge=0, le=DAY_S)] = 1800  # from the report of the incident to the window's end
    age_s_max: Annotated[int, Meta(ge=0, le=30 * DAY_S)] = 2 * DAY_S  # from the window's start to the command
    ahead_s_max: Annotated[int, Meta(ge=0, le=DAY_S)] = 0  # from now to the window's end
    uploads_per_day_max: Annotated[int, Meta(ge=0, le=1000)] = 10
    answer_s_max: Annotated[int, Meta(ge=30, le=DAY_S)] = 3600  # after it, silence is a no

    @property
    def issued(self) -> WallTime:
        """When the owner signed it."""
        return wall_time(self.iat)


class Answer(Claims, frozen=True):
    """The claims of a `transom-answer+jwt`: the owner's word on one command, bound to its digest."""

    hub: Identifier
    command_sha256: Sha256
    decision: Literal["yes", "no"]
    iat: NumericDate
    exp: NumericDate
    cameras: Annotated[tuple[CameraName, ...], Meta(max_length=CAMERAS_MAX)] | None = None  # null: as asked
    window: WindowClaim | None = None  # null: as asked
    sound: Annotated[tuple[CameraName, ...], Meta(max_length=CAMERAS_MAX)] | None = None  # null: as asked


def open_policy(token: str, owner_key: SigningKey, hub: str, newer_than: int) -> Policy:
    """Read a policy for `hub` of a version above `newer_than` (0 for the first). Raises BadInputError."""
    policy = read_statement(token, owner_key, POLICY_TYP, Policy)
    if policy.hub != hub:
        raise BadInputError("a policy for another hub")
    if policy.version <= newer_than:
        raise BadInputError(f"policy {policy.version} is not newer than {newer_than}")
    _check(policy)
    return policy


def _check(policy: Policy) -> None:
    check_hours((*policy.schedule, *policy.quiet), policy.zone)
    if len({is_post_quantum(key) for key in policy.owner_copy}) != len(policy.owner_copy):
        raise BadInputError("a policy with two keys of one kind for the owner's copy")
    if policy.cosigner is not None and public_jwk(policy.cosigner.key())["crv"] != "Ed25519":
        raise BadInputError("a policy with a cosigner that is no Ed25519 key")


def read_unsigned(text: bytes) -> Policy:
    """Read a policy's claims, or those of a signed one, for showing it to somebody: nothing here is believed.

    Raises BadInputError as `open_policy` does for what a hub would not understand.
    """
    raw = text.strip()
    if not raw.startswith(b"{"):
        raw = canonical_json(unverified_claims(raw.decode("ascii", "replace")))
    policy = decode(raw, Policy, "policy")
    _check(policy)
    return policy


def share_of(policy: Policy, camera: CameraId) -> Share:
    """Return the policy's word for one camera: its own, else that for outdoor cameras if it is known to be one."""
    own = policy.cameras.get(camera)
    if own is None and policy.placement.get(camera) == "outdoor":
        own = policy.cameras.get(CameraId(EVERY_OUTDOOR))
    return own or "never"


def open_answer(token: str, owner_key: SigningKey, hub: str, now: WallTime) -> Answer:
    """Read the owner's answer for `hub`, a yes in time. Raises BadInputError; the question then stays open.

    A no is a no whenever it was signed: a wrong clock, here or in the owner's hand, must not keep it back.
    """
    answer = read_statement(token, owner_key, ANSWER_TYP, Answer)
    if answer.hub != hub:
        raise BadInputError("an answer for another hub")
    if not 0 < answer.exp - answer.iat <= ANSWER_LIFETIME_S_MAX:
        raise BadInputError(f"an answer must live between 1 and {ANSWER_LIFETIME_S_MAX} seconds")
    is_in_time = wall_time(answer.iat) - SKEW_NS <= now < wall_time(answer.exp) + SKEW_NS
    if answer.decision == "yes" and not is_in_time:
        raise BadInputError("an answer that is not in time")
    if answer.window is not None:
        answer.window.window()
    return answer
