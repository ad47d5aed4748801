"""A stream header is read back as it was written, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.acquire.stream import (
    STREAM_HEADER_BYTES_MAX,
    CameraId,
    StreamHeader,
    Track,
    decode_stream_header,
    encode_stream_header,
)
from agent.errors import BadInputError

VIDEO = Track(0, "video", "H264", 96, 90_000, "packetization-mode=1")


def test_a_header_comes_back_as_it_was() -> None:
    """Names of any language and the whole description survive."""
    header = StreamHeader(CameraId("cam-1"), 7, (VIDEO,), "Eingang — 門", "v=0\r\n")
    assert decode_stream_header(encode_stream_header(header)) == header
    assert header.video is VIDEO


def test_a_description_that_is_too_long_is_refused() -> None:
    """A camera cannot fill the ring with its own description."""
    header = StreamHeader(CameraId("cam-1"), 7, (VIDEO,), "", "x" * STREAM_HEADER_BYTES_MAX)
    with pytest.raises(BadInputError, match="bytes"):
        encode_stream_header(header)


@pytest.mark.parametrize("tracks", [(), (Track(2, "audio", "PCMU", 0, 8000),)])
def test_video_comes_first(tracks: tuple[Track, ...]) -> None:
    """Chunks are timed by the first track, so it must be video."""
    with pytest.raises(BadInputError, match="video"):
        decode_stream_header(encode_stream_header(StreamHeader(CameraId("cam-1"), 7, tracks)))


@given(st.binary(max_size=200))
@example(b'{"camera": "\xff"}')
@example(b"[" * 5000)
def test_other_bytes_are_no_header(content: bytes) -> None:
    """Whatever a damaged disk holds, it ends as a clear error."""
    with pytest.raises(BadInputError):
        decode_stream_header(content)
