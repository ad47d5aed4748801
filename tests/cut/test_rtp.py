"""Wire bytes become packets, or are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cut.rtp import interleaved_frames, only_channels, parse_rtp
from agent.errors import BadInputError

HEAD = bytes([0x80, 0xE0, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4])  # version 2, marker, payload type 96, sequence 7, time 9


@pytest.mark.parametrize("wire", [b"$", b"junk", b"$\0\0\5abc", b"$\0\xff\xff"])
def test_broken_framing_is_bad_input(wire: bytes) -> None:
    """A chunk that is not whole frames is no evidence."""
    with pytest.raises(BadInputError):
        list(interleaved_frames(wire))


def test_frames_come_with_their_channel() -> None:
    """Channel and packet, in order."""
    frames = [(channel, bytes(packet)) for channel, packet in interleaved_frames(b"$\0\0\2ab$\3\0\0")]
    assert frames == [(0, b"ab"), (3, b"")]


@pytest.mark.parametrize(
    ("packet", "payload"),
    [
        (HEAD + b"abc", b"abc"),
        (HEAD, b""),
        (b"\x82" + HEAD[1:] + bytes(8) + b"abc", b"abc"),  # two contributing sources
        (b"\x90" + HEAD[1:] + b"\xbe\xde\0\1wxyzabc", b"abc"),  # a header extension of one word (ONVIF's replay)
        (b"\xa0" + HEAD[1:] + b"abc\0\0\3", b"abc"),  # three bytes of padding
    ],
)
def test_the_payload_is_what_header_and_padding_leave(packet: bytes, payload: bytes) -> None:
    """RFC 3550 5.1 and 5.3.1."""
    read = parse_rtp(memoryview(packet), 96)
    assert read is not None
    assert (read.sequence, read.timestamp, read.is_marked, read.payload) == (7, 9, True, payload)


@pytest.mark.parametrize(
    "packet",
    [
        HEAD[:11],
        b"\x40" + HEAD[1:],  # version 1
        HEAD[:1] + b"\xe1" + HEAD[2:],  # another payload type
        b"\x8f" + HEAD[1:] + b"abc",  # more sources than bytes
        b"\x90" + HEAD[1:] + b"ab",  # an extension that is cut off
        b"\xa0" + HEAD[1:] + b"abc\xff",  # more padding than bytes
    ],
)
def test_what_is_no_packet_of_the_track_is_left_out(packet: bytes) -> None:
    """It counts as lost, by its number."""
    assert parse_rtp(memoryview(packet), 96) is None


@given(st.binary(max_size=64))
def test_any_bytes_are_a_packet_or_none(packet: bytes) -> None:
    """Nothing else is raised."""
    parse_rtp(memoryview(packet), 96)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20))), st.sets(st.integers(0, 255)))
def test_what_is_left_out_is_whole_frames_of_other_channels(drawn: list[tuple[int, bytes]], channels: set[int]) -> None:
    """The wire of some channels is their frames as they were, in order, and nothing else."""
    wire = [(channel, b"$" + bytes([channel]) + len(body).to_bytes(2, "big") + body) for channel, body in drawn]
    kept = only_channels(b"".join(frame for _, frame in wire), channels)
    assert kept == b"".join(frame for channel, frame in wire if channel in channels)
