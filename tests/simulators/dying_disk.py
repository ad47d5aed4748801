"""A hub's real disk under a power cut: the process is gone right after the n-th durable write, whatever it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from sqlite3 import Connection
from typing import Final, TypeVar

from agent.buffer.hold import Hold
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.look import Look, LookOrder
from agent.outside.audit_file import AuditFile
from agent.outside.database import Database
from agent.outside.held_log import HeldLog, HoldState
from agent.outside.outbox_files import OutboxFiles
from tests.simulators.export_site import Disk

KILLED: Final = 37
_Result = TypeVar("_Result")


def dying_disk(writes: int) -> Disk:
    """Return the real adapters, which let the process live for so many writes; for a child process."""
    left = writes

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(KILLED)

    class Journal(Database):
        @contextmanager
        def _transaction(self) -> Iterator[Connection]:
            with super()._transaction() as connection:
                yield connection
            count()

    class Audit(AuditFile):
        def append(self, kind: str, ref: str, detail: Mapping[str, str | int]) -> None:
            super().append(kind, ref, detail)
            count()

    class Outbox(OutboxFiles):
        def write(
            self, name: str, fill: Callable[[Callable[[bytes], object]], _Result], spare_bytes: int = 0
        ) -> _Result:
            result = super().write(name, fill, spare_bytes)
            count()
            return result

        def discard(self, name: str) -> None:
            super().discard(name)
            count()

    class Holds(HeldLog):
        def hold(self, hold: Hold) -> HoldState:
            state = super().hold(hold)
            count()
            return state

        def release(self, name: str) -> None:
            super().release(name)
            count()

    return Disk(Journal, Audit, Outbox, Holds)


class QuickCutter:
    """Stands where the child stands that makes clips, for tests that cut a hundred times: a few bytes for each part."""

    def cuts(self) -> QuickCutter:
        """Be the child as well."""
        return self

    def end(self) -> None:
        """Have nothing to end."""

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Read all chunks, and say that one picture came of each."""
        pictures = sum(bool(chunk.wire) for chunk in chunks)
        sink(b"clip")
        return ClipReport(pictures, pictures, 0, order.window.start, order.window.start)

    def read_codes(self, order: CutOrder, chunks: Iterable[WireChunk]) -> list[str]:
        """See no code, whatever there is to see."""
        del order, chunks
        return []

    def look(self, order: CutOrder, asked: LookOrder, chunks: Iterable[WireChunk]) -> Look:
        """Is not asked here."""
        del order, asked, chunks
        raise NotImplementedError
