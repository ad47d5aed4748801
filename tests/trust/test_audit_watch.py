"""What happens to the hub by itself stands in its audit log, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SECOND_NS, SignedTime, WallTime
from agent.evidence.audit import Entry
from agent.evidence.kinds import Kind
from agent.outside.audit_file import AuditFile
from agent.trust.audit_watch import STEPS_PER_HOUR_MAX, AuditWatch, FirmwareSlot
from tests.simulators.audit_log import NOW, audit_log
from tests.simulators.set_clock import SetClock


@pytest.fixture
def clock() -> SetClock:
    """Return clocks that stand still."""
    return SetClock(NOW)


@pytest.fixture
def log(tmp_path: Path, clock: SetClock) -> Iterator[AuditFile]:
    """Open an empty log."""
    with audit_log(tmp_path, clock) as opened:
        yield opened


def entries(log: AuditFile, kind: Kind) -> list[Entry]:
    """Read the entries of a kind, oldest first."""
    return [entry for entry in reversed(log.latest(1000)) if entry.kind == kind]


def test_a_clock_that_is_set_is_written_down(log: AuditFile, clock: SetClock) -> None:
    """By how much, in either direction, and whether it is trusted now; time that passes and small drift are not."""
    watch = AuditWatch(log, clock)
    assert watch.look_at_clock() == 0
    for seconds in (5, 3600, 0.001):
        clock.go_on(seconds)
        assert watch.look_at_clock() == 0
    clock.set_to(WallTime(clock.now() + SECOND_NS // 10))
    assert watch.look_at_clock() == 0
    clock.set_to(WallTime(clock.now() - 7200 * SECOND_NS))
    clock.trusted = False
    assert watch.look_at_clock() == -7200 * SECOND_NS + SECOND_NS // 10
    assert watch.look_at_clock() == 0
    (entry,) = entries(log, Kind.CLOCK_STEP)
    assert entry.detail == {"by_ms": -7_199_900, "trusted": 0}


def test_drift_that_adds_up_is_one_step(log: AuditFile, clock: SetClock) -> None:
    """Many steps, each too small to be one, are seen together."""
    watch = AuditWatch(log, clock)
    watch.look_at_clock()
    for _ in range(9):
        clock.set_to(WallTime(clock.now() + SECOND_NS // 10))
        watch.look_at_clock()
    assert [entry.detail["by_ms"] for entry in entries(log, Kind.CLOCK_STEP)] == [500]


def test_a_clock_that_is_set_for_ever_fills_no_log(log: AuditFile, clock: SetClock) -> None:
    """So many an hour."""
    watch = AuditWatch(log, clock)
    for _ in range(STEPS_PER_HOUR_MAX + 10):
        watch.look_at_clock()
        clock.set_to(WallTime(clock.now() + SECOND_NS))
    assert len(entries(log, Kind.CLOCK_STEP)) == STEPS_PER_HOUR_MAX


def test_whoever_vouches_for_the_time_is_written_down(log: AuditFile, clock: SetClock) -> None:
    """When it is somebody else than before: nobody, the server, NTP; so many an hour."""
    watch = AuditWatch(log, clock)
    watch.look_at_source()
    clock.trusted = False
    watch.look_at_source()
    watch.look_at_source()
    offset_ns = clock.now() - clock.since_boot()
    clock.believe(SignedTime(offset_ns, offset_ns, offset_ns, clock.since_boot()))
    watch.look_at_source()
    clock.trusted = True
    watch.look_at_source()
    told = [entry.detail for entry in entries(log, Kind.CLOCK_SOURCE)]
    assert told == [{"source": "none"}, {"source": "signed"}, {"source": "network"}]
    for _ in range(STEPS_PER_HOUR_MAX):
        clock.trusted = not clock.trusted
        watch.look_at_source()
    assert len(entries(log, Kind.CLOCK_SOURCE)) == STEPS_PER_HOUR_MAX


def test_a_start_without_the_time_is_written_down(log: AuditFile, clock: SetClock) -> None:
    """That nobody vouches for it from the beginning."""
    clock.trusted = False
    AuditWatch(log, clock).look_at_source()
    assert [entry.detail for entry in entries(log, Kind.CLOCK_SOURCE)] == [{"source": "none"}]


def test_firmware_is_written_down_when_it_is_another(log: AuditFile, clock: SetClock) -> None:
    """At first, when its verdict comes, and when a restart brings another slot; not again while it stays."""
    slots = [FirmwareSlot("rootfs.0", "booted", None, "1.0"), FirmwareSlot("rootfs.1", "inactive", "good", "0.9")]
    watch = AuditWatch(log, clock, lambda: slots)
    asyncio.run(watch.ask_firmware())
    asyncio.run(watch.ask_firmware())
    slots[0] = FirmwareSlot("rootfs.0", "booted", "good", "1.0")
    asyncio.run(watch.ask_firmware())
    again = AuditWatch(log, clock, lambda: slots, log.latest(10))
    asyncio.run(again.ask_firmware())
    slots[0] = FirmwareSlot("rootfs.0", "inactive", "bad", "1.0")
    asyncio.run(again.ask_firmware())  # nothing runs: nothing is said
    assert [(entry.ref, entry.detail) for entry in entries(log, Kind.FIRMWARE_RUNS)] == [
        ("rootfs.0", {"version": "1.0", "state": ""}),
        ("rootfs.0", {"version": "1.0", "state": "good"}),
    ]
