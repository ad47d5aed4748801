"""A clip plays in the browser an officer would use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.browser import visit
from tests.simulators.clips import cut, window_of
from tests.simulators.h264_source import Recipe, film
from tests.simulators.sound_source import Microphone, noise, with_sound

AAC = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config="
SCRIPT = """
let pictures = 0
const count = () => { pictures += 1; clip.requestVideoFrameCallback(count) }
clip.requestVideoFrameCallback(count)
const seen = () => `${clip.videoWidth}x${clip.videoHeight} ${clip.duration.toFixed(3)} ${pictures > 0}`
clip.onended = () => say(`ended ${seen()} ${clip.webkitAudioDecodedByteCount}`)
clip.onerror = () => say(`error ${clip.error.code} ${clip.error.message}`)
clip.play().catch(error => say(`error ${error}`))
"""


def played(clip: bytes, folder: Path) -> str:
    """Let Chromium play a clip, and return what the page says when it is over."""
    return visit(SCRIPT, clip, folder)[0]


def test_chromium_plays_a_clip_to_its_end(tmp_path: Path) -> None:
    """Head, copied inside and tail decode in one go, with the right size and duration."""
    clip, report = cut([film(Recipe(gop=10, b_frames=2))], window_of(0.2, 1.4))
    assert min(report.copied, report.reencoded) > 0
    assert played(clip, tmp_path) == "ended 192x112 1.200 true 0"


@pytest.mark.parametrize(
    ("mic", "seconds"),
    [
        (Microphone(lost=frozenset(range(60, 70))), "1.190"),
        (Microphone("MPEG4-GENERIC", 16_000, AAC + "1408", packet=1, lost=frozenset([20, 21])), "1.160"),
    ],
    ids=["G.711", "AAC"],
)
def test_chromium_plays_the_sound_with_it(tmp_path: Path, mic: Microphone, seconds: str) -> None:
    """Encoded or copied, early or late, with a hole in it: the sound is decoded to the clip's end."""
    window = window_of(0.21, 1.4)
    source = with_sound(film(Recipe(gop=10)), mic, noise(round(mic.seconds * mic.rate_hz)))
    said = played(cut([source], window, window)[0], tmp_path)
    word, size, length, has_pictures, sound_bytes = said.split()
    assert (word, size, length, has_pictures) == ("ended", "192x112", seconds, "true")
    assert int(sound_bytes) > 1000
