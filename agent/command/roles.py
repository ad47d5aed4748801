"""Who may do what, in code: whatever a root signs, no grant makes a role more than it is here."""

from __future__ import annotations

from typing import Final, Literal, get_args

Role = Literal["issuer", "dispatcher", "officer", "supervisor", "ops"]
ClipAction = Literal["clip.upload", "clip.hold", "clip.release", "clip.cancel", "clip.extend"]
UpkeepAction = Literal["trust.update", "config.set", "firmware.install"]
Action = ClipAction | UpkeepAction | Literal["hub.ping"]

DELEGATING_ROLE: Final[Role] = "issuer"

CLIP_ACTIONS: Final[frozenset[Action]] = frozenset(get_args(ClipAction))
UPKEEP_ACTIONS: Final[frozenset[Action]] = frozenset(get_args(UpkeepAction))

ROLE_ACTIONS: Final[dict[Role, frozenset[Action]]] = {
    "issuer": frozenset(),  # passes rights on, uses none
    "dispatcher": CLIP_ACTIONS | {"hub.ping"},
    "officer": CLIP_ACTIONS,
    "supervisor": CLIP_ACTIONS,
    "ops": UPKEEP_ACTIONS | {"hub.ping"},  # keeps hubs alive, never touches a clip
}

APPROVING_ROLES: Final[frozenset[Role]] = frozenset({"dispatcher", "officer", "supervisor"})
"""Who may be a second officer; what they approve, their own role must allow as well."""
