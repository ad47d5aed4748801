"""Any microphone, any window, any lost packets: the sound of a clip is proven by the camera's log, block by block.

Rules of this file: the bytes choose what is heard, lost and asked for; streams are short, so that many can be tried.
"""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Final

from agent.clock import WallTime, Window
from agent.demo.clip_sound import AAC
from tests.simulators.logged_sound import MICROPHONES, film_and_hear
from tests.simulators.logged_streams import Sort
from tests.simulators.proven_cuts import cut_and_prove

_CHOICES: Final = struct.Struct(">BBIIBH")
_B_FRAMES: Final = ("none", "two", "pyramid")
_SHARE: Final = 1 << 32
_LATE_NS_MAX: Final = 9_000_000  # by so much packets may be laid beside their time
_EDGE_NS: Final = 300_000_000
_SECOND: Final = 1 << 30  # of the four that a stream has

SEEDS: Final = tuple(
    _CHOICES.pack(mic, mic % 3, (mic + 1) * (1 << 27), _SECOND + mic * (1 << 22), mic % 4, mic)
    for mic in range(len(MICROPHONES))
)


def exact_sound(raw: bytes) -> None:
    """Check one cut: no sound from outside, each in its place, and only what was lost is missing."""
    mic, b_frames, start, length, losses, seed = _CHOICES.unpack(raw[: _CHOICES.size].ljust(_CHOICES.size, b"\0"))
    drawn = random.Random(seed)  # noqa: S311 - repeatable: the input decides
    name = list(MICROPHONES)[mic % len(MICROPHONES)]
    lost = frozenset(drawn.randrange(40, 120) for _ in range(losses % 4))
    heard = replace(MICROPHONES[name], lost=lost) if losses % 4 else MICROPHONES[name]
    filmed = film_and_hear(Sort(gops_s=(2.0,), seconds=4.0, b_frames=_B_FRAMES[b_frames % len(_B_FRAMES)]), heard)
    times = filmed.times
    span = times[-1] - times[0] + 2 * _EDGE_NS
    begin = WallTime(times[0] - _EDGE_NS + span * start // _SHARE)
    window = Window(begin, WallTime(begin + max(1, span * length // _SHARE)))
    done = cut_and_prove([filmed], window, has_sound=True)
    assert (done.proof.outside, done.proof.missing, done.proof.faults) == ((), (), ())
    told = done.proof.sound
    if told is None:
        assert not done.report.pictures
        return
    assert (told.outside, told.faults) == ((), ())
    assert abs(told.late_ns) <= _LATE_NS_MAX
    assert lost or not told.missing
    assert heard.encoding == AAC or all(account.how != "copied" for account in told.accounts)
