"""Which of a camera's AAC blocks are copied, and what stands between them."""

from __future__ import annotations

import av
import pytest
from av.audio.codeccontext import AudioCodecContext
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.sound_aac import SILENT_BLOCKS, AacConfiguration, BlockLine, read_configuration
from agent.cut.sound_gaps import STEADY_NS_MAX, WHY_SOUND_EDGE, WHY_SOUND_LOST
from agent.cut.sound_units import SoundUnit
from agent.errors import BadInputError

T0 = WallTime(1_795_000_000 * SECOND_NS)
BLOCK_NS = 64_000_000
MONO = AacConfiguration(16_000, 1)
GRANTED = Window(T0, WallTime(T0 + 100 * BLOCK_NS))


def at(block: float) -> WallTime:
    """Return the time of a block, counted from T0."""
    return WallTime(T0 + round(block * BLOCK_NS))


def block(number: float, *, is_after_loss: bool = False) -> SoundUnit:
    """Make a block that is its own number."""
    return SoundUnit(at(number), f"block {number}".encode(), is_after_loss)


def filled(line: BlockLine, *numbers: float) -> BlockLine:
    """Put blocks on a line."""
    for number in numbers:
        line.put(block(number))
    return line


def test_only_blocks_that_reach_nowhere_outside_are_copied() -> None:
    """One block is kept free at the start and two at the end, and what is left out is told."""
    line = filled(BlockLine(GRANTED, GRANTED, MONO), *range(-3, 105))
    assert line.blocks[0] == b"block 2"  # block 1 begins a nanosecond's rounding too early
    assert line.blocks[-1] == b"block 97"
    assert line.durations == [1024] * len(line.blocks)
    assert {why for _, why in line.marks} == {WHY_SOUND_EDGE}


@given(st.integers(10, 90))
def test_an_inner_border_divides_the_blocks(border: int) -> None:
    """Of two parts each block is in one, with nothing left out between them."""
    whole = filled(BlockLine(GRANTED, GRANTED, MONO), *range(101)).blocks
    parts = [Window(GRANTED.start, at(border + 0.3)), Window(at(border + 0.3), GRANTED.end)]
    first, second = (filled(BlockLine(part, GRANTED, MONO), *range(101)).blocks for part in parts)
    assert first + second == whole


def test_a_hole_is_bridged_by_silence() -> None:
    """Players go by blocks: what follows a hole is in its place only if something is in the hole."""
    line = filled(BlockLine(GRANTED, GRANTED, MONO), 10, 11)
    line.put(block(14, is_after_loss=True))
    assert line.blocks == [b"block 10", b"block 11", SILENT_BLOCKS[1], SILENT_BLOCKS[1], b"block 14"]
    assert line.durations == [1024] * 5
    assert line.covered == [(at(10), at(12)), (at(14), at(15))]
    assert line.marks == [(at(14), WHY_SOUND_LOST)]


def test_drift_is_taken_up_by_how_long_a_block_stays() -> None:
    """A block is never further from its time than what is called steady."""
    line = filled(BlockLine(GRANTED, GRANTED, MONO), *(10 + 1.01 * n for n in range(80)))
    place = 0
    for number, duration in enumerate(line.durations):
        assert abs(place / 1024 - 1.01 * number) * BLOCK_NS <= STEADY_NS_MAX + 31_250
        place += duration


def test_what_comes_twice_is_there_once_and_a_newer_run_counts_more() -> None:
    """A block whose time is taken is left out, unless the clock was set back."""
    line = filled(BlockLine(GRANTED, GRANTED, MONO), 10, 11, 12, 10, 11)
    assert line.blocks == [b"block 10", b"block 11", b"block 12"]
    line.set_back(at(11))
    assert filled(line, 11.0).blocks == [b"block 10", b"block 11.0"]
    line.set_back(at(3))
    assert filled(line, 3).blocks == [b"block 3"]
    line.put(SoundUnit(None, b"no time", is_after_loss=False))
    assert line.blocks == [b"block 3"]


def test_an_endless_hole_is_refused() -> None:
    """Silence is memory too."""
    long = Window(T0, WallTime(T0 + 200_000 * BLOCK_NS))
    line = filled(BlockLine(long, long, MONO), 10)
    with pytest.raises(BadInputError, match="blocks of sound"):
        line.put(block(150_000))


@pytest.mark.parametrize(
    ("config", "rate_hz", "channels"),
    [("1408", 16_000, 1), ("1190", 48_000, 2), ("1588", 8000, 1), ("1210", 44_100, 2)],
)
def test_configurations_are_read_and_written(config: str, rate_hz: int, channels: int) -> None:
    """The two bytes that everybody uses for AAC-LC."""
    read = read_configuration(f"mode=AAC-hbr; config={config}")
    assert read == AacConfiguration(rate_hz, channels)
    assert read.encoded().hex() == config


@pytest.mark.parametrize(
    "config", ["", "1", "zz", "2b11", "0c08", "1428", "1780", "140c", "ff" * 40], ids=lambda c: c[:6] or "none"
)
def test_other_kinds_of_aac_are_refused(config: str) -> None:
    """HE-AAC, six channels, unknown rates, 960 samples: what cannot be cut exactly is not cut."""
    with pytest.raises(BadInputError):
        read_configuration(f"config={config}")


@pytest.mark.parametrize("channels", [1, 2])
def test_the_silent_block_is_silent(channels: int) -> None:
    """Libav decodes it without complaint, to nothing."""
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = AacConfiguration(16_000, channels).encoded()
    decoder.options = {"err_detect": "explode"}
    frames = [frame for _ in range(3) for frame in decoder.decode(av.Packet(SILENT_BLOCKS[channels]))]
    assert [(f.samples, f.layout.nb_channels) for f in frames] == [(1024, channels)] * 3
    assert not any(abs(frame.to_ndarray()).max() for frame in frames)
