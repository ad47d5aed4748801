"""Texts from outside, on an officer's screen and in a program's hands: what could steer a terminal is not in them.

Rules of this file: names of files that came with a clip are texts from outside too, and may be no text at all.
"""

from __future__ import annotations

import json

import msgspec


def printable(text: str) -> str:
    """Replace what could steer a terminal or turn the direction of what stands beside it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def as_json(told: object) -> str:
    """Write structs as one line of JSON in ASCII: whole JSON, also of file names that are no Unicode (PEP 383)."""
    text = json.dumps(msgspec.to_builtins(told), ensure_ascii=False).encode(errors="replace").decode()
    return json.dumps(json.loads(text), separators=(",", ":"))
