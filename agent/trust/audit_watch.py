"""What happens to the hub without a command, for the audit log: its clock is set or its time another's, new firmware.

Rules of this file: an entry is written once for each change; a disk that is full is no reason to stop looking. What is
not known (no bridge, no answer) is not written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.clock import SECOND_NS, Clock, TimeSource
from agent.errors import UnavailableError
from agent.evidence.audit import Entry
from agent.evidence.kinds import Kind
from agent.loose_thread import in_thread
from agent.ports import Audit

LOOK_EVERY_S: Final = 5.0
FIRMWARE_EVERY_S: Final = 600.0
"""An update is judged ten minutes after its first start: its verdict is here before the hour is over."""
STEP_NS_MIN: Final = SECOND_NS // 2
"""What no time service slews away unseen, and no reading of two clocks is off by."""
READING_NS_MAX: Final = SECOND_NS // 10
STEPS_PER_HOUR_MAX: Final = 20
"""A clock that is set for ever fills no log; nor does one that loses and finds its server."""


@dataclass(frozen=True, slots=True)
class FirmwareSlot:
    """One place for firmware, as the firmware bridge tells of it."""

    name: str
    state: str  # `booted`, `active` or `inactive`
    boot_status: str | None  # `good` or `bad`
    version: str | None  # of the bundle it was installed from


class AuditWatch:
    """Looks for ever; `slots` asks the firmware bridge and may block, `before` are the newest entries at the start."""

    def __init__(
        self,
        audit: Audit,
        clock: Clock,
        slots: Callable[[], Sequence[FirmwareSlot]] | None = None,
        before: Sequence[Entry] = (),
    ) -> None:
        self._audit, self._clock, self._slots = audit, clock, slots
        self._difference: int | None = None
        self._source: TimeSource | None = None
        self._hour, self._steps, self._sources = 0, 0, 0
        self._firmware = next((_told(entry) for entry in before if entry.kind == Kind.FIRMWARE_RUNS), None)

    async def run(self) -> None:
        """Watch clock and firmware until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._look, LOOK_EVERY_S), name="clock steps")
            if self._slots:
                tasks.create_task(self._repeat(self.ask_firmware, FIRMWARE_EVERY_S), name="firmware")

    def look_at_clock(self) -> int:
        """Compare the two clocks; write down a step, and return it in nanoseconds (0: none).

        Linux slews both alike, so what is seen is a step, or time in which the hub was suspended.
        """
        before, now, after = self._clock.instant(), self._clock.now(), self._clock.instant()
        if after - before > READING_NS_MAX:
            return 0
        difference, known = now - after, self._difference
        step = 0 if known is None else difference - known
        if abs(step) < STEP_NS_MIN:
            self._difference = difference if known is None else known
            return 0
        self._count_hours()
        self._steps += 1
        if self._steps <= STEPS_PER_HOUR_MAX:
            detail: dict[str, str | int] = {"by_ms": round(step / 1_000_000), "trusted": int(self._clock.is_trusted())}
            self._audit.append(Kind.CLOCK_STEP, "", detail)
        self._difference = difference
        return step

    def look_at_source(self) -> None:
        """Write down who vouches for the time when it is somebody else than before; at first only that nobody does."""
        source, before = self._clock.standing().source, self._source
        self._source = source
        if source is before or (before is None and source is not TimeSource.NONE):
            return
        self._count_hours()
        self._sources += 1
        if self._sources <= STEPS_PER_HOUR_MAX:
            self._audit.append(Kind.CLOCK_SOURCE, "", {"source": source.value})

    async def ask_firmware(self) -> None:
        """Ask which firmware runs and what was found of it; write it down if it is another word than before."""
        if self._slots is None:
            return
        slots = await in_thread(self._slots)
        booted = next((slot for slot in slots if slot.state == "booted"), None)
        if booted is None:
            return
        told = (booted.name, booted.version or "", booted.boot_status or "")
        if told != self._firmware:
            self._audit.append(Kind.FIRMWARE_RUNS, told[0], {"version": told[1], "state": told[2]})
            self._firmware = told

    async def _look(self) -> None:
        self.look_at_clock()
        self.look_at_source()

    def _count_hours(self) -> None:
        hour = self._clock.instant() // (3600 * SECOND_NS)
        if hour != self._hour:
            self._hour, self._steps, self._sources = hour, 0, 0

    async def _repeat(self, look: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            with contextlib.suppress(UnavailableError):
                await look()
            await asyncio.sleep(every_s)


def _told(entry: Entry) -> tuple[str, str, str]:
    return entry.ref, str(entry.detail.get("version", "")), str(entry.detail.get("state", ""))
