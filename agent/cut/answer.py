"""The child's report is held against the order before the daemon believes a word of it.

Rules of this file: the child has met a camera's bytes and may be the camera's by now. What it says ends up in the
journal, in the manifest and on people's screens: every number has its range and every text is short and printable.
"""

from __future__ import annotations

import re
from typing import Final

from agent.acquire.timeline import ClockSource
from agent.cut.clip import ClipReport, CutOrder, Gap, SoundReport
from agent.cut.depacketize import UNITS_MAX
from agent.cut.h264 import SIDE_PIXELS_MAX
from agent.cut.messages import TEXT_CHARACTERS_MAX, decode_report
from agent.errors import BadInputError

ERROR_NS_MAX: Final = 2**53 - 1  # what JSON can say exactly
_CODEC: Final = re.compile(r"[a-z0-9]{1,16}")
_SOURCES: Final = frozenset({"", *(str(source) for source in ClockSource)})
_SOUND_CLOCKS: Final = frozenset({"", "sr", "arrival"})
_COUNTS: Final = ("pictures", "copied", "reencoded", "refused")


def read_report(body: bytes, order: CutOrder, written_bytes: int) -> ClipReport:
    """Read a report; refuse one that is not about this order or not about what came. Raises BadInputError."""
    report = decode_report(body)
    wrong = next((what for what, holds in _rules(report, order, written_bytes) if not holds), None)
    if wrong:
        raise BadInputError(f"the cutter's child reports a clip that was not ordered: {wrong}")
    return report


def _rules(report: ClipReport, order: CutOrder, written_bytes: int) -> list[tuple[str, bool]]:
    first, last = report.first_picture, report.last_picture
    window = order.window
    is_inside = first is not None and last is not None and window.start <= first <= last < window.end
    has_pictures = report.pictures > 0
    may_copy = order.may_copy and not order.masks
    return [
        ("its counts", all(0 <= getattr(report, name) <= UNITS_MAX for name in _COUNTS)),
        ("its sum", report.pictures == report.copied + report.reencoded),
        ("its size", has_pictures == (written_bytes > 0)),
        ("its times", is_inside if has_pictures else first is last is None),
        ("its shape", all(has_pictures <= side <= SIDE_PIXELS_MAX for side in (report.width, report.height))),
        ("its codec", bool(_CODEC.fullmatch(report.codec)) if has_pictures else not report.codec),
        ("its clock", report.source in _SOURCES and 0 <= report.error_ns <= ERROR_NS_MAX),
        ("its gaps", len(report.gaps) <= UNITS_MAX + 1 and all(_is_gap_of(gap, order) for gap in report.gaps)),
        ("its runs", report.reencoded == sum(run.count for run in report.reencoded_at) and _are_in_order(report)),
        ("its digest", not report.clear_sha256),
        ("its recipients", not report.owner_copy),
        ("its copies", may_copy or report.copied == 0),
        ("its masks", report.masks == order.masks),
        ("its reasons", _is_text(report.why_reencoded)),
        ("its sound", report.sound is None or _is_sound_of(report.sound, order)),
    ]


def _are_in_order(report: ClipReport) -> bool:
    borders = [moment for run in report.reencoded_at for moment in (run.first, run.last)]
    ends = [report.first_picture, *borders, report.last_picture] if borders else []
    known = [moment for moment in ends if moment is not None]
    return known == sorted(known) and all(run.count > 0 for run in report.reencoded_at)


def _is_gap_of(gap: Gap, order: CutOrder) -> bool:
    is_inside = order.window.start <= gap.start < gap.end <= order.window.end
    return is_inside and _is_text(gap.why)


def _is_sound_of(sound: SoundReport, order: CutOrder) -> bool:
    if order.sound is None or (sound.start is None) != (not sound.codec):
        return False
    is_inside = sound.start is sound.end
    if sound.start is not None and sound.end is not None:
        is_inside = order.window.start <= sound.start <= sound.end <= order.sound.end
    gaps = len(sound.gaps) <= UNITS_MAX + 1 and all(_is_gap_of(gap, order) for gap in sound.gaps)
    texts = all(map(_is_text, (sound.source, sound.codec))) and sound.clock in _SOUND_CLOCKS
    return is_inside and gaps and texts and 0 <= sound.error_ns <= ERROR_NS_MAX


def _is_text(text: str) -> bool:
    return len(text) <= TEXT_CHARACTERS_MAX and (not text or text.isprintable())
