"""The log's entries in words."""

from __future__ import annotations

from agent.clock import WallTime
from agent.evidence.audit import make_entry
from agent.evidence.kinds import Kind
from agent.owner.log_lines import KINDS, log_lines
from agent.owner.words import Times
from agent.page_ports import PlacedEntry


def test_every_kind_has_words() -> None:
    """An owner reads no code."""
    assert set(KINDS) == set(Kind)


def test_an_entry_is_shown_whole() -> None:
    """In its order, with every particular; a kind of another version as it stands there."""
    entries = [
        make_entry(WallTime(0), "job", "c1", {"state": "HELD", "n": 5}),
        make_entry(WallTime(0), "new.kind", "", {}),
    ]
    lines = log_lines([PlacedEntry(0, one) for one in entries], Times(None))
    assert lines[0].detail == (("state", "HELD"), ("n", "5"))
    assert (lines[0].at, lines[0].ref) == ("Thu 1 Jan 1970, 00:00:00", "c1")
    assert lines[1].words == "new.kind"
