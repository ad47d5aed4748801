"""One grant becomes parts at the store and a manifest that says what they are, from wherever a crash left it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec
import numpy as np
import pytest

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobPart, JobState, PartState, Status
from agent.clips.courier import StoreRefusedError
from agent.clips.errand import Errand, Outcome
from agent.clock import SECOND_NS, WallTime, Window
from agent.command.envelope import verify
from agent.command.request import VerifiedCommand
from agent.consent.decide import decide, masks_now
from agent.consent.grant import Granted
from agent.crypto import sha256_hex
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.deliver.turns import Urgency
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.evidence.statement import Manifest
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from agent.outside.outbox_files import OutboxFiles
from agent.signing import SigningKey
from tests.simulators.clips import pictures_of, window_of
from tests.simulators.dying_disk import QuickCutter
from tests.simulators.export_site import EVIDENCE_KEY, HUB, Process, Site, export_site, run
from tests.simulators.h264_source import CAMERA
from tests.simulators.signing_store import contents_of
from tests.simulators.tus_server import Fault

T = TypeVar("T")
PART_S = 0.8  # the film has a key picture this often
PARTS_BEFORE_THE_END = 3


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of one picture group."""
    with export_site(tmp_path, past_s=PART_S) as made:
        yield made


class Work:
    """One granted job, and what was told about it."""

    def __init__(self, site: Site, process: Process, window: Window) -> None:
        envelope = site.command("c1", window)
        command = verify(envelope, site.standing.trust, site.standing.audience, site.clock.now(), is_clock_trusted=True)
        assert isinstance(command, VerifiedCommand)
        grant = decide(command, site.standing.word, site.cameras, site.clock.now(), 0)
        assert isinstance(grant, Granted)
        self.grant, self.process = grant, process
        self.job = Job("c1", envelope, site.clock.now(), JobState.IN_PROGRESS)
        process.journal.open_job(self.job, command.sha256, command.expires)
        process.journal.move(self.job, Status("c1", JobState.IN_PROGRESS, ""))
        self.progress: list[int] = []
        self.held = 0

    async def deliver(self, *, allowed: int | None = None) -> Outcome:
        """Deliver; with `allowed`, consent ends after so many questions."""
        asked, site = itertools.count(), self.process.site
        errand = Errand(
            self.job,
            self.grant,
            self.grant_keys(),
            lambda: allowed is None or next(asked) < allowed,
            lambda _: self.progress.append(sum(part.state is PartState.RECEIPTED for part in self.parts())),
            lambda camera: masks_now(self.grant, camera, site.standing.word, site.clock.now()),
            lambda: Urgency(self.job.received, self.grant.window.end),
            self.hold,
        )
        return await self.process.clips.deliver(errand)

    async def hold(self) -> None:
        """Count how often the footage was to be kept."""
        self.held += 1

    def grant_keys(self) -> tuple[SigningKey, ...]:
        """Return the store's keys."""
        return self.process.site.standing.trust.store_signers()

    def parts(self) -> tuple[JobPart, ...]:
        """Return what the journal knows."""
        return self.process.journal.parts("c1")


def manifest_at(site: Site) -> Manifest:
    """Open the manifest that is at the store."""
    (envelope,) = contents_of(site.store)[f"c1.{CAMERA}.manifest"]
    return open_manifest(envelope, verifier_of(HUB, EVIDENCE_KEY))


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


def test_only_the_outer_edges_are_encoded_again(site: Site) -> None:
    """Inner borders lie on key pictures: everything between the edges is as the camera made it."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        await work.deliver()
        reports = [part.report for part in work.parts() if part.report]
        assert [report.reencoded for report in reports] == [7, 0, 0, 0]

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


def test_when_consent_ends_the_manifest_says_what_went(site: Site) -> None:
    """The parts that went are told with their receipts; the rest of the window is a gap; no part follows."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        task = asyncio.create_task(work.deliver())
        await process.until(lambda: any(part.state is PartState.RECEIPTED for part in work.parts()))
        task.cancel()

    async def next_life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        await work.deliver(allowed=0)
        assert work.parts()[-1].is_manifest
        process.clips.discard("c1")
        assert not process.outbox.names()
        sent = list(site.store.seen)
        await work.deliver()  # a manifest is the end: what it does not name does not follow it
        assert site.store.seen == sent

    run(site, life, next_life)
    manifest = manifest_at(site)
    went = sum(len(numbers) for name, numbers in site.delivered().items() if f"{name}.mp4.age" in str(manifest.parts))
    assert manifest.parts
    assert sum(part.pictures for part in manifest.parts) == went
    assert manifest.gaps or went == 65


