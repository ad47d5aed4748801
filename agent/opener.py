"""Story three, on the officer's computer: a sealed clip and a key in, one checked video and what it is out.

Rules of this file: nothing is written before the manifest's signature by a known hub and every part's hash held; a
video file is there whole or not at all; nothing that exists is overwritten. Runs without the hub's other libraries.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.opening.check import check_clip
from agent.opening.collect import collect_clip, read_identities, read_store_keys
from agent.opening.coverage import coverage
from agent.opening.decrypt import open_videos
from agent.opening.meter import Meter, Progress
from agent.opening.words import Opened, VideoFacts


def open_clip(
    sources: Path | Sequence[Path],
    identity: Path,
    output: Path,
    known_hubs: Path | None = None,
    known_stores: Path | None = None,
    progress: Progress = lambda *_: None,
) -> Opened:
    """Check and open a clip.

    `sources` is the clip's folder, its manifest, or some of its parts (then only these are opened). `identity` is an
    age identity file. `output` names the video; if the parts do not fit into one it is `NAME.000.mp4` and so on.
    `known_hubs` and `known_stores` list whom to believe (default: files of these names beside the identity).
    Raises ConfigurationError if a file or a key is missing, BadInputError if the clip is not what its hub signed,
    UnavailableError if a disk fails.
    """
    # 1. whom we are and whom we believe
    identities = read_identities(identity)
    store_keys = read_store_keys(known_stores or identity.with_name("known_stores"))
    # 2. the manifest, by a hub we know
    clip = collect_clip(
        [sources] if isinstance(sources, Path) else sources, known_hubs or identity.with_name("known_hubs")
    )
    # 3. the parts: all there, in order, each exactly the bytes that were signed; the store's word, if it is there
    meter = Meter(progress, 2 * sum(part.size for part in clip.parts))
    store = check_clip(clip, store_keys, meter)
    # 4. the video, under its name only when it is whole
    videos = open_videos(clip, identities, output, meter)
    # 5. what it is
    return Opened(
        manifest=clip.manifest,
        signer=str(clip.signer),
        parts=tuple(part.name for part in clip.parts),
        files=tuple(str(video.path) for video in videos),
        videos=tuple(VideoFacts(str(video.path), video.sha256, video.parts) for video in videos),
        is_whole_clip=clip.is_whole,
        coverage=tuple(coverage(clip.manifest)),
        store=store,
        strays=clip.strays,
    )
