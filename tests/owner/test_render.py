"""Hostile words stay words: whatever commands, cameras and errors are called, no page has other markup by it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.command.trust import open_first_bundle
from agent.consent.policy import Policy
from agent.evidence.audit import make_entry
from agent.health.vitals import HealthWarning
from agent.owner.accesses import Manner, access
from agent.owner.log_lines import log_lines
from agent.owner.overview import health_of, sharing_of
from agent.owner.policy_view import policy_sections
from agent.owner.questions import Choice, questions
from agent.owner.render import ASSETS, HEADERS, asset, draw
from agent.owner.words import Times
from agent.page_ports import PlacedEntry
from tests.owner.test_questions import JOB
from tests.simulators.vital_signs import DOOR, camera, hub
from tests.vectors.command.scene import AUTHORITY, NOW, trust_claims

TRUST = open_first_bundle(AUTHORITY.trust_bundle(trust_claims()))
HOSTILE = "</dd></script><script src=//evil.example></script><img src=x onerror=alert(1)>\"' onmouseover='x' {{ 7*7 }}"
PAGES = ("login", "overview", "accesses", "access", "policy", "log", "trouble")
SOURCES = Path(__file__).parents[2] / "agent" / "owner"


class _Markup(HTMLParser):
    """A page's tags, their attributes' names, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.links: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value for name, value in attrs if name in {"src", "href", "action"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def pages(word: str) -> dict[str, str]:
    """Draw every page with this word wherever a stranger has a say."""
    names = {CameraId("front"): word, CameraId("back"): word, DOOR: word}
    told = dict.fromkeys(("by", "agency", "incident", "type", "reason", "basis", "recipients", "approved_by"), word)
    entry = make_entry(NOW, "command", "c1", told)
    ended = make_entry(NOW, "job", "c1", {"state": "REJECTED", "reason": word, "detail": word})
    manner = Manner(names, TRUST, Times(None))
    one = access(PlacedEntry(0, entry), [entry, ended], None, manner)
    (asked,) = questions([JOB], manner)
    changed = dict.fromkeys(("id", "who", "agency", "incident", "incident_type", "reason", "basis"), word)
    asked = replace(asked, **changed, cameras=(Choice(word, word),), recipients=(word,))  # type: ignore[arg-type] # texts
    warnings = (HealthWarning(word, word, word, DOOR), HealthWarning(word, word, word))
    health = health_of(hub(camera(DOOR, name=word, state=word, note=word), warnings=warnings))
    lines = log_lines([PlacedEntry(0, entry), PlacedEntry(9, ended)], Times(None))
    policy = Policy(hub="h", version=1, iat=0, cameras={CameraId("front"): "share"})
    frame = {
        "hub": {"id": word, "pages": (("/", "One"),), "path": "/", "zone": word, "news": word},
        "now_ms": 0,
        "sharing": sharing_of(policy, WallTime(0), is_clock_trusted=True),
    }
    values = {
        "login": {"hub": None},
        "overview": {"questions": [asked], "health": health, "accesses": [one]},
        "accesses": {"accesses": [one], "older": 5, "is_later": True},
        "access": {"one": one, "lines": lines},
        "policy": {"sections": policy_sections(policy, WallTime(0), names)},
        "log": {"size": 2, "root": word, "checkpoint": word, "lines": lines, "older": None, "is_later": False},
        "trouble": {"title": word, "words": word},
    }
    return {name: draw(name, **{**frame, **values[name]}) for name in PAGES}


PLAIN = {name: _Markup(page) for name, page in pages("plain").items()}


def test_markup_in_words_is_not_markup() -> None:
    """The page has the tags it has with harmless words, and shows the hostile ones letter by letter."""
    for name, page in pages(HOSTILE).items():
        found = _Markup(page)
        assert found.tags == PLAIN[name].tags, name
        if name not in {"login", "policy"}:
            assert any(HOSTILE in text for text in found.texts), name


@settings(max_examples=40)
@given(st.text(alphabet=st.sampled_from("<>&\"'/=`{}% ascript!-[]\x00\u2028\u202e\ud83d\udca9é"), max_size=40))
def test_no_word_becomes_markup(word: str) -> None:
    """Whatever it is, tags and attributes stay those of the templates."""
    for name, page in pages(word or "x").items():
        assert _Markup(page).tags == PLAIN[name].tags


def test_pages_name_nothing_of_others_and_run_nothing_inline() -> None:
    """Every link is a path of ours; there is no inline script, handler or style."""
    for found in PLAIN.values():
        assert all(link is not None and re.match(r"/(?!/)|#", link) for link in found.links)
        assert not [tag for tag, names in found.tags if "style" in names or any(n.startswith("on") for n in names)]
        assert "style" not in {tag for tag, _ in found.tags}
        assert all("src" in names for tag, names in found.tags if tag == "script")


def test_a_template_without_its_values_is_an_error() -> None:
    """A page never shows a hole where a word was forgotten."""
    with pytest.raises(UndefinedError):
        draw("trouble", hub=None, now_ms=0, title="t")


def test_nothing_is_marked_as_safe() -> None:
    """No template or view takes the engine's escaping away, and no script writes markup."""
    for path in [*SOURCES.rglob("*.html"), *SOURCES.rglob("*.py")]:
        assert not re.search(r"\|\s*safe|autoescape\s+false|Markup\(", path.read_text()), path
    for path in SOURCES.rglob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", path.read_text())


def test_the_files_that_pages_name_are_there() -> None:
    """Each with its type, and as strictly as a page."""
    for path, (kind, _) in ASSETS.items():
        answer = asset(path)
        assert answer.body
        assert answer.headers == {**HEADERS, "content-type": kind}


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_pair_of_colours_can_be_read() -> None:
    """Text has a contrast of 4.5 or more with its ground (WCAG 2.2, 1.4.3), by day and by night."""
    style = (SOURCES / "assets" / "page.css").read_text()
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in style.split("@media", 2)[:2])
    assert set(light) == set(dark)
    tones = ("left", "kept", "going", "asking", "trouble")
    pairs = [("ink", "ground"), ("ink", "card"), ("soft", "ground"), ("soft", "card"), ("accent", "card")]
    pairs += [("accent", "ground"), ("on-yes", "yes"), ("on-no", "no"), *((f"{t}-ink", f"{t}-ground") for t in tones)]
    for colours in (light, dark):
        for text, ground in pairs:
            lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)
