"""The ring's directory: one process, one key, and a person is told what is wrong with it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from agent.buffer.slab import BLOCK_BYTES
from agent.crypto import Secret
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.slab_volume import SlabVolume
from tests.simulators.ring_child import KEK


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
        volume.path(0).write_bytes(bytes(BLOCK_BYTES))
    (tmp_path / "volume").unlink()
    with pytest.raises(ConfigurationError, match="missing"):
        opened(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file in the place of the directory is a person's matter."""
    (tmp_path / "ring").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        opened(tmp_path / "ring")


def test_a_destroyed_slab_has_no_header_and_a_removed_one_no_file(tmp_path: Path) -> None:
    """The first block is zero, the rest is left; what is not there is unavailable."""
    with closing(opened(tmp_path)) as volume:
        volume.path(3).write_bytes(b"x" * 2 * BLOCK_BYTES)
        volume.path(0).write_bytes(b"y" * BLOCK_BYTES)
        (tmp_path / "slab-3").write_bytes(b"not one of ours")
        assert volume.slots() == [0, 3]
        volume.destroy(3)
        assert volume.reader(3)(0, 3 * BLOCK_BYTES) == bytes(BLOCK_BYTES) + b"x" * BLOCK_BYTES
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
