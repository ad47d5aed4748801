"""A verified `hub.ping`: somebody with a grant asks whether the hub is there, and gets an answer."""

from __future__ import annotations

from dataclasses import dataclass

from agent.command.request import Vouched


@dataclass(frozen=True, slots=True)
class VerifiedPing(Vouched):
    """A ping whose chain of signatures, audience, time and role hold. Built by `envelope.verify` only.

    It is a type of its own since it has no window, camera or recipient: nothing that consent or a cut could take.
    """
