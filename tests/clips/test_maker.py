"""One grant becomes parts at the store and a manifest that says what they are, from wherever a crash left it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from agent.clip_job import PartState
from agent.clips.courier import StoreRefusedError
from agent.clips.errand import Outcome
from agent.clock import SECOND_NS, WallTime
from agent.crypto import sha256_hex
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from tests.simulators.clip_work import PART_S, Work, manifest_at
from tests.simulators.clips import window_of
from tests.simulators.dying_disk import QuickCutter
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.h264_source import CAMERA
from tests.simulators.signing_store import contents_of

PARTS_BEFORE_THE_END = 3


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of one picture group."""
    with export_site(tmp_path, past_s=PART_S) as made:
        yield made


def test_parts_follow_each_other_and_the_manifest_comes_last(site: Site) -> None:
    """Each picture of the window is in exactly one part; the manifest names all parts, and is sent after them."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        assert await work.deliver() == Outcome(is_complete=True, gaps="")
        assert work.progress == [1, 2, 3, 4]
        parts = work.parts()
        assert [part.end for part in parts[:3]] == [part.start for part in parts[1:4]]
        assert (parts[4].is_manifest, parts[4].state) == (True, PartState.RECEIPTED)

    run(site, life)
    delivered = site.delivered()
    assert [number for numbers in delivered.values() for number in numbers] == list(range(13, 78))
    assert [len(numbers) for numbers in delivered.values()] == [7, 20, 20, 18]
    manifest = manifest_at(site)
    assert [(part.name, part.pictures) for part in manifest.parts] == [
        (f"c1.{CAMERA}.{number:04d}.mp4.age", pictures) for number, pictures in enumerate([7, 20, 20, 18])
    ]
    held = contents_of(site.store)
    assert [part.sha256 for part in manifest.parts] == [
        sha256_hex(held[part.name.removesuffix(".mp4.age")][0]) for part in manifest.parts
    ]
    assert not manifest.gaps


def test_a_clock_that_is_set_back_and_right_again_costs_seconds(site: Site) -> None:
    """What waits for footage of an hour ahead asks the clock again, and finds that all of it is there."""

    async def life(process: Process) -> None:
        work, right = Work(site, process, window_of(0.5, 3.99)), site.clock.now()
        site.clock.set_to(WallTime(right - 3600 * SECOND_NS))
        delivering = asyncio.ensure_future(work.deliver())
        await process.until(lambda: len(work.parts()) == PARTS_BEFORE_THE_END)
        site.clock.set_to(right)
        async with asyncio.timeout(20):
            assert await delivering == Outcome(is_complete=True, gaps="")

    run(site, life)


@pytest.mark.parametrize(("live_s", "parts"), [(0.5, 3), (2.0, 1)])
def test_how_running_windows_are_divided_can_be_set(tmp_path: Path, live_s: float, parts: int) -> None:
    """Shorter parts, and more of them, from then on: each ends at the first key picture behind that length."""

    async def life(process: Process) -> None:
        process.clips.set_live_ns(int(live_s * SECOND_NS))
        work = Work(site, process, window_of(0, 2.3))
        assert await work.deliver() == Outcome(is_complete=True, gaps="")
        assert len(work.parts()) == parts + 1  # and a manifest

    with export_site(tmp_path) as site:
        site.clock.set_to(window_of(0, 6).end)  # not so late that nobody waits for footage any more
        run(site, life)


def test_it_goes_on_after_a_crash_where_it_was(site: Site) -> None:
    """What was sealed is not sealed again, what was sent is not sent again, and nothing is missing in the end."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        task = asyncio.create_task(work.deliver())
        await process.until(lambda: sum(part.state is PartState.RECEIPTED for part in work.parts()) == 2)
        task.cancel()

    async def next_life(process: Process) -> None:
        before = {part.id: part.sha256 for part in process.journal.parts("c1")}
        work = Work(site, process, window_of(0.5, 3.1))
        assert (await work.deliver()).is_complete
        after = {part.id: part.sha256 for part in work.parts()}
        assert before.items() <= after.items()

    run(site, life, next_life)
    assert [number for numbers in site.delivered().values() for number in numbers] == list(range(13, 78))
    for held in contents_of(site.store).values():
        assert len(held) == 1


class SlowSecondCutter(QuickCutter):
    """Makes the first part at once, and the second when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.made = threading.Event(), threading.Event(), threading.Event()
        self.parts = 0

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Make a part."""
        self.parts += 1
        if self.parts > 1:
            self.begun.set()
            self.go_on.wait(20)
            self.made.set()
        return super().cut(order, chunks, sink)


def test_what_is_being_cut_when_a_job_fails_leaves_no_file(site: Site) -> None:
    """The store gives up on the first part; the second is finished after that, and takes no room for ever."""
    site.cutter = cutter = SlowSecondCutter()
    site.receipts.lies = 1000

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.9))
        with pytest.raises(StoreRefusedError):
            await work.deliver()
        assert cutter.begun.is_set()
        process.clips.discard("c1")
        cutter.go_on.set()
        await asyncio.to_thread(cutter.made.wait)
        await asyncio.get_running_loop().shutdown_default_executor()
        assert list((site.folder / "outbox").iterdir()) == []

    run(site, life)
