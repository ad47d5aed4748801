"""Sound is found again where it was heard, whole, in part, and however it was coded in between."""

from __future__ import annotations

import numpy as np
import pytest

from agent.cut.sound_libav import encode_aac
from agent.demo.camera_log import SoundHead
from agent.demo.clip_heard import BLOCK_SAMPLES, Heard, decode, find, levels, likeness
from agent.demo.sound_code import LEVEL, wave
from agent.errors import BadInputError
from agent.opening.clip_boxes import BoxedSample, BoxedTrack

SOUND = SoundHead("PCMU", 8000, 8000, 1_795_000_000_000_000_000)
RATE_HZ = 48_000


def boxed(first: int, count: int, channels: int = 1) -> tuple[bytes, BoxedTrack]:
    """Encode what the camera heard from sample `first` on."""
    heard = (LEVEL * wave(first, count, SOUND.starts_ns, 8000, 8000)).astype("<i2")
    encoded = encode_aac(np.repeat(heard, channels).tobytes(), 8000, channels)
    samples, at = [], 0
    for number, block in enumerate(encoded.blocks):
        samples.append(BoxedSample(at, at + len(block), number * BLOCK_SAMPLES, is_sync=True))
        at += len(block)
    track = BoxedTrack(
        "soun",
        "mp4a",
        encoded.configuration.encoded(),
        RATE_HZ,
        tuple(samples),
        sum(encoded.durations),
        (channels, 0),
        0,
    )
    return b"".join(encoded.blocks), track


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("first", [0, 4001, 12_345])
def test_sound_is_found_to_the_sample(first: int, channels: int) -> None:
    """Among three seconds, from its sound alone."""
    decoded = decode(*boxed(first, 2000, channels))
    assert len(decoded) == 13 * BLOCK_SAMPLES
    place, alike = find(decoded, RATE_HZ, SOUND, -8000, 32_000)
    assert (place, alike > 0.9) == (first, True)
    assert likeness(decoded[2048:3072], RATE_HZ, SOUND, first + 2048 / 6) > 0.9
    assert abs(likeness(decoded[2048:3072], RATE_HZ, SOUND, first + 2048 / 6 + 10)) < 0.4


def test_a_stretch_that_begins_before_what_is_looked_at_is_found_too() -> None:
    """Its place is before the first sample."""
    place, _ = find(decode(*boxed(1000, 2000)), RATE_HZ, SOUND, 1200, 8000)
    assert place == 1000


def test_each_sample_is_there_or_is_not() -> None:
    """Inside, all of it; behind the end, not one chip."""
    decoded = decode(*boxed(4001, 2000))
    first, of_chip, of_stretch = levels(Heard(decoded, 4001, 1.0), RATE_HZ, SOUND)
    assert first == 4001
    assert of_stretch[200:1980].min() > 0.6
    assert (of_chip[200:2000] > 0.4).mean() > 0.99
    assert np.abs(of_chip[2000:]).max() < 0.5
    assert np.abs(of_stretch[2010:]).max() < 0.1


def test_a_block_that_no_decoder_takes_is_silent() -> None:
    """Its neighbours are heard nevertheless."""
    content, track = boxed(0, 2000)
    third = track.samples[3]
    decoded = decode(content[: third.begin] + bytes(third.end - third.begin) + content[third.end :], track)
    assert np.abs(decoded[3 * BLOCK_SAMPLES : 4 * BLOCK_SAMPLES]).max() < np.abs(decoded[5 * BLOCK_SAMPLES :]).max()
    assert np.abs(decoded[6 * BLOCK_SAMPLES : 7 * BLOCK_SAMPLES]).mean() > 0.5


def test_sound_that_does_not_say_how_it_is_coded_is_bad_input() -> None:
    """Nobody can tell how many channels it has."""
    with pytest.raises(BadInputError, match="how it is coded"):
        decode(b"", BoxedTrack("soun", "mp4a", b"", RATE_HZ, (), 0, (1, 0), 0))


def test_long_sound_is_found_by_its_first_loud_seconds() -> None:
    """Silence before them does not matter, nor what comes behind."""
    decoded = decode(*boxed(16_000, 60_000))
    assert len(decoded) > 1 << 18
    place, alike = find(decoded, RATE_HZ, SOUND, 12_000, 70_000)
    assert (round(place, 6), alike > 0.9) == (16_000, True)
    decoded[:96_000] = 0
    place, alike = find(decoded, RATE_HZ, SOUND, 12_000, 70_000)
    assert (round(place, 6), alike > 0.8) == (16_000, True)
