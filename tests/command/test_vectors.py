"""The committed vectors say what this hub does, and the committed script makes exactly them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest

from agent.clock import parse_rfc3339
from agent.command.envelope import Audience, verify
from agent.command.request import Refusal
from agent.command.trust import TrustBundle
from tests.vectors.command import make

FOLDER = Path(make.__file__).parent
TRUST = json.loads((FOLDER / "trust.json").read_text())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.vector.json")), ids=lambda path: path.name.split(".")[0])
def test_vector(path: Path) -> None:
    """A message is verified, or refused for the one reason its vector names."""
    vector = json.loads(path.read_text())
    trust = msgspec.convert({**TRUST, **vector["trust"]}, TrustBundle)
    raw = base64.b64decode(vector["message_base64"]) + b" " * vector["append_spaces"]
    now = parse_rfc3339(vector["now"])
    audience = Audience(vector["hub"], vector["epoch"])
    answer = verify(raw, trust, audience, now, is_clock_trusted=vector["is_clock_trusted"])
    assert (answer.reason if isinstance(answer, Refusal) else "verified") == vector["expect"]


def test_script_makes_the_committed_files() -> None:
    """Nobody edits a vector by hand: the script's output is the folder's content."""
    made = make.files()
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == made
