"""Where sound is in the file becomes where it is not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent.clock import WallTime, Window
from agent.cut.clip import Gap

STEADY_NS_MAX: Final = 8_000_000
"""By so much a packet's time may differ from where the one before it ended: they are laid end to end.

More is laid where it belongs, so sound is never further than this from its time; shorter holes are not told.
"""

GAPS_MAX: Final = 200  # of one part; with more, the rest is one last gap

WHY_SOUND_LOST: Final = "packets of sound were lost"
WHY_SOUND_EDGE: Final = "a block of sound here reaches outside the window"
WHY_SOUND_UNDECODABLE: Final = "this sound could not be decoded"
WHY_NO_SOUND: Final = "the camera sent no sound"

Mark = tuple[WallTime, str]
"""Something that is missing, and why."""


def sound_gaps(window: Window, covered: Sequence[tuple[int, int]], marks: Sequence[Mark]) -> tuple[Gap, ...]:
    """Name the stretches of the window without sound; `covered` are those with it, in order, in ns of hub time."""
    gaps: list[Gap] = []
    until: int = window.start
    for start, end in [*covered, (window.end, window.end)]:
        if start - until > STEADY_NS_MAX:
            gap = Window(WallTime(until), WallTime(min(start, window.end)))
            whys = sorted({why for moment, why in marks if gap.start <= moment <= gap.end})
            gaps.append(Gap(gap.start, gap.end, "; ".join(whys) or WHY_NO_SOUND))
        until = max(until, end)
    if len(gaps) > GAPS_MAX:
        rest = gaps[GAPS_MAX - 1 :]
        why = f"{len(rest)} gaps with sound between them: {rest[0].why}"
        gaps = [*gaps[: GAPS_MAX - 1], Gap(rest[0].start, rest[-1].end, why)]
    return tuple(gaps)
