"""Any stream, any window, any losses: what is cut is proven by the camera's log, picture by picture, byte by byte.

Rules of this file: the bytes choose what is filmed, lost and asked for; streams are short, so that many can be tried.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Final

from agent.clock import WallTime, Window
from agent.demo.clip_proof import How
from tests.simulators.logged_streams import RATES, CodedPicture, Sort, film
from tests.simulators.proven_cuts import cut_and_prove

_CHOICES: Final = struct.Struct(">BBBBHHBHx")
_B_FRAMES: Final = ("none", "two", "pyramid")
_CODECS: Final = (("h264", "high"), ("h264", "main"), ("h264", "baseline"), ("h265", "main"), ("jpeg", "baseline"))
_GOPS_S: Final = ((0.2,), (0.5,), (1.0,), (0.3, 1.1, 0.7), (9.0,))
_SECONDS: Final = 2.0
_SHARE: Final = 1 << 16

SEEDS: Final = tuple(
    _CHOICES.pack(codec, gop, b_frames, rate, start, length, losses, 7)
    for codec, gop, b_frames, rate, start, length, losses in (
        (0, 2, 0, 1, 9000, 30_000, 0),
        (1, 1, 2, 3, 20_000, 40_000, 0),
        (3, 6, 1, 1, 12_345, 20_000, 0),
        (3, 3, 2, 4, 0, 65_535, 2),
        (4, 0, 0, 0, 7, 50_000, 1),
        (2, 3, 0, 4, 30_000, 5, 3),
    )
)


def exact_cut(raw: bytes) -> None:
    """Check one cut: nothing outside, copies are copies, the report is true, and only what was lost is missing."""
    codec, gop, b_frames, rate, start, length, losses, seed = _CHOICES.unpack(raw[: _CHOICES.size].ljust(12, b"\0"))
    sort = _sort(codec, gop, b_frames, rate)
    drawn = random.Random(seed)  # noqa: S311 - repeatable: the input decides
    lost = {drawn.randrange(60) for _ in range(losses % 4)}

    def is_lost(packet: int, _: CodedPicture) -> bool:
        return packet in lost

    filmed = film(sort, lost=is_lost if lost else None)
    times = filmed.times
    span = times[-1] - times[0] + 400_000_000
    begin = WallTime(times[0] - 200_000_000 + span * start // _SHARE)
    window = Window(begin, WallTime(begin + max(1, span * length // _SHARE)))
    done = cut_and_prove([filmed], window)
    assert (done.proof.outside, done.proof.faults) == ((), ())
    assert done.said == done.done
    assert done.unexplained(filmed) == []
    assert lost or not done.proof.missing
    assert sort.codec != "jpeg" or done.proof.count(How.COPIED) == 0


def _sort(codec: int, gop: int, b_frames: int, rate: int) -> Sort:
    name, profile = _CODECS[codec % len(_CODECS)]
    found = Sort(name, profile, _GOPS_S[gop % len(_GOPS_S)], rate=RATES[rate % len(RATES)], seconds=_SECONDS)
    if profile != "baseline":
        found = replace(found, b_frames=_B_FRAMES[b_frames % len(_B_FRAMES)], is_open=gop // len(_GOPS_S) % 2 == 1)
    return replace(found, slices=3 if codec // len(_CODECS) % 2 else 1)
