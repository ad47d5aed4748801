"""Samples are laid in their places: those of the window and no other."""

from __future__ import annotations

import struct

import av
import pytest
from av.audio.codeccontext import AudioCodecContext
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.sound_gaps import STEADY_NS_MAX, WHY_SOUND_LOST
from agent.cut.sound_pcm import LINE_S_MAX, PcmLine, decode_g711
from agent.errors import BadInputError

T0 = WallTime(1_795_000_000 * SECOND_NS)
SAMPLE_NS = SECOND_NS // 8000
RATE_HZ = 8000


def at(sample: float) -> WallTime:
    """Return the time of a sample, counted from T0."""
    return WallTime(T0 + round(sample * SAMPLE_NS))


def samples(first: int, count: int) -> bytes:
    """Return samples that are their own numbers."""
    return struct.pack(f"<{count}h", *(1 + n % 30_000 for n in range(first, first + count)))


def numbers(line: PcmLine) -> list[int]:
    """Read them back; -1 is silence."""
    return [value - 1 for value in struct.unpack(f"<{len(line.pcm) // 2}h", line.pcm)]


def line_of(begin: float, end: float) -> PcmLine:
    """Make a line for a window given in samples."""
    return PcmLine(Window(at(begin), at(end)), RATE_HZ, 1)


@given(st.floats(0, 900), st.floats(1, 900), st.integers(1, 200))
def test_exactly_the_samples_of_the_window_are_on_the_line(begin: float, length: float, packet: int) -> None:
    """Half-open to the nanosecond: each sample's own time decides."""
    line = line_of(begin, begin + length)
    for first in range(0, 2000, packet):
        line.put(at(first), samples(first, packet), is_after_loss=False)
    window = Window(at(begin), at(begin + length))
    inside = [n for n in range(2000) if at(n) in window]
    assert numbers(line) == inside
    assert (line.start, line.end) == ((at(inside[0]), min(at(inside[-1] + 1), window.end)) if inside else (None, None))


def test_a_hole_is_silence_of_its_length_and_told() -> None:
    """What follows a lost packet is in its own place."""
    line = line_of(0, 800)
    line.put(at(0), samples(0, 160), is_after_loss=False)
    line.put(at(320), samples(320, 160), is_after_loss=True)
    assert numbers(line) == [*range(160), *[-1] * 160, *range(320, 480)]
    assert line.covered == [(at(0), at(160)), (at(320), at(480))]
    assert line.marks == [(at(320), WHY_SOUND_LOST)]


@pytest.mark.parametrize("late", [-40, 40])
def test_unsteady_times_are_laid_end_to_end(late: int) -> None:
    """5 ms more or less are the camera's clock, not a hole: no sample is dropped and none is made up."""
    line = line_of(0, 8000)
    for number in range(10):
        line.put(at(160 * number + late * (number % 2)), samples(160 * number, 160), is_after_loss=False)
    assert numbers(line) == list(range(1600))


@pytest.mark.parametrize("step", [158, 162])
def test_sound_that_drifts_is_put_back_into_its_place(step: int) -> None:
    """It is never further from its time than what is called steady."""
    line = line_of(0, 80_000)
    for number in range(180):
        line.put(at(step * number), samples(160 * number, 160), is_after_loss=False)
    found = numbers(line)
    off = [abs(found.index(160 * n + 100) - step * n - 100) for n in range(180)]
    assert max(off) * SAMPLE_NS <= STEADY_NS_MAX


def test_what_comes_twice_is_there_once() -> None:
    """A piece whose time is on the line already changes nothing; the rest of it is laid behind."""
    line = line_of(0, 8000)
    line.put(at(0), samples(0, 400), is_after_loss=False)
    line.put(at(100), samples(100, 400), is_after_loss=False)
    line.put(at(0), samples(0, 160), is_after_loss=False)
    assert numbers(line) == list(range(500))


@pytest.mark.parametrize(("back", "kept"), [(200, 200), (0, 0), (-50, 0)])
def test_after_a_clock_that_was_set_back_the_newer_sound_is_kept(back: int, kept: int) -> None:
    """As with pictures: the time that was told twice is told by the later run."""
    line = line_of(-100, 8000)
    line.put(at(0), samples(0, 400), is_after_loss=False)
    line.set_back(at(back))
    line.put(at(back), samples(1000, 160), is_after_loss=False)
    assert numbers(line) == [*range(kept), *range(1000, 1160)]
    line.set_back(at(5000))
    assert len(numbers(line)) == kept + 160


def test_a_line_has_an_end() -> None:
    """Silence is memory too."""
    line = line_of(0, 8000 * (LINE_S_MAX + 10))
    line.put(at(0), samples(0, 160), is_after_loss=False)
    with pytest.raises(BadInputError, match="sound in one part"):
        line.put(at(8000 * (LINE_S_MAX + 1)), samples(0, 160), is_after_loss=False)


@pytest.mark.parametrize(("encoding", "codec"), [("PCMU", "pcm_mulaw"), ("PCMA", "pcm_alaw")])
def test_the_tables_are_those_of_everybody(encoding: str, codec: str) -> None:
    """All 256 codes of G.711 decode to what libav makes of them."""
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.sample_rate, decoder.layout = RATE_HZ, "mono"
    (frame,) = decoder.decode(av.Packet(bytes(range(256))))
    assert decode_g711(bytes(range(256)), encoding) == bytes(frame.planes[0])[:512]
