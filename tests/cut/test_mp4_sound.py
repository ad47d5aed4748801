"""A track of sound beside the pictures, as a stranger's reader and libav find it."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cut.mp4 import Sample, VideoTrack, write_movie
from agent.cut.mp4_sound import SoundTrack, interleaved
from agent.cut.sound_libav import encode_aac
from tests.simulators.clips import cut, window_of
from tests.simulators.h264_source import Recipe, film
from tests.simulators.mp4_reader import ReadMovie, read_movie
from tests.simulators.sound_source import Microphone, noise, with_sound

SECOND_NS = 10**9


def track(blocks: list[bytes], start_ns: int = 0) -> SoundTrack:
    """Make a track of these blocks."""
    return SoundTrack(16_000, 1, bytes.fromhex("1408"), blocks, [1024] * len(blocks), start_ns)


def movie(pictures: list[bytes], sound: SoundTrack) -> ReadMovie:
    """Write pictures at 25 a second with sound, and read the file back."""
    samples = [Sample(3600 * n, is_sync=True, payload=payload) for n, payload in enumerate(pictures)]
    return read_movie(b"".join(write_movie(VideoTrack(64, 64, b"avcC", samples, 3600), sound)))


PAYLOADS = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=80)


@settings(max_examples=60)
@given(PAYLOADS, PAYLOADS, st.integers(-3 * SECOND_NS, 3 * SECOND_NS))
def test_every_byte_is_a_picture_or_a_block(pictures: list[bytes], blocks: list[bytes], start_ns: int) -> None:
    """Both tracks hold what they were given, together they are all of `mdat`, and only one of them may wait."""
    read = movie(pictures, track(blocks, start_ns))
    (sound,) = read.sounds
    assert [sample.payload for sample in read.samples] == pictures
    assert [sample.payload for sample in sound.samples] == blocks
    assert (read.boxes, read.entries, sound.entries) == (["ftyp", "moov", "mdat"], ["avc1"], ["mp4a"])
    assert not read.has_video_edits
    waits = -read.samples[0].shown_at if start_ns < 0 else sum(ticks for ticks, media in sound.edits if media == -1)
    assert waits == pytest.approx(start_ns * 90_000 / SECOND_NS, abs=1)
    assert all(media in (-1, 0) for _, media in sound.edits)
    assert len(sound.edits) in (0, 2)


def test_pictures_and_sound_take_turns() -> None:
    """Half a second of each: whoever plays while the file comes need not wait for its end."""
    chunks = interleaved([[n / 25 for n in range(1, 101)], [n / 15.625 for n in range(1, 63)]], 0.5)
    assert [number for number, _, _ in chunks] == [0, 1] * 8
    assert max(end - begin for _, begin, end in chunks) <= 13
    assert [chunks[-2][2], chunks[-1][2]] == [100, 62]


def test_a_long_hole_in_one_track_is_no_endless_row_of_chunks() -> None:
    """Where nothing is, nothing is written."""
    chunks = interleaved([[0.04, 100_000.0], [0.06]], 0.5)
    assert chunks == [(0, 0, 1), (1, 0, 1), (0, 1, 2)]


def test_a_stock_reader_finds_rate_channels_and_length() -> None:
    """PyAV reads the sample entry as it was meant."""
    encoded = encode_aac(noise(16_000).repeat(2).tobytes(), 8000, 2)
    sound = SoundTrack(48_000, 2, encoded.configuration.encoded(), encoded.blocks, encoded.durations, SECOND_NS // 2)
    samples = [Sample(0, is_sync=True, payload=b"\0\0\0\1\x65")]
    content = b"".join(write_movie(VideoTrack(64, 64, b"\1\x64\0\x0a\xff\xe0\0", samples, 3600), sound))
    with av.open(io.BytesIO(content), "r") as container:
        (audio,) = container.streams.audio
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", 48_000, 2)
        assert float((audio.duration or 0) * (audio.time_base or 0)) == pytest.approx(2, abs=0.001)
        first = next(container.decode(audio=0))
        assert float(first.pts * first.time_base) == pytest.approx(0.5, abs=0.001)


def test_a_clip_without_sound_is_laid_out_as_before() -> None:
    """One row of pictures, no second track."""
    source = with_sound(film(Recipe()), Microphone(), noise(32_000))
    assert read_movie(cut([source], window_of(0.5, 1.5))[0]).sounds == []
