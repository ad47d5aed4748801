"""Proves a clip against the camera that filmed it: reads the time in every picture, compares with what had to be there.

Rules of this file: every picture that a decoder can get out of the file counts, whether or not a player would show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np

from agent.clock import SECOND_NS, Window
from agent.demo import block_code
from agent.demo.camera_cadence import Cadence
from agent.errors import BadInputError

_EVERYTHING: Final = {"ignore_editlist": "1"}  # an edit list hides pictures from players, not from people with tools


@dataclass(frozen=True, slots=True)
class FrameTime:
    """One decoded picture: when a player shows it (from the file's start), and the capture tick that is drawn in it."""

    shown_ns: int
    ticks: int | None  # None: no code, or its checksum fails


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many pictures there are, and how many of them are wrong in which way."""

    frames: int
    outside: int  # taken before or after the window, or never taken by this camera
    missing: int
    unreadable: int
    doubled: int

    @property
    def is_exact(self) -> bool:
        """Say whether exactly the pictures of the window are there, each once."""
        return self.frames > 0 and not (self.outside or self.missing or self.unreadable or self.doubled)


def read_frames(mp4: Path) -> list[FrameTime]:
    """Decode every picture of the first video track, in the order of presentation.

    Raises BadInputError if the file is not video or is damaged.
    """
    try:
        with av.open(str(mp4), options=_EVERYTHING) as container:
            if not container.streams.video:
                raise BadInputError(f"{mp4.name} has no video track")
            stream = container.streams.video[0]
            stream.codec_context.options = {"flags": "+output_corrupt", "flags2": "+showall"}
            return [_frame_time(frame) for frame in container.decode(stream)]
    except (av.FFmpegError, OSError) as error:
        raise BadInputError(f"{mp4.name} cannot be decoded: {type(error).__name__}") from error


def judge(parts: Sequence[Sequence[FrameTime]], window: Window, cadence: Cadence) -> Verdict:
    """Compare the pictures of all parts of one camera's clip with those it took in `window` (hub time)."""
    found = Counter(frame.ticks for part in parts for frame in part if frame.ticks is not None)
    expected = cadence.expected(window)
    frames = sum(len(part) for part in parts)
    return Verdict(
        frames=frames,
        outside=sum(count for ticks, count in found.items() if ticks not in expected),
        missing=sum(1 for ticks in expected if ticks not in found),
        unreadable=frames - found.total(),
        doubled=sum(count - 1 for count in found.values()),
    )


def _frame_time(frame: av.VideoFrame) -> FrameTime:
    shown_ns = 0 if frame.pts is None or frame.time_base is None else int(frame.pts * frame.time_base * SECOND_NS)
    return FrameTime(shown_ns, block_code.read(np.asarray(frame.to_ndarray(format="gray"), np.uint8)))
