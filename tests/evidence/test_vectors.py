"""The published vectors of the evidence formats: each shows one success or one failure."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.errors import BadInputError
from agent.evidence.audit import Checkpoint, Fault, open_checkpoint, replay
from agent.evidence.cosignature import parse_witness
from agent.evidence.manifest import open_manifest
from agent.evidence.merkle import leaf_hash, root_of
from agent.evidence.note import parse_verifier, verifier_of
from agent.evidence.proof import open_proof, open_witness_request
from agent.evidence.witnessed import Witnessed
from tests.vectors.evidence import make, make_witness

VECTORS = Path(__file__).parents[1] / "vectors/evidence"
MANIFESTS = json.loads((VECTORS / "manifest.json").read_text())
WITNESS = json.loads((VECTORS / "witness.json").read_text())
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


@pytest.mark.parametrize("vector", WITNESS["requests"], ids=[one["name"] for one in WITNESS["requests"]])
def test_witness_request(vector: dict[str, Any]) -> None:
    """A witness cosigns what follows from what it has seen, and nothing else."""
    lines = [leaf_hash(line.encode()) for line in WITNESS["lines"]]
    seen = Checkpoint("hub-1", vector["seen"], root_of(lines[: vector["seen"]])) if vector["seen"] else None
    with _expected(vector):
        open_witness_request(vector["body"], parse_verifier(WITNESS["key"]), seen)


@pytest.mark.parametrize("vector", WITNESS["cosigned"], ids=[one["name"] for one in WITNESS["cosigned"]])
def test_cosigned(vector: dict[str, Any]) -> None:
    """A hub that has signed 3 and 7 entries keeps a cosignature, or nothing."""
    lines = [leaf_hash(line.encode()) for line in WITNESS["lines"]]
    signed = [Checkpoint("hub-1", size, root_of(lines[:size])) for size in (3, 7)]
    with _expected(vector):
        if not Witnessed(parse_verifier(WITNESS["key"]), signed, []).take(
            vector["note"], [parse_witness(WITNESS["witness"])]
        ):
            raise BadInputError("nothing to keep")


@pytest.mark.parametrize("vector", WITNESS["proofs"], ids=[one["name"] for one in WITNESS["proofs"]])
def test_proof(vector: dict[str, Any]) -> None:
    """A proof leads to the root that the hub has signed, or proves nothing."""
    with _expected(vector):
        open_proof(vector["proof"], parse_verifier(WITNESS["key"]))


def _expected(vector: dict[str, Any]) -> AbstractContextManager[object]:
    return nullcontext() if vector["expect"] == "success" else pytest.raises(BadInputError)


@pytest.mark.parametrize("module", [make, make_witness])
def test_the_scripts_still_make_the_vectors(module: ModuleType) -> None:
    """What is committed is what the script writes, to the byte."""
    name = "manifest.json" if module is make else "witness.json"
    assert module.text() == (VECTORS / name).read_text()
