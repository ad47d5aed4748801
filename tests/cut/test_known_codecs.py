"""Which codecs there are."""

from __future__ import annotations

import pytest

from agent.cut.known_codecs import H264, H265, JPEG, codec_of
from agent.errors import BadInputError


def test_codecs_go_by_the_names_of_the_sdp() -> None:
    """Case does not matter; another one is named, and what to change."""
    assert [codec_of(name) for name in ("H264", "h265", "Jpeg")] == [H264, H265, JPEG]
    with pytest.raises(BadInputError, match=r"not supported: MP4V-ES \(set the camera's recorded stream"):
        codec_of("MP4V-ES")


def test_what_cannot_stand_in_a_clip_has_no_form_there() -> None:
    """JPEG is always encoded again."""
    assert [codec.clip is None for codec in (H264, H265, JPEG)] == [False, False, True]
