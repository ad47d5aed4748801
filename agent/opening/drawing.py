"""The window that was asked for as a drawing: what is covered by pictures, what is not, and the time below it (SVG)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from agent.clock import SECOND_NS, WallTime, parse_rfc3339, rfc3339
from agent.evidence.statement import Manifest
from agent.opening.coverage import CoveredSpan, Kind, shares
from agent.opening.plain import printable

_WIDTH, _HEIGHT = 1000, 96
_BAR_TOP, _BAR_HEIGHT = 8, 46
_SHOWN_WIDTH_MIN: Final = 1.5  # however short a gap is, it can be seen
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_MARKS_MAX: Final = 7
_CLASSES: Final = {Kind.PICTURES: "pictures", Kind.GAP: "gap", Kind.UNEXPLAINED: "unexplained"}


def draw_timeline(manifest: Manifest, spans: Sequence[CoveredSpan]) -> str:
    """Draw the window as a bar with a scale; colours are classes of the page, and gaps are hatched for paper."""
    return "".join(_shapes(manifest, spans))


def _shapes(manifest: Manifest, spans: Sequence[CoveredSpan]) -> Iterator[str]:
    window = manifest.window.asked
    title = escape(f"From {window.start} to {window.end}")
    yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" shape-rendering="crispEdges" role="img" aria-label="{title}"><defs>'
    yield '<pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    yield '<rect width="8" height="8" class="gap"/><path d="M0 0V8" class="stroke"/></pattern></defs>'
    yield f'<rect x="0" y="{_BAR_TOP}" width="{_WIDTH}" height="{_BAR_HEIGHT}" class="nothing"/>'
    for span, begin, end in sorted(shares(manifest, spans), key=lambda placed: placed[0].kind is not Kind.PICTURES):
        width = max(_SHOWN_WIDTH_MIN, (end - begin) * _WIDTH)
        place = f'x="{begin * _WIDTH:.2f}" y="{_BAR_TOP}" width="{width:.2f}" height="{_BAR_HEIGHT}"'
        told = escape(printable(f"{span.kind}, {span.start} to {span.end}{': ' if span.why else ''}{span.why}"))
        yield f'<rect {place} class="{_CLASSES[span.kind]}"><title>{told}</title></rect>'
    for moment, share in _marks(manifest):
        x, anchor = share * _WIDTH, "start" if share < 0.05 else "end" if share > 0.95 else "middle"  # noqa: PLR2004 - near an end, a label is within the drawing
        yield f'<path d="M{x:.1f} {_BAR_TOP + _BAR_HEIGHT}v8" class="scale"/>'
        yield f'<text x="{x:.1f}" y="{_HEIGHT - 12}" text-anchor="{anchor}">{moment}</text>'
    yield "</svg>"


def _marks(manifest: Manifest) -> Iterator[tuple[str, float]]:
    """Yield round times of day (UTC) within the window, and where they are."""
    window = manifest.window.asked
    begin, end = parse_rfc3339(window.start), parse_rfc3339(window.end)
    step = next((s for s in _STEPS_S if (end - begin) / SECOND_NS / s <= _MARKS_MAX), _STEPS_S[-1]) * SECOND_NS
    moment = -(-begin // step) * step
    for _ in range(_MARKS_MAX * 2):
        if moment > end:
            return
        yield rfc3339(WallTime(moment))[11:19], (moment - begin) / (end - begin)
        moment += step
