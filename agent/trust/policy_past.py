"""Keeps on the disk which of the owner's policies held when (`consent/history.py`), from the hub's first moment on.

Rules of this file:
- What is on the disk is never less strict than what is true: a span is stored before its policy is believed, and is
  read back longer than it was stored.
- Every statement in it is checked again by the key of today's owner; one that does not hold shared nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.clock import SECOND_NS, Clock, WallTime
from agent.consent.history import UNKNOWN, Held, History, decode_history, encode_history
from agent.consent.policy import Policy
from agent.errors import BadInputError
from agent.ports import Document, Documents

HISTORY: Final = "policy history"
SEEN: Final = "policy seen"
SEEN_EVERY_S: Final = 60
"""How often the end of the newest span is stored; after a restart it reaches that much further, whatever held then."""


class PolicyPast:
    """The history of one hub's policies. `history` is on the disk, but for the newest span's end."""

    def __init__(self, stored: Documents, clock: Clock, open_kept: Callable[[str], Policy]) -> None:
        """Read what is stored; `open_kept` checks a statement by today's owner and raises BadInputError."""
        self._stored, self._clock, self._open_kept = stored, clock, open_kept
        self._seen = WallTime(0)
        self.history = self._read()

    def _read(self) -> History:
        kept, seen = self._stored.document(HISTORY), self._stored.document(SEEN)
        if kept is None:
            return UNKNOWN
        try:
            spans, forgotten = decode_history(kept.token)
            last = WallTime(int(seen.token) + SEEN_EVERY_S * SECOND_NS) if seen else None
        except (BadInputError, ValueError):
            return UNKNOWN  # nothing recorded so far is shared
        held = tuple(Held(self._opened(token), token, since, until) for token, since, until in spans)
        return History(held, forgotten) if last is None else History(held, forgotten).seen(last)

    def _opened(self, token: str) -> Policy | None:
        try:
            return self._open_kept(token) if token else None
        except BadInputError:
            return None

    def look(self, policy: Policy | None, token: str) -> History:
        """Note that this policy holds now, where another did if `token` is another. Call it every second.

        What is new is on the disk when this returns. Raises UnavailableError, and then nothing has changed.
        """
        now, before = self._clock.now(), self.history
        is_same = bool(before.held) and before.held[-1].token == token
        after = before.seen(now) if is_same else before.begun(policy, token, now)
        if [(one.token, one.since) for one in after.held] != [(one.token, one.since) for one in before.held]:
            self._stored.put_document(HISTORY, Document(1, encode_history(after)))
            self._note_seen(now)
        elif not self._seen <= now < self._seen + SEEN_EVERY_S * SECOND_NS:
            self._note_seen(now)
        self.history = after
        return after

    def _note_seen(self, now: WallTime) -> None:
        self._stored.put_document(SEEN, Document(1, str(now)))
        self._seen = now
