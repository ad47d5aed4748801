"""A clip to what it states about each of its pictures, beside what is drawn into them."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from agent.clock import WallTime, parse_rfc3339
from agent.demo.alarm import Alarm
from agent.demo.prove import read_frames
from agent.demo.site import Site
from agent.opener import open_clip
from agent.opening.words import Opened

ROUNDING_NS: Final = 25_000  # a tick of the camera's 90 kHz, and one of the file's


class DatedClip(NamedTuple):
    """The pictures of one clip: the time stated of each, and the tick of the camera's clock drawn into it."""

    bound_ns: int  # that its manifest states
    source: str
    pictures: list[tuple[WallTime, int]]


def opened(site: Site, alarm: Alarm, output: Path) -> Opened:
    """Open a one-camera site's clip as the officer does."""
    (camera,) = (one.id for one in site.own(site.wait_cameras()))
    return open_clip(site.central.store.folder / f"{alarm.id}.{camera}", site.folder / "officer/key.txt", output)


def dated_pictures(site: Site, alarm: Alarm, output: Path) -> DatedClip:
    """Open a one-camera site's clip; a picture's stated time is its part's first one and its place behind that."""
    clip = opened(site, alarm, output)
    pictures = []
    for part, file in zip(clip.manifest.parts, clip.files, strict=True):
        frames = read_frames(Path(file))
        begin = parse_rfc3339(part.first_picture) - frames[0].shown_ns
        pictures += [(WallTime(begin + frame.shown_ns), frame.ticks or 0) for frame in frames]
    clock = clip.manifest.clock
    return DatedClip(clock.error_ns, clock.source, pictures)
