"""The page about a clip: complete, safe to open, the same everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent.evidence.note import verifier_of
from agent.opener import open_clip
from agent.opening.report import refusal_page, report_page
from agent.opening.words import Opened
from tests.simulators.clip_folder import make_clip, moment, with_gap

HOSTILE = "<script>alert(1)</script>\x1b[2J\"'&"


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Open a clip whose hub says hostile things."""
    clip = make_clip(tmp_path / "clip", [b"a", b"b", b"c"])
    (tmp_path / "known_hubs").write_text(f"{verifier_of('hub-1', clip.hub_key)}\n")
    clip.sign(replace(with_gap(clip.facts, HOSTILE), camera_name=HOSTILE))
    return open_clip(clip.folder, clip.identity, tmp_path / "video.mp4")


class _Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "li", "td", "th", "tr") and self.open[-1] != tag:
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_says_all_of_it(opened: Opened) -> None:
    """Incident, camera, who asked on which basis, windows, time, gaps, parts, hashes and the verdict."""
    text = " ".join(_Page(report_page(opened, moment(90))).texts)
    for stated in (
        "This is the clip that the hub made.",
        "2026-118 (burglary)",
        "Officer 4711, Example Police",
        "consent",
        "broken shop window",
        "source sr, within 4.000 ms",
        opened.manifest.window.asked.start,
        opened.manifest.window.last_picture,
        opened.videos[0].sha256,
        opened.manifest.parts[2].sha256,
        opened.manifest.audit.root,
        opened.signer,
        "The store says nothing that could be checked",
    ):
        assert stated in text


def test_nothing_in_the_page_runs_or_is_fetched(opened: Opened) -> None:
    """What a camera calls itself stays text; the page names no other file and has no script."""
    page = report_page(opened, moment(90))
    found = _Page(page)
    assert found.open == []
    assert not {"script", "img", "link", "iframe", "a", "form"} & set(found.tags)
    assert not {"src", "href", "onload", "onclick"} & {name for name, _ in found.attributes}
    assert "\x1b" not in page
    assert not re.search(r"url\((?!#)|@import|https?:", page)
    assert any("<script>alert(1)</script>" in text for text in found.texts)


def test_the_drawing_shows_pictures_and_gaps(opened: Opened) -> None:
    """Each span is a bar with its words, and the scale has round times."""
    page = report_page(opened, moment(90))
    assert page.count('class="pictures"') == 3
    assert page.count('class="gap"><title>gap, ') == 1
    assert len(re.findall(r">\d\d:\d\d:[0-5][05]</text>", page)) >= 4


def test_a_refusal_says_what_is_wrong(opened: Opened) -> None:
    """The page about a clip that was changed says so, and names no video."""
    text = " ".join(_Page(refusal_page(opened.manifest, ["part 2 was changed"], moment(90))).texts)
    assert "This is not the clip as the hub made it." in text
    assert "part 2 was changed" in text
    assert "Video" not in text


def test_a_browser_draws_it(opened: Opened, tmp_path: Path) -> None:
    """Chromium prints the page: to the last line, on few sheets."""
    browser = shutil.which("chromium")
    assert browser, "chromium is missing: apt-get install chromium"
    page, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(report_page(opened, moment(90)), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run([*command, f"--print-to-pdf={printed}", page.as_uri()], capture_output=True, check=True, timeout=90)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 2
