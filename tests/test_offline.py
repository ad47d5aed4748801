"""Offline for days, and back: nothing is lost, nothing goes twice, and what happens now does not wait for yesterday."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobPart, PartState
from agent.clips.courier import LEFT_H_MIN, Courier, StoreTimedOutError, outbox_name
from agent.clock import SECOND_NS, WallTime
from agent.command.request import UploadTarget
from agent.crypto import Secret, sha256_hex
from agent.deliver.turns import FRESH_NS, Urgency
from agent.evidence.audit import LOG_NAME
from agent.outside.audit_file import AuditFile
from agent.outside.database import Database
from agent.outside.outbox_files import OutboxFiles
from tests.simulators.absent_store import REQUEST_BYTES, SEND_S, TRIES_S, AbsentStore, hours
from tests.simulators.export_site import EVIDENCE_KEY, HUB, STATUS_TOPIC
from tests.simulators.leaping_loop import LeapingClock, run_leaping
from tests.vectors.command.scene import AUTHORITY

START = WallTime(1_795_000_000 * SECOND_NS)
TARGET = UploadTarget("https://store/files", "https://store/receipts", Secret("t"))
PARTS = 6


class Hub:
    """A hub's outbox, journal and log, and what waits."""

    def __init__(self, folder: Path, clock: LeapingClock, store: AbsentStore, *, give_up_h: float = 48) -> None:
        self.clock, self.store = clock, store
        self.journal = Database(folder / "journal.db", STATUS_TOPIC)
        self.outbox = OutboxFiles(folder / "outbox")
        self.audit = AuditFile(folder / "audit" / LOG_NAME, HUB, EVIDENCE_KEY, clock)
        self.courier = Courier(
            journal=self.journal,
            outbox=self.outbox,
            uploader=store,
            audit=self.audit,
            clock=clock,
            hub=HUB,
            give_up_h=give_up_h,
        )
        self.sealed: dict[str, bytes] = {}

    def seal(self, job: str, number: int, taken: WallTime, size: int = 100) -> JobPart:
        """Make a part whose pictures end at `taken`."""
        content = os.urandom(size)
        if self.journal.job(job) is None:
            self.journal.open_job(Job(job, b"{}", self.clock.now()), sha256_hex(job.encode()), self.clock.now())
        part = JobPart(
            job=job,
            camera=CameraId("front"),
            number=number,
            is_manifest=False,
            start=WallTime(taken - 4 * SECOND_NS),
            end=taken,
            state=PartState.SEALED,
            size=len(content),
            sha256=sha256_hex(content),
            location="",
            receipt="",
            report=None,
        )
        self.outbox.write(outbox_name(part), lambda append: append(content))
        self.journal.put_part(part)
        self.sealed[part.id] = content
        return part

    async def bring(self, part: JobPart, urgency: Urgency) -> JobPart:
        """Bring a part."""
        return await self.courier.bring(part, TARGET, [AUTHORITY.store], lambda: True, urgency)

    def close(self) -> None:
        """Close its files."""
        self.audit.close()
        self.journal.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test opens."""
    with ExitStack() as made:
        yield made


def hub_of(stack: ExitStack, folder: Path, *, away_h: float, start: WallTime = START, give_up_h: float = 48) -> Hub:
    """Make a hub at `start` whose store comes back after so many hours."""
    clock = LeapingClock(start)
    store = AbsentStore(clock, HUB, AUTHORITY.store, WallTime(start + hours(away_h)))
    hub = Hub(folder, clock, store, give_up_h=give_up_h)
    stack.callback(hub.close)
    return hub


def test_offline_for_two_days(stack: ExitStack, tmp_path: Path) -> None:
    """Clips of many hours wait; when the store is back they go oldest first, and a new alarm's between them at once."""
    hub, sent_before = hub_of(stack, tmp_path, away_h=46), list[int]()

    async def clip(job: str, after_h: float, count: int = PARTS) -> None:
        """Order a clip of the last minute after so many hours."""
        await asyncio.sleep(after_h * 3600)
        asked = hub.clock.now()
        parts = [hub.seal(job, number, WallTime(asked - (count - number) * 4 * SECOND_NS)) for number in range(count)]
        await asyncio.gather(*(hub.bring(part, Urgency(asked, asked)) for part in parts))

    async def life() -> None:
        async with asyncio.TaskGroup() as jobs:
            for number in range(10):
                jobs.create_task(clip(f"j{number}", 4.0 * number))
            jobs.create_task(clip("alarm", 46 + 90 / 3600, 3))  # the first tries have found the store by then
            await asyncio.sleep(46 * 3600 + 89.999)
            sent_before.append(len(hub.store.created))

    run_leaping(hub.clock, life())
    # nothing lost, nothing twice
    assert {name: [content] for name, content in hub.sealed.items()} == hub.store.held
    assert not hub.outbox.names()
    assert all(part.state is PartState.RECEIPTED for number in range(10) for part in hub.journal.parts(f"j{number}"))
    assert sorted(set(hub.store.created)) == sorted(hub.store.created)
    # one try at a time while it was away, for two days
    assert hub.store.tries <= 46 * 3600 / TRIES_S
    # in order: what was tried when the store came back may be any part, and two are sent at once
    old = [name for name in hub.store.created if not name.startswith("alarm")]
    places = {name: place for place, name in enumerate(sorted(old))}
    late = [abs(places[name] - place) for place, name in enumerate(old)]
    assert sorted(late)[-4] <= 3
    # the alarm came after the store was back, and stood behind three parts at most
    first = min(place for place, name in enumerate(hub.store.created) if name.startswith("alarm"))
    assert 0 < sent_before[0] < 10 * PARTS - 10, "there is nothing to stand behind"
    assert first <= sent_before[0] + 3


