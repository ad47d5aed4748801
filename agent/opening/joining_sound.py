"""The sound of several parts becomes one track that keeps its time: silence in holes, what overlaps shortened.

Rules of this file: pure. Blocks are copied whole or left out; a block's duration in the table may be made to fit, which
moves nothing but what comes behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.clock import SECOND_NS
from agent.cut.sound_aac import SILENT_BLOCKS
from agent.cut.sound_units import AAC_BLOCK_SAMPLES

SILENCE_S_MAX: Final = 60  # of a hole that is filled; in a longer one the last block just lasts


@dataclass(frozen=True, slots=True)
class SoundOfPart:
    """One part's track of AAC blocks."""

    begins: int  # hub time of the first sample, ns
    rate_hz: int
    channels: int
    durations: tuple[int, ...]  # of the blocks, in samples
    configuration: bytes


@dataclass(frozen=True, slots=True)
class JoinedSound:
    """One track for all parts."""

    begins: int  # hub time, ns
    rate_hz: int
    channels: int
    configuration: bytes
    durations: tuple[int, ...]  # of all blocks, silent ones included
    silence_before: tuple[tuple[bytes, ...], ...]  # by part: blocks to put before its own
    kept: tuple[int, ...]  # by part: how many of its blocks are taken


def join_sound(parts: Sequence[SoundOfPart | None]) -> JoinedSound | None:
    """Lay the parts' blocks end to end by their times; None if there is no sound at all."""
    heard = [part for part in parts if part is not None]
    if not heard:
        return None
    first = heard[0]
    blocks: list[list[int]] = [[] for _ in parts]  # durations that are kept, by part
    silence: list[int] = [0 for _ in parts]
    filled: list[list[int]] = [[] for _ in parts]
    end, last = 0, -1
    for place, part in enumerate(parts):
        if part is None:
            continue
        begin = ((part.begins - first.begins) * first.rate_hz + SECOND_NS // 2) // SECOND_NS
        if last >= 0:
            hole = begin - end
            if first.channels in SILENT_BLOCKS and AAC_BLOCK_SAMPLES <= hole <= SILENCE_S_MAX * first.rate_hz:
                silence[place], hole = divmod(hole, AAC_BLOCK_SAMPLES)
            end += _stretch(blocks[last], hole) + silence[place] * AAC_BLOCK_SAMPLES
        filled[place] = [AAC_BLOCK_SAMPLES] * silence[place]
        blocks[place] = list(part.durations)
        end, last = end + sum(part.durations), place
    durations = [duration for place in range(len(parts)) for duration in (*filled[place], *blocks[place])]
    silent = SILENT_BLOCKS.get(first.channels, b"")
    return JoinedSound(
        first.begins,
        first.rate_hz,
        first.channels,
        first.configuration,
        tuple(durations),
        tuple((silent,) * count for count in silence),
        tuple(map(len, blocks)),
    )


def _stretch(durations: list[int], more: int) -> int:
    """Make the last blocks last longer by `more` samples, or shorter and fewer of them; return by how much."""
    before = sum(durations)
    wanted, others = before + more, before - durations[-1]
    while len(durations) > 1 and others >= wanted:
        durations.pop()
        others -= durations[-1]
    durations[-1] = max(1, wanted - others)
    return others + durations[-1] - before
