"""A grant and what the ring has become the next part to cut, or the time to look again.

Rules of this file:
- Nothing outside `grant.window` is ever planned.
- Parts follow each other without overlap: one ends where the next begins. Inner borders lie on the first picture of a
  key chunk wherever there is one, or among pictures that are encoded anew in any case, so that only the two outer edges
  of a clip are.
- A part is planned only when no picture of it can still come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.ring import Footage, LeftOut
from agent.clock import SECOND_NS, WallTime, Window
from agent.consent.grant import Granted
from agent.cut.clip import ClipReport, Gap

WHY_NO_FOOTAGE: Final = "nothing was recorded"
WHY_UNDATED: Final = "what was recorded while nobody vouched for the hub's clock was left out"
WHY_CLOCK_WRONG: Final = "the hub's clock was wrong: what was recorded by it was left out"
WHY_TWICE: Final = "the hub's clock was set, and two recordings claim these moments: both were left out"
WHY_TORN: Final = "the hub's clock was set since this was asked for: nothing could be dated by both clocks"
SOUND_LEAD_NS: Final = 30 * SECOND_NS  # cameras send reports every 1 to 20 s, each track by itself


@dataclass(frozen=True, slots=True)
class CutPlan:
    """One part of one camera's clip, ready to be cut: which chunks to read and which pictures of them to deliver."""

    grant: Granted
    camera: CameraId
    part: int  # counts from 0 within the clip
    window: Window  # of this part; inner borders lie on key pictures, or inside an edge
    is_last: bool
    headers: tuple[StoredChunk, ...]
    chunks: tuple[StoredChunk, ...]
    left_out: tuple[LeftOut, ...] = ()  # of this part
    sound_lead: tuple[StoredChunk, ...] = ()  # just before `chunks`: sound sent early, and reports that time it

    @property
    def sound(self) -> Window | None:
        """The window whose sound may be delivered with the pictures; None if the camera's sound was not granted."""
        return self.grant.window if self.camera in self.grant.sound else None