def test_a_store_that_comes_and_goes(stack: ExitStack, tmp_path: Path) -> None:
    """What was cut off goes again; what has arrived does not."""
    hub = hub_of(stack, tmp_path, away_h=1)
    hub.store.away_again = WallTime(hub.store.back + 70 * SECOND_NS)

    async def life() -> None:
        asked = hub.clock.now()
        parts = [hub.seal("j", number, asked) for number in range(40)]
        bringing = [asyncio.create_task(hub.bring(part, Urgency(asked, asked))) for part in parts]
        await asyncio.sleep(2 * 3600)
        assert 0 < len(hub.store.held) < 40
        hub.store.away_again = None
        await asyncio.gather(*bringing)

    run_leaping(hub.clock, life())
    assert hub.store.held.keys() == hub.sealed.keys()
    assert all(set(contents) == {hub.sealed[name]} for name, contents in hub.store.held.items())


def test_a_running_incident_beside_a_backlog(stack: ExitStack, tmp_path: Path) -> None:
    """Every part of it begins in the moment in which it is sealed, and the backlog goes on meanwhile."""
    hub = hub_of(stack, tmp_path, away_h=0)
    delays: list[float] = []

    async def life() -> None:
        now = hub.clock.now()
        long_ago = WallTime(now - hours(30))
        old = [hub.seal("old", number, long_ago) for number in range(60)]
        bringing = [asyncio.create_task(hub.bring(part, Urgency(long_ago, long_ago))) for part in old]
        await asyncio.sleep(1)
        urgency = Urgency(hub.clock.now(), WallTime(hub.clock.now() + hours(1)))
        for number in range(15):
            await asyncio.sleep(5)
            taken = hub.clock.now()
            await hub.bring(hub.seal("live", number, taken), urgency)
            delays.append((hub.clock.now() - taken) / SECOND_NS)
        assert len(hub.store.held) - 15 >= 30
        await asyncio.gather(*bringing)

    run_leaping(hub.clock, life())
    assert delays == [pytest.approx(SEND_S, abs=0.01)] * 15
    assert hub.store.held.keys() == hub.sealed.keys()


