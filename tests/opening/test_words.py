"""A clip in rows, and on a screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from agent.clock import ClockStanding, TimeSource
from agent.evidence.note import verifier_of
from agent.opener import open_clip
from agent.opening.check import StoreWord
from agent.opening.told import BAR_CELLS, clip_table
from agent.opening.words import Opened, describe
from tests.simulators.clip_folder import make_clip, with_gap


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Open a clip of three parts that cannot be joined, with a gap and a stray part."""
    clip = make_clip(tmp_path / "clip", [b"a", b"b", b"c"])
    (tmp_path / "known_hubs").write_text(f"{verifier_of('hub-1', clip.hub_key)}\n")
    clip.sign(replace(with_gap(clip.facts, "lost\x1b[2J"), camera_name="Front\x1b[31m"))
    (clip.folder / "01JDCOMMAND.front.0009.mp4.age").write_bytes(b"?")
    return open_clip(clip.folder, clip.identity, tmp_path / "video.mp4")


def test_every_row_is_one_line(opened: Opened) -> None:
    """Labels, texts that steer no terminal, each video with its hash, and why there are several."""
    lines = describe(opened).splitlines()
    assert all(line[11] == " " and line.isprintable() for line in lines)
    text = "\n".join(lines)
    for stated in ("lost?[2J", "Front?[31m", "0009.mp4.age lies there too", "3 videos", opened.videos[2].sha256):
        assert stated in text


@pytest.mark.parametrize(
    ("standing", "told"),
    [
        (ClockStanding(TimeSource.NETWORK), "by NTP"),
        (ClockStanding(TimeSource.SIGNED, 40_000_000), "by the server's signed time, within 40 ms"),
        (ClockStanding(TimeSource.ASSUMED), "by nobody: a setting"),
        (ClockStanding(TimeSource.NONE), "by nobody any more"),
    ],
)
def test_orders_clock_and_owner_are_told(tmp_path: Path, standing: ClockStanding, told: str) -> None:
    """Who moved the window's end, who vouched for the hub's time, and how much of it the owner can open."""
    clip = make_clip(tmp_path / "clip", [b"a", b"b", b"c"])
    words = ["ab" * 32, "other_kind", ""]
    parts = [
        (part, structs.replace(said, owner_copy=word))
        for (part, said), word in zip(clip.facts.parts, words, strict=True)
    ]
    manifest_of = replace(clip.facts, parts=parts, extended_by=("e1", "e2"), hub_clock=standing)
    (tmp_path / "known_hubs").write_text(f"{verifier_of('hub-1', clip.hub_key)}\n")
    clip.sign(manifest_of)
    text = describe(open_clip(clip.folder, clip.identity, tmp_path / "video.mp4"))
    assert "Extended:   by e1, e2" in text
    assert f"Hub clock:  {told}" in text
    assert all(line[11] == " " for line in text.splitlines())
    assert "can open 1 of 3 parts; their key is of another kind than the recipients'" in text


def test_a_screen_has_the_window_as_a_bar(opened: Opened) -> None:
    """Pictures and the gap are where they were in time; nothing steers the terminal."""
    console = Console(width=100, file=None, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(clip_table(opened))
    shown = capture.get()
    (bar,) = [line.removeprefix("Window").strip() for line in shown.splitlines() if line.startswith("Window")]
    assert len(bar) == BAR_CELLS
    assert bar.count("-") in (2, 3)  # one of thirty seconds
    assert bar.startswith("########-")
    assert "\x1b" not in shown


def test_the_stores_word_is_of_the_parts_that_were_opened(opened: Opened) -> None:
    """Of some parts nobody reads that the store holds all."""
    receipted = structs.replace(opened, store=(StoreWord("a", "2026-11-22T14:00:00.000Z", is_checked=True),))
    assert "holds every part, the last since 2026" in describe(receipted)
    some = structs.replace(receipted, is_whole_clip=False)
    assert "holds every part that was opened, the last since 2026" in describe(some)
