"""Footage becomes parts: edges, masks, what is missing, and what breaks the child that cuts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from tests.simulators.clip_work import LEFT, PART_S, RIGHT, Work, manifest_at, sides_masked
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, run
from tests.simulators.h264_source import CAMERA


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of one picture group."""
    with export_site(tmp_path, past_s=PART_S) as made:
        yield made


def test_only_the_outer_edges_are_encoded_again(site: Site) -> None:
    """Inner borders lie on key pictures: everything between the edges is as the camera made it."""

    async def life(process: Process) -> None:
        work = Work(site, process, window_of(0.5, 3.1))
        await work.deliver()
        reports = [part.report for part in work.parts() if part.report]
        assert [report.reencoded for report in reports] == [7, 0, 0, 0]

    run(site, life)


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