def test_a_long_upload_gives_way_and_goes_on_where_it_was(stack: ExitStack, tmp_path: Path) -> None:
    """Two that take minutes have the places of yesterday; an urgent one is behind neither, and nothing is repeated."""
    hub = hub_of(stack, tmp_path, away_h=0)
    done: dict[str, float] = {}

    async def bring(job: str, size: int, age_h: float) -> None:
        asked = WallTime(START - hours(age_h))
        await hub.bring(hub.seal(job, 0, asked, size), Urgency(asked, asked, is_urgent=job == "short"))
        done[job] = (hub.clock.now() - START) / SECOND_NS

    async def life() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(3):
                tasks.create_task(bring(f"long{number}", 50 * REQUEST_BYTES, 40 - number))
            await asyncio.sleep(10)
            tasks.create_task(bring("short", 100, 30))

    run_leaping(hub.clock, life())
    assert done["short"] < 30
    assert min(done[f"long{number}"] for number in range(3)) >= 50 * SEND_S
    assert {name: count for name, count in hub.store.requests.items() if name.startswith("long")} == {
        f"long{number}.front.0000": 50 for number in range(3)
    }
    assert all(held == [hub.sealed[name]] for name, held in hub.store.held.items())


def test_a_picture_of_now_finds_a_store_that_is_back_at_once(stack: ExitStack, tmp_path: Path) -> None:
    """It does not wait until the backlog's next try."""
    hub = hub_of(stack, tmp_path, away_h=10)
    delays: list[float] = []

    async def live(asked: WallTime) -> None:
        part = hub.seal("live", 0, hub.clock.now())
        began = hub.clock.now()
        await hub.bring(part, Urgency(asked, WallTime(asked + hours(1))))
        delays.append((hub.clock.now() - began) / SECOND_NS)

    async def life() -> None:
        asked = hub.clock.now()
        parts = [hub.seal("old", number, asked) for number in range(20)]
        bringing = [asyncio.create_task(hub.bring(part, Urgency(asked, asked))) for part in parts]
        await asyncio.sleep(10 * 3600 + 0.001)
        await live(WallTime(hub.clock.now() - SECOND_NS))
        await asyncio.gather(*bringing)

    run_leaping(hub.clock, life())
    assert delays == [pytest.approx(SEND_S, abs=0.1)]


@pytest.mark.parametrize(("age_h", "waits_h"), [(0, 48), (40, 8), (47.9, LEFT_H_MIN), (1_000, LEFT_H_MIN)])
def test_a_part_expires_by_its_age(stack: ExitStack, tmp_path: Path, age_h: float, waits_h: float) -> None:
    """Which no restart makes younger; but a hub that was off for long gives the store an hour. The file is left."""
    hub = hub_of(stack, tmp_path, away_h=10_000)
    asked = WallTime(START - hours(age_h))

    async def life() -> None:
        with pytest.raises(StoreTimedOutError):
            await hub.bring(hub.seal("j", 0, asked), Urgency(asked, asked))

    run_leaping(hub.clock, life())
    assert (hub.clock.now() - START) / hours(1) == pytest.approx(waits_h, abs=0.05)
    assert hub.outbox.names()


def test_what_waits_long_is_backlog_then(stack: ExitStack, tmp_path: Path) -> None:
    """A new alarm is told apart from it by the time alone."""
    hub = hub_of(stack, tmp_path, away_h=1)

    async def life() -> None:
        asked = hub.clock.now()
        bringing = asyncio.create_task(hub.bring(hub.seal("j", 0, asked), Urgency(asked, asked)))
        await asyncio.sleep(FRESH_NS / SECOND_NS + 60)
        line = hub.courier.turns.line()
        assert (line.parts, line.oldest, line.is_store_away) == (1, asked, True)
        await bringing

    run_leaping(hub.clock, life())
    assert hub.courier.turns.line().parts == 0