@dataclass(frozen=True, slots=True)
class PartSettings:
    """How a clip is divided, and how long to wait for pictures."""

    live_ns: int = 4 * SECOND_NS  # a part of a running incident ends at the first key picture at least this late
    edge_ns: int = SECOND_NS // 2  # the first part is so short if as much again must be encoded before a key picture
    has_copies: bool = True  # False under masks: all pictures are encoded, and none of them is a better border
    first_ns: int = 4 * SECOND_NS  # a first part without such an edge ends at the first key picture at least this late
    past_ns: int = 20 * SECOND_NS  # a part of a window that is over ends at the last key picture within this ...
    longest_ns: int = 60 * SECOND_NS  # ... or at the first one behind it; no part is longer than this
    grace_ns: int = 5 * SECOND_NS  # this long after a part's end a silent camera is not waited for any more
    reorder_ns: int = SECOND_NS // 2  # pictures may be sent this much later than they are shown (B-frames)
    poll_ns: int = SECOND_NS  # how soon to look again for a chunk that is due: the ring commits once a second


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be cut yet; ask again at `until`."""

    until: WallTime


@dataclass(frozen=True, slots=True)
class Finished:
    """All of the window is delivered."""


def plan_next(
    *,
    grant: Granted,
    camera: CameraId,
    next_part: int,
    delivered_until: WallTime,
    footage: Footage,
    now: WallTime,
    settings: PartSettings,
) -> CutPlan | Wait | Finished:
    """Plan the part that begins at `delivered_until` (the window's start for the first one).

    `footage` is the ring's answer for `grant.window`, or for what is left of it, and with sound from `SOUND_LEAD_NS`
    before that. A plan without chunks means that
    nothing was recorded: there is nothing to cut, `empty_report` says so, and no part number is used up.
    """
    start = max(delivered_until, grant.window.start)
    if start >= grant.window.end:
        return Finished()
    is_over = now > grant.window.end + settings.grace_ns
    end: WallTime | Wait | None = None
    if start == grant.window.start:
        end = _end_in_edge(grant.window, footage, settings, is_over=is_over)
    if end is None and is_over:
        end = _past_end(start, grant.window, footage, settings)
    elif end is None:
        end = _live_end(start, grant.window.end, footage, now, settings)
    if isinstance(end, Wait):
        return end
    window = Window(start, end)
    chunks = _chunks_for(window, footage)
    runs = {chunk.meta.run for chunk in chunks}
    return CutPlan(
        grant=grant,
        camera=camera,
        part=next_part,
        window=window,
        is_last=end == grant.window.end,
        headers=tuple(header for header in footage.headers if header.meta.run in runs),
        chunks=chunks,
        left_out=tuple(one for one in footage.left_out if one.span.intersection(window)),
        sound_lead=_lead(chunks, footage) if camera in grant.sound else (),
    )


def empty_report(plan: CutPlan) -> ClipReport:
    """Report a part for which nothing was recorded: no pictures, one gap."""
    gap = Gap(plan.window.start, plan.window.end, _whys(plan.left_out, plan.window) or WHY_NO_FOOTAGE)
    return ClipReport(pictures=0, copied=0, reencoded=0, first_picture=None, last_picture=None, gaps=(gap,))


def explained(gaps: tuple[Gap, ...], plan: CutPlan) -> tuple[Gap, ...]:
    """Return the gaps that the child found, with the reason that it cannot know."""
    return tuple(
        replace(gap, why=f"{whys}; {gap.why}") if (whys := _whys(plan.left_out, Window(gap.start, gap.end))) else gap
        for gap in gaps
    )


def all_left_out(grant: Granted, camera: CameraId, next_part: int, start: WallTime, why: str) -> CutPlan:
    """Plan the rest of a window, from `start` on, as a part of which nothing may be used."""
    rest = Window(start, grant.window.end)
    return CutPlan(
        grant=grant,
        camera=camera,
        part=next_part,
        window=rest,
        is_last=True,
        headers=(),
        chunks=(),
        left_out=(LeftOut(rest, why),),
    )


def _whys(left_out: tuple[LeftOut, ...], window: Window) -> str:
    return "; ".join(dict.fromkeys(one.why for one in left_out if one.span.intersection(window)))


def _lead(chunks: tuple[StoredChunk, ...], footage: Footage) -> tuple[StoredChunk, ...]:
    if not chunks:
        return ()
    first = footage.chunks.index(chunks[0])
    limit = chunks[0].meta.first_picture - SOUND_LEAD_NS
    earlier = footage.chunks[:first]
    return tuple(c for c in earlier if c.meta.run == chunks[0].meta.run and c.meta.last_picture >= limit)


def _end_in_edge(granted: Window, footage: Footage, settings: PartSettings, *, is_over: bool) -> WallTime | None:
    """End the first part early if many pictures are encoded before one can be copied; None if they are few.

    A part leaves when its last picture is encoded: so the first of them do not wait for all.
    """
    start, short = granted.start, settings.edge_ns
    known = (moment for c in footage.chunks for moment in (c.meta.first_picture, c.meta.last_picture))
    first = min((moment for moment in known if moment >= start), default=granted.end)
    end = WallTime(max(start + short, first + 1))  # at least one picture is known to be in it
    edge = Window(start, WallTime(end + short))
    has_key = settings.has_copies and any(key in edge for key in _key_pictures(footage))
    is_long = edge.end <= granted.end and not has_key and first <= start + 2 * short
    has_come = is_over or (footage.newest_picture or 0) >= edge.end + settings.reorder_ns
    return end if is_long and has_come else None


def _past_end(start: WallTime, granted: Window, footage: Footage, settings: PartSettings) -> WallTime:
    """End a part of a window that is over: late, on a key picture, and across all of a stretch without footage.

    The first one ends early, if that leaves as much again for another.
    """
    last, aim, limit = granted.end, start + settings.past_ns, start + settings.longest_ns
    keys = _key_pictures(footage)
    if start == granted.start:
        first_ns = settings.first_ns
        early = [key for key in keys if start + first_ns <= key <= min(limit, last - first_ns)]
        if early:
            return min(early)
    if aim >= last:
        return last
    if not any(chunk.meta.first_picture < limit and chunk.meta.last_picture >= start for chunk in footage.chunks):
        upcoming = [c.meta.first_picture for c in footage.chunks if c.meta.first_picture >= limit]
        return min([*upcoming, last])
    if soon := [key for key in keys if start < key <= aim]:
        return max(soon)
    end = WallTime(min(limit, last))
    return min((key for key in keys if aim < key < end), default=end)


def _live_end(
    start: WallTime, last: WallTime, footage: Footage, now: WallTime, settings: PartSettings
) -> WallTime | Wait:
    """End a part of a running window at the first key picture that is late enough, if it is here already."""
    earliest, latest = WallTime(start + settings.live_ns), WallTime(min(start + settings.longest_ns, last))
    keys = [key for key in _key_pictures(footage) if earliest <= key < latest]
    if keys:
        return min(keys)  # it is committed, so is everything sent before it
    newest = footage.newest_picture
    if (newest is not None and newest >= latest + settings.reorder_ns) or now > latest + settings.grace_ns:
        return latest
    return Wait(WallTime(max(min(earliest, latest), now + settings.poll_ns)))


def _key_pictures(footage: Footage) -> list[WallTime]:
    return [chunk.meta.first_picture for chunk in footage.chunks if chunk.meta.is_key]


def _chunks_for(window: Window, footage: Footage) -> tuple[StoredChunk, ...]:
    """Choose what the child must read: from the last key chunk at or before the start to the first behind the end."""
    chunks = footage.chunks
    touching = [
        number
        for number, chunk in enumerate(chunks)
        if chunk.meta.first_picture < window.end and chunk.meta.last_picture >= window.start
    ]
    if not touching:
        return ()
    leading = [
        n for n in range(touching[0] + 1) if chunks[n].meta.is_key and chunks[n].meta.first_picture <= window.start
    ]
    first = leading[-1] if leading else touching[0]
    return chunks[first : touching[-1] + 2]
