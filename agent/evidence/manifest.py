"""What a clip is: a statement over its sealed parts, signed by the hub that made them (in-toto Statement v1, DSSE).

Rules of this file: what a child process or a camera said is cut to the format's limits; what a reader must refuse is
not signed. The shape is `statement.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockSource
from agent.clock import ClockStanding, Window, parse_rfc3339, rfc3339
from agent.consent.grant import Granted
from agent.consent.mask import join_masks
from agent.crypto import canonical_json
from agent.cut.clip import ClipReport, Gap, PictureRun, SoundReport
from agent.deliver.part import SealedPart
from agent.errors import BadInputError
from agent.evidence.dsse import open_envelope, seal_envelope
from agent.evidence.note import Verifier
from agent.evidence.statement import (
    GAPS_MAX,
    ORDERS_MAX,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    RUNS_MAX,
    STATEMENT_TYPE,
    AuditFacts,
    CameraFacts,
    ClockFacts,
    CommandFacts,
    IncidentFacts,
    Manifest,
    PartFacts,
    PolicyFacts,
    RunFacts,
    SoundFacts,
    Span,
    StatedGap,
    Statement,
    WindowFacts,
)

TEXT_CHARS_MAX: Final = 200  # a camera's name, the why of a gap
_WHYS_CHARS_MAX: Final = 1000  # of all reasons together
_SUFFIX: Final = ".mp4.age"
_SOURCES_BEST_FIRST: Final = [str(source) for source in ClockSource]


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What the exporter knows about one camera's clip when its last part is sealed."""

    hub: str
    grant: Granted
    camera: CameraId
    camera_name: str
    parts: Sequence[tuple[SealedPart, ClipReport]]  # in order
    empty: Sequence[ClipReport]  # reports of the parts of the window that had no pictures, so no file
    audit: tuple[int, str]  # size and root (hex) of the audit log
    software: str
    extended_by: Sequence[str] = ()  # ids of the orders that moved the window's end, oldest first
    hub_clock: ClockStanding | None = None  # of now


def part_file_name(part_id: str) -> str:
    """Name a sealed part's file, at the store and on the officer's computer."""
    return part_id + _SUFFIX


def build_manifest(clip: ClipFacts, key: Ed25519PrivateKey) -> bytes:
    """Write and sign the manifest of a clip: a DSSE envelope, one line of JSON."""
    manifest = _manifest(clip)
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": part.name, "digest": {"sha256": part.sha256}} for part in manifest.parts],
        "predicateType": PREDICATE_TYPE,
        "predicate": msgspec.to_builtins(manifest),
    }
    payload = canonical_json(statement)
    _read(payload)  # what this hub signs, every reader must be able to read
    return seal_envelope(payload, PAYLOAD_TYPE, clip.hub, key)


def open_manifest(envelope: bytes, hub: Verifier) -> Manifest:
    """Verify and read a manifest that `hub` signed. Raises BadInputError."""
    manifest = _read(open_envelope(envelope, PAYLOAD_TYPE, hub))
    if manifest.hub != hub.name:
        raise BadInputError(f"the manifest says it is from {_shown(manifest.hub)}, but {hub.name} signed it")
    return manifest


def _read(payload: bytes) -> Manifest:
    try:
        statement = msgspec.json.decode(payload, type=Statement)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInputError(f"not a clip's manifest: {_shown(str(error))}") from None
    if (statement.type, statement.predicateType) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise BadInputError("a statement about something else than a clip, or of a newer version")
    manifest = statement.predicate
    if [(part.name, {"sha256": part.sha256}) for part in manifest.parts] != [
        (subject.name, subject.digest) for subject in statement.subject
    ]:
        raise BadInputError("the manifest's subjects and parts differ")
    if len({part.name for part in manifest.parts}) != len(manifest.parts):
        raise BadInputError("the manifest names a part twice")
    for span in (manifest.window.asked, manifest.window.granted, *manifest.gaps):
        Window(parse_rfc3339(span.start), parse_rfc3339(span.end))
    for moment in (moment for part in manifest.parts for moment in (part.first_picture, part.last_picture) if moment):
        parse_rfc3339(moment)
    return manifest


def _manifest(clip: ClipFacts) -> Manifest:
    command, reports = clip.grant.command, [report for _, report in clip.parts]
    incident, clock = command.incident, clip.hub_clock
    return Manifest(
        hub=clip.hub,
        command=CommandFacts(
            command.id, command.sha256, command.subject, command.agency, command.basis, command.reason
        ),
        incident=IncidentFacts(incident.id, incident.type, rfc3339(incident.reported_at)),
        camera=CameraFacts(clip.camera, _cut(clip.camera_name)),
        window=_window(command.window, clip.grant.window, reports),
        parts=tuple(_part(sealed, report) for sealed, report in clip.parts),
        gaps=_gaps([gap for report in [*reports, *clip.empty] for gap in report.gaps]),
        clock=_clock(reports),
        processing=_processing(reports) + _masking(reports),
        recipients=tuple(recipient.id for recipient in command.recipients),
        policy=PolicyFacts(clip.grant.policy_version, clip.grant.policy_sha256, clip.grant.mode),
        audit=AuditFacts(*clip.audit),
        software=clip.software,
        extended_by=tuple(clip.extended_by[-ORDERS_MAX:]),
        hub_clock=None if clock is None else ClockFacts(clock.source.value, clock.error_ns),
        sound_gaps=_gaps([gap for report in reports if report.sound for gap in report.sound.gaps]),
    )


