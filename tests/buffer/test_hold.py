"""A hold says exactly what is kept and for how long; nothing else passes for one."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.hold import (
    HOLD_BYTES_MAX,
    Hold,
    HoldSettings,
    decode_hold,
    encode_hold,
    missing_chunks,
)
from agent.clock import WallTime
from agent.errors import BadInputError
from tests.simulators.ring_content import CAMERA, START, at, media

HOLD = Hold("job-1", (CAMERA,), at(10), at(70), START, at(3600))


def test_a_hold_reads_back() -> None:
    """As JSON, exactly."""
    assert decode_hold(encode_hold(HOLD)) == HOLD
    assert HOLD.window.seconds == 60


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "../ring"},
        {"name": "a" * 65},
        {"cameras": ()},
        {"cameras": tuple(CameraId(f"cam-{n}") for n in range(65))},
        {"end": HOLD.start},
    ],
    ids=["no name", "a path", "a long name", "no camera", "many cameras", "an empty window"],
)
def test_what_is_no_hold_is_refused(wrong: dict[str, object]) -> None:
    """On writing as well as on reading: a name is a directory's."""
    with pytest.raises(BadInputError):
        encode_hold(msgspec.structs.replace(HOLD, **wrong))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(octets: bytes) -> None:
    """What lies in a hold's place is a hold or bad input."""
    with pytest.raises(BadInputError):
        decode_hold(octets)


def test_a_hold_of_endless_length_is_not_read() -> None:
    """The limit counts before the parser does."""
    with pytest.raises(BadInputError):
        decode_hold(b" " * HOLD_BYTES_MAX + encode_hold(HOLD))


def test_a_hold_is_over_when_it_says_so_or_has_lasted_too_long() -> None:
    """Whoever asked cannot make a hold last longer than the hub's own limit."""
    settings = HoldSettings(s_max=7200)
    endless = msgspec.structs.replace(HOLD, expires=WallTime(2**62))
    assert [HOLD.is_over(at(3599), settings), HOLD.is_over(at(3600), settings)] == [False, True]
    assert [endless.is_over(at(7199), settings), endless.is_over(at(7200), settings)] == [False, True]


def test_only_what_is_missing_is_copied() -> None:
    """By run and number, in the order of the ring."""
    ring = [StoredChunk(media(n), 1, 4096 * n, 100) for n in range(1, 6)]
    held = [replace(ring[1], slab=9, offset=0), replace(ring[3], meta=media(4, run=2))]
    assert missing_chunks(ring, held) == [ring[0], ring[2], ring[3], ring[4]]
