"""Log lines for people and for journald: one line each, no colours, no secrets (none can be formatted)."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_TALKATIVE: Final = ("httpx", "httpcore", "zeep", "urllib3", "asyncio")


def configure_logging(level: str) -> None:
    """Write everything from `level` up to standard error; journald adds the time itself."""
    has_journal = "JOURNAL_STREAM" in os.environ
    pattern = (
        "%(levelname)s %(name)s: %(message)s" if has_journal else "%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(pattern))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def set_level(level: str) -> None:
    """Write from another level up, from now on."""
    logging.getLogger().setLevel(_LEVELS[level])