def _processing(reports: Sequence[ClipReport]) -> str:
    """Say how many pictures are the camera's own bytes, and why others are not, beyond the window's edges."""
    copied, reencoded = sum(report.copied for report in reports), sum(report.reencoded for report in reports)
    whys = "; ".join(dict.fromkeys(_cut(report.why_reencoded) for report in reports if report.why_reencoded))
    return f"copied {copied}, re-encoded {reencoded} pictures" + (f" ({whys[:_WHYS_CHARS_MAX]})" if whys else "")


def _masking(reports: Sequence[ClipReport]) -> str:
    """Say how much of the picture is painted over, not where: the manifest travels in the clear."""
    count = len(join_masks(*(report.masks for report in reports)))
    return f", painted over under {count} of the owner's masks" if count else ""


def _window(asked: Window, granted: Window, reports: Sequence[ClipReport]) -> WindowFacts:
    first = [report.first_picture for report in reports if report.first_picture is not None]
    last = [report.last_picture for report in reports if report.last_picture is not None]
    return WindowFacts(
        Span(rfc3339(asked.start), rfc3339(asked.end)),
        Span(rfc3339(granted.start), rfc3339(granted.end)),
        rfc3339(min(first)) if first else "",
        rfc3339(max(last)) if last else "",
    )


def _part(sealed: SealedPart, report: ClipReport) -> PartFacts:
    return PartFacts(
        name=part_file_name(sealed.id),
        size=sealed.size,
        sha256=sealed.sha256,
        clear_sha256=report.clear_sha256,
        clock=_clock([report]),
        first_picture=rfc3339(report.first_picture) if report.first_picture is not None else "",
        last_picture=rfc3339(report.last_picture) if report.last_picture is not None else "",
        pictures=report.pictures,
        copied=report.copied,
        reencoded=report.reencoded,
        refused=report.refused,
        width=report.width,
        height=report.height,
        codec=report.codec,
        reencoded_at=_runs(report.reencoded_at),
        sound=None if report.sound is None else _sound(report.sound),
        owner_copy=report.owner_copy,
    )


def _runs(runs: Sequence[PictureRun]) -> tuple[RunFacts, ...]:
    if len(runs) > RUNS_MAX:
        rest = runs[RUNS_MAX - 1 :]
        runs = [*runs[: RUNS_MAX - 1], PictureRun(rest[0].first, rest[-1].last, sum(run.count for run in rest))]
    return tuple(RunFacts(rfc3339(run.first), rfc3339(run.last), run.count) for run in runs)


def _sound(sound: SoundReport) -> SoundFacts:
    return SoundFacts(
        source=_cut(sound.source),
        codec=sound.codec,
        reencoded=sound.is_reencoded,
        start=rfc3339(sound.start) if sound.start is not None else "",
        end=rfc3339(sound.end) if sound.end is not None else "",
        clock=sound.clock,
        error_ns=sound.error_ns,
    )


def _gaps(gaps: Sequence[Gap]) -> tuple[StatedGap, ...]:
    ordered = sorted(gaps, key=lambda gap: (gap.start, gap.end))
    if len(ordered) > GAPS_MAX:
        rest = ordered[GAPS_MAX - 1 :]
        joined = Gap(rest[0].start, max(gap.end for gap in rest), f"{len(rest)} gaps, not all of this time")
        ordered = [*ordered[: GAPS_MAX - 1], joined]
    return tuple(StatedGap(rfc3339(gap.start), rfc3339(gap.end), _cut(gap.why)) for gap in ordered)


def _clock(reports: Sequence[ClipReport]) -> ClockFacts:
    """State the worst source and bound of all parts; a source this version does not know counts as the worst."""
    sources = [report.source for report in reports if report.source]
    known = _SOURCES_BEST_FIRST
    worst = max(sources, key=lambda source: known.index(source) if source in known else len(known), default="")
    return ClockFacts(worst, max((report.error_ns for report in reports), default=0))


def _cut(text: str) -> str:
    """Keep what a camera or a library said within the format, whatever it said."""
    return text.encode(errors="replace").decode()[:TEXT_CHARS_MAX]


def _shown(text: str) -> str:
    """Cut a text from outside so that it can stand in an error."""
    return re.sub(r"[^\x20-\x7e]", "?", text[:200])
