"""Whether TLS compares certificates' dates with the machine's clock: only while NTP vouches for that clock.

A hub whose clock stands years behind finds every certificate not yet valid, and could ask nobody for the time. The
chain must end in the operator's authority all the same; what somebody can do with an expired certificate of his is
what a hostile broker or store can do, which nothing here relies on (THREATS.md).
"""

from __future__ import annotations

import ssl
from typing import Final

from agent.clock import Clock, TimeSource

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, X509_VERIFY_PARAM_set_flags(3ssl)
_BY_THE_MACHINE: Final = frozenset({TimeSource.NETWORK, TimeSource.ASSUMED})


def follow_clock(context: ssl.SSLContext, clock: Clock) -> None:
    """Let the next connections of `context` look at dates or not, as the clock stands now."""
    is_by_date = clock.standing().source in _BY_THE_MACHINE
    flags = int(context.verify_flags)
    context.verify_flags = ssl.VerifyFlags(flags & ~_NO_CHECK_TIME if is_by_date else flags | _NO_CHECK_TIME)
