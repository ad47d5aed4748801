"""Where the next slab goes: nobody's footage is taken who needs not give, and never a slab that is written to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.buffer.ring import RingSettings
from agent.buffer.slab import BLOCK_BYTES, Lane, SlabHeader, pack_slab_header, wrap_key
from agent.clock import SECOND_NS, WallTime
from agent.outside.slab_places import EXPIRY_CHECK_S, SlabPlaces
from agent.outside.slab_shelf import SlabShelf
from agent.outside.slab_volume import SlabVolume
from tests.simulators.ring_content import START, StillClock
from tests.simulators.ring_log import KEK, MIB, SETTINGS
from tests.vectors.buffer.make import DATA_KEY, slab_header

FULL = OSError(errno.ENOSPC, "full")
BAD = OSError(errno.EIO, "bad")


class BadVolume(SlabVolume):
    """A volume that cannot write to some of its slots."""

    bad: frozenset[int] = frozenset()

    def open(self, slot: int, flags: int) -> int:
        """Open, or fail."""
        if slot in self.bad and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().open(slot, flags)


class Site:
    """A ring's directory with slabs that are headers only: slot n holds slab n + 1."""

    def __init__(self, directory: Path, settings: RingSettings = SETTINGS) -> None:
        self.directory, self.clock = directory, StillClock()
        self.volume, self.shelf = BadVolume(directory, KEK), SlabShelf(KEK)
        self.places = SlabPlaces(self.volume, self.shelf, settings, self.clock)

    def make(self, slot: int, lane: Lane = Lane.SHARED, size: int = SETTINGS.slab_bytes) -> SlabHeader:
        """Make a slab."""
        header = replace(slab_header(), number=slot + 1, id=slot + 1, lane=lane, created=START, size=size)
        header = wrap_key(header, DATA_KEY, KEK, bytes(12))
        (self.directory / f"slab-{slot:05d}").write_bytes(pack_slab_header(header))
        self.shelf.put(slot, header)
        return header

    def key_is_gone(self, slot: int) -> bool:
        """Whether a slot has no header any more."""
        return self.volume.read(slot, 0, BLOCK_BYTES) == bytes(BLOCK_BYTES)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give a ring of at most four slabs."""
    made = Site(tmp_path)
    with closing(made.volume):
        yield made


def test_free_then_new_then_the_oldest(site: Site) -> None:
    """The ring grows to its size; then the oldest slab leaves the index and its place is used."""
    assert site.places.take([]) == (0, True)
    (site.directory / "slab-00001").touch()
    assert site.places.take([]) == (1, False)
    for slot in range(4):
        site.make(slot)
    assert site.places.take([]) == (0, False)
    assert sorted(site.shelf.headers()) == [1, 2, 3]
    assert site.places.take([]) == (0, False)


def test_a_slab_that_is_written_to_stays(site: Site) -> None:
    """Also where the ring became smaller, and where it is all there is."""
    for slot in range(6):
        site.make(slot)
    assert site.places.take([0, 1]) == (4, False)
    assert sorted(site.shelf.headers()) == [0, 1, 5]
    assert site.volume.slots() == [0, 1, 4, 5]


def test_slabs_made_smaller_give_room_back(tmp_path: Path) -> None:
    """Four slabs of before, twice as large, are more than four of now: the ring is counted in bytes too."""
    site = Site(tmp_path)
    with closing(site.volume):
        for slot in range(4):
            site.make(slot, size=2 * SETTINGS.slab_bytes)
        assert site.places.take([]) == (2, False)
        assert site.volume.slots() == [2, 3]
        site.make(2)
        assert site.places.take([]) == (0, True)


def test_without_room_the_ring_makes_do_with_what_it_has(tmp_path: Path) -> None:
    """It recycles; a slab that is open is no help, so another file is tried whatever the disk should keep free."""
    site = Site(tmp_path, replace(SETTINGS, free_bytes_min=2**62))
    with closing(site.volume):
        assert site.places.take([]) == (0, True)
        site.make(0)
        assert site.places.take([0]) == (1, True)
        assert site.places.take([]) == (0, False)


def test_a_new_file_that_could_not_be_made_is_removed(site: Site) -> None:
    """The ring stays as large as it is for a minute, then it tries again."""
    site.make(0)
    assert site.places.take([]) == (1, True)
    (site.directory / "slab-00001").touch()
    site.places.failed(1, FULL, is_new=True, is_last_try=False)
    assert site.volume.slots() == [0]
    site.places.expire([])
    site.make(0)
    assert site.places.take([]) == (1, True)
    site.places.failed(1, FULL, is_new=True, is_last_try=False)
    assert site.places.take([]) == (0, False)


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS])
def test_no_footage_is_given_up_for_a_disk_that_is_not_full(site: Site, error: int) -> None:
    """A disk that refuses a new file for another reason is waited for."""
    site.make(0)
    assert site.places.take([]) == (1, True)
    site.places.failed(1, OSError(error, os.strerror(error)), is_new=True, is_last_try=True)
    assert site.places.take([]) == (1, True)
    assert sorted(site.shelf.headers()) == [0]


def test_bad_places_are_passed_by_and_tried_again_when_they_are_all_there_is(site: Site) -> None:
    """A ring of nothing but bad places is an error that is waited for, not the end of the writer."""
    for slot in range(4):
        site.make(slot)
    taken = []
    for _ in range(4):
        slot, is_new = site.places.take([])
        site.places.failed(slot, BAD, is_new=is_new, is_last_try=True)
        taken.append(slot)
    assert taken == [0, 1, 2, 3]
    with pytest.raises(OSError, match="every slab"):
        site.places.take([])
    assert site.places.take([]) == (0, False)


def test_what_cannot_be_destroyed_is_forgotten_and_tried_again(site: Site) -> None:
    """One bad block keeps neither the others' keys nor the ring's size as they are."""
    for slot in range(3):
        site.make(slot)
    site.volume.bad = frozenset({0})
    site.clock.wall = WallTime(START + (SETTINGS.age_s_max + 1) * SECOND_NS)
    with pytest.raises(OSError, match="Input/output"):
        site.places.expire([])
    assert not site.shelf.headers()
    assert [site.key_is_gone(slot) for slot in range(3)] == [False, True, True]
    site.volume.bad = frozenset()
    site.places.expire([])
    assert not site.key_is_gone(0)
    site.clock.wall = WallTime(site.clock.wall + EXPIRY_CHECK_S * SECOND_NS)
    site.places.expire([])
    assert site.key_is_gone(0)


def test_a_ring_becomes_smaller_around_a_bad_block(site: Site) -> None:
    """Its file stays, since its key could not be destroyed; the next ones go."""
    for slot in range(6):
        site.make(slot)
    site.volume.bad = frozenset({0})
    with pytest.raises(OSError, match="Input/output"):
        site.places.take([])
    assert site.places.take([])[1] is False
    assert 0 in site.volume.slots()
    assert len(site.volume.slots()) == 4
    assert 0 not in site.shelf.headers()
    site.volume.bad = frozenset()
    site.places.expire([])
    assert site.key_is_gone(0)


def test_a_place_that_was_used_again_is_not_destroyed(site: Site) -> None:
    """What was to be destroyed there has gone with the new header."""
    site.make(0)
    site.volume.bad = frozenset({0})
    site.clock.wall = WallTime(START + (SETTINGS.age_s_max + 1) * SECOND_NS)
    with pytest.raises(OSError, match="Input/output"):
        site.places.expire([])
    site.volume.bad = frozenset()
    site.make(0)
    site.places.made(0)
    site.clock.wall = WallTime(site.clock.wall + EXPIRY_CHECK_S * SECOND_NS)
    site.places.expire([0])
    assert not site.key_is_gone(0)


def test_a_nearly_full_disk_gets_slabs_back_but_never_an_open_one(tmp_path: Path) -> None:
    """One a minute, the oldest that nobody writes to, down to a few."""
    site = Site(tmp_path, RingSettings(slab_bytes=8 * MIB, bytes_max=80 * MIB, free_bytes_min=2**62))
    with closing(site.volume):
        for slot in range(8):
            site.make(slot)
        for _ in range(6):
            site.clock.wall = WallTime(site.clock.wall + EXPIRY_CHECK_S * SECOND_NS)
            site.places.expire([0, 3])
        assert site.volume.slots() == [0, 3, 4, 5, 6, 7]
        assert sorted(site.shelf.headers()) == [0, 3, 4, 5, 6, 7]


def test_what_keeps_all_recycles_nothing(tmp_path: Path) -> None:
    """Held footage: a full ring is an error, a full disk gets nothing back."""
    site = Site(tmp_path, replace(SETTINGS, keeps_all=True, free_bytes_min=2**62))
    with closing(site.volume):
        for slot in range(6):
            site.make(slot)
        with pytest.raises(OSError, match="No space left"):
            site.places.take([])
        site.places.expire([])
        assert len(site.shelf.headers()) == 6


def test_the_lane_over_its_share_gives_way(site: Site) -> None:
    """Noisy cameras beyond their share, else the others; without a share the oldest of all."""
    for slot, lane in enumerate((Lane.SHARED, Lane.APART, Lane.APART, Lane.SHARED)):
        site.make(slot, lane)
    site.places.apart_bytes_max = 8 * MIB
    assert site.places.take([])[0] == 1
    site.make(1, Lane.APART)
    site.places.apart_bytes_max = 16 * MIB
    assert site.places.take([])[0] == 0
    site.make(0)
    site.places.apart_bytes_max = 0
    assert site.places.take([0])[0] == 1
