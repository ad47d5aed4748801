"""Is this request one of our own page's? Asked before anything else is looked at.

Rules of this file: a name that anybody's DNS may point here is no name of ours (rebinding); what changes something must
come from a page that came from here (`Origin`, `Sec-Fetch-Site`), whatever cookies the browser sends along.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from agent.page_ports import PageRequest

READING: Final = "GET"
CHANGING: Final = "POST"
_HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The answer to a request that is not our page's."""

    status: int
    words: str


def turned_away(request: PageRequest, names: Collection[str] = ()) -> TurnedAway | None:
    """Say why a request is not looked at; None if it is. `names` are further host names of this hub."""
    if request.method not in {READING, CHANGING}:
        return TurnedAway(405, "This page knows GET and POST only.")
    host = request.headers.get("host", "").lower()
    if host not in _hosts(request, names):
        return TurnedAway(421, f"Open this page by the hub's own address: https://{_authority(request)}/")
    if request.method == CHANGING:
        if request.headers.get("origin") != f"https://{host}":
            return TurnedAway(403, "This was sent by another page. Open the hub's own page and do it there.")
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return TurnedAway(403, "This was sent by another page. Open the hub's own page and do it there.")
    return None


def origin_of(request: PageRequest) -> str:
    """Return the origin that the browser has this page from; only of a request that was not turned away."""
    return f"https://{request.headers.get('host', '').lower()}"


def _hosts(request: PageRequest, names: Collection[str]) -> frozenset[str]:
    literal = _literal(request.local)
    known = {literal, *(name.lower() for name in names)}
    with_port = {f"{name}:{request.port}" for name in known}
    return frozenset(known | with_port if request.port == _HTTPS_PORT else with_port)


def _authority(request: PageRequest) -> str:
    return _literal(request.local) + ("" if request.port == _HTTPS_PORT else f":{request.port}")


def _literal(address: str) -> str:
    plain = address.partition("%")[0]
    return f"[{plain}]" if ":" in plain else plain
