"""Players that people have show a clip's pictures: all of them, each once, in order, and no other.

Chromium is in `tests/cut/test_browser.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final

import pytest

from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.clip_proof import prove
from agent.opening.joining import JoinPlan, plan_movies
from tests.simulators.logged_streams import Filmed, Sort, film, log_of
from tests.simulators.parted_clips import cut_in_parts, joined, opened
from tests.simulators.players import PLAYERS, shown_ticks
from tests.simulators.proven_cuts import Cut, cut_and_prove, windows

_PLAIN: Final = Sort(gops_s=(2.0,), seconds=6.0, width=320, height=192)
EDGE: Final = "nothing but an edge"
CLIPS: Final[dict[str, tuple[Sort, ...]]] = {
    "copied with an edge": (_PLAIN,),
    EDGE: (_PLAIN,),
    "B pictures": (Sort(gops_s=(2.0,), seconds=6.0, width=320, height=192, b_frames="two"),),
    "B pyramid, uneven times": (Sort(seconds=5.0, width=320, height=192, b_frames="pyramid", rate="variable"),),
    "slices without CABAC": (Sort(profile="baseline", seconds=4.0, width=320, height=192, slices=3),),
    "H.265 open groups": (replace(_PLAIN, codec="h265", b_frames="two", is_open=True),),
    "JPEG": (Sort("jpeg", "baseline", seconds=3.0, width=320, height=192),),
    "two runs, renumbered": (_PLAIN, Sort(profile="main", gops_s=(2.0,), seconds=6.0, width=320, height=192, slices=3)),
}


@cache
def clip_of(name: str) -> Cut:
    """Cut one of the clips, and be sure that it is exact."""
    runs: Sequence[Filmed] = [film(s, run=n + 1, start_s=n * 6) for n, s in enumerate(CLIPS[name])]
    window = windows(runs[0])["across a key picture" if len(runs) == 1 else "longer than the ring"]
    if name == EDGE:  # as the first part of a clip, which leaves the camera's ids to those behind it
        window = Window(window.start, WallTime(window.start + SECOND_NS // 2))
    done = cut_and_prove(runs, window)
    assert done.proof.is_exact
    assert name != EDGE or not done.report.copied
    return done


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_shows_exactly_the_pictures_of_a_clip(player: str, name: str) -> None:
    """Counted by the time that is drawn in each."""
    done = clip_of(name)
    width, height = done.report.width, done.report.height
    taken = sorted(account.picture or 0 for account in done.proof.accounts)
    assert shown_ticks(player, done.clip, width, height) == taken


@cache
def joined_clip(codec: str) -> tuple[bytes, tuple[int, ...]]:
    """Join three parts, the first of which is all edge; return the pictures' ticks too."""
    filmed = film(Sort(codec=codec, gops_s=(2.0,), width=320, height=192, b_frames="two"))
    parted = cut_in_parts(filmed, (0.15, 0.33, 0.52, 0.9))
    (plan,) = plan_movies([opened(clip, report) for clip, report in zip(parted.clips, parted.reports, strict=True)])
    assert isinstance(plan, JoinPlan)
    movie = joined(plan, parted.clips)
    proof = prove([movie], log_of(filmed), parted.window)
    assert proof.is_exact
    return movie, tuple(sorted(account.picture or 0 for account in proof.accounts))


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_shows_exactly_the_pictures_of_joined_parts(player: str, codec: str) -> None:
    """No picture is lost where parts meet, also where the parameter sets change there."""
    movie, taken = joined_clip(codec)
    assert shown_ticks(player, movie, 320, 192) == list(taken)
