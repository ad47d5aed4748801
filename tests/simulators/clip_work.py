"""A granted job for the clip maker, what became of it, and what the store then shows."""

from __future__ import annotations

import itertools

import numpy as np

from agent.clip_job import Job, JobPart, JobState, PartState, Status
from agent.clips.errand import Errand, Outcome
from agent.clock import Window
from agent.command.envelope import verify
from agent.command.request import VerifiedCommand
from agent.consent.decide import decide, masks_now
from agent.consent.grant import Granted
from agent.deliver.turns import Urgency
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.evidence.statement import Manifest
from agent.signing import SigningKey
from tests.simulators.clips import pictures_of
from tests.simulators.export_site import EVIDENCE_KEY, HUB, Process, Site
from tests.simulators.h264_source import CAMERA
from tests.simulators.signing_store import contents_of

PART_S = 0.8  # the film has a key picture this often
LEFT = [[0, 3500], [4900, 3500], [4900, 10_000], [0, 10_000]]
RIGHT = [[5100, 3500], [10_000, 3500], [10_000, 10_000], [5100, 10_000]]


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


def sides_masked(site: Site) -> set[tuple[bool, bool]]:
    """Look at every delivered picture: say whether its left half is painted over, and whether its right half is."""
    found = set()
    for clip in site.clips().values():
        for picture in pictures_of(clip).values():
            halves = picture[48:, :80], picture[48:, 112:]
            found.add(tuple(bool(np.abs(half.astype(int) - 128).max() <= 16) for half in halves))
    return found  # type: ignore[return-value]  # two of them
