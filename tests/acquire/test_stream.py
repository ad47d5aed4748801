"""A stream header is read back as it was written, and nothing else is one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.acquire.stream import (
    CHANNEL_MAX,
    SOUND_CHANNELS_MAX,
    STREAM_HEADER_BYTES_MAX,
    CameraId,
    StreamHeader,
    Track,
    decode_stream_header,
    encode_stream_header,
)
from agent.errors import BadInputError

VIDEO = Track(0, "video", "H264", 96, 90_000, "packetization-mode=1")
SOUND = Track(2, "audio", "MPEG4-GENERIC", 97, 48_000, "config=1190", 2)


def test_a_header_comes_back_as_it_was() -> None:
    """Names of any language and the whole description survive."""
    header = StreamHeader(CameraId("cam-1"), 7, (VIDEO, SOUND), "Eingang — 門", "v=0\r\n")
    assert decode_stream_header(encode_stream_header(header)) == header
    assert header.video is VIDEO


def test_a_description_that_is_too_long_is_refused() -> None:
    """A camera cannot fill the ring with its own description."""
    header = StreamHeader(CameraId("cam-1"), 7, (VIDEO,), "", "x" * STREAM_HEADER_BYTES_MAX)
    with pytest.raises(BadInputError, match="bytes"):
        encode_stream_header(header)


def test_a_header_of_before_there_was_sound_is_read() -> None:
    """Rings hold headers whose tracks say nothing of sound channels."""
    track = '{"channel":0,"media":"video","encoding":"H264","payload_type":96,"clock_rate_hz":90000}'
    header = decode_stream_header(f'{{"camera":"cam-1","run":7,"tracks":[{track}]}}'.encode())
    assert header.video.sound_channels == 0


@pytest.mark.parametrize(
    ("tracks", "why"),
    [
        ((), "video"),
        ((SOUND,), "video"),
        ((VIDEO, VIDEO), "one of sound"),
        ((VIDEO, SOUND, replace(SOUND, channel=4)), "one of sound"),
        ((VIDEO, replace(SOUND, media="application")), "one of sound"),
        ((VIDEO, replace(SOUND, channel=0)), "share"),
        ((VIDEO, replace(SOUND, channel=1)), "share"),
        ((replace(VIDEO, channel=3), SOUND), "share"),
        ((replace(VIDEO, channel=CHANNEL_MAX + 1),), "limits"),
        ((replace(VIDEO, channel=-1),), "limits"),
        ((replace(VIDEO, clock_rate_hz=0),), "limits"),
        ((replace(VIDEO, payload_type=128),), "limits"),
        ((VIDEO, replace(SOUND, sound_channels=SOUND_CHANNELS_MAX + 1)), "limits"),
        ((VIDEO, replace(SOUND, sound_channels=-1)), "limits"),
    ],
)
def test_tracks_that_cannot_be_told_apart_or_played(tracks: tuple[Track, ...], why: str) -> None:
    """Neither written nor read: chunks are timed by the first track, and the rest must be told from it."""
    header = StreamHeader(CameraId("cam-1"), 7, tracks)
    with pytest.raises(BadInputError, match=why):
        encode_stream_header(header)
    with pytest.raises(BadInputError, match=why):
        decode_stream_header(msgspec.json.encode(header))


@given(st.binary(max_size=200))
@example(b'{"camera": "\xff"}')
@example(b"[" * 5000)
def test_other_bytes_are_no_header(content: bytes) -> None:
    """Whatever a damaged disk holds, it ends as a clear error."""
    with pytest.raises(BadInputError):
        decode_stream_header(content)