def test_without_consent_nothing_is_cut(site: Site) -> None:
    """Neither part nor manifest: there is nothing to say."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        await work.deliver(allowed=0)
        assert work.parts() == ()

    run(site, life)
    assert not site.store.seen


def test_footage_that_is_missing_in_the_middle_is_told(site: Site) -> None:
    """The recording begins late and ends early: the manifest covers the whole window, with two gaps."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(-3, 7))
        outcome = await work.deliver()
        assert not outcome.is_complete
        assert outcome.gaps.startswith("6.000 s missing")

    run(site, life)
    manifest = manifest_at(site)
    assert [number for numbers in site.delivered().values() for number in numbers] == list(range(100))
    assert len(manifest.gaps) >= 2
    assert msgspec.json.encode(manifest)


LEFT = [[0, 3500], [4900, 3500], [4900, 10_000], [0, 10_000]]
RIGHT = [[5100, 3500], [10_000, 3500], [10_000, 10_000], [5100, 10_000]]


def sides_masked(site: Site) -> set[tuple[bool, bool]]:
    """Look at every delivered picture: say whether its left half is painted over, and whether its right half is."""
    found = set()
    for clip in site.clips().values():
        for picture in pictures_of(clip).values():
            halves = picture[48:, :80], picture[48:, 112:]
            found.add(tuple(bool(np.abs(half.astype(int) - 128).max() <= 16) for half in halves))
    return found  # type: ignore[return-value]  # two of them


@pytest.mark.parametrize(
    ("granted", "later", "expected"),
    [
        ([], [], (False, False)),
        ([LEFT], [], (True, False)),
        ([], [RIGHT], (False, True)),
        ([LEFT], [RIGHT], (True, True)),
    ],
    ids=["none", "taken away since", "new since", "another since"],
)
def test_masks_of_the_grant_and_of_now_are_burned_in(
    site: Site, granted: list[object], later: list[object], expected: tuple[bool, bool]
) -> None:
    """The owner's policy changes between the grant and the cut: the stricter holds, in every picture."""
    site.allow(masks={CAMERA: granted})

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        site.allow(masks={CAMERA: later})
        assert (await work.deliver()).is_complete
        assert all(part.report.copied == 0 for part in work.parts() if part.report and part.report.masks)

    run(site, life)
    assert sides_masked(site) == {expected}
    assert sum(len(numbers) for numbers in site.delivered().values()) == 65
    count = len(granted) + len(later)
    assert manifest_at(site).processing.endswith(f"under {count} of the owner's masks" if count else "pictures")
    assert {line["detail"].get("masks", 0) for line in site.audited("sealed")} == {count}


def test_a_part_that_shows_what_is_masked_since_does_not_go(site: Site) -> None:
    """Cut before the owner masked more, it waits for the store: it becomes a gap, for good."""
    site.store.faults.extend([Fault.ERROR_500] * 3)

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        task = asyncio.create_task(work.deliver())
        await process.until(work.parts)
        site.allow(masks={CAMERA: [LEFT]})
        outcome = await task
        assert not outcome.is_complete
        site.allow()
        await work.deliver()

    run(site, life)
    assert all(left for left, _ in sides_masked(site))
    assert any("masked more" in gap.why for gap in manifest_at(site).gaps)
    assert site.audited("withheld")


def test_what_was_withheld_is_a_gap_for_good(site: Site) -> None:
    """The power goes after a part was withheld and its file is gone, and the owner allows it again: it is a gap."""
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        task = asyncio.create_task(work.deliver())
        await process.until(lambda: work.parts() and work.parts()[0].state is PartState.SENT)
        task.cancel()

    async def next_life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        await work.deliver(allowed=0)
        assert not process.outbox.names()

    async def last_life(process: Process) -> None:
        site.receipts.withheld = False
        work = Work(site, process, window_of(0.5, 1.3))
        assert not (await work.deliver()).is_complete
        assert [part.state for part in work.parts()] == [PartState.RECEIPTED] * len(work.parts())

    run(site, life, next_life, last_life)
    withheld = [line["detail"]["part"] for line in site.audited("withheld")]
    manifest = manifest_at(site)
    assert withheld
    assert not {f"{part}.mp4.age" for part in withheld} & {part.name for part in manifest.parts}
    assert any("consent had ended" in gap.why for gap in manifest.gaps)


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


