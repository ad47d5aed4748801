"""Every block of a clip's sound decoded by itself, past any player, and found again in what the camera heard.

Rules of this file: what the decoder gives counts, also behind the end that the tables state. It knows no times, only
which stretch of the camera's sound sounds like this.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import av
import numpy as np

from agent.demo.camera_log import SoundHead
from agent.demo.sound_code import LEVEL, Wave, at_rate, chip_of, wave
from agent.errors import BadInputError
from agent.opening.clip_boxes import BoxedTrack

BLOCK_SAMPLES: Final = 1024  # of AAC-LC (ISO/IEC 14496-3 4.5.2.1)
RATES_HZ: Final = frozenset(
    {96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350}
)  # ISO/IEC 14496-3 1.6.3.4
SILENT_BLOCKS: Final = (bytes.fromhex("00c800802380"), bytes.fromhex("21004990021900238000"))
"""Mono and stereo. They tell of nothing, and may stand where sound is missing."""


@dataclass(frozen=True)
class Heard:
    """A track of sound as samples, and where each of them is from."""

    samples: Wave  # all blocks one after the other, and what the last one still tells of; a chip's level is 1
    place: float  # of the first one among the samples that the camera took
    likeness: float  # how like they are at that place (1: equal)


_LOUD: Final = 0.3  # of a chip's level
_LOOKED_FOR: Final = 1 << 18  # samples: 5 s and more


def decode(content: bytes, track: BoxedTrack) -> Wave:
    """Decode all blocks in order, and one of silence behind them, which brings out the last one's second half."""
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = track.configuration
    decoded = np.zeros((len(track.samples) + 1) * BLOCK_SAMPLES)
    silence = SILENT_BLOCKS[0] if _channels(track) == 1 else SILENT_BLOCKS[1]
    blocks = [content[sample.begin : sample.end] for sample in track.samples]
    for number, block in enumerate([*blocks, silence]):
        with suppress(av.FFmpegError):  # what it refuses is silent, and that is what counts
            for frame in decoder.decode(av.Packet(block)):
                first = frame.to_ndarray()[0][:BLOCK_SAMPLES]
                decoded[number * BLOCK_SAMPLES : number * BLOCK_SAMPLES + len(first)] = first
    return decoded * (32768 / LEVEL)


def _channels(track: BoxedTrack) -> int:
    if len(track.configuration) < 2:  # noqa: PLR2004 - type, rate and channels are 13 bits
        raise BadInputError("a track of sound that does not say how it is coded")
    return track.configuration[1] >> 3 & 15


def find(samples: Wave, clip_hz: int, sound: SoundHead, first: int, count: int) -> tuple[float, float]:
    """Look for a stretch among `count` samples that the camera took from sample `first` on.

    Return its place there, and the likeness. Of a long stretch its first seconds that are not silent are looked for.
    """
    loud = np.flatnonzero(np.abs(samples) > _LOUD)
    skipped = max(int(loud[0]) - BLOCK_SAMPLES, 0) if len(loud) else 0
    if len(samples) - skipped > _LOOKED_FOR:
        piece = samples[skipped : skipped + _LOOKED_FOR]
        first += int(skipped * sound.rate_hz / clip_hz)
        count -= int((len(samples) - len(piece)) * sound.rate_hz / clip_hz)
        place, alike = find(piece, clip_hz, sound, first, count)
        return place - skipped * sound.rate_hz / clip_hz, alike
    known = at_rate(wave(first, count, sound.starts_ns, sound.rate_hz, sound.chips_hz), sound.rate_hz, clip_hz)
    size = 1 << (len(known) + len(samples)).bit_length()
    products = np.fft.irfft(np.fft.rfft(known, size) * np.conj(np.fft.rfft(samples, size)), size)
    # A negative lag stands at the end: the stretch may begin before the first sample that is looked at.
    lag = int(np.argmax(np.concatenate([products[size - len(samples) :], products[: len(known)]]))) - len(samples)
    there = known[max(lag, 0) : max(lag + len(samples), 0)]
    norm = float(np.sqrt((samples**2).sum() * (there**2).sum()))
    return first + lag * sound.rate_hz / clip_hz, float(products[lag]) / norm if norm else 0.0


def likeness(samples: Wave, clip_hz: int, sound: SoundHead, place: float) -> float:
    """Say how like a stretch is to what the camera heard at a place (1: equal)."""
    there = _known(len(samples), clip_hz, sound, place)
    norm = float(np.sqrt((samples**2).sum() * (there**2).sum()))
    return float((samples * there).sum()) / norm if norm else 0.0


def levels(heard: Heard, clip_hz: int, sound: SoundHead) -> tuple[int, Wave, Wave]:
    """Say of each of the camera's samples how much of it can be heard: the first one's number, and two answers.

    1 is all of it, 0 nothing. The first answer is of the chip alone that the sample is part of, which coding blurs; the
    second is of 2 ms around it.
    """
    taken = at_rate(heard.samples, clip_hz, sound.rate_hz)
    first = round(heard.place)
    known = wave(first, len(taken), sound.starts_ns, sound.rate_hz, sound.chips_hz)
    chip = (
        chip_of(0, sound.starts_ns, sound.rate_hz, sound.chips_hz)
        + np.arange(first, first + len(taken)) * sound.chips_hz // sound.rate_hz
    )
    of_chip = np.bincount(chip - chip[0], taken * known) / np.bincount(chip - chip[0])
    around = np.ones(max(sound.rate_hz * 2 // 1000, 1))
    of_stretch = np.convolve(taken * known, around / len(around), "same")
    return first, of_chip[chip - chip[0]], of_stretch


def _known(count: int, clip_hz: int, sound: SoundHead, place: float) -> Wave:
    """Return what the camera heard from a place on, which must be on a sample of the clip's rate."""
    margin = sound.rate_hz // 10
    first = int(np.floor(place)) - margin
    known = wave(
        first, count * sound.rate_hz // clip_hz + 2 * margin + 2, sound.starts_ns, sound.rate_hz, sound.chips_hz
    )
    begin = round((place - first) * clip_hz / sound.rate_hz)
    return at_rate(known, sound.rate_hz, clip_hz)[begin : begin + count]
