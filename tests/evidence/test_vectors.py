"""The published vectors of the evidence formats: each shows one success or one failure."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.errors import BadInputError
from agent.evidence.audit import Fault, open_checkpoint, replay
from agent.evidence.manifest import open_manifest
from agent.evidence.note import parse_verifier, verifier_of

VECTORS = Path(__file__).parents[1] / "vectors/evidence"
MANIFESTS = json.loads((VECTORS / "manifest.json").read_text())
AUDIT = json.loads((VECTORS / "audit.json").read_text())


def test_the_key_is_the_seeds() -> None:
    """Whoever wants to make the vectors again has the key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(MANIFESTS["seed"]))
    assert str(verifier_of("hub-1", key)) == MANIFESTS["key"]


@pytest.mark.parametrize("vector", MANIFESTS["vectors"], ids=[vector["name"] for vector in MANIFESTS["vectors"]])
def test_manifest(vector: dict[str, str]) -> None:
    """A manifest opens, or is refused for the one thing that is wrong with it."""
    verifier = parse_verifier(MANIFESTS["key"])
    if vector["expect"] == "success":
        assert open_manifest(vector["envelope"].encode(), verifier).hub == "hub-1"
    else:
        with pytest.raises(BadInputError, match=vector["failure"]):
            open_manifest(vector["envelope"].encode(), verifier)


@pytest.mark.parametrize("log", AUDIT["logs"], ids=[log["name"] for log in AUDIT["logs"]])
def test_audit_log(log: dict[str, Any]) -> None:
    """A log replays to its root, or its first wrong entry is found."""
    verifier = parse_verifier(AUDIT["key"])
    checkpoints = [open_checkpoint(note, verifier) for note in AUDIT["checkpoints"]]
    tree = replay([line.encode() for line in log["lines"]], checkpoints)
    if isinstance(tree, Fault):
        assert tree.first == log["first_fault"]
    else:
        assert (tree.root().hex(), log["first_fault"]) == (AUDIT["root"], None)
