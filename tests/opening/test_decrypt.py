"""Sealed parts become one video on the disk, or none."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import msgspec
import pytest

from agent.demo.clip_proof import prove
from agent.errors import BadInputError, ConfigurationError
from agent.evidence.note import verifier_of
from agent.opener import open_clip
from tests.simulators.clip_folder import ClipFolder, make_clip
from tests.simulators.logged_streams import Sort, film, log_of
from tests.simulators.parted_clips import Parted, cut_in_parts

FILMED = film(Sort())
PARTED = cut_in_parts(FILMED, (0.1, 0.4, 0.6, 0.9))


def sealed(folder: Path, parted: Parted = PARTED, *, is_post_quantum: bool = False) -> ClipFolder:
    """Lay a clip of real parts into a folder, from a hub that is known."""
    clip = make_clip(folder, parted.clips, parted.reports, is_post_quantum=is_post_quantum)
    (folder.parent / "known_hubs").write_text(f"{verifier_of('hub-1', clip.hub_key)}\n")
    return clip


@pytest.mark.parametrize("is_post_quantum", [False, True])
def test_parts_become_one_exact_video(tmp_path: Path, is_post_quantum: bool) -> None:  # noqa: FBT001 - a parameter
    """One file, proven by the camera's log to the last byte; both kinds of keys open it."""
    clip = sealed(tmp_path / "clip", is_post_quantum=is_post_quantum)
    opened = open_clip(clip.folder, clip.identity, tmp_path / "video.mp4")
    assert opened.files == (str(tmp_path / "video.mp4"),)
    assert opened.videos[0].parts == opened.parts
    proof = prove([(tmp_path / "video.mp4").read_bytes()], log_of(FILMED), PARTED.window)
    assert proof.is_exact, (proof.faults, proof.missing, proof.outside)


def test_one_part_is_copied_as_it_is(tmp_path: Path) -> None:
    """A part that is opened alone has every byte that the hub sealed."""
    clip = sealed(tmp_path / "clip")
    open_clip(clip.part(1), clip.identity, tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").read_bytes() == PARTED.clips[1]


def test_some_parts_are_joined(tmp_path: Path) -> None:
    """Parts may be named themselves; the others need not be there."""
    clip = sealed(tmp_path / "clip")
    clip.part(1).unlink()
    opened = open_clip([clip.part(2), clip.part(0)], clip.identity, tmp_path / "video.mp4")
    assert (opened.is_whole_clip, len(opened.parts), len(opened.files)) == (False, 2, 1)


def test_pictures_that_the_hub_did_not_count_are_refused(tmp_path: Path) -> None:
    """A part with other than the stated number of pictures is not what the hub says it is."""
    reports = [msgspec.structs.replace(PARTED.reports[0], pictures=7), *PARTED.reports[1:]]
    clip = make_clip(tmp_path / "clip", PARTED.clips, reports)
    (tmp_path / "known_hubs").write_text(f"{verifier_of('hub-1', clip.hub_key)}\n")
    with pytest.raises(BadInputError, match="pictures, its hub says 7"):
        open_clip(clip.folder, clip.identity, tmp_path / "video.mp4")
    assert not list(tmp_path.glob("*video*"))


def test_memory_holds_no_pictures(tmp_path: Path) -> None:
    """Opening parts whose pictures have 24 MB takes a few of them at a time."""
    clips = [clip + _filler(8_000_000) for clip in PARTED.clips]
    clip = make_clip(tmp_path / "clip", clips, PARTED.reports)
    (tmp_path / "known_hubs").write_text(f"{verifier_of('hub-1', clip.hub_key)}\n")
    tracemalloc.start()
    open_clip(clip.folder, clip.identity, tmp_path / "video.mp4")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6_000_000


def _filler(size: int) -> bytes:
    """Make a box that is skipped."""
    return size.to_bytes(4, "big") + b"free" + bytes(size - 8)


def test_a_signal_leaves_nothing(tmp_path: Path) -> None:
    """Whatever ends opening early, no half-written video is left."""
    clip = sealed(tmp_path / "clip")

    def stop(done: int, total: int) -> None:
        if done > total * 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_clip(clip.folder, clip.identity, tmp_path / "video.mp4", progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "clip.key", "known_hubs"]


def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Another run may have had the same name in mind: its video stays, and this run leaves nothing."""
    clip = sealed(tmp_path / "clip")
    video = tmp_path / "video.mp4"

    def come_between(*_: int) -> None:
        video.write_bytes(b"another's")

    with pytest.raises(ConfigurationError, match="exists already"):
        open_clip(clip.folder, clip.identity, video, progress=come_between)
    assert video.read_bytes() == b"another's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "clip.key", "known_hubs", "video.mp4"]
