"""Chromium shows exactly the pictures of a clip, read by the time that is drawn in each, and plays all of its sound.

Every picture is sought, from just behind its beginning to just before its end: what is shown does not hang on how fast
the machine is. That it plays from beginning to end by itself is in `tests/cut/test_browser.py`.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from agent.demo import block_code
from agent.demo.clip_heard import BLOCK_SAMPLES, find
from agent.opening.clip_boxes import BoxedTrack, take_apart
from tests.real.test_players import EDGE, clip_of
from tests.simulators.browser import visit
from tests.simulators.logged_sound import MICROPHONES, film_and_hear
from tests.simulators.logged_streams import Sort
from tests.simulators.proven_cuts import cut_and_prove, windows

LOOKS: Final = """
const times = %s
const look = async () => {
  const canvas = document.createElement("canvas")
  canvas.width = clip.videoWidth
  canvas.height = clip.videoHeight
  const size = canvas.width * canvas.height, gray = new Uint8Array(times.length * size)
  const context = canvas.getContext("2d", {willReadFrequently: true})
  for (let n = 0; n < times.length; n++) {
    const shown = new Promise(done => clip.requestVideoFrameCallback(done))
    await new Promise(done => { clip.onseeked = done; clip.currentTime = times[n] })
    await Promise.race([shown, new Promise(done => setTimeout(done, 5000))])
    context.drawImage(clip, 0, 0)
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data
    for (let at = 0; at < size; at++) gray[n * size + at] = pixels[4 * at + 1]
  }
  await send("pictures", gray)
  say(`seen ${canvas.width}x${canvas.height}`)
}
clip.onerror = () => say(`error ${clip.error.code} ${clip.error.message}`)
clip.onloadeddata = () => look().catch(error => say(`error ${error}`))
"""
LISTENS: Final = """
const listen = async () => {
  const content = await (await fetch("/clip.mp4")).arrayBuffer()
  const heard = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(content)
  await send("sound", heard.getChannelData(0))
  say(`heard ${heard.duration.toFixed(6)} ${heard.numberOfChannels}`)
}
listen().catch(error => say(`error ${error}`))
"""
CANNOT_DECODE: Final = "error 4"
SHOWN: Final = ("copied with an edge", EDGE, "B pyramid, uneven times", "JPEG", "two runs, renumbered")


def looks_at(track: BoxedTrack) -> list[float]:
    """Return when to look, in seconds: at the beginning and at the end of each picture."""
    starts = sorted(sample.shown_at for sample in track.samples)
    ends = [*starts[1:], starts[0] + track.total]
    return [
        at / track.timescale_hz
        for start, end in zip(starts, ends, strict=True)
        for at in (start + (end - start) / 10, end - (end - start) / 10)
    ]


@pytest.mark.parametrize("name", SHOWN)
def test_chromium_shows_exactly_the_pictures_of_a_clip(name: str, tmp_path: Path) -> None:
    """At every moment the picture that was taken then, and never another."""
    done = clip_of(name)
    width, height = done.report.width, done.report.height
    times = looks_at(take_apart(done.clip).video)
    said, sent = visit(LOOKS % json.dumps(times), done.clip, tmp_path)
    assert said == f"seen {width}x{height}"
    seen = [block_code.read(one) for one in np.frombuffer(sent["pictures"], np.uint8).reshape(-1, height, width)]
    taken = sorted(account.picture or 0 for account in done.proof.accounts)
    assert [ticks for ticks, _ in groupby(seen)] == taken
    assert len(seen) == 2 * len(taken)


def test_h265_is_shown_exactly_where_chromium_can_decode_it(tmp_path: Path) -> None:
    """Debian's Chromium has no decoder of H.265 in software: it says so, and shows nothing wrong."""
    done = clip_of("H.265 open groups")
    times = looks_at(take_apart(done.clip).video)
    said, sent = visit(LOOKS % json.dumps(times), done.clip, tmp_path)
    if said.startswith(CANNOT_DECODE):
        assert sent == {}
        pytest.skip("this Chromium cannot decode H.265")
    size = done.report.height, done.report.width
    seen = [block_code.read(one) for one in np.frombuffer(sent["pictures"], np.uint8).reshape(-1, *size)]
    assert [ticks for ticks, _ in groupby(seen)] == sorted(one.picture or 0 for one in done.proof.accounts)


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "AAC 16 kHz"])
def test_chromium_plays_all_sound_of_a_clip(name: str, tmp_path: Path) -> None:
    """What its own decoder gives is as long as the clip says, and it is the sound of the window, from its start."""
    filmed = film_and_hear(Sort(gops_s=(2.0,), seconds=4.0), MICROPHONES[name])
    done = cut_and_prove([filmed], windows(filmed)["on pictures"], has_sound=True)
    assert done.proof.is_exact
    assert done.proof.sound is not None
    assert filmed.sound is not None
    said, sent = visit(LISTENS, done.clip, tmp_path)
    word, length, channels = said.split()
    track = take_apart(done.clip).tracks[1]
    assert (word, channels) == ("heard", "1")
    block_s = BLOCK_SAMPLES / track.timescale_hz
    assert abs(float(length) - track.total / track.timescale_hz) <= block_s
    heard = np.frombuffer(sent["sound"], np.float32).astype(np.float64)
    first = done.proof.sound.accounts[0].first or 0
    place, likeness = find(heard, 48_000, filmed.sound, first - 8000, 4 * filmed.sound.rate_hz)
    assert abs(place - first) <= block_s * filmed.sound.rate_hz
    assert likeness > 0.8
