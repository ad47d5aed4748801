"""How a stream is encoded is kept, shown and judged."""

from __future__ import annotations

import pytest

from agent.acquire.encoding import Encoding, decode_encoding, encode_encoding, encoding_warnings, plan_warning
from agent.errors import BadInputError

GOOD = Encoding("H265", 3840, 2160, 25.0, 50, 4096)


def test_an_encoding_is_written_and_read_back() -> None:
    """The book of cameras keeps it; an empty text is none, and anything else is an error."""
    assert decode_encoding(encode_encoding(GOOD)) == GOOD
    assert decode_encoding(encode_encoding(None)) is None
    for text in ("{", "[]", '{"codec":1}', '{"odd":1}', "\ud800"):
        with pytest.raises(BadInputError):
            decode_encoding(text)


def test_an_encoding_is_told_in_words() -> None:
    """What the camera does not say is left out."""
    assert str(GOOD) == "H265, 3840x2160, 25 fps, 4096 kbit/s, key picture every 2.0 s"
    assert str(Encoding()) == "unknown codec"
    assert Encoding("JPEG", fps=10, gop=100).key_interval_s == 0


@pytest.mark.parametrize(
    ("encoding", "measured_s", "words"),
    [
        (GOOD, None, []),
        (GOOD, 2.1, []),
        (Encoding("H264", fps=25, gop=100), None, []),
        (Encoding("H264", fps=25, gop=101), None, ["4.0 s apart"]),
        (Encoding("H264"), 10.0, ["10.0 s apart"]),
        (GOOD, 3.5, ["varies"]),
        (GOOD, 30.0, ["30.0 s apart", "varies"]),
        (Encoding("H264", fps=25, gop=50, is_smart=True), None, ["varies"]),
        (Encoding("JPEG", fps=5), 0.2, []),
    ],
)
def test_what_makes_cuts_dear_is_named(encoding: Encoding, measured_s: float | None, words: list[str]) -> None:
    """Key pictures more than 4 s apart, as told or as measured, and distances that vary."""
    warnings = encoding_warnings(encoding, measured_s)
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning


def test_bitrates_beyond_the_disk_plan_are_named() -> None:
    """16 GiB and 72 h have room for 530 kbit/s: a camera of 4 Mbit/s leaves 9 hours."""
    warning = plan_warning([GOOD], 16 * 1024**3, 72)
    assert "fill the ring in 9.3 h, and 72 h are planned" in warning
    assert "together 530 kbit/s fit" in warning
    assert plan_warning([Encoding("H264", bitrate_kbps=530)], 16 * 1024**3, 72) == ""
    assert plan_warning([Encoding("H264")], 1, 1) == ""
