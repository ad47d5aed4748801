"""One granted job on its way: what to deliver and whom to ask, and what is said of parts that do not go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.clock_eras import ClockWord
from agent.clip_job import Job, JobPart, MissingSpan, PartState
from agent.clock import SECOND_NS, Instant, WallTime, Window, rfc3339
from agent.consent.grant import Granted
from agent.consent.mask import Masks
from agent.consent.owner_copy import NO_COPY, OwnerCopy
from agent.cut.clip import ClipReport, Gap
from agent.cut.masks import are_covered
from agent.cut.plan import PartSettings
from agent.deliver.turns import Urgency
from agent.evidence.statement import PARTS_MAX
from agent.ports import Journal
from agent.signing import SigningKey

PARTS_SPARED: Final = 128  # of those that a manifest has room for: at the end of a window they get short again
WHY_CHARACTERS_MAX: Final = 200
WHY_UNDELIVERED: Final = "it was not delivered: the consent had ended"
WHY_MASKED_SINCE: Final = "it was not delivered: the owner has masked more of the picture since it was cut"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended at the store."""

    is_complete: bool
    gaps: str  # for people, empty if complete
    missing: Sequence[MissingSpan] = ()  # camera by camera


@dataclass(slots=True)
class Errand:
    """One granted job: what to deliver, whose receipts to believe, and whom to ask and tell on the way.

    While it is not closing, `grant` may be replaced by one whose window ends later.
    """

    job: Job
    grant: Granted
    store_keys: Sequence[SigningKey]
    is_allowed: Callable[[], bool]
    progress: Callable[[Job], None]
    masks: Callable[[CameraId], Masks]  # what must be painted over now
    urgency: Callable[[], Urgency]  # when its parts' turn is, for the window of now
    hold: Callable[[], Awaitable[None]]  # keep the footage of its window until the job ends
    owner_copy: Callable[[], OwnerCopy] = lambda: NO_COPY  # whether the owner can open what is sealed now
    clock_word: Callable[[], ClockWord] = lambda: ClockWord.GOOD  # what the hub's clock is worth for it now
    give_up_at: Instant | None = None  # since the outbox had no room: until when that is waited for
    is_held: bool = False  # `hold` has been asked for: once, for a refusal of it is written down
    is_closing: bool = False  # a camera's window is delivered to its end: behind its manifest no part goes any more


def parts_of(journal: Journal, errand: Errand, camera: CameraId) -> list[JobPart]:
    """Return what the journal knows of a camera's clip, in order; the manifest is the last."""
    return [part for part in journal.parts(errand.job.id) if part.camera == camera]


def may_go(errand: Errand, part: JobPart) -> bool:
    """Say whether a sealed part may be sent now."""
    return errand.is_allowed() and is_masked(errand, part)


def is_masked(errand: Errand, part: JobPart) -> bool:
    """Say whether a sealed part shows nothing of what must be masked now."""
    report, masks = part.report, errand.masks(part.camera)
    return report is None or not report.pictures or are_covered(masks, report.masks, report.width, report.height)


def why_withheld(errand: Errand, part: JobPart) -> str:
    """Say why a sealed part may not go any more."""
    return WHY_UNDELIVERED if is_masked(errand, part) else WHY_MASKED_SINCE


def entry_of(part: JobPart) -> dict[str, str | int]:
    """Return what the audit log says of a part that was sealed."""
    entry: dict[str, str | int] = {"part": part.id, "sha256": part.sha256, "size": part.size}
    if part.report and part.report.masks:
        entry["masks"] = len(part.report.masks)
    if part.report and part.report.owner_copy:
        entry["owner_copy"] = part.report.owner_copy
    return entry


def fitting(settings: PartSettings, left_ns: int, made: int) -> PartSettings:
    """Return how to divide what is left of a window, so that the manifest has room for all its parts.

    Parts stay as short as they are while there is room for twice as many as it takes.
    """
    average_ns = left_ns // max(1, PARTS_MAX - PARTS_SPARED - made)
    if 2 * average_ns <= settings.longest_ns:
        return settings
    live_ns, past_ns = max(settings.live_ns, 2 * average_ns), max(settings.past_ns, 2 * average_ns)
    return replace(settings, live_ns=live_ns, past_ns=past_ns, longest_ns=4 * average_ns)


def told_of(parts: Sequence[JobPart], end: WallTime) -> list[JobPart]:
    """Return what is said of a camera's window up to `end`: parts at the store as they are, everything else as gaps."""
    told = [
        part if part.state is PartState.RECEIPTED else _undelivered(part, part.start, part.end)
        for part in parts
        if not part.is_manifest
    ]
    if told and told[-1].end < end:
        told.append(_undelivered(told[-1], told[-1].end, end))
    return told


def outcome_of(told: Sequence[JobPart]) -> Outcome:
    """Sum up what is said of all cameras."""
    reports = [part.report for part in told if part.report]
    missing_s = sum(gap.end - gap.start for report in reports for gap in report.gaps) / SECOND_NS
    withheld = sum(report.refused for report in reports)
    if not missing_s and not withheld:
        return Outcome(is_complete=True, gaps="")
    text = f"{missing_s:.3f} s missing, {withheld} pictures withheld after losses"
    missing = [
        MissingSpan(part.camera, rfc3339(gap.start), rfc3339(gap.end), gap.why[:WHY_CHARACTERS_MAX])
        for part in told
        for gap in (part.report.gaps if part.report else ())
    ]
    return Outcome(is_complete=False, gaps=text, missing=missing)


def nothing(window: Window, why: str) -> ClipReport:
    """Return the report of a span of which there is nothing."""
    return ClipReport(0, 0, 0, None, None, gaps=(Gap(window.start, window.end, why),))


def _undelivered(part: JobPart, start: WallTime, end: WallTime) -> JobPart:
    """Return what is said of a span that was not delivered."""
    return replace(
        part, number=part.number + 1, start=start, end=end, report=nothing(Window(start, end), WHY_UNDELIVERED)
    )
