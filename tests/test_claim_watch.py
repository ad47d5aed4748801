"""A blank hub sees a claim code in a camera's picture and enrols, by the real cutter and a real operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import segno

from agent.acquire.stream import CameraId, encode_stream_header
from agent.buffer.chunk import ChunkKind
from agent.buffer.latch import KeyFrameLatch
from agent.claim_watch import ClaimWatch
from agent.outside.cutter import ChildCutter
from provisioning.claim import make_claim
from provisioning.enrolment import Enrolment
from provisioning.enrolment_https import enrol
from provisioning.factory import FactoryIdentity, make_identity
from provisioning.secret import Secret
from provisioning.store import HubState, IdentityStore
from tests.simulators.clips import stored
from tests.simulators.enrolment_server import EnrolmentServer
from tests.simulators.eventually import eventually
from tests.simulators.h264_source import CAMERA, Gray, film_pictures

NOW_S = 1_795_354_560
EVIDENCE_KEY = bytes(range(32))


def scene(text: str) -> Gray:
    """Hold a code before a gray wall; an empty text is the wall alone."""
    wall = np.full((480, 640), 120, np.uint8)
    if text:
        rows = np.array([list(row) for row in segno.make(text, error="m").matrix], np.uint8)
        code = np.pad(255 - 255 * rows, 4, constant_values=255).repeat(4, 0).repeat(4, 1)
        wall[40 : 40 + code.shape[0], 60 : 60 + code.shape[1]] = code
    return wall


class Hall:
    """A blank hub with cameras, and the operator that knows it."""

    def __init__(self, folder: Path, operator: EnrolmentServer, identity: FactoryIdentity) -> None:
        self.operator, self.identity = operator, identity
        self.store = IdentityStore(folder / "identity")
        self.store.save_factory(identity)
        self.latch = KeyFrameLatch()
        self.tried: list[str] = []
        self.watch = ClaimWatch(self.latch, ChildCutter(), self.enrol)
        self._runs = 0

    def enrol(self, text: str) -> Enrolment:
        """Try a text as a claim."""
        self.tried.append(text)
        return enrol(self.store, text, evidence_key=EVIDENCE_KEY, now_s=NOW_S)

    def claim(self, label: Secret | None = None) -> str:
        """Let the installer make a claim code."""
        claim = self.operator.new_claim(self.identity.hub_id, now_s=NOW_S)
        return make_claim(claim, label or self.identity.label_secret)

    def show(self, text: str, camera: CameraId = CAMERA, *, damage: bool = False) -> None:
        """Let a camera film a code."""
        self._runs += 1
        source = film_pictures([scene(text)] * 2, gop=2)
        first = replace(stored(source.chunks[0], is_key=True).meta, camera=camera, run=self._runs)
        header = type(source.header)(camera, self._runs, source.header.tracks)
        self.latch.append(replace(first, kind=ChunkKind.STREAM, is_key=False), encode_stream_header(header))
        wire = source.chunks[0].wire
        self.latch.append(first, wire[:40] + bytes(len(wire) - 40) if damage else wire)

    async def until(self, is_so: Callable[[], object]) -> None:
        """Let the watch look until something holds."""
        task = asyncio.create_task(self.watch.run())
        await eventually(is_so)
        task.cancel()

    def has_tried(self, text: str) -> bool:
        """Say whether the newest picture has been looked at, and this text been tried."""
        return self.watch._seen.get(CAMERA, (0, 0))[0] == self._runs and text in self.watch._tried


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """Make a hub that just left the factory."""
    identity = make_identity("hub.example", 1_795_354_560_000)
    with EnrolmentServer(tmp_path) as operator:
        operator.records[identity.hub_id] = identity.record
        yield Hall(tmp_path, operator, identity)


def test_a_claim_before_a_camera_enrols_the_hub(hall: Hall) -> None:
    """One camera sees a wall, the other the code: the hub is enrolled."""
    hall.show("", CameraId("wall"))
    hall.show(hall.claim())
    enrolment = asyncio.run(asyncio.wait_for(hall.watch.run(), 30))
    assert enrolment.hub_id == hall.identity.hub_id
    assert hall.store.state() is HubState.ENROLLED
    assert hall.operator.accepted[0].evidence_key == EVIDENCE_KEY


def test_codes_that_are_no_claims_reach_no_server_and_are_tried_once(hall: Hall) -> None:
    """A poster's code and a stranger's claim are passed over, even if they stay in the picture; the true one works."""
    foreign = hall.claim(Secret(bytes(16)))

    async def run() -> None:
        for text in ("https://menu.example", foreign, foreign):
            hall.show(text)
            await hall.until(partial(hall.has_tried, text))
        assert hall.tried == ["https://menu.example", foreign]
        assert hall.operator.bodies == []
        assert "label" in hall.watch.last_refusal
        hall.show(hall.claim())
        await asyncio.wait_for(hall.watch.run(), 30)

    asyncio.run(run())


def test_a_claim_stays_good_while_the_server_is_away(hall: Hall) -> None:
    """The operator is overloaded at first: the installer holds the code on, and it works then."""
    text = hall.claim()
    hall.operator.answer_instead, hall.operator.status_instead = b"", 503

    async def run() -> None:
        hall.show(text)
        await hall.until(lambda: hall.watch.last_refusal)
        assert hall.store.state() is HubState.BLANK
        hall.operator.answer_instead = hall.operator.status_instead = None
        hall.show(hall.claim())
        assert (await asyncio.wait_for(hall.watch.run(), 30)).hub_id == hall.identity.hub_id

    asyncio.run(run())


def test_a_damaged_picture_is_passed_over(hall: Hall) -> None:
    """The child cannot decode it; the next picture is looked at as if nothing had been."""

    async def run() -> None:
        hall.show("noise", damage=True)
        await hall.until(lambda: CAMERA in hall.watch._seen)
        hall.show(hall.claim())
        assert (await asyncio.wait_for(hall.watch.run(), 30)).hub_id == hall.identity.hub_id

    asyncio.run(run())
