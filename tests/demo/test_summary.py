"""The summary says what did not hold, whatever words it comes in."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from agent.demo.facts import CameraFacts, Facts, Refused
from agent.demo.summary import print_summary


def told(facts: Facts, folder: Path) -> str:
    """Print a summary on a wide page without colours."""
    page = io.StringIO()
    print_summary(Console(file=page, width=200), facts, folder)
    return page.getvalue()


def test_every_problem_is_printed(tmp_path: Path) -> None:
    """Each one, and no word of success."""
    facts = Facts(failure="the broker did not start")
    text = told(facts, tmp_path)
    for problem in facts.problems:
        assert problem in text
    assert "No picture outside" not in text
    assert "NOT INTACT" in text


def test_words_from_logs_and_hubs_are_printed_as_they_are(tmp_path: Path) -> None:
    """Brackets in a log's end or in a hub's answer are no markup, and break nothing."""
    odd = "line [/etc] [/] [red]x"
    facts = Facts(failure=odd, refusals=[Refused("replay", "replayed", "REJECTED", "replayed", odd)])
    facts.cameras.append(CameraFacts("cam", "[/] door"))
    text = told(facts, tmp_path)
    assert f"✘ {odd}" in text
    assert "[/] door" in text


def test_figures_and_the_way_to_open_a_clip_are_there(tmp_path: Path) -> None:
    """Pictures, clock, sizes, and the two commands."""
    clip = tmp_path / "front-door.mp4"
    camera = CameraFacts(
        "cam", "Front door", 180, 180, copied=150, reencoded=30, parts=3, bytes=4096, files=[str(clip)]
    )
    sealed = tmp_path / "store" / "alarm-1.cam" / "alarm-1.cam.0000.mp4.age"
    sealed.parent.mkdir(parents=True)
    sealed.touch()
    text = told(Facts(cameras=[camera]), tmp_path)
    for words in ("180 of 180", "150 + 30", "4 KiB in 3 parts", "age -d -i", "clip open", sealed.name):
        assert words in text
