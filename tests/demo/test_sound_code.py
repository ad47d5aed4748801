"""A stretch of the code tells its own time, and can be written at any rate without being moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.demo.sound_code import at_rate, chip_of, chips, wave

STARTS_NS = 1_795_000_000_499_970_000


def test_the_vector_of_the_format_is_what_is_heard() -> None:
    """The first chips of 2026-11-18T11:06:40Z at 8000 in a second, as FORMAT.md has them."""
    first = chip_of(0, 1_795_000_000_000_000_000, 8000, 8000)
    assert first == 14_360_000_000_000
    assert "".join("+" if sign > 0 else "-" for sign in chips(first, 16)) == "+-++--+-+++-++--"


@given(st.integers(0, 1 << 45), st.integers(1, 900), st.integers(0, 899))
def test_chips_are_the_same_wherever_one_begins(first: int, count: int, skipped: int) -> None:
    """Any stretch is a part of any longer one."""
    skipped = min(skipped, count - 1)
    assert (chips(first, count)[skipped:] == chips(first + skipped, count - skipped)).all()


def test_no_stretch_is_like_another() -> None:
    """A hundred chips in a row stand nowhere else in ten minutes."""
    long = chips(14_360_000_000_000, 8000 * 600).astype(np.float32)
    piece = long[1_234_567 : 1_234_567 + 100]
    size = 1 << (len(long) + 100).bit_length()
    alike = np.fft.irfft(np.fft.rfft(long, size) * np.conj(np.fft.rfft(piece, size)), size)[: len(long)]
    assert int(np.argmax(alike)) == 1_234_567
    assert np.partition(alike, -2)[-2] < 75


@pytest.mark.parametrize(("rate_hz", "chips_hz"), [(8000, 8000), (16_000, 8000), (48_000, 8000), (44_100, 8000)])
def test_a_sample_has_the_sign_of_its_chip(rate_hz: int, chips_hz: int) -> None:
    """Also in the middle of a stretch, and where several samples make a chip."""
    samples = wave(700, 300, STARTS_NS, rate_hz, chips_hz)
    for number in (0, 1, 5, 299):
        assert samples[number] == chips(chip_of(700 + number, STARTS_NS, rate_hz, chips_hz), 1)[0]


@pytest.mark.parametrize(("rate_hz", "wanted_hz"), [(8000, 48_000), (16_000, 48_000), (44_100, 48_000)])
def test_another_rate_moves_nothing(rate_hz: int, wanted_hz: int) -> None:
    """Sample n stands for the same moment as before, and the way back gives the same samples."""
    samples = wave(0, rate_hz, STARTS_NS, rate_hz, rate_hz)
    more = at_rate(samples, rate_hz, wanted_hz)
    assert len(more) == wanted_hz
    back = at_rate(more, wanted_hz, rate_hz)
    assert float(np.abs(back[50:-50] - samples[50:-50]).max()) < 0.1
    assert at_rate(samples[:0], rate_hz, wanted_hz).size == 0
