"""What of the window that was asked for is covered by pictures, and what is not: one line of spans, in time.

Rules of this file: pure; it repeats what the hub signed. A hole that the hub did not explain is named as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from agent.clock import SECOND_NS, WallTime, parse_rfc3339, rfc3339
from agent.evidence.statement import Manifest, PartFacts

HOLE_NS_MIN: Final = (
    2 * SECOND_NS
)  # between two pictures, without a stated gap; slower cameras are measured by themselves
_SLOW_FACTOR: Final = 3


class Kind(StrEnum):
    """What a span of the window is."""

    PICTURES = "pictures"
    GAP = "gap"  # stated by the hub, with its reason
    UNEXPLAINED = "unexplained"  # nothing there, and nothing said


class CoveredSpan(msgspec.Struct, frozen=True):
    """A span in time."""

    kind: Kind
    start: str  # RFC 3339
    end: str
    why: str = ""  # of a gap
    part: str = ""  # whose pictures these are


def coverage(manifest: Manifest) -> list[CoveredSpan]:
    """Lay pictures, gaps and unexplained holes out in order of their beginnings."""
    spans = [
        CoveredSpan(Kind.PICTURES, part.first_picture, part.last_picture, part=part.name)
        for part in manifest.parts
        if part.first_picture and part.last_picture
    ]
    spans += [CoveredSpan(Kind.GAP, gap.start, gap.end, why=gap.why) for gap in manifest.gaps]
    spans += _unexplained(manifest, spans)
    return sorted(spans, key=lambda span: (parse_rfc3339(span.start), span.kind))


def _unexplained(manifest: Manifest, spans: Sequence[CoveredSpan]) -> list[CoveredSpan]:
    granted = manifest.window.granted
    at, end = parse_rfc3339(granted.start), parse_rfc3339(granted.end)
    shortest = max([HOLE_NS_MIN, *(_SLOW_FACTOR * _interval_ns(part) for part in manifest.parts)])
    covered = sorted((parse_rfc3339(span.start), parse_rfc3339(span.end)) for span in spans)
    holes = []
    for begin, stop in [*covered, (end, end)]:
        if begin - at > shortest:
            holes.append(CoveredSpan(Kind.UNEXPLAINED, rfc3339(at), rfc3339(begin)))
        at = max(at, stop)
    return holes


def _interval_ns(part: PartFacts) -> int:
    """Return how far a part's pictures are apart, on the average."""
    if part.pictures < 2 or not part.first_picture or not part.last_picture:  # noqa: PLR2004 - an interval has two ends
        return 0
    return (parse_rfc3339(part.last_picture) - parse_rfc3339(part.first_picture)) // (part.pictures - 1)


def shares(manifest: Manifest, spans: Sequence[CoveredSpan]) -> list[tuple[CoveredSpan, float, float]]:
    """Place spans between 0 and 1 on the window that was asked for; what reaches beyond it is cut.

    `spans` are in order. A picture is taken to last until the next span, if that is not far.
    """
    asked = manifest.window.asked
    begin, last = parse_rfc3339(asked.start), parse_rfc3339(asked.end)

    def share(moment: WallTime) -> float:
        return min(1.0, max(0.0, (moment - begin) / (last - begin)))

    ends = [parse_rfc3339(span.end) for span in spans]
    for number, after in enumerate(spans[1:]):
        begins = parse_rfc3339(after.start)
        if 0 < begins - ends[number] < HOLE_NS_MIN:  # a picture lasts until the next
            ends[number] = begins
    return [(span, share(parse_rfc3339(span.start)), share(end)) for span, end in zip(spans, ends, strict=True)]
