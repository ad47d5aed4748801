"""libav decodes what it gets and encodes what it is given, from the first sample on."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cut.sound_libav import EncodedSound, SoundDecoder, encode_aac
from tests.simulators.heard import Heard, lag_s
from tests.simulators.sound_source import Microphone, noise, packets_of


def played(sound: EncodedSound) -> Heard:
    """Decode blocks of AAC, the first channel."""
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = sound.configuration.encoded()
    frames = [frame for block in sound.blocks for frame in decoder.decode(av.Packet(block))]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100, 48_000])
def test_encoded_sound_begins_with_the_first_sample(rate_hz: int, channels: int) -> None:
    """No delay of encoder or resampler is left, and the blocks last as long as the samples."""
    samples = noise(rate_hz + 37)
    sound = encode_aac(np.repeat(samples, channels).tobytes(), rate_hz, channels)
    assert sum(sound.durations) == len(samples) * 48_000 // rate_hz
    heard = played(sound)
    at = np.arange(len(heard)) * rate_hz / 48_000
    late_s, likeness = lag_s(heard, np.interp(at, np.arange(len(samples)), samples).astype(np.float32), 48_000)
    assert abs(late_s) <= 1 / 48_000
    assert likeness > 0.85


def test_only_the_first_block_fades_in() -> None:
    """Behind its 21 ms a tone has its full size; this is all that leaving out the encoder's own first block costs."""
    samples = (12_000 * np.sin(np.arange(8000) * 0.5)).astype(np.int16)
    heard = played(encode_aac(samples.tobytes(), 8000, 1))
    sizes = [float(np.abs(heard[n : n + 1024]).max()) for n in range(0, 40 * 1024, 1024)]
    assert all(0.32 < size < 0.42 for size in sizes[1:])


@settings(max_examples=20)
@given(st.integers(1, 3000))
def test_any_number_of_samples_can_be_encoded(count: int) -> None:
    """Every sample is in a block, and no block goes on behind the last one."""
    sound = encode_aac(noise(count).tobytes(), 8000, 1)
    assert sum(sound.durations) == 6 * count
    assert all(0 < duration <= 1024 for duration in sound.durations)
    assert len(sound.blocks) == -(-6 * count // 1024)


def test_behind_the_last_sample_there_is_silence() -> None:
    """And no mirror image of what was before it: what the last block says beyond its table is next to nothing."""
    samples = (12_000 * np.sin(np.arange(2000) * 0.5)).astype(np.int16)
    sound = encode_aac(samples.tobytes(), 8000, 1)
    end = sum(sound.durations)
    sizes = np.abs(played(sound))
    assert sizes[end - 60 : end].max() > 0.3
    assert sizes[end + 12 :].max() < 0.05


@pytest.mark.parametrize("encoding", ["G726-16", "G726-24", "G726-32", "G726-40", "AAL2-G726-32"])
def test_both_orders_of_bits_of_g726_are_decoded(encoding: str) -> None:
    """Each to what was said; the other order gives nothing like it."""
    samples = noise(8000)
    stream = [payload for _, payload, _ in packets_of(Microphone(encoding), samples)]
    other = encoding.removeprefix("AAL2-") if "AAL2" in encoding else "AAL2-" + encoding
    likeness = []
    for name in (encoding, other):
        decoder = SoundDecoder(name, 8000, 1)
        pcm = np.frombuffer(b"".join(decoder.decode(payload) or b"" for payload in stream), np.int16)
        assert len(pcm) == 160 * len(stream)
        likeness.append(lag_s(pcm.astype(np.float32), samples[: len(pcm)].astype(np.float32), 8000)[1])
    assert likeness[0] > 0.9
    assert likeness[1] < likeness[0] - 0.2


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=60), max_size=8), st.sampled_from(["OPUS", "G726-16", "G726-40", "AAL2-G726-24"]))
def test_any_bytes_are_sound_or_nothing(payloads: list[bytes], encoding: str) -> None:
    """What cannot be decoded is None or no sample; the next packet is tried all the same."""
    decoder = SoundDecoder(encoding, 48_000 if encoding == "OPUS" else 8000, 2 if encoding == "OPUS" else 1)
    for payload in payloads:
        pcm = decoder.decode(payload)
        assert pcm is None or len(pcm) % 2 == 0
    assert decoder.decode(b"") == b""
