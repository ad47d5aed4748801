"""The kinds of entries: every one that the code writes is a known one, and stands in the document."""

import ast
import re
from pathlib import Path

from agent.evidence.kinds import OPENING_KINDS, STRANGERS_KINDS, Kind

AGENT = Path(__file__).parents[2] / "agent"


def test_every_kind_that_is_written_is_a_known_one() -> None:
    """The first argument of each `audit.append` and of the refusals is a word of `Kind`."""
    written = set()
    for path in AGENT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                words = ast.unparse(node.func)
                kind = node.args[0]
                if re.search(r"audit\.append$|self\._refuse$", words) and isinstance(kind, ast.Constant):
                    written.add(kind.value)
    assert len(written) > 10
    assert written <= {str(kind) for kind in Kind}


def test_every_kind_is_in_the_document() -> None:
    """Whoever reads a log finds each word explained."""
    text = (AGENT / "evidence" / "FORMAT.md").read_text()
    assert [kind for kind in Kind if f"`{kind}`" not in text] == []


def test_strangers_cannot_cause_what_opens_a_job() -> None:
    """What the budget leaves out is never what a decision hangs on."""
    assert not STRANGERS_KINDS & OPENING_KINDS
