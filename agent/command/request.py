"""What a verified command asks for, and the reasons why the hub may refuse one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.acquire.stream import CameraId
from agent.clock import WallTime, Window
from agent.crypto import Secret


class RefusalReason(StrEnum):
    """Every reason for a no that the server may see; words are stable, they are part of the protocol."""

    BAD_ENVELOPE = "bad_envelope"  # not understandable: size, JSON, schema
    CLOCK_UNTRUSTED = "clock_untrusted"
    TRUST_EXPIRED = "trust_expired"
    UNKNOWN_ROOT = "unknown_root"
    BAD_SIGNATURE = "bad_signature"
    GRANT_EXPIRED = "grant_expired"
    GRANT_SCOPE = "grant_scope"
    REVOKED = "revoked"
    WRONG_AUDIENCE = "wrong_audience"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    ROLE = "role"
    RECIPIENT_UNKNOWN = "recipient_unknown"
    RECIPIENT_MIXED = "recipient_mixed"
    UPLOAD_HOST = "upload_host"
    REPLAYED = "replayed"
    DUPLICATE_ID = "duplicate_id"
    UNSUPPORTED = "unsupported"
    APPROVAL_MISSING = "approval_missing"
    APPROVAL_BAD = "approval_bad"
    # consent
    NOT_PAIRED = "not_paired"
    SHARING_OFF = "sharing_off"  # now, or at some moment of the window
    OWNER_DECLINED = "owner_declined"  # silence and no look the same to the server
    WINDOW_TOO_LONG = "window_too_long"
    WINDOW_TOO_FAR_BEFORE = "window_too_far_before"  # the report of the incident
    WINDOW_TOO_FAR_AFTER = "window_too_far_after"  # likewise
    WINDOW_TOO_OLD = "window_too_old"
    WINDOW_TOO_FAR_AHEAD = "window_too_far_ahead"
    INCIDENT_TYPE = "incident_type"
    AGENCY = "agency"
    CAMERA_NOT_SHARED = "camera_not_shared"
    TOO_MANY_UPLOADS = "too_many_uploads"
    # a command about a job, a hold, the hub itself
    UNKNOWN_JOB = "unknown_job"  # no such job, or not with this incident, these cameras and recipients
    JOB_ENDED = "job_ended"
    TOO_LATE = "too_late"  # the end of the window is being delivered already
    NOT_LATER = "not_later"  # an extension that does not end later
    NO_ROOM = "no_room"  # held footage has a limit
    AGENCY_CANCELED = "agency_canceled"
    TRUST_REFUSED = "trust_refused"
    FIRMWARE_REFUSED = "firmware_refused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The hub's no: a value, not an exception. `detail` is for the audit log and the answer; it holds no secret."""

    reason: RefusalReason
    detail: str = ""
    command_id: str = ""  # empty if the message was not understandable enough to have one


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened, in the agency's words."""

    id: str
    type: str
    reported_at: WallTime


@dataclass(frozen=True, slots=True)
class Recipient:
    """Someone on the trust bundle's list who may open the clip: an id and an age v1 recipient (`age1...`)."""

    id: str
    age: str


class UploadMethod(StrEnum):
    """How parts get to the store (`deliver/FORMAT.md`)."""

    TUS = "tus"
    PUT = "put"  # by presigned URLs


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where the sealed parts go: `url` creates tus uploads or signs URLs; receipts; and the bearer token for both."""

    url: str
    receipts_url: str
    token: Secret
    method: UploadMethod = UploadMethod.TUS


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who said something, in whose name, and for how long: what every verified command has."""

    id: str  # the claim `jti`
    sha256: str  # hex digest of the compact JWS: what an owner's answer and a manifest are bound to
    signer: str  # thumbprint of the officer's or console's key
    subject: str  # who that is, as the issuer named them
    role: str
    agency: str
    root: str  # thumbprint of the root that the chain starts from
    action: str  # a word of `roles.Action`
    issued: WallTime
    expires: WallTime


@dataclass(frozen=True, slots=True)
class VerifiedCommand(Vouched):
    """A `clip.upload` whose chain of signatures, audience, time, role, recipients and upload host hold.

    Built by `envelope.verify` only. What the owner thinks of it is `consent.decide`'s question.
    """

    incident: Incident
    window: Window
    cameras: tuple[CameraId, ...]  # empty: all cameras
    recipients: tuple[Recipient, ...]
    upload: UploadTarget
    basis: str
    reason: str
    approved_by: tuple[str, ...] = ()  # subjects of the second officers whose approval holds
