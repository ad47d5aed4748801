"""Parts of a clip that are joined: a signed part of a hub that was taken over can hold anything."""

from __future__ import annotations

import io
from typing import Final

from agent.crypto import Secret
from agent.deliver.age import encode_header, generate_identity
from agent.deliver.age_text import read_header
from agent.opening.joining import JoinPlan, plan_movies
from tests.simulators.clips import cut, window_of
from tests.simulators.h264_source import Recipe
from tests.simulators.h264_source import film as film_gray
from tests.simulators.logged_streams import Sort, film
from tests.simulators.parted_clips import cut_in_parts, joined, opened
from tests.simulators.sound_source import Microphone, noise, with_sound

_HEARD = with_sound(film_gray(Recipe(pictures=60)), Microphone(), noise(3 * 8000))
_PARTED = [
    cut_in_parts(film(Sort(codec=codec, seconds=1.0, gops_s=(0.4,))), (0.1, 0.5, 0.9)) for codec in ("h264", "h265")
]
_MADE = [cut([_HEARD], window_of(*span), window_of(0, 3)) for span in ((0.4, 1.0), (1.0, 1.6))]
_REPORTS: Final = [*(parted.reports for parted in _PARTED), [report for _, report in _MADE]]
_CLIPS: Final = [*(parted.clips for parted in _PARTED), [clip for clip, _ in _MADE]]
JOINED_PARTS: Final = tuple(bytes([kind]) + clips[1] for kind, clips in enumerate(_CLIPS))
TABLES_BYTES_MAX: Final = 2 * 1024 * 1024  # of the joined movie, and parameter sets that stand in it again
SEALED_HEADERS: Final = (
    encode_header([generate_identity()[1]] * 2, Secret(bytes(16))),
    encode_header([generate_identity(is_post_quantum=True)[1]], Secret(bytes(16))),
)


def joined_parts(raw: bytes) -> None:
    """Join a good first part and this one, whose first byte says what kind of clip it is of."""
    kind = raw[0] % len(_CLIPS) if raw else 0
    clips, reports = [_CLIPS[kind][0], raw[1:]], _REPORTS[kind]
    parts = [opened(clip, report) for clip, report in zip(clips, reports, strict=True)]
    for plan in plan_movies(parts):
        if isinstance(plan, JoinPlan):
            assert len(clips[0]) // 2 < len(joined(plan, clips)) < 2 * sum(map(len, clips)) + TABLES_BYTES_MAX


def sealed_header(raw: bytes) -> None:
    """Read a sealed file's header, which says nothing of what it is but in one form."""
    read_header(io.BytesIO(raw))