def test_a_mask_that_was_only_drawn_otherwise_holds_nothing_up(site: Site) -> None:
    """What counts is what is covered: a sealed part goes if it hides as much as the policy of now asks."""
    site.allow(masks={CAMERA: [LEFT]})

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        task = asyncio.create_task(work.deliver())
        await process.until(work.parts)
        site.allow(masks={CAMERA: [[*LEFT[1:], LEFT[0]]]})
        assert (await task).is_complete

    run(site, life)
    assert sides_masked(site) == {(True, False)}


def broken(tmp_path: Path, behaviour: str, deadline_s: float = 60) -> tuple[ChildCutter, Path]:
    """Return a cutter whose child behaves so, and the log of what it was ordered."""
    log = tmp_path / "orders"
    return ChildCutter(ChildLimits(deadline_s=deadline_s), ("tests.simulators.broken_worker", behaviour, str(log))), log


def test_after_a_crash_everything_is_encoded_anew(site: Site, tmp_path: Path) -> None:
    """The second try copies no bit of what broke the first; the clip is whole."""
    site.cutter, log = broken(tmp_path, "crash at copies")

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        assert (await work.deliver()).is_complete
        assert all(part.report.copied == 0 for part in work.parts() if part.report)

    run(site, life)
    assert log.read_text().split() == ["copy", "encode"]
    assert [number for numbers in site.delivered().values() for number in numbers] == list(range(13, 33))


@pytest.mark.parametrize(("behaviour", "why"), [("crash", "it crashed"), ("hang", "took longer than 1 s")])
def test_a_camera_that_breaks_every_child_is_one_clear_failure(
    site: Site, tmp_path: Path, behaviour: str, why: str
) -> None:
    """Two tries, then the part is a gap that says why, and nothing waits for it any more."""
    site.cutter, log = broken(tmp_path, behaviour, deadline_s=1 if behaviour == "hang" else 60)

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 1.3))
        outcome = await work.deliver()
        assert not outcome.is_complete
        assert [gap.why for part in work.parts() if part.report for gap in part.report.gaps if why in gap.why]
        assert not process.outbox.names()

    run(site, life)
    assert log.read_text().split() == ["copy", "encode"]


def test_cameras_that_break_what_cuts_them_leave_room_for_the_others(site: Site) -> None:
    """Two of them, which may hang for minutes, share one of the two cuts at once; a good camera takes the other."""

    async def life(process: Process) -> None:
        clips, entered = process.clips, []
        clips._troubled |= {CameraId("bad-1"), CameraId("bad-2")}

        async def cut(camera: str, *, is_long: bool) -> None:
            async with clips._cut_slot(CameraId(camera)):
                entered.append(camera)
                await asyncio.sleep(3600 if is_long else 0)

        hanging = [asyncio.create_task(cut(camera, is_long=True)) for camera in ("bad-1", "bad-2")]
        await asyncio.wait_for(cut("good-1", is_long=False), 5)
        await asyncio.wait_for(cut("good-2", is_long=False), 5)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        assert entered == ["bad-1", "good-1", "good-2"]

    run(site, life)


class SmallOutbox(OutboxFiles):
    """An outbox with room for two parts of the film, or three."""

    made: ClassVar[list[str]] = []
    rooms: ClassVar[list[int]] = []

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, 14_000)

    def room(self, *, is_live: bool) -> int:
        """Note what it said."""
        self.rooms.append(room := super().room(is_live=is_live))
        return room

    def write(self, name: str, fill: Callable[[Callable[[bytes], object]], T], spare_bytes: int = 0) -> T:
        """Note what is made."""
        self.made.append(name)
        return super().write(name, fill, spare_bytes)


def test_what_the_outbox_has_no_room_for_is_held_and_not_cut(site: Site) -> None:
    """A store that is slow with receipts fills it: no child works for nothing, and all arrives when there is room."""
    site.disk = replace(site.disk, outbox=SmallOutbox)
    site.receipts.withheld = True
    SmallOutbox.made.clear()
    SmallOutbox.rooms.clear()

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        task = asyncio.create_task(work.deliver())
        await process.until(lambda: work.held)
        looked = len(SmallOutbox.rooms)
        await process.until(lambda: len(SmallOutbox.rooms) >= looked + 2)
        assert work.held == 1
        sealed = [part for part in work.parts() if not part.is_manifest]
        assert 0 < len(sealed) < 4
        assert [name.removesuffix(".mp4.age") for name in SmallOutbox.made] == [part.id for part in sealed]
        site.receipts.withheld = False
        assert (await task).is_complete

    run(site, life)
    assert len(SmallOutbox.made) == len(set(SmallOutbox.made)) == 5
    assert [number for numbers in site.delivered().values() for number in numbers] == list(range(13, 78))
