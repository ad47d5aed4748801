"""Texts from outside that do nothing to a terminal, and JSON that is JSON."""

from __future__ import annotations

import json

from agent.opening.plain import as_json, printable
from agent.opening.words import VideoFacts


def test_what_could_steer_a_terminal_is_replaced() -> None:
    """Letters of any script stay; escapes of seven and of eight bits, lines and text directions do not."""
    assert printable("Tür\x1b[2J\n\x9b2J\u202e\u2028\udcff") == "Tür?[2J??2J???"


def test_json_steers_nothing_and_is_whole() -> None:
    """It is ASCII, and stays JSON with a file name that is no Unicode: what cannot be written is replaced."""
    text = as_json(VideoFacts("T\u00fcr \x9b2J\udcff.mp4", "ab", ("\U0001f6aa",)))
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == {"file": "T\u00fcr \x9b2J?.mp4", "sha256": "ab", "parts": ["\U0001f6aa"]}
