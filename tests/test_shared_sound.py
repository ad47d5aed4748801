"""From the owner's policy to the officer's ears: sound goes with a clip where the owner shares it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.crypto import sha256_hex
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.rtp import interleaved_frames
from agent.cut.sound_clock import BY_REPORTS
from agent.demo.authority import command_of
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.evidence.statement import Manifest
from agent.outside.cutter import ChildCuts, ChildCutter
from agent.outside.cutter_child import Children
from tests.simulators.clips import shown_by_pyav, window_of
from tests.simulators.export_site import EVIDENCE_KEY, HUB, RECIPE, Process, Site, export_site, record, run
from tests.simulators.h264_source import CAMERA, film
from tests.simulators.heard import hear
from tests.simulators.mp4_reader import read_movie
from tests.simulators.signing_store import contents_of
from tests.simulators.sound_source import Microphone, noise, with_sound
from tests.vectors.command.scene import OWNER

MIC = Microphone(report_every_s=3.1, seconds=4.5)  # so that most parts have no report of their own
SOURCE = with_sound(film(RECIPE), MIC, noise(36_000))
WINDOW = window_of(0.91, 3.7)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a hub with four seconds of film and sound, and parts of a second."""
    with export_site(tmp_path, past_s=1, is_filmed=False) as site:
        with closing(site.ring()) as ring:
            record(ring, SOURCE)
        yield site


def manifest_of(site: Site) -> Manifest:
    """Open the manifest at the store."""
    return open_manifest(contents_of(site.store)["c1.cam-1.manifest"][-1], verifier_of(HUB, EVIDENCE_KEY))


class ListeningCuts(ChildCuts):
    """Cuts, with an ear on what the child is told."""

    def __init__(self, children: Children, told: list[WireChunk]) -> None:
        super().__init__(children)
        self._told = told

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Cut, and remember every chunk."""
        self._told[:] = chunks
        return super().cut(order, self._told, sink)


class ListeningCutter(ChildCutter):
    """The cutter that listens so."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[WireChunk] = []

    def cuts(self) -> ChildCuts:
        """Begin a clip."""
        return ListeningCuts(self._children, self.told)

    def channels(self) -> list[set[int]]:
        """Return the channels of each chunk."""
        return [{channel for channel, _ in interleaved_frames(chunk.wire)} for chunk in self.told]


async def deliver(process: Process) -> None:
    """Carry the command to its end."""
    process.exporter.take(process.site.command("c1", WINDOW))
    end = await process.until_ended("c1")
    assert end.status is JobState.SUCCEEDED


def test_shared_sound_comes_with_every_part_and_is_stated(site: Site) -> None:
    """The parts' sound meets to the sample, timed by reports from before them, and the manifest tells all of it."""
    site.allow(sound=[CAMERA])
    run(site, deliver)
    clips = site.clips()
    assert len(clips) == 4
    sounds = [read_movie(clip).sounds[0] for clip in clips.values()]
    assert sum(sum(sound.durations) for sound in sounds) / 6 == pytest.approx(WINDOW.seconds * 8000, abs=1)
    manifest = manifest_of(site)
    told = [part.sound for part in manifest.parts if part.sound]
    assert [(one.source, one.codec, one.reencoded, one.clock) for one in told] == [
        ("PCMU", "aac", True, BY_REPORTS)
    ] * 4
    assert manifest.sound_gaps == ()
    granted = [entry["detail"].get("sound") for entry in site.audited("job") if entry["detail"]["event"] == "granted"]
    assert granted == [CAMERA]


def test_sound_that_is_not_shared_is_in_no_file_and_not_even_told_to_the_child(site: Site) -> None:
    """The owner of a camera whose sound is recorded shares pictures only: there is not a word of it."""
    site.cutter = cutter = ListeningCutter()
    run(site, deliver)
    assert all(len(hear(clip)[0]) == 0 and len(read_movie(clip).sounds) == 0 for clip in site.clips().values())
    assert sum(len(shown_by_pyav(clip)) for clip in site.clips().values()) == 70
    assert cutter.told
    assert set().union(*cutter.channels()) <= {0, 1}
    manifest = manifest_of(site)
    assert all(part.sound is None for part in manifest.parts)
    assert b"sound" not in contents_of(site.store)["c1.cam-1.manifest"][-1]


def test_what_leads_the_sound_comes_without_its_pictures(site: Site) -> None:
    """Of the chunks before a part the child gets sound and reports only, but for the last."""
    site.allow(sound=[CAMERA])
    site.cutter = cutter = ListeningCutter()
    run(site, deliver)
    has_pictures = [0 in channels for channels in cutter.channels()]
    leading = has_pictures.index(True)
    assert leading > 2
    assert all(has_pictures[leading:])
    assert all(2 in channels for channels in cutter.channels())


def test_a_grant_of_sound_outlives_a_restart(site: Site) -> None:
    """What was granted goes on after a crash, with its sound."""
    site.allow(sound=[CAMERA])
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(process.site.command("c1", WINDOW))
        await process.until(lambda: site.audited("sealed"))

    async def next_life(process: Process) -> None:
        job = process.journal.job("c1")
        assert job is not None
        assert job.sound == (CAMERA,)
        site.receipts.withheld = False
        process.exporter.resume()
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    run(site, next_life)
    assert all(len(hear(clip)[0]) for clip in site.clips().values())


def test_sound_that_is_taken_back_stops_the_job(site: Site) -> None:
    """The same rule as for a camera: a grant that today's policy would not give ends."""
    site.allow(sound=[CAMERA])
    site.receipts.withheld = True

    async def life(process: Process) -> None:
        process.exporter.take(process.site.command("c1", WINDOW))
        await process.until(lambda: site.audited("sealed"))
        site.allow()
        assert (await process.until_ended("c1")).status is JobState.CANCELED

    run(site, life)


def test_the_owners_answer_can_leave_the_sound_out(site: Site) -> None:
    """Asked for pictures and sound, the owner says yes to the pictures."""
    site.allow(mode="ask_first", sound=[CAMERA])

    async def life(process: Process) -> None:
        envelope = process.site.command("c1", WINDOW)
        process.exporter.take(envelope)
        await process.until(lambda: (job := process.journal.job("c1")) and job.state is JobState.AWAITING_OWNER)
        digest = sha256_hex(command_of(envelope).encode())
        process.exporter.answer(OWNER.answer(site.clock.now(), digest, "yes", sound=[]))
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED

    run(site, life)
    assert site.clips()
    assert all(len(read_movie(clip).sounds) == 0 for clip in site.clips().values())
