"""A new firmware is started when nothing promised is lost by it, announced before, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.clip_job import Job, JobState
from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError, UnavailableError
from agent.maintenance.restart_watch import (
    ALL_JOBS_S_MAX,
    ASK_AGAIN_S,
    ASKED_MAX,
    QUIET_S_MIN,
    UPLOADS_S_MAX,
    RestartWatch,
    waits_for,
)
from agent.outside.bridge import restart_machine
from agent.outside.database import Database
from agent.ports import Document
from tests.simulators.audit_log import NOW
from tests.simulators.eventually import eventually
from tests.simulators.logind_service import LogindService
from tests.simulators.private_bus import PrivateBus
from tests.simulators.rauc_service import Behaviour, RaucService
from tests.simulators.real_rauc import BridgeProcess
from tests.simulators.set_clock import SetClock


def job(state: JobState, action: str = "clip.upload") -> Job:
    """Return an open job."""
    return Job(f"job-{state}-{action}", b"", WallTime(0), state, action=action)


UPLOAD, ASKED, HELD = job(JobState.IN_PROGRESS), job(JobState.AWAITING_OWNER), job(JobState.HELD, "clip.hold")


@pytest.mark.parametrize(
    ("jobs", "waited_s", "waits"),
    [
        ([], 0, False),
        ([UPLOAD], 0, True),
        ([ASKED], ALL_JOBS_S_MAX - 1, True),
        ([HELD], ALL_JOBS_S_MAX - 1, True),
        ([HELD, ASKED], ALL_JOBS_S_MAX, False),
        ([HELD, UPLOAD], UPLOADS_S_MAX - 1, True),
        ([job(JobState.RECEIVED)], UPLOADS_S_MAX - 1, True),
        ([HELD, UPLOAD], UPLOADS_S_MAX, False),
    ],
)
def test_a_restart_waits_for_jobs_but_not_for_ever(jobs: list[Job], waited_s: float, *, waits: bool) -> None:
    """What can wait itself is waited for six hours, a clip on its way for a day."""
    assert bool(waits_for(jobs, waited_s)) is waits


class Log:
    """What was written down."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.is_full = False

    def append(self, kind: str, ref: str, detail: dict[str, str | int]) -> None:
        """Write one entry."""
        if self.is_full:
            raise UnavailableError("no room")
        self.steps.append(f"{kind} {ref}{detail['version']} {detail['step']}")

    def head(self) -> tuple[int, str]:
        """Say how many there are."""
        return len(self.steps), ""


