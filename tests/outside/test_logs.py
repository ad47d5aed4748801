"""Log lines: to standard error, one each, and never a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SPEAK = """
import logging, sys
from agent.crypto import Secret
from agent.outside.logs import configure_logging
logging.basicConfig()
configure_logging(sys.argv[1])
log = logging.getLogger("transom.test")
log.debug("a detail"); log.info("it records"); log.warning("the key is %s", Secret("hunter2"))
logging.getLogger("httpx").info("GET https://store"); logging.getLogger("httpx").warning("slow")
"""


def said(level: str, **environment: str) -> list[str]:
    """Configure logging in a process of its own, speak, and return the lines on standard error."""
    own = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"} | environment
    command = [sys.executable, "-c", _SPEAK, level]
    done = subprocess.run(command, env=own, cwd=ROOT, capture_output=True, check=True, text=True)
    assert not done.stdout
    return done.stderr.splitlines()


def test_under_journald_a_line_has_no_time_of_its_own() -> None:
    """The journal adds the time; each line is there once, although logging was configured before."""
    assert said("info", JOURNAL_STREAM="8:1") == [
        "INFO transom.test: it records",
        "WARNING transom.test: the key is Secret(***)",
        "WARNING httpx: slow",
    ]


def test_in_a_terminal_a_line_begins_with_the_time() -> None:
    """A person sees when it was."""
    lines = said("warning")
    assert len(lines) == 2
    assert lines[0][:2] == "20"
    assert lines[0].endswith("WARNING transom.test: the key is Secret(***)")


def test_details_are_shown_when_asked_for() -> None:
    """The libraries stay quiet even then: their lines can hold URLs and headers."""
    assert [line.split(": ", 1)[1] for line in said("debug", JOURNAL_STREAM="8:1")] == [
        "a detail",
        "it records",
        "the key is Secret(***)",
        "slow",
    ]
