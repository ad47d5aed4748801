"""From a grant and the ring's index to the next part."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.acquire.timeline import Anchor, ClockSource
from agent.buffer.chunk import ChunkKind, ChunkMeta, StoredChunk
from agent.buffer.ring import Footage
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.plan import CutPlan, Finished, PartSettings, Wait, empty_report, plan_next
from tests.simulators.grants import grant_for

CAMERA = CameraId("door")
T0 = WallTime(1_795_000_000 * SECOND_NS)
SETTINGS = PartSettings()


def at(seconds: float) -> WallTime:
    """Return a time in seconds behind T0."""
    return WallTime(T0 + round(seconds * SECOND_NS))


@lru_cache(maxsize=2000)
def chunk(begin: float, length: float = 0.96, *, is_key: bool = False, run: int = 1, number: int = 0) -> StoredChunk:
    """Store a chunk of pictures from `begin` on."""
    anchor = Anchor(0, at(0), 0, ClockSource.SR)
    first, last = round(begin * 90_000) % 2**32, round((begin + length) * 90_000) % 2**32
    meta = ChunkMeta(CAMERA, ChunkKind.MEDIA, is_key, run, number, at(begin), at(begin + length), first, last, anchor)
    return StoredChunk(meta, 1, number * 4096, 4096)


def footage(begin: int, end: int, gop_s: int = 2, without: range = range(0)) -> Footage:
    """Record one chunk a second with a key chunk every `gop_s`."""
    chunks = [chunk(s, is_key=s % gop_s == 0, number=s - begin) for s in range(begin, end) if s not in without]
    header = replace(chunk(begin), meta=replace(chunk(begin).meta, kind=ChunkKind.STREAM)) if chunks else None
    return Footage((header,) if header else (), tuple(chunks), max((c.meta.last_picture for c in chunks), default=None))


def plan(
    window: Window,
    ring: Footage,
    now: float,
    *,
    delivered: WallTime | None = None,
    part: int = 0,
    settings: PartSettings = SETTINGS,
) -> CutPlan | Wait | Finished:
    """Plan, with the usual settings unless others are given."""
    return plan_next(
        grant=grant_for(CAMERA, window),
        camera=CAMERA,
        next_part=part,
        delivered_until=delivered if delivered is not None else window.start,
        footage=ring,
        now=at(now),
        settings=settings,
    )


def whole_clip(window: Window, ring: Footage, now: float, settings: PartSettings = SETTINGS) -> list[CutPlan]:
    """Plan part after part until all is delivered."""
    plans: list[CutPlan] = []
    while not isinstance(
        step := plan(window, ring, now, delivered=plans[-1].window.end if plans else None, settings=settings), Finished
    ):
        assert isinstance(step, CutPlan), step
        plans.append(step)
    return plans


def test_a_running_incident_is_cut_at_the_first_key_picture_after_four_seconds() -> None:
    """With GOPs of 3 s, a part that begins at 2.2 s ends at the key picture at 9 s."""
    step = plan(Window(at(2.2), at(60)), footage(0, 11, gop_s=3), now=11)
    assert isinstance(step, CutPlan)
    assert (step.window, step.is_last, step.part) == (Window(at(2.2), at(9)), False, 0)


def test_a_part_reads_from_the_key_chunk_before_it_to_the_first_chunk_behind_it() -> None:
    """The child gets what it needs to decode the first picture, and one chunk more than the last."""
    step = plan(Window(at(2.5), at(60)), footage(0, 11, gop_s=3), now=11)
    assert isinstance(step, CutPlan)
    assert [c.meta.first_picture for c in step.chunks] == [at(s) for s in range(10)]
    assert [h.meta.run for h in step.headers] == [1]


def test_it_waits_until_the_border_is_committed() -> None:
    """No part is cut while its end may still come; the next look is when that can be."""
    assert plan(Window(at(10), at(60)), footage(0, 11), now=11) == Wait(at(14))
    assert plan(Window(at(10), at(60)), footage(0, 14), now=14.5) == Wait(at(15.5))


def test_the_end_of_the_window_is_cut_once_a_picture_behind_it_is_there() -> None:
    """The last part needs no key picture."""
    window = Window(at(10), at(12.3))
    assert isinstance(plan(window, footage(0, 12), now=12.4), Wait)
    step = plan(window, footage(0, 14), now=14)
    assert isinstance(step, CutPlan)
    assert (step.window, step.is_last) == (window, True)


def test_a_silent_camera_is_not_waited_for_longer_than_the_grace() -> None:
    """Five seconds after the window's end, what there is gets delivered."""
    window = Window(at(10), at(13))
    assert isinstance(plan(window, footage(0, 12), now=17.9), Wait)
    step = plan(window, footage(0, 12), now=18.1)
    assert isinstance(step, CutPlan)
    assert step.window == window
    assert [c.meta.first_picture for c in step.chunks] == [at(10), at(11)]


