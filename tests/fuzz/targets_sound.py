"""A camera's sound from the wire to blocks of a clip, with the messages to begin from.

Rules of this file: the first byte of an input chooses how the sound is coded, the rest is one chunk's wire.
"""

from __future__ import annotations

from typing import Final

from agent.acquire.stream import StreamHeader, Track
from agent.cut.clip import CutOrder, WireChunk
from agent.cut.sound import SoundCutter
from tests.simulators.clips import window_of
from tests.simulators.h264_source import CAMERA, Recipe, film
from tests.simulators.sound_source import CHANNEL, KIND, Microphone, noise, with_sound

_AAC: Final = "sizelength=13;indexlength=3;indexdeltalength=3;config="
_MICROPHONES: Final = (
    Microphone(seconds=1.5),
    Microphone("G726-32", seconds=1.5),
    Microphone("OPUS", 48_000, channels=2, packet=960, seconds=1.5),
    Microphone("MPEG4-GENERIC", 16_000, _AAC + "1408", packet=2, seconds=1.5),
    Microphone("MPEG4-GENERIC", 48_000, _AAC + "1190", packet=1, channels=2, fragment_bytes=90, seconds=1.5),
)
_FILM: Final = film(Recipe(pictures=25))
_WINDOW: Final = window_of(0.1, 0.9)


def _wire(number: int, mic: Microphone) -> bytes:
    source = with_sound(_FILM, mic, noise(round(mic.seconds * mic.rate_hz)))
    return bytes([number]) + b"".join(chunk.wire for chunk in source.chunks)


SOUNDS: Final = tuple(_wire(number, mic) for number, mic in enumerate(_MICROPHONES))


def sound(raw: bytes) -> None:
    """Check that what is delivered lies in the window and is told, whatever packets and reports say."""
    mic = _MICROPHONES[raw[0] % len(_MICROPHONES)] if raw else _MICROPHONES[0]
    track = Track(CHANNEL, "audio", mic.encoding, KIND, mic.rate_hz, mic.fmtp, mic.channels)
    header = StreamHeader(CAMERA, 1, (_FILM.header.video, track))
    cutter = SoundCutter(CutOrder(_WINDOW, (header,), _WINDOW))
    for _ in cutter.passing([WireChunk(1, 0, _FILM.chunks[0].anchor, raw[1:])]):
        pass
    made = cutter.cut()
    assert made.report is not None
    start, end = made.report.start, made.report.end
    if made.sound is None:
        assert (start, end, made.report.codec) == (None, None, "")
        assert made.report.gaps
        return
    assert start is not None
    assert end is not None
    assert _WINDOW.start <= start <= end <= _WINDOW.end
    assert len(made.sound.blocks) == len(made.sound.durations) > 0
    assert min(made.sound.durations) > 0
    lasts_s = sum(made.sound.durations) / made.sound.configuration.rate_hz
    assert lasts_s <= _WINDOW.seconds + 0.15  # what is unsteady is laid end to end, and a copied block is whole
    track_beside = made.beside(_WINDOW.start)
    assert track_beside is not None
