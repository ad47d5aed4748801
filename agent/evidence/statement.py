"""What a manifest says: the shape of the in-toto statement over one camera's clip, for those who write and read it.

Rules of this file: a manifest travels in the clear beside the sealed parts, so it names ciphertext only and holds
nothing of the pictures. Times are RFC 3339 in UTC. Unknown fields are refused. Format and limits: FORMAT.md.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://transom.example/clip/v2"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
PARTS_MAX: Final = 4096
RUNS_MAX: Final = 1024  # of a part with more, the rest is one last run
ORDERS_MAX: Final = 64  # of a clip that was extended more often, the newest
GAPS_MAX: Final = 4096  # of a clip with more, the rest is one last gap

PartName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.mp4\.age\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Line = Annotated[str, msgspec.Meta(max_length=2048)]


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A half-open interval."""

    start: Line
    end: Line


class StatedGap(Span, frozen=True, forbid_unknown_fields=True):
    """An interval of the window without pictures, and why."""

    why: Line


class RunFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pictures that follow each other."""

    first_picture: Line
    last_picture: Line
    pictures: Count


class ClockFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where times come from, and how far off they may be."""

    source: Line
    error_ns: Count


class CommandFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asked for the clip, and why."""

    id: Line
    sha256: Digest
    subject: Line
    agency: Line
    basis: Line
    reason: Line


class IncidentFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened, in the agency's words."""

    id: Line
    type: Line
    reported_at: Line


class CameraFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which camera."""

    id: Line
    name: Line


class WindowFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked, what the hub granted, and when the first and last delivered pictures were taken (or empty)."""

    asked: Span
    granted: Span
    first_picture: Line
    last_picture: Line


class SoundFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What sound one part was allowed to have, and has."""

    source: Line  # how the camera sent it, as in its SDP; empty if it sent none
    codec: Line  # in the file; empty if no sound is in it
    reencoded: bool
    start: Line  # of the first sample, or empty
    end: Line  # behind the last one, or empty
    clock: Line  # "sr": timed beside the pictures by the camera's sender reports; "arrival"
    error_ns: Count  # how far off the times may be


class PartFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One sealed part: its file and what is in it."""

    name: PartName
    size: Count  # bytes of the sealed file
    sha256: Digest  # of the sealed file
    clear_sha256: Digest  # of the video in it, as whoever opens it has it
    clock: ClockFacts
    first_picture: Line
    last_picture: Line
    pictures: Count
    copied: Count
    reencoded: Count
    refused: Count
    width: Count
    height: Count
    codec: Line
    reencoded_at: Annotated[tuple[RunFacts, ...], msgspec.Meta(max_length=RUNS_MAX)] = ()  # in order
    sound: SoundFacts | None = None  # None, and not written: the owner does not share this camera's sound
    owner_copy: Line = ""  # SHA-256 of the owner's age recipient, or "other_kind"; not written: no copy was wanted


class PolicyFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The owner's consent that covered it."""

    version: Count
    sha256: Line
    mode: Line


class AuditFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hub's audit log when the manifest was made: whoever sees the log can check that it still begins so."""

    size: Count
    root: Digest


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that a hub states about one camera's clip for one command."""

    hub: Line
    command: CommandFacts
    incident: IncidentFacts
    camera: CameraFacts
    window: WindowFacts
    parts: Annotated[tuple[PartFacts, ...], msgspec.Meta(max_length=PARTS_MAX)]  # in order
    gaps: Annotated[tuple[StatedGap, ...], msgspec.Meta(max_length=GAPS_MAX)]  # in order
    clock: ClockFacts  # the worst of all parts
    processing: Line
    recipients: Annotated[tuple[Line, ...], msgspec.Meta(max_length=64)]  # ids, as in the trust bundle
    policy: PolicyFacts
    audit: AuditFacts
    software: Line
    sound_gaps: Annotated[tuple[StatedGap, ...], msgspec.Meta(max_length=GAPS_MAX)] = ()  # without sound, in order
    extended_by: Annotated[tuple[Line, ...], msgspec.Meta(max_length=ORDERS_MAX)] = ()  # ids of orders, oldest first
    hub_clock: ClockFacts | None = None  # who vouched for the hub's time when this was written, and how well


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sealed part's file."""

    name: PartName
    digest: dict[str, Digest]


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"type": "_type"}):
    """The in-toto Statement v1 in a manifest's envelope."""

    type: str
    subject: Annotated[list[Subject], msgspec.Meta(max_length=PARTS_MAX)]
    predicateType: str  # noqa: N815 - in-toto's spelling
    predicate: Manifest
