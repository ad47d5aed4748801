"""One search of the whole site: everybody by multicast, and beside it the hosts that the installer gave, one by one.

Rules of this file: neither way waits for the other; an error of one is raised only when both have ended; blocking.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from agent.acquire.discovery import FoundCamera
from agent.acquire.given_addresses import GivenHost
from agent.clock import WallTime
from agent.errors import TransomError
from agent.outside.discovery_sockets import search
from agent.outside.knock import Knocking

SIGHTINGS_MAX: Final = 256  # that nobody has taken yet; then the search waits


class SiteSearch:
    """Searches again and again; one search at a time."""

    def __init__(
        self,
        interfaces: Sequence[str] | None,
        seconds: float,
        given: Sequence[GivenHost],
        now: Callable[[], WallTime],
        stop: threading.Event,
    ) -> None:
        self._interfaces, self._seconds, self._stop = interfaces, seconds, stop
        self._knocking = Knocking(given, now, stop) if given else None

    def search(self, settled: Callable[[], frozenset[str]] = frozenset) -> Iterator[FoundCamera]:
        """Search once. Hosts in `settled` are not asked one by one. Raises ConfigurationError (no such interface)."""
        multicast = search(self._interfaces, self._seconds, self._stop)
        if self._knocking is None:
            yield from multicast
        else:
            yield from _side_by_side(multicast, self._knocking.search(settled))


def _side_by_side(*ways: Iterable[FoundCamera]) -> Iterator[FoundCamera]:
    found: queue.Queue[FoundCamera | None] = queue.Queue(SIGHTINGS_MAX)
    failures: list[TransomError] = []

    def go(way: Iterable[FoundCamera]) -> None:
        try:
            for one in way:
                found.put(one)
        except TransomError as error:
            failures.append(error)
        finally:
            found.put(None)

    for way in ways:
        threading.Thread(target=go, args=(way,), name="search", daemon=True).start()
    left = len(ways)
    while left:
        one = found.get()
        if one is None:
            left -= 1
        else:
            yield one
    if failures:
        raise failures[0]
