"""Reads Prometheus text as strictly as its format's description says (exposition format 0.0.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE: Final = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
_ESCAPES: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass
class Family:
    """One metric: its kind, its help, and a value by labels."""

    name: str
    help: str
    kind: str = ""
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


def read_exposition(text: bytes) -> dict[str, Family]:
    """Read metrics; AssertionError for whatever a strict reader would refuse, or a linter of names would."""
    assert text.endswith(b"\n")
    families: dict[str, Family] = {}
    newest = Family("", "")
    for line in text.decode().removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            name, _, words = line.removeprefix("# HELP ").partition(" ")
            assert name not in families, f"{name} is in two places"
            assert re.fullmatch(_NAME, name)
            assert words
            newest = families[name] = Family(name, words)
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert (name, newest.kind, newest.samples) == (newest.name, "", {})
            assert kind in {"counter", "gauge"}
            assert name.endswith("_total") == (kind == "counter"), name
            newest.kind = kind
        else:
            found = _SAMPLE.fullmatch(line)
            assert found, line
            assert found[1] == newest.name
            assert newest.kind
            labels = _labels(found[2] or "")
            assert labels not in newest.samples, f"{line} is there twice"
            newest.samples[labels] = float(found[3])
    return families


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    labels, at = [], 0
    while at < len(text):
        found = _LABEL.match(text, at)
        assert found, text
        labels.append((found[1], re.sub(r'\\[\\"n]', lambda escape: _ESCAPES[escape[0]], found[2])))
        at = found.end()
    return tuple(labels)
