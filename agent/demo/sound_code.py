"""What a virtual microphone hears: a code from which anybody can read, after any re-encoding, when it was heard.

The code is a row of chips, each +1 or -1, one for each 1/`chips_hz` s since 1970 by the camera's clock. The sign of
chip number n is bit n % 256, most significant first, of SHA-256(b"transom chips" || n // 256 in 8 bytes, big endian);
1 is +1. No stretch is like another: some milliseconds of it tell their own time, and each chip is there or is not.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.clock import SECOND_NS

Chips = NDArray[np.int8]
Wave = NDArray[np.float64]
LEVEL: Final = 7932
"""How loud a chip is, of 32768. G.711 has this level in mu-law, and one within 2 % in A-law."""

_WORD_CHIPS: Final = 256


def chips(first: int, count: int) -> Chips:
    """Return `count` chips from number `first` on."""
    words = range(first // _WORD_CHIPS, (first + count - 1) // _WORD_CHIPS + 1)
    digests = b"".join(hashlib.sha256(b"transom chips" + word.to_bytes(8, "big")).digest() for word in words)
    bits = np.unpackbits(np.frombuffer(digests, np.uint8)).astype(np.int8)
    begin = first - words.start * _WORD_CHIPS
    return 2 * bits[begin : begin + count] - 1


def chip_of(sample: int, starts_ns: int, rate_hz: int, chips_hz: int) -> int:
    """Return the number of the chip that a sample is part of; sample 0 was taken at `starts_ns`."""
    return starts_ns * chips_hz // SECOND_NS + sample * chips_hz // rate_hz


def wave(first: int, count: int, starts_ns: int, rate_hz: int, chips_hz: int) -> Wave:
    """Return the signs of `count` samples from sample `first` on, each -1 or +1."""
    begin = chip_of(first, starts_ns, rate_hz, chips_hz)
    end = chip_of(first + count - 1, starts_ns, rate_hz, chips_hz) + 1
    places = (
        starts_ns * chips_hz // SECOND_NS - begin + (first + np.arange(count, dtype=np.int64)) * chips_hz // rate_hz
    )
    return chips(begin, end - begin)[places].astype(np.float64)


def at_rate(samples: Wave, rate_hz: int, wanted_hz: int) -> Wave:
    """Resample without moving anything: sample n stands for the moment n / rate before and after.

    The length in seconds is kept, rounded down to samples. What is beyond the lower of the two rates is left out.
    """
    if rate_hz == wanted_hz or not len(samples):
        return samples
    margin = rate_hz // 10  # so that the end does not reach round into the beginning
    size = -(-(len(samples) + 2 * margin) // rate_hz) * rate_hz  # whole seconds: whole numbers at any rate
    padded = np.zeros(size)
    padded[margin : margin + len(samples)] = samples
    spectrum = np.fft.rfft(padded)
    wanted = size // rate_hz * wanted_hz
    kept = np.zeros(wanted // 2 + 1, np.complex128)
    common = min(len(spectrum), len(kept))
    kept[:common] = spectrum[:common]
    begin = margin * wanted_hz // rate_hz
    return np.fft.irfft(kept, wanted)[begin : begin + len(samples) * wanted_hz // rate_hz] * (wanted / size)
