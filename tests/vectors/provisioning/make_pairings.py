"""Write the pairing vectors: `python -m tests.vectors.provisioning.make_pairings`. Same bytes every run.

The proof is computed here from `provisioning/FORMAT.md` with the standard library alone, not by the code under test.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parent / "pairings.json"
HUB: Final = "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"
CARD: Final = bytes(range(16))
ENROLMENT: Final = hashlib.sha256(b"the key of this enrolment").digest()
EARLIER: Final = hashlib.sha256(b"the key of an earlier enrolment").digest()
ED25519: Final = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
P256: Final = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


def statement(
    owner: dict[str, str] = ED25519, hub: str = HUB, card: bytes = CARD, enrolment: bytes = ENROLMENT, **more: object
) -> dict[str, Any]:
    """Write a pairing statement."""
    key = hmac.digest(hmac.digest(bytes(32), card, "sha256"), b"transom/owner/v1\x01", "sha256")  # RFC 5869, one block
    proof = hmac.digest(key, hub.encode() + thumbprint(owner) + enrolment, "sha256")
    return {"owner": owner, "hub_id": hub, "proof": base64url(proof), **more}


def thumbprint(jwk: dict[str, str]) -> bytes:
    """Name a key as RFC 7638 does."""
    return hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest()


def base64url(content: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def vectors() -> list[dict[str, Any]]:
    """Return all of them; each shows one good case or one failure."""
    good, private = statement(), {**ED25519, "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}
    cases: list[tuple[str, str, dict[str, Any], str]] = [
        ("good-ed25519", "an Ed25519 key (RFC 8037, A.2) by the owner card", good, base64url(thumbprint(ED25519))),
        (
            "good-p256",
            "a P-256 key (RFC 7515, A.3) by the owner card",
            statement(P256),
            base64url(thumbprint(P256)),
        ),
        ("another-card", "the proof is by another secret", statement(card=bytes(range(1, 17))), "WRONG_CARD"),
        ("another-hub", "the proof is for another hub", statement(hub=HUB[:-1] + "Z"), "WRONG_CARD"),
        ("earlier-enrolment", "recorded before a factory reset", statement(enrolment=EARLIER), "WRONG_CARD"),
        ("no-enrolment", "the proof does not name an enrolment", statement(enrolment=b""), "WRONG_CARD"),
        ("swapped-key", "the key was replaced on the way", {**good, "owner": P256}, "WRONG_CARD"),
        ("private-key", "a private member in the key", {**good, "owner": private}, "BAD_INPUT"),
        ("not-on-the-curve", "a point beside P-256", statement({**P256, "y": P256["x"]}), "BAD_INPUT"),
        ("unknown-member", "a member nobody knows", statement(role="owner"), "BAD_INPUT"),
        ("missing-proof", "no proof", {"owner": ED25519, "hub_id": HUB}, "BAD_INPUT"),
    ]
    return [
        {
            "name": name,
            "why": why,
            "statement": said,
            "hub_id": HUB,
            "owner_secret": base64.b32encode(CARD).decode().rstrip("="),
            "enrolment": base64url(ENROLMENT),
            "outcome": outcome,
        }
        for name, why, said, outcome in cases
    ]


def text() -> str:
    """Return the file."""
    return json.dumps(vectors(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
