"""Packets become blocks of coded sound; what is not whole is left out, and the next one is behind a hole."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.timeline import Anchor, ClockSource
from agent.clock import SECOND_NS, WallTime
from agent.cut.sound_clock import BY_REPORTS, SoundClock
from agent.cut.sound_rtp import SoundPacket
from agent.cut.sound_units import SoundUnit, aac_units, format_parameters, packet_units
from agent.errors import BadInputError

T0 = WallTime(1_795_000_000 * SECOND_NS)
CLOCK = SoundClock(16_000, 0, 0, ((0, 0),), BY_REPORTS)
HBR = "sizelength=13;indexlength=3;indexdeltalength=3"


def packet(rtp: int, payload: bytes, *, is_after_loss: bool = False) -> SoundPacket:
    """Make a packet that came with a picture of its time."""
    anchor = Anchor(0, T0, 0, ClockSource.SR)
    return SoundPacket(rtp, payload, True, is_after_loss, anchor, rtp * 90_000 // 16_000)  # noqa: FBT003 - as it came


def hbr(*sizes: int, body: bytes, index: int = 0) -> bytes:
    """Write a payload of AAC-hbr: heads of 13 bits of size and 3 of index."""
    heads = b"".join(struct.pack(">H", size << 3 | index) for size in sizes)
    return struct.pack(">H", 16 * len(sizes)) + heads + body


def units(*packets: SoundPacket, fmtp: str = HBR) -> list[SoundUnit]:
    """Take the blocks out."""
    return list(aac_units(list(packets), CLOCK, fmtp, 16_000))


def test_a_packet_of_simple_codecs_is_a_block() -> None:
    """G.711, G.726 and Opus need nothing taken apart."""
    (one,) = packet_units([packet(1600, b"abc", is_after_loss=True)], CLOCK)
    assert one == SoundUnit(WallTime(T0 + SECOND_NS // 10), b"abc", is_after_loss=True)


def test_several_blocks_in_one_packet_follow_each_other() -> None:
    """Each is 1024 samples after the one before (RFC 3640 3.2.3.1)."""
    found = units(packet(0, hbr(2, 3, 1, body=b"aabbbc")))
    assert [unit.payload for unit in found] == [b"aa", b"bbb", b"c"]
    assert [unit.time for unit in found] == [T0 + 64_000_000 * n for n in range(3)]


def test_a_block_over_several_packets_is_put_together() -> None:
    """All fragments state the size of the whole and have one time stamp."""
    pieces = [packet(0, hbr(6, body=part)) for part in (b"aa", b"bb", b"cc")]
    assert [unit.payload for unit in units(*pieces)] == [b"aabbcc"]


@pytest.mark.parametrize(
    "broken",
    [
        [packet(0, hbr(6, body=b"aa")), packet(0, hbr(6, body=b"cc"), is_after_loss=True)],
        [packet(0, hbr(6, body=b"aa")), packet(1024, hbr(6, body=b"cccc"))],
        [packet(0, hbr(6, body=b"aa")), packet(0, hbr(5, body=b"ccc"))],
        [packet(0, hbr(2, body=b"aaa"))],
        [packet(0, hbr(2, body=b"aa", index=1))],
        [packet(0, hbr(0, body=b""))],
        [packet(0, b"\0")],
        [packet(0, b"\0\x0f\0\0")],
        [packet(0, b"")],
    ],
    ids=["hole", "stamp", "size", "longer", "interleaved", "empty", "cut", "odd", "nothing"],
)
def test_what_is_not_whole_is_a_hole(broken: list[SoundPacket]) -> None:
    """Such packets give no block, and the next whole one is behind a hole."""
    found = units(*broken, packet(4096, hbr(2, body=b"zz")))
    assert [(unit.payload, unit.is_after_loss) for unit in found] == [(b"zz", True)]


@pytest.mark.parametrize(
    "fmtp", ["sizelength=99", "sizelength=-1", "sizelength=0", "indexlength=x", "CTSDeltaLength=8"]
)
def test_header_fields_that_are_not_known_are_refused(fmtp: str) -> None:
    """A layout that cannot be read is not guessed."""
    with pytest.raises(BadInputError):
        units(packet(0, hbr(2, body=b"aa")), fmtp=fmtp)


def test_low_bit_rate_has_shorter_fields() -> None:
    """AAC-lbr: 6 bits of size, 2 of index (RFC 3640 3.3.5)."""
    found = units(
        packet(0, b"\0\x08" + bytes([2 << 2]) + b"aa"), fmtp="sizelength=6; indexlength=2; indexdeltalength=2"
    )
    assert [unit.payload for unit in found] == [b"aa"]


def test_format_parameters_are_read_as_cameras_write_them() -> None:
    """Blanks and capitals do not matter."""
    assert format_parameters("mode=AAC-hbr; Config=1408 ;x") == {"mode": "AAC-hbr", "config": "1408", "x": ""}


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=40), st.booleans()), max_size=20))
def test_any_packets_give_blocks_of_their_bytes(drawn: list[tuple[int, bytes, bool]]) -> None:
    """Whatever is sent, blocks are pieces of it, and nothing is raised."""
    packets = [packet(rtp, payload, is_after_loss=lost) for rtp, payload, lost in drawn]
    found = units(*packets)
    assert sum(len(unit.payload) for unit in found) <= sum(len(payload) for _, payload, _ in drawn)
    assert all(unit.payload for unit in found)