def test_a_running_part_of_a_silent_camera_ends_after_the_longest_part() -> None:
    """A camera that is silent for long yields parts (and gaps) of a minute, not one endless wait."""
    step = plan(Window(at(0), at(600)), footage(0, 3, gop_s=50), now=65.1)
    assert isinstance(step, CutPlan)
    assert step.window == Window(at(0), at(60))


def test_a_window_that_is_over_is_cut_into_parts_on_key_pictures() -> None:
    """The first one is short, so that the first pictures leave at once; the others are as long as 20 s allow."""
    plans = whole_clip(Window(at(4), at(150)), footage(0, 160, gop_s=4), now=1000)
    assert [p.window.end for p in plans] == [at(8), at(28), at(48), at(68), at(88), at(108), at(128), at(148), at(150)]


def test_the_first_pictures_do_not_wait_for_a_long_edge() -> None:
    """Half a second of them is a part, over or running, if as much again comes before the first key picture."""
    ring = footage(0, 160, gop_s=4)
    plans = whole_clip(Window(at(1), at(50)), ring, now=1000)
    assert [p.window.end for p in plans] == [at(1.5), at(20), at(40), at(50)]
    assert [c.meta.first_picture for c in plans[0].chunks] == [at(0), at(1), at(2)]
    assert [p.window.end for p in whole_clip(Window(at(3), at(9)), ring, now=1000)] == [at(3.5), at(9)]
    assert [p.window.end for p in whole_clip(Window(at(3.1), at(9)), ring, now=1000)] == [at(9)]
    assert [p.window.end for p in whole_clip(Window(at(1), at(2)), ring, now=1000)] == [at(1.5), at(2)]
    running = plan(Window(at(9), at(60)), footage(0, 11, gop_s=4), now=11)
    assert isinstance(running, CutPlan)
    assert running.window == Window(at(9), at(9.5))


def test_a_part_of_an_edge_waits_for_its_pictures() -> None:
    """While it runs, nobody knows how long an edge is before pictures behind it are here, late ones too."""
    assert isinstance(plan(Window(at(9), at(60)), footage(0, 10, gop_s=4), now=11), Wait)
    assert isinstance(plan(Window(at(8.97), at(60)), footage(0, 10, gop_s=4), now=10), Wait)


def test_under_masks_every_window_begins_with_an_edge() -> None:
    """Everything is encoded anew: a key picture ends no edge, though it ends later parts."""
    masked = replace(SETTINGS, has_copies=False, past_ns=10 * SECOND_NS, longest_ns=10 * SECOND_NS)
    plans = whole_clip(Window(at(4), at(30)), footage(0, 160, gop_s=4), now=1000, settings=masked)
    assert [p.window.end for p in plans] == [at(4.5), at(12), at(20), at(30)]


def test_a_part_of_an_edge_has_a_picture() -> None:
    """Of pictures that come rarely one is in it; where nothing was recorded there is no such part."""
    rare = Footage((), tuple(chunk(s, 0.9, is_key=s == 0, number=s) for s in range(20)), at(19.9))
    plans = whole_clip(Window(at(1.2), at(10)), rare, now=1000)
    assert [p.window.end for p in plans] == [WallTime(at(1.9) + 1), at(10)]
    hole = footage(0, 60, gop_s=50, without=range(10, 20))
    assert [p.window.end for p in whole_clip(Window(at(11), at(30)), hole, now=1000)] == [at(30)]


def test_a_camera_with_few_key_pictures_gets_longer_parts() -> None:
    """A border between key pictures would be encoded anew: a part waits for one, though never longer than a minute."""
    rare, rarer = footage(0, 160, gop_s=32), footage(0, 160, gop_s=90)
    assert [p.window.end for p in whole_clip(Window(at(0), at(110)), rare, now=1000)] == [
        *(at(32), at(64), at(96), at(110))
    ]
    assert [p.window.end for p in whole_clip(Window(at(0), at(130)), rarer, now=1000)] == [at(60), at(90), at(130)]


