"""Held footage: a copy of exactly the window, which outlives the ring, and goes completely when it is released."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from agent.acquire.stream import CameraId
from agent.buffer.hold import Hold, HoldRefusedError, HoldSettings
from agent.buffer.ring import RingSettings
from agent.clock import Window
from agent.errors import BadInputError, UnavailableError
from agent.outside.held_log import SLAB_BYTES, HeldLog
from agent.outside.slab_files import SlabLog
from tests.simulators.ring_child import KEK, MIB
from tests.simulators.ring_content import CAMERA, START, StillClock, at, media, stream

SETTINGS = RingSettings(slab_bytes=8 * MIB, bytes_max=4 * 8 * MIB, free_bytes_min=0, pending_bytes_max=16 * MIB)
HOLDS = HoldSettings(bytes_max=8 * SLAB_BYTES, free_bytes_min=0)
OTHER = CameraId("back-door")
HOLD = Hold("job-1", (CAMERA,), at(20), at(30), START, at(3600))
EVERYTHING = Window(at(-100), at(1_000_000))


@dataclass
class Site:
    """A ring with two cameras and the holds beside it."""

    directory: Path
    clock: StillClock
    ring: SlabLog

    def holds(self, settings: HoldSettings = HOLDS) -> HeldLog:
        """Open the holds."""
        return HeldLog(self.directory / "held", KEK, settings, self.ring, self.clock)

    def record(self, seconds: range) -> None:
        """Let both cameras send a chunk per second."""
        for camera in (CAMERA, OTHER):
            self.ring.append(*stream(camera))
        for second in seconds:
            for camera in (CAMERA, OTHER):
                self.ring.append(media(second, camera=camera), content(camera, second))
            if second % 10 == 0:
                self.ring.commit()
                assert self.ring.wait_until_written(20)
        self.ring.commit()
        assert self.ring.wait_until_written(20)


def content(camera: CameraId, second: int) -> bytes:
    """Return what a camera sent in a second."""
    return f"{camera} {second} ".encode() * 10_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Record 60 s of two cameras."""
    clock = StillClock()
    (tmp_path / "ring").mkdir()
    with closing(SlabLog(tmp_path / "ring", KEK, SETTINGS, clock)) as ring:
        site = Site(tmp_path / "ring", clock, ring)
        site.record(range(1, 61))
        yield site


def seconds(holds: HeldLog, name: str = "job-1", camera: CameraId = CAMERA) -> list[int]:
    """Return the seconds of a camera that are held, having read each of them."""
    chunks = holds.footage(name, camera, EVERYTHING).chunks
    assert [holds.read(name, chunk) for chunk in chunks] == [content(camera, chunk.meta.sequence) for chunk in chunks]
    return [chunk.meta.sequence for chunk in chunks]


def test_a_hold_has_the_chunks_of_its_window_and_no_others(site: Site) -> None:
    """From the key chunk before the window to the first behind it, of the named camera, and outlives the ring."""
    wanted = [chunk.meta.sequence for chunk in site.ring.footage(CAMERA, HOLD.window).chunks]
    with closing(site.holds()) as holds:
        state = holds.hold(HOLD)
        assert (state.is_whole, state.bytes) == (True, SLAB_BYTES)
        assert seconds(holds) == wanted
        assert len(wanted) < 20
        with pytest.raises(UnavailableError):
            holds.footage("job-2", CAMERA, EVERYTHING)
        assert holds.footage("job-1", OTHER, EVERYTHING).chunks == ()
        site.record(range(61, 400))  # the ring has gone round
        assert site.ring.footage(CAMERA, HOLD.window).chunks == ()
        assert seconds(holds) == wanted


def test_a_hold_is_there_after_a_restart(site: Site) -> None:
    """With what it had, and it goes on growing."""
    growing = msgspec.structs.replace(HOLD, end=at(90))
    with closing(site.holds()) as holds:
        holds.hold(growing)
        before = seconds(holds)
        assert before[-1] == 60
    with closing(site.holds()) as holds:
        assert [state.hold for state in holds.states()] == [growing]
        assert seconds(holds) == before
        site.record(range(61, 100))
        holds.top_up("job-1")
        held = seconds(holds)
        assert held[: len(before)] == before
        assert held == list(range(before[0], held[-1] + 1))
        assert 90 < held[-1] < 99


