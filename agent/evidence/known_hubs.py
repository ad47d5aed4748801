"""The hubs an officer trusts: a verifier line each, as in SSH's known_hosts; nobody else can vouch for a hub's key."""

from __future__ import annotations

from typing import Final

from agent.errors import BadInputError, ConfigurationError
from agent.evidence.note import Verifier, parse_verifier

KNOWN_HUBS_CHARS_MAX: Final = 16 * 1024 * 1024


def parse_known_hubs(text: str) -> tuple[Verifier, ...]:
    """Read the file: a line is `name+hash+key`, a comment that begins with `#`, or empty.

    Raises ConfigurationError that names the line.
    """
    if len(text) > KNOWN_HUBS_CHARS_MAX:
        raise ConfigurationError(f"the list of known hubs has more than {KNOWN_HUBS_CHARS_MAX} characters")
    hubs = []
    for number, line in enumerate(text.splitlines(), 1):
        stated = line.partition("#")[0].strip()
        try:
            hubs += [parse_verifier(stated)] if stated else []
        except BadInputError as error:
            cure = "mend or remove the line"
            raise ConfigurationError(f"line {number} of the known hubs: {error}", cure=cure) from error
    return tuple(hubs)


def find_known(claimed: Verifier, known: tuple[Verifier, ...], where: str) -> Verifier:
    """Return the known hub that a manifest claims to be from.

    Raises ConfigurationError with the line to add to the file `where`, or a warning if the hub has another key there.
    """
    if claimed in known:
        return claimed
    if any(hub.name == claimed.name for hub in known):
        raise ConfigurationError(
            f"hub {claimed.name} is known by another key than the one that this clip names",
            cure="the hub may have been reset, or someone pretends to be it: ask its operator before anything else",
        )
    raise ConfigurationError(
        f"hub {claimed.name} is not among the hubs you know",
        cure=f"ask its owner or operator for the hub's line; if it is exactly this, add it to {where}:\n{claimed}\n",
    )
