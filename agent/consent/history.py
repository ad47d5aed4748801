"""Which policy held when: by it a picture of then is shared by the words of then, whatever the owner says now.

Rules of this file:
- Times are the hub's own, as its pictures have them. A clock that was set back makes spans overlap: then all of them
  count.
- A span grows before it counts: what may have been recorded under a policy is in its span, rather too much than too
  little. What no span covers is a time of which nothing is known, and shares nothing.
- Values in, values out; `agent/trust/documents.py` keeps it on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from agent.clock import SECOND_NS, WallTime, Window
from agent.consent.policy import Policy
from agent.errors import BadInputError

SPANS_MAX: Final = 64
TOKENS_BYTES_MAX: Final = 1024 * 1024
"""Of all policies kept; beyond either limit the oldest go, and with them what was recorded under them."""

ADJOIN_NS: Final = 31 * 24 * 3600 * SECOND_NS
"""A hub that was off for less keeps its span: no window reaches further back (`age_s_max` is 30 days at most)."""

STEP_MARGIN_NS: Final = 3 * SECOND_NS
"""Around a step of the clock: pictures between the last look at it and the step, and pictures that came late."""

_BEGINNING: Final = WallTime(0)


@dataclass(frozen=True, slots=True)
class Held:
    """A policy and the span of hub time in which it held, both ends included; `policy` None: nothing was shared."""

    policy: Policy | None
    token: str  # its signed statement; empty: there was none
    since: WallTime
    until: WallTime


@dataclass(frozen=True, slots=True)
class History:
    """Spans, the present policy's last. The empty history knows nothing, so nothing is shared by it."""

    held: tuple[Held, ...] = ()
    forgotten_until: WallTime = _BEGINNING  # spans that are kept no more reached so far

    def during(self, window: Window, now: WallTime) -> Iterator[tuple[Policy | None, Window]]:
        """Give each policy that held in the window, with the stretch in which it did; None: nothing was shared then.

        What is to come, after `now`, is today's policy's to say.
        """
        if window.start < self.forgotten_until:
            yield None, window
            return
        known_until = window.start
        for one in sorted(self.seen(now).held, key=lambda held: held.since):
            counted = window.intersection(Window(_counts_from(one), WallTime(one.until + 1)))
            if counted is not None:
                yield one.policy, counted
            known = window.intersection(Window(one.since, WallTime(one.until + 1)))
            if known is None:
                continue
            if known.start > known_until:
                yield None, Window(known_until, known.start)
            known_until = WallTime(max(known_until, known.end))
        if known_until < min(window.end, now):
            yield None, Window(known_until, WallTime(min(window.end, now)))

    def seen(self, now: WallTime) -> History:
        """Note that the present policy holds at this moment."""
        if not self.held:
            return self
        newest = self.held[-1]
        for place in range(len(self.held) - 1, -1, -1):
            one = self.held[place]
            if one.token != newest.token:
                break
            if one.since <= now <= one.until + ADJOIN_NS:
                longer = replace(one, until=WallTime(max(one.until, now)))
                return replace(self, held=(*self.held[:place], *self.held[place + 1 :], longer))
        closed = replace(newest, until=WallTime(newest.until + STEP_MARGIN_NS))
        again = replace(newest, since=WallTime(max(0, now - STEP_MARGIN_NS)), until=now)
        return _bounded(replace(self, held=(*self.held[:-1], closed, again)))

    def begun(self, policy: Policy | None, token: str, now: WallTime) -> History:
        """Note that another policy holds from now on."""
        before = self.seen(now)
        return _bounded(replace(before, held=(*before.held, Held(policy, token, now, now))))


UNKNOWN: Final = History()


def _counts_from(held: Held) -> WallTime:
    """Return when it was signed, if that was before: who holds a pause back wins no footage of it. It opens nothing."""
    return held.since if held.policy is None else WallTime(min(held.policy.issued, held.since))


def _bounded(history: History) -> History:
    held, forgotten = list(history.held), history.forgotten_until
    while len(held) > SPANS_MAX or sum(len(one.token) for one in held[:-1]) > TOKENS_BYTES_MAX:
        oldest = min(held[:-1], key=lambda one: one.until)
        held.remove(oldest)
        forgotten = WallTime(max(forgotten, oldest.until + 1))
    return History(tuple(held), forgotten)


# ------------------------------------------------------------------- on the disk
class _Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str
    since: int
    until: int


class _Spans(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    held: tuple[_Span, ...]
    forgotten_until: int


def encode_history(history: History) -> str:
    """Write it down: the policies as their owner signed them, the spans in nanoseconds."""
    spans = tuple(_Span(one.token, one.since, one.until) for one in history.held)
    return msgspec.json.encode(_Spans(1, spans, history.forgotten_until)).decode()


def decode_history(text: str) -> tuple[tuple[tuple[str, WallTime, WallTime], ...], WallTime]:
    """Read spans as (statement, since, until) and until when nothing is known. Raises BadInputError.

    The statements are signed; who reads them again checks that the owner of today has signed them.
    """
    try:
        spans = msgspec.json.decode(text, type=_Spans)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadInputError(f"not a history of policies: {error}") from error
    if spans.v != 1 or any(one.since > one.until for one in spans.held):
        raise BadInputError("not a history of policies that this version has written")
    held = tuple((one.token, WallTime(one.since), WallTime(one.until)) for one in spans.held)
    return held, WallTime(spans.forgotten_until)