def test_the_same_hold_again_changes_nothing_and_another_is_refused(site: Site) -> None:
    """A command comes twice; two commands have two names."""
    with closing(site.holds()) as holds:
        first = holds.hold(HOLD)
        assert holds.hold(HOLD) == first
        with pytest.raises(BadInputError, match="another hold"):
            holds.hold(msgspec.structs.replace(HOLD, end=at(31)))


def test_a_released_hold_cannot_be_read_by_anyone(site: Site) -> None:
    """Its keys are destroyed, its files are gone, its room is free; releasing it again does nothing."""
    with closing(site.holds()) as holds:
        holds.hold(HOLD)
        header = (site.directory / "held" / "job-1" / "slab-00000").read_bytes()[:4096]
        holds.release("job-1")
        holds.release("job-1")
        assert holds.states() == ()
        with pytest.raises(UnavailableError):
            holds.footage("job-1", CAMERA, EVERYTHING)
    assert header.startswith(b"TRANSLAB")
    assert list((site.directory / "held").iterdir()) == []


def test_a_release_that_was_cut_short_is_finished_at_the_next_start(site: Site) -> None:
    """The mark goes first: what has none was being destroyed."""
    with closing(site.holds()) as holds:
        holds.hold(HOLD)
    (site.directory / "held" / "job-1" / "hold.json").unlink()
    with closing(site.holds()) as holds:
        assert holds.states() == ()
    assert list((site.directory / "held").iterdir()) == []


def test_a_full_quota_refuses_with_the_reason_and_keeps_what_is_held(site: Site) -> None:
    """Too many holds, too many bytes: the ring records on, earlier holds stay whole."""
    few = HoldSettings(bytes_max=8 * SLAB_BYTES, holds_max=1, free_bytes_min=0)
    with closing(site.holds(few)) as holds:
        holds.hold(HOLD)
        with pytest.raises(HoldRefusedError, match="holds already"):
            holds.hold(msgspec.structs.replace(HOLD, name="job-2"))
    small = HoldSettings(bytes_max=2 * SLAB_BYTES, free_bytes_min=0)
    with closing(site.holds(small)) as holds:
        with pytest.raises(HoldRefusedError, match="release a hold"):
            holds.hold(msgspec.structs.replace(HOLD, name="job-3", cameras=(CAMERA, OTHER)))
        assert [state.hold.name for state in holds.states()] == ["job-1"]
        assert seconds(holds)
    site.record(range(61, 70))
    assert site.ring.stats().errors == 0


def test_a_disk_without_room_refuses_the_hold(site: Site) -> None:
    """Holds come after the hub's own files; the ring does not notice."""
    greedy = HoldSettings(bytes_max=8 * SLAB_BYTES, free_bytes_min=2**60)
    with closing(site.holds(greedy)) as holds, pytest.raises(HoldRefusedError, match="no room"):
        holds.hold(HOLD)
    site.record(range(61, 70))
    assert site.ring.stats().errors == 0


def test_a_hold_ends_at_its_time_but_never_by_an_untrusted_clock(site: Site) -> None:
    """A clock that jumps ahead destroys no evidence."""
    with closing(site.holds()) as holds:
        holds.hold(HOLD)
        site.clock.wall, site.clock.trusted = at(4000), False
        assert holds.expire() == ()
        site.clock.trusted = True
        assert holds.expire() == (HOLD,)
        assert holds.states() == ()


def test_nothing_is_held_on_a_disk_that_is_not_the_rings(site: Site) -> None:
    """Where the ring's directory is missing, no hold makes one."""
    lost = HeldLog(site.directory / "gone" / "held", KEK, HOLDS, site.ring, site.clock)
    with closing(lost), pytest.raises(HoldRefusedError, match="cannot be used"):
        lost.hold(HOLD)
    assert not (site.directory / "gone").exists()
