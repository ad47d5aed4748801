"""Who may do what, in code: whatever a root signs, no grant makes a role more than it is here."""

from __future__ import annotations

from typing import Final, Literal

Role = Literal["issuer", "dispatcher", "officer", "supervisor", "ops"]
Action = Literal["clip.upload", "hub.ping"]

DELEGATING_ROLE: Final[Role] = "issuer"

ROLE_ACTIONS: Final[dict[Role, frozenset[Action]]] = {
    "issuer": frozenset(),  # passes rights on, uses none
    "dispatcher": frozenset({"clip.upload", "hub.ping"}),
    "officer": frozenset({"clip.upload"}),
    "supervisor": frozenset({"clip.upload"}),
    "ops": frozenset({"hub.ping"}),  # keeps hubs alive, never sees a picture
}
