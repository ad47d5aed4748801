"""What the hub believes at this moment: whom it trusts, who owns it, and what the owner allows.

Rules of this file: values only; a new document makes a new `Standing`, the old one is dropped whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.command.envelope import Audience
from agent.command.trust import TrustBundle
from agent.consent.history import UNKNOWN, History
from agent.consent.policy import Policy
from agent.consent.terms import OwnersWord
from agent.signing import SigningKey


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything a decision is made on, besides the command and the time."""

    audience: Audience
    trust: TrustBundle
    owner: SigningKey | None = None  # None: not paired; everything is refused
    policy: Policy | None = None
    policy_sha256: str = ""
    history: History = UNKNOWN

    @property
    def word(self) -> OwnersWord:
        """What the owner says and has said."""
        return OwnersWord(self.policy, self.policy_sha256, self.history)
