"""Judging a clip: exactly the window's pictures pass; one too many, too few, twice or unreadable does not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from agent.clock import WallTime, Window
from agent.demo import block_code
from agent.demo.camera_cadence import Cadence
from agent.demo.prove import FrameTime, Verdict, judge, read_frames
from agent.errors import BadInputError

CADENCE = Cadence(1_795_356_451 * 90_000 + 15, 6000, clock_offset_ms=-2500)
START = CADENCE.hub_time(CADENCE.tick(10)) // 10**6 * 10**6  # the millisecond before picture 10
WINDOW = Window(WallTime(START), WallTime(START + 2 * 10**9))
PARTS = [[FrameTime(0, CADENCE.tick(n)) for n in range(10, 25)], [FrameTime(0, CADENCE.tick(n)) for n in range(25, 40)]]


def test_exactly_the_window_is_exact() -> None:
    """All 30 pictures of two seconds, in two parts, pass."""
    assert judge(PARTS, WINDOW, CADENCE) == Verdict(30, 0, 0, 0, 0)
    assert judge(PARTS, WINDOW, CADENCE).is_exact


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([*PARTS, [FrameTime(0, CADENCE.tick(40))]], Verdict(31, 1, 0, 0, 0)),
        ([*PARTS, [FrameTime(0, CADENCE.tick(9))]], Verdict(31, 1, 0, 0, 0)),
        ([*PARTS, [FrameTime(0, CADENCE.tick(20) + 1)]], Verdict(31, 1, 0, 0, 0)),
        ([PARTS[0], PARTS[1][:-1]], Verdict(29, 0, 1, 0, 0)),
        ([*PARTS, [FrameTime(0, None)]], Verdict(31, 0, 0, 1, 0)),
        ([*PARTS, PARTS[0][:2]], Verdict(32, 0, 0, 0, 2)),
        ([], Verdict(0, 0, 30, 0, 0)),
    ],
    ids=["after", "before", "foreign", "missing", "unreadable", "doubled", "empty"],
)
def test_every_kind_of_wrong_picture_is_counted(parts: list[list[FrameTime]], verdict: Verdict) -> None:
    """Each mistake shows in its own count and spoils the verdict."""
    assert judge(parts, WINDOW, CADENCE) == verdict
    assert not verdict.is_exact


def write_mp4(path: Path, ticks: list[int], *, hidden: int = 0) -> None:
    """Write pictures with the code of `ticks`; an edit list hides the first `hidden` of them from players."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 15, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.time_base = Fraction(1, 90_000)
        for number, tick in enumerate(ticks):
            planes = np.full((270, 320), 128, np.uint8)
            block_code.draw(planes[:180], tick)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = (number - hidden) * 6000, Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_frames_are_read_from_a_file(tmp_path: Path) -> None:
    """Every picture's code and its time in the file come back in order."""
    ticks = [CADENCE.tick(n) for n in range(8)]
    write_mp4(tmp_path / "a.mp4", ticks)
    frames = read_frames(tmp_path / "a.mp4")
    assert [frame.ticks for frame in frames] == ticks
    assert [round(frame.shown_ns * 15 / 1e9, 3) for frame in frames] == list(range(8))


def test_pictures_behind_an_edit_list_are_found(tmp_path: Path) -> None:
    """Pictures that no player shows are in the file, so they count."""
    ticks = [CADENCE.tick(n) for n in range(8)]
    write_mp4(tmp_path / "b.mp4", ticks, hidden=3)
    with av.open(str(tmp_path / "b.mp4")) as container:
        shown = [block_code.read(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    assert shown == ticks[3:]
    assert [frame.ticks for frame in read_frames(tmp_path / "b.mp4")] == ticks


def test_what_is_not_video_is_bad_input(tmp_path: Path) -> None:
    """Rubbish and a missing file are refused, not decoded as nothing."""
    (tmp_path / "rubbish.mp4").write_bytes(b"\0" * 500)
    for name in ("rubbish.mp4", "none.mp4"):
        with pytest.raises(BadInputError, match="cannot be decoded"):
            read_frames(tmp_path / name)
