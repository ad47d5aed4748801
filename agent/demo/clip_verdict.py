"""`transom clip prove`: the videos of a clip and a camera's log in, and in words what is proven of them.

Rules of this file: the answer is yes only if every check held.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2

from agent.clock import WallTime, Window, parse_rfc3339, rfc3339
from agent.demo.camera_log import CameraLog, read_log
from agent.demo.clip_frames import shown_pictures
from agent.demo.clip_proof import How, Proof, prove
from agent.demo.clip_sound import HowHeard, SoundProof
from agent.errors import BadInputError, ConfigurationError

CLIP_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
SHOWN_MAX: Final = 10  # faults and pictures named one by one
PNG_WIDTH: Final = 400
_AREA: Final = cv2.INTER_AREA


def prove_files(
    videos: Sequence[Path], log: Path, window: str = "", *, has_sound: bool | None = None
) -> tuple[Proof, str]:
    """Judge the videos of one clip together; return the proof, and what to tell a person.

    `window` is `START/END` in RFC 3339; without it the clip is judged between its own first and last picture.
    `has_sound` says whether there must be sound; None judges what is there, if the log knows sound. Raises
    ConfigurationError if the call is wrong, BadInputError if a file is no video or no log.
    """
    asked = _window(window) if window else None
    known = read_log(log)
    proof = prove([_read(video) for video in videos], known, asked, has_sound=has_sound)
    return proof, _describe(proof, known, is_window_given=asked is not None)


def save_ends(videos: Sequence[Path], folder: Path) -> list[Path]:
    """Write the first and the last picture of a clip, as anybody's player shows them, as small PNG files.

    Raises ConfigurationError if the folder cannot be written, BadInputError if a video cannot be decoded.
    """
    written = []
    for name, video, place in (("first", videos[0], 0), ("last", videos[-1], -1)):
        picture = shown_pictures(video)[place]
        small = cv2.resize(picture, (PNG_WIDTH, picture.shape[0] * PNG_WIDTH // picture.shape[1]), interpolation=_AREA)
        written.append(folder / f"{name}.png")
        if not cv2.imwrite(str(written[-1]), small, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
            raise ConfigurationError(f"{written[-1]} cannot be written", cure="name a folder for --pictures")
    return written


def _window(text: str) -> Window:
    start, is_divided, end = text.partition("/")
    try:
        window = Window(parse_rfc3339(start), parse_rfc3339(end)) if is_divided else None
    except BadInputError as error:
        raise ConfigurationError(
            f"not a window: {error}", cure="give START/END, both like 2026-11-22T13:46:00Z"
        ) from error
    if window is None:
        raise ConfigurationError("not a window", cure="give START/END, both like 2026-11-22T13:46:00Z")
    return window


def _read(video: Path) -> bytes:
    try:
        if video.stat().st_size > CLIP_BYTES_MAX:
            raise BadInputError(f"{video.name} has more than {CLIP_BYTES_MAX} bytes")
        return video.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{video} cannot be read: {error.strerror}", cure="name a clip's video") from error


def _describe(proof: Proof, log: CameraLog, *, is_window_given: bool) -> str:
    shown = sorted(log.hub_time(one.picture) for one in proof.accounts if one.picture is not None)
    counts = ", ".join(f"{proof.count(how)} {how}" for how in How)
    lines = [f"Camera:      {proof.camera}, {len(log.pictures)} pictures in its log"]
    if proof.start is not None and proof.end is not None:
        whose = (
            "" if is_window_given else " (the clip's own first and last picture; give --window to judge its borders)"
        )
        lines.append(f"Window:      {rfc3339(proof.start)} to {rfc3339(proof.end)}{whose}")
    if shown:
        lines.append(f"Pictures:    {rfc3339(shown[0])} to {rfc3339(shown[-1])}")
    lines += [
        f"Samples:     {len(proof.accounts)}: {counts}",
        f"Outside:     {len(proof.outside)}{_times(proof.outside, log)}",
        f"Missing:     {len(proof.missing)}{_times(proof.missing, log)}",
        f"Faults:      {len(proof.faults)}",
        *(f"  {fault}" for fault in proof.faults[:SHOWN_MAX]),
    ]
    what = "video"
    if proof.sound is not None:
        lines += _sound(proof.sound, log)
        what = "video and every block of sound"
    elif proof.sound_blocks:
        lines.append(f"Sound:       {proof.sound_blocks} blocks, which were not judged: the log does not know sound")
    return "\n".join([*lines, f"EXACT: every byte of {what} is accounted for." if proof.is_exact else "NOT exact."])


def _sound(proof: SoundProof, log: CameraLog) -> list[str]:
    told = [one for one in proof.accounts if one.first is not None]
    counts = ", ".join(f"{proof.count(how)} {how}" for how in HowHeard)
    lines = [f"Sound:       {len(proof.accounts)} blocks: {counts}"]
    if told:
        start, end = (log.heard_at(n) for n in (told[0].first or 0, (told[-1].first or 0) + told[-1].samples))
        lines.append(f"Heard:       {rfc3339(start)} to {rfc3339(end)}, {proof.late_ns / 1e6:+.1f} ms from its picture")
    return [
        *lines,
        f"  outside:   {_stretches(proof.outside, log)}",
        f"  missing:   {_stretches(proof.missing, log)}",
        f"  faults:    {len(proof.faults)}",
        *(f"  {fault}" for fault in proof.faults[:SHOWN_MAX]),
    ]


def _stretches(stretches: Sequence[tuple[int, int]], log: CameraLog) -> str:
    if not stretches:
        return "0"
    total = sum(end - first for first, end in stretches)
    shown = ", ".join(f"{rfc3339(log.heard_at(a))} to {rfc3339(log.heard_at(b))}" for a, b in stretches[:SHOWN_MAX])
    more = f" and {len(stretches) - SHOWN_MAX} more" if len(stretches) > SHOWN_MAX else ""
    return f"{total} samples: {shown}{more}"


def _times(pictures: Sequence[int], log: CameraLog) -> str:
    if not pictures:
        return ""
    more = f" and {len(pictures) - SHOWN_MAX} more" if len(pictures) > SHOWN_MAX else ""
    return ": " + ", ".join(rfc3339(WallTime(log.hub_time(ticks))) for ticks in pictures[:SHOWN_MAX]) + more
