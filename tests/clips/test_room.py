"""An outbox without room holds footage, cuts nothing for the bin, and takes all of it when there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

from agent.outside.outbox_files import OutboxFiles
from tests.simulators.clip_work import PART_S, Work
from tests.simulators.clips import window_of
from tests.simulators.export_site import Process, Site, export_site, run

T = TypeVar("T")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site whose clips come in parts of one picture group."""
    with export_site(tmp_path, past_s=PART_S) as made:
        yield made


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
