"""The ring's directory: one process, one key, and a person is told what is wrong with it."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from agent.buffer.slab import BLOCK_BYTES
from agent.crypto import Secret
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.slab_volume import SlabVolume, VolumeAwayError
from tests.simulators.ring_log import KEK


def opened(directory: Path) -> SlabVolume:
    """Open a ring's directory."""
    return SlabVolume(directory, KEK)


def test_a_second_opener_is_refused(tmp_path: Path) -> None:
    """Two processes cannot write one ring; when the first has gone the second may."""
    with closing(opened(tmp_path)), pytest.raises(ConfigurationError, match="another process"):
        opened(tmp_path)
    opened(tmp_path).close()


def test_another_key_does_not_open_the_ring(tmp_path: Path) -> None:
    """A wrong key is a person's matter; it must not recycle footage that it cannot read."""
    opened(tmp_path).close()
    with pytest.raises(ConfigurationError, match="another key"):
        SlabVolume(tmp_path, Secret(bytes([1] * 32)))
    with pytest.raises(ConfigurationError, match="32 bytes"):
        SlabVolume(tmp_path, Secret(b"short"))


@pytest.mark.parametrize("damage", [b"", b"TRANSVOL", bytes(68)])
def test_a_damaged_marker_is_named(tmp_path: Path, damage: bytes) -> None:
    """The person is told which file it is; the lock is free again."""
    opened(tmp_path).close()
    good = (tmp_path / "volume").read_bytes()
    (tmp_path / "volume").write_bytes(damage)
    with pytest.raises(ConfigurationError, match="volume"):
        opened(tmp_path)
    (tmp_path / "volume").write_bytes(good)
    opened(tmp_path).close()


def test_a_missing_marker_beside_slabs_is_refused(tmp_path: Path) -> None:
    """Slabs are never taken for free places since their marker is gone."""
    with closing(opened(tmp_path)) as volume:
        (tmp_path / "slab-00000").write_bytes(bytes(BLOCK_BYTES))
        assert volume.slots() == [0]
    (tmp_path / "volume").unlink()
    with pytest.raises(ConfigurationError, match="missing"):
        opened(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file in the place of the directory is waited for, as a disk that is not there, and named."""
    (tmp_path / "ring").write_bytes(b"")
    with pytest.raises(VolumeAwayError, match="cannot be used"):
        opened(tmp_path / "ring")


def test_a_destroyed_slab_has_no_header_and_a_removed_one_no_file(tmp_path: Path) -> None:
    """The first block is zero, the rest is left; what is not there is unavailable."""
    with closing(opened(tmp_path)) as volume:
        (tmp_path / "slab-00003").write_bytes(b"x" * 2 * BLOCK_BYTES)
        (tmp_path / "slab-00000").write_bytes(b"y" * BLOCK_BYTES)
        (tmp_path / "slab-3").write_bytes(b"not one of ours")
        assert volume.slots() == [0, 3]
        volume.destroy(3)
        assert volume.read(3, 0, 3 * BLOCK_BYTES) == bytes(BLOCK_BYTES) + b"x" * BLOCK_BYTES
        volume.remove(3)
        assert volume.slots() == [0]
        with pytest.raises(UnavailableError):
            volume.read(3, 0, 1)
        assert volume.free_bytes() > 0


def test_the_volume_keeps_its_id(tmp_path: Path) -> None:
    """Two openings see the same ring; two rings are two."""
    with closing(opened(tmp_path / "a")) as first, closing(opened(tmp_path / "b")) as second:
        ids = first.id, second.id
    with closing(opened(tmp_path / "a")) as again:
        assert again.id == ids[0] != ids[1]


def test_a_disk_that_is_known_is_waited_for(tmp_path: Path) -> None:
    """Where the ring's disk was, nothing is made, neither in an empty place nor on another ring's disk."""
    ring, known = tmp_path / "ring", tmp_path / "known"
    SlabVolume(ring, KEK, known).close()
    ring.rename(tmp_path / "away")
    with pytest.raises(VolumeAwayError, match="No such file"):
        SlabVolume(ring, KEK, known)
    assert not ring.exists()
    ring.mkdir()
    with pytest.raises(VolumeAwayError, match=r"not mounted .*known and restart"):
        SlabVolume(ring, KEK, known)
    assert list(ring.iterdir()) == []
    SlabVolume(ring, Secret(bytes([7] * 32))).close()  # another hub's: another key too, and nobody is to empty it
    with pytest.raises(VolumeAwayError, match="another ring's disk"):
        SlabVolume(ring, KEK, known)
    (ring / "volume").unlink()
    known.unlink()
    SlabVolume(ring, KEK, known).close()


@pytest.mark.parametrize("content", [b"", b"zz", b"ab\n", b"\xff"])
def test_a_damaged_memory_of_the_disk_is_named(tmp_path: Path, content: bytes) -> None:
    """A hub that cannot tell which disk is its own asks a person."""
    (tmp_path / "known").write_bytes(content)
    with pytest.raises(ConfigurationError, match="known"):
        SlabVolume(tmp_path / "ring", KEK, tmp_path / "known")


def test_a_disk_that_cannot_be_remembered_is_not_taken(tmp_path: Path) -> None:
    """The hub says where it cannot write; the ring's lock is free again."""
    with pytest.raises(UnavailableError, match="cannot be written"):
        SlabVolume(tmp_path / "ring", KEK, tmp_path / "none" / "known")
    opened(tmp_path / "ring").close()


def test_a_disk_that_was_put_back_is_opened_again(tmp_path: Path) -> None:
    """The same ring in another directory is taken, another ring and no ring are not, and the lock moves along."""
    ring = tmp_path / "ring"
    with closing(opened(ring)) as volume:
        assert not volume.renew()
        shutil.copytree(ring, tmp_path / "copy")
        ring.rename(tmp_path / "old")
        with pytest.raises(VolumeAwayError, match="No such file"):
            volume.renew()
        opened(ring).close()
        with pytest.raises(VolumeAwayError, match="another ring's disk"):
            volume.renew()
        shutil.rmtree(ring)
        (tmp_path / "copy").rename(ring)
        assert volume.renew()
        (ring / "slab-00002").touch()
        assert volume.slots() == [2]
        with pytest.raises(ConfigurationError, match="another process"):
            opened(ring)
        opened(tmp_path / "old").close()
