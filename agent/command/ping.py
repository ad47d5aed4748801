"""A verified `hub.ping`: somebody with a grant asks whether the hub is there, and gets an answer."""

from __future__ import annotations

from dataclasses import dataclass

from agent.clock import WallTime


@dataclass(frozen=True, slots=True)
class VerifiedPing:
    """A ping whose chain of signatures, audience, time and role hold. Built by `envelope.verify` only.

    It is a type of its own since it has no window, camera or recipient: nothing that consent or a cut could take.
    """

    id: str
    sha256: str  # hex digest of the compact JWS
    signer: str
    subject: str
    role: str
    agency: str
    root: str
    issued: WallTime
    expires: WallTime