def test_a_short_window_that_is_over_is_one_part() -> None:
    """As is one without a key picture to end a part at: nothing is encoded anew for a border."""
    assert len(whole_clip(Window(at(1.3), at(8.9)), footage(0, 20), now=1000)) == 1
    assert [p.window.end for p in whole_clip(Window(at(0), at(40)), footage(0, 50, gop_s=45), now=1000)] == [at(40)]


def test_a_window_without_footage_is_one_plan_without_chunks() -> None:
    """Nothing recorded is said once, for the whole window, as a gap."""
    (only,) = whole_clip(Window(at(0), at(600)), Footage((), (), None), now=1000)
    assert (only.chunks, only.is_last) == ((), True)
    report = empty_report(only)
    assert report.pictures == 0
    assert [(gap.start, gap.end) for gap in report.gaps] == [(at(0), at(600))]


def test_a_long_hole_is_one_empty_plan() -> None:
    """What lies before and behind the hole is delivered as usual."""
    plans = whole_clip(Window(at(0), at(400)), footage(0, 410, without=range(50, 300)), now=1000)
    assert [p.window.end for p in plans if not p.chunks] == [at(300)]


def test_a_new_run_brings_its_own_header() -> None:
    """Every run among the chunks has its stream chunk in the plan."""
    old, new = footage(0, 5), [chunk(s, is_key=s % 2 == 1, run=2, number=s) for s in range(5, 9)]
    header = replace(new[0], meta=replace(new[0].meta, kind=ChunkKind.STREAM))
    ring = Footage((*old.headers, header), (*old.chunks, *new), new[-1].meta.last_picture)
    step = plan(Window(at(3.2), at(7)), ring, now=9)
    assert isinstance(step, CutPlan)
    assert [h.meta.run for h in step.headers] == [1, 2]


def test_nothing_is_planned_outside_the_grant() -> None:
    """A journal that says too early or too late a place does not widen the window."""
    window = Window(at(10), at(20))
    early = plan(window, footage(0, 40), now=100, delivered=at(3))
    assert isinstance(early, CutPlan)
    assert early.window == Window(at(10), at(14))
    assert plan(window, footage(0, 40), now=100, delivered=at(25)) == Finished()


@settings(max_examples=40)
@given(
    start=st.floats(0, 50), length=st.floats(0.001, 150), gop_s=st.integers(1, 90), hole=st.integers(0, 150),
    hole_s=st.integers(0, 150), live=st.booleans(),
)  # fmt: skip
def test_parts_cover_the_window_without_overlap(
    *, start: float, length: float, gop_s: int, hole: int, hole_s: int, live: bool
) -> None:
    """Whatever was recorded, the parts join from the window's start to its end, and every wait ends."""
    window = Window(at(start), WallTime(at(start + length)))
    now, covered, steps = start if live else 2000.0, window.start, 0
    while True:
        ring = footage(0, min(int(now), 260), gop_s, without=range(hole, hole + hole_s))
        step = plan(window, ring, now, delivered=covered)
        steps += 1
        assert steps < 2000
        if isinstance(step, Finished):
            break
        if isinstance(step, Wait):
            assert step.until > at(now)
            now = (step.until - T0) / SECOND_NS
            continue
        assert step.window.start == covered
        assert step.is_last == (step.window.end == window.end)
        covered = step.window.end
    assert covered == window.end


def test_a_part_with_sound_is_led_by_what_came_before_it() -> None:
    """The camera's reports of the last half minute time its sound; without a grant of sound nothing leads."""
    window, ring = Window(at(45), at(50)), footage(0, 60)
    silent = plan(window, ring, now=100)
    assert isinstance(silent, CutPlan)
    assert (silent.sound_lead, silent.sound) == ((), None)
    heard = plan_next(
        grant=replace(grant_for(CAMERA, window), sound=(CAMERA,)),
        camera=CAMERA,
        next_part=0,
        delivered_until=window.start,
        footage=ring,
        now=at(100),
        settings=SETTINGS,
    )
    assert isinstance(heard, CutPlan)
    assert heard.sound == window
    assert (heard.chunks, heard.window) == (silent.chunks, silent.window)
    assert heard.sound_lead == ring.chunks[14:44]
    other = replace(
        ring, chunks=(*(replace(c, meta=replace(c.meta, run=0)) for c in ring.chunks[:40]), *ring.chunks[40:])
    )
    led = plan_next(
        grant=replace(grant_for(CAMERA, window), sound=(CAMERA,)),
        camera=CAMERA,
        next_part=0,
        delivered_until=window.start,
        footage=other,
        now=at(100),
        settings=SETTINGS,
    )
    assert isinstance(led, CutPlan)
    assert led.sound_lead == ring.chunks[40:44]