@dataclass
class Hub:
    """A hub whose time a test moves, with a real journal and a bridge that answers as told."""

    journal: Database
    clock: SetClock = field(default_factory=lambda: SetClock(NOW))
    log: Log = field(default_factory=Log)
    jobs: Sequence[Job] = ()
    answers: list[Exception] = field(default_factory=list)
    asked_at: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def start(self, boot: str = "boot-1") -> RestartWatch:
        """Start the agent."""
        watch = RestartWatch(self.journal, self.log, self.clock, boot, lambda: self.jobs, self.ask, self.note)
        self.watch = watch
        return watch

    def note(self) -> None:
        """Note what the state message says now."""
        self.told.append(self.watch.version)

    def ask(self) -> None:
        """Be the bridge."""
        assert self.log.steps[-1].endswith("now")  # it was announced
        self.asked_at.append(self.clock.instant())
        if self.answers:
            raise self.answers.pop(0)

    def pass_time(self, seconds: float, every_s: float = 5.0) -> None:
        """Let time pass, and the watch look."""

        async def life() -> None:
            left_s = seconds
            while left_s > 0:
                self.clock.go_on(every_s)
                left_s -= every_s
                await self.watch.look(0)

        asyncio.run(life())


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Return a hub with a journal."""
    with closing(Database(tmp_path / "journal.db", "topic")) as journal:
        yield Hub(journal)


def test_nothing_is_restarted_that_nobody_wants(hub: Hub) -> None:
    """Hours of nothing."""
    hub.start()
    hub.pass_time(7200)
    assert (hub.asked_at, hub.log.steps, hub.watch.version) == ([], [], "")


def test_a_quiet_hub_restarts_after_it_has_said_so(hub: Hub) -> None:
    """In the state message as soon as it is wanted, in the audit log before the bridge is asked."""
    hub.start().want("2")
    assert hub.told == ["2"]
    hub.pass_time(QUIET_S_MIN - 5)
    assert hub.asked_at == []
    hub.pass_time(10)
    assert (len(hub.asked_at), hub.log.steps) == (1, ["restart 2 now"])


def test_a_running_incident_is_not_cut(hub: Hub) -> None:
    """The wait begins anew with each job that is seen."""
    hub.jobs = [UPLOAD]
    hub.start().want("2")
    hub.pass_time(3600)
    hub.jobs = []
    hub.pass_time(QUIET_S_MIN - 10)
    hub.jobs = [UPLOAD]
    hub.pass_time(10)
    hub.jobs = []
    hub.pass_time(QUIET_S_MIN - 10)
    assert hub.asked_at == []
    hub.pass_time(20)
    assert len(hub.asked_at) == 1


def test_an_endless_incident_keeps_nobody_on_old_firmware(hub: Hub) -> None:
    """After a day the restart comes all the same, and the log says how many jobs it went over."""
    hub.jobs = [UPLOAD]
    hub.start().want("2")
    began = hub.clock.instant()
    hub.pass_time(UPLOADS_S_MAX + 120, every_s=30)
    assert UPLOADS_S_MAX <= (hub.asked_at[0] - began) / SECOND_NS <= UPLOADS_S_MAX + 90


def test_a_wish_outlives_the_agent_but_not_the_machines_start(hub: Hub) -> None:
    """A crash changes nothing; after a start of the machine whatever runs is what was to run."""
    hub.start().want("2")
    assert hub.start().version == "2"
    hub.pass_time(QUIET_S_MIN + 10)
    assert len(hub.asked_at) == 1
    assert hub.start("boot-2").version == ""
    hub.pass_time(3600)
    assert len(hub.asked_at) == 1


def test_a_machine_that_may_not_go_down_is_asked_again_and_announced_once(hub: Hub) -> None:
    """Somebody is logged in for an hour; then for three days: it is given up, said, and left to the next boot."""
    hub.answers = [UnavailableError("somebody is logged in")] * 6
    hub.start().want("2")
    hub.pass_time(2 * 3600)
    assert hub.log.steps == ["restart 2 now"]
    gaps = {(after - before) / SECOND_NS for before, after in zip(hub.asked_at, hub.asked_at[1:], strict=False)}
    assert min(gaps) >= ASK_AGAIN_S
    assert len(hub.asked_at) >= 7
    hub.answers = [UnavailableError("somebody is logged in")] * 10_000
    hub.start().want("3")
    hub.pass_time((ASKED_MAX + 10) * (ASK_AGAIN_S + 10), every_s=10)
    assert (hub.watch.version, hub.told[-1]) == ("", "")
    assert hub.log.steps[1:] == ["restart 3 now", "restart 3 given up"]


def test_a_no_of_the_bridge_ends_it(hub: Hub) -> None:
    """Nothing waits, or it did not stay: the wish is gone, also for the next start."""
    hub.answers = [BadInputError("2 was started once and did not stay")]
    hub.start().want("2")
    hub.pass_time(QUIET_S_MIN + 3600)
    assert (len(hub.asked_at), hub.log.steps) == (1, ["restart 2 now", "restart 2 given up"])
    assert hub.start().version == ""


def test_what_cannot_be_written_down_is_not_done(hub: Hub) -> None:
    """A full log holds the restart back until there is room."""
    hub.start().want("2")
    hub.log.is_full = True
    hub.pass_time(QUIET_S_MIN + 60)
    assert hub.asked_at == []
    hub.log.is_full = False
    hub.pass_time(ASK_AGAIN_S + 60)
    assert len(hub.asked_at) == 1


def test_a_wish_that_nobody_can_read_is_none(hub: Hub) -> None:
    """Of a version with other words."""
    hub.journal.put_document("restart", Document(1, '{"v": 9}'))
    assert hub.start().version == ""


def test_by_the_real_bridge(tmp_path: Path) -> None:
    """Watch, bridge process, and the names of RAUC and logind on a bus: installed, then restarted into, once."""
    (tmp_path / "bundles").mkdir()
    bundle = tmp_path / "bundles" / "new.raucb"
    bundle.write_bytes(b"hsqs")
    with (
        PrivateBus() as bus,
        RaucService(bus.address, Behaviour(bundles={str(bundle): "2026.11.1"})),
        LogindService(bus.address) as logind,
        BridgeProcess(tmp_path / "bridge", tmp_path / "bundles", bus.address) as bridge,
        closing(Database(tmp_path / "journal.db", "topic")) as journal,
    ):
        with pytest.raises(BadInputError, match="no other firmware"):
            restart_machine(bridge.socket)
        bridge.client.install(bundle, lambda _: None)
        clock, log = SetClock(NOW), Log()
        watch = RestartWatch(journal, log, clock, "boot-1", journal.open_jobs, lambda: restart_machine(bridge.socket))
        watch.want("2026.11.1")

        async def life() -> None:
            beside = asyncio.create_task(watch.run(0.01, 0.01))
            clock.go_on(QUIET_S_MIN)
            await eventually(lambda: logind.restarts)
            beside.cancel()

        asyncio.run(asyncio.wait_for(life(), 30))
        assert (logind.restarts, log.steps) == (1, ["restart 2026.11.1 now"])
    with pytest.raises(UnavailableError, match="does not restart the machine"):
        restart_machine(tmp_path / "nobody")
