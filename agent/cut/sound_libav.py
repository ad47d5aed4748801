"""In the child process sound is decoded where a table does not do, and encoded as AAC-LC.

Rules of this file: libav is touched here and in `splice` only. A decoder may be fed what lies outside the window, since
its output is cut; the encoder is given samples of the window and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from msgspec import Struct

from agent.cut.sound_aac import AacConfiguration
from agent.cut.sound_pcm import SAMPLE_BYTES
from agent.cut.sound_units import AAC_BLOCK_SAMPLES
from agent.errors import BadInputError

RATE_HZ: Final = 48_000
"""Of encoded sound, whatever it was before: every player has it, and a block lasts 21 ms only, not 128 as at 8 kHz."""

OPUS_LOOKAHEAD_NS: Final = 6_500_000
"""Decoded Opus is what the microphone heard this much before the packet's time stamp (RFC 6716 2; 312 samples)."""

_BIT_RATE_PER_CHANNEL: Final = 64_000
_FLOAT_BYTES: Final = 4
_LEAD_OUT: Final = 50  # of a second
_LAYOUTS: Final = {1: "mono", 2: "stereo"}


class EncodedSound(Struct, frozen=True):
    """AAC blocks; `durations` in samples of the configuration's rate, together as long as what was encoded."""

    configuration: AacConfiguration
    blocks: list[bytes]
    durations: list[int]


class SoundDecoder:
    """Decodes one stretch of packets to 16-bit samples; `encoding` is "OPUS", "G726-32", "AAL2-G726-32" and so on."""

    def __init__(self, encoding: str, rate_hz: int, channels: int) -> None:
        self._codec = _open_decoder(encoding, rate_hz, channels)
        self._resampler = AudioResampler(format="s16", layout=_LAYOUTS[channels], rate=rate_hz)
        self._channels = channels

    def decode(self, payload: bytes) -> bytes | None:
        """Return a packet's samples, None if it cannot be decoded; the next ones may be."""
        try:
            frames = self._codec.decode(av.Packet(payload)) if payload else []
            made = [one for frame in frames for one in self._resampler.resample(_untimed(frame))]
        except (FFmpegError, ValueError):
            return None
        return b"".join(bytes(one.planes[0])[: one.samples * self._channels * SAMPLE_BYTES] for one in made)


def encode_aac(pcm: bytes, rate_hz: int, channels: int) -> EncodedSound:
    """Encode 16-bit samples so that the first block begins with the first sample.

    An encoder of AAC begins with a block for the 1024 samples *before* the first one, which overlaps it. That block is
    left out, so that the sound starts in its place without an edit list; the price is that the first 1024 samples
    (21 ms) fade in. Raises BadInputError if libav refuses.
    """
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, _LAYOUTS[channels], "fltp"
    encoder.bit_rate = _BIT_RATE_PER_CHANNEL * channels
    total = (len(pcm) // (SAMPLE_BYTES * channels)) * RATE_HZ // rate_hz
    blocks: dict[int, bytes] = {}
    place = 0
    try:
        for made in _frames(pcm, rate_hz, channels):
            frame = _at_most(made, total - place, channels)
            if frame is None:
                break
            frame.pts = place
            place += frame.samples
            blocks |= {packet.pts or 0: bytes(packet) for packet in encoder.encode(frame)}
        blocks |= {packet.pts or 0: bytes(packet) for packet in encoder.encode(None)}
    except FFmpegError as error:
        raise BadInputError(f"the sound of this window cannot be encoded: {error.strerror}") from error
    places = [at for at in sorted(blocks) if 0 <= at < total]
    durations = [after - before for before, after in pairwise([*places, total])]
    return EncodedSound(AacConfiguration(RATE_HZ, channels), [blocks[at] for at in places], durations)


def _frames(pcm: bytes, rate_hz: int, channels: int) -> Iterator[AudioFrame]:
    """Yield the samples at `RATE_HZ`, and some silence, in frames of one block each; the last one may be shorter."""
    resampler = AudioResampler(format="fltp", layout=_LAYOUTS[channels], rate=RATE_HZ, frame_size=AAC_BLOCK_SAMPLES)
    step = rate_hz * channels * SAMPLE_BYTES
    led_out = pcm + bytes(step // _LEAD_OUT)  # else a resampler goes on with a mirror image of the last samples
    for begin in range(0, len(led_out), step):
        piece = led_out[begin : begin + step]
        frame = AudioFrame("s16", _LAYOUTS[channels], len(piece) // (channels * SAMPLE_BYTES))
        frame.sample_rate = rate_hz
        frame.planes[0].update(piece)
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _at_most(frame: AudioFrame, left: int, channels: int) -> AudioFrame | None:
    """Cut a frame off behind `left` samples; None if nothing is left."""
    if frame.samples <= left:
        return frame
    if left <= 0:
        return None
    shorter = AudioFrame("fltp", _LAYOUTS[channels], left)
    shorter.sample_rate = frame.sample_rate
    for plane, longer in zip(shorter.planes, frame.planes, strict=True):
        plane.update(bytes(longer)[: left * _FLOAT_BYTES].ljust(plane.buffer_size, b"\0"))
    return shorter


def _open_decoder(encoding: str, rate_hz: int, channels: int) -> AudioCodecContext:
    if encoding == "OPUS":
        name, options = "opus", dict[str, str]()
    else:  # RFC 3551 4.5.4 packs from the low bits up, ATM AAL2 from the high bits down
        name = "g726" if encoding.startswith("AAL2-") else "g726le"
        options = {"bits_per_coded_sample": str(int(encoding.rpartition("-")[2]) // 8)}
    decoder = av.CodecContext.create(name, "r")
    if not isinstance(decoder, AudioCodecContext):
        raise TypeError(name)
    decoder.sample_rate, decoder.layout, decoder.options = rate_hz, _LAYOUTS[channels], options
    return decoder


def _untimed(frame: AudioFrame) -> AudioFrame:
    frame.pts = None
    return frame
