"""Whoever watches that hubs' logs only grow: cosigns what follows from what it has seen, and nothing else.

In the real world a party of its own with a database; here a dictionary and a key that is made at the start.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import WallTime
from agent.evidence.audit import Checkpoint
from agent.evidence.cosignature import Witness, cosign
from agent.evidence.note import Verifier
from agent.evidence.proof import open_witness_request


class LogWitness:
    """A witness by a name; as text it is the line that a trust bundle lists."""

    def __init__(self, name: str, key: Ed25519PrivateKey | None = None) -> None:
        self._key = key or Ed25519PrivateKey.generate()
        self.public = Witness(name, self._key.public_key().public_bytes_raw())
        self._seen: dict[str, Checkpoint] = {}

    def __str__(self) -> str:
        return str(self.public)

    def cosign(self, request: str, log: Verifier, at: WallTime) -> str:
        """Return the checkpoint of a request with a cosignature below.

        Raises BadInputError if the log of `log` does not follow from what was seen of it last.
        """
        checkpoint, note = open_witness_request(request, log, self._seen.get(log.name))
        self._seen[log.name] = checkpoint
        return cosign(note, self.public.name, self._key, at)
