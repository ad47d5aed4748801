"""Proofs that travel: of one entry, and of growth for a witness; checked by a second implementation of RFC 6962 too."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import WallTime
from agent.errors import BadInputError
from agent.evidence.audit import Checkpoint, encode_entry, make_entry, sign_checkpoint
from agent.evidence.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of
from agent.evidence.note import verifier_of
from agent.evidence.proof import open_proof, open_witness_request, write_proof, write_witness_request
from tests.simulators.audit_log import HUB, KEY

LINES = [encode_entry(make_entry(WallTime(number), "job", f"ref-{number}", {"n": number})) for number in range(11)]
LEAVES = [leaf_hash(line) for line in LINES]


def checkpoint(size: int) -> Checkpoint:
    """Return the true checkpoint over the first entries."""
    return Checkpoint("hub-1", size, root_of(LEAVES[:size]))


def note(size: int) -> str:
    """Sign it."""
    return sign_checkpoint(checkpoint(size), KEY)


def proof(number: int = 4, size: int = 11) -> str:
    """Prove one entry."""
    return write_proof(LINES[number], number, inclusion_proof(LEAVES[:size], number), note(size))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 11])
def test_each_entry_is_proven(size: int) -> None:
    """Entry, place and checkpoint come back for every entry of trees of several shapes."""
    for number in range(size):
        proven = open_proof(proof(number, size), HUB)
        assert (proven.entry.ref, proven.index, proven.checkpoint) == (f"ref-{number}", number, checkpoint(size))


def test_it_is_the_published_form() -> None:
    """As in c2sp.org/tlog-proof: header, extra, index, hashes from the leaf up, an empty line, the checkpoint."""
    rows = proof().split("\n")
    assert rows[0] == "c2sp.org/tlog-proof@v1"
    assert base64.b64decode(rows[1].removeprefix("extra ")) == LINES[4]
    assert rows[2] == "index 4"
    assert [base64.b64decode(row) for row in rows[3:7]] == inclusion_proof(LEAVES, 4)
    assert "\n".join(rows[8:]) == note(11)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("index 4", "index 5"), "does not lead"),
        (lambda text: text.replace("index 4", "index 04"), "number"),
        (lambda text: text.replace("index 4\n", ""), "number"),
        (lambda text: text.replace(text.split("\n")[3] + "\n", ""), "does not lead"),
        (lambda text: text.replace("extra ", "extra AAAA"), "does not lead"),
        (lambda text: text.replace("extra ", "extra !"), "base64"),
        (lambda text: text.replace("\nhub-1\n11\n", "\nhub-1\n12\n"), "not signed"),
        (lambda text: text.replace("proof@v1", "proof@v2"), "not a proof"),
        (lambda text: text.partition("\n\n")[0], "checkpoint is missing"),
        (lambda text: text.replace("index 4\n", "index 4\nAAAA\n"), "not hashes"),
        (lambda text: text + "x" * 200_000, "too long"),
        (lambda _: "", "missing"),
    ],
)
def test_a_changed_proof_proves_nothing(change: object, why: str) -> None:
    """Each thing that can be wrong with it has its words."""
    assert callable(change)
    with pytest.raises(BadInputError, match=why):
        open_proof(change(proof()), HUB)


def test_another_hubs_proof_proves_nothing() -> None:
    """The signature must be that of the key that was given."""
    with pytest.raises(BadInputError, match="not signed"):
        open_proof(proof(), verifier_of("hub-1", Ed25519PrivateKey.generate()))


@given(st.text(max_size=400))
def test_hostile_proofs_raise_nothing_else(text: str) -> None:
    """No text raises anything but BadInputError."""
    for hostile in (text, f"x{text}{proof()}", f"old 0\n\n{text}"):
        with pytest.raises(BadInputError):
            open_proof(hostile, HUB)
        with pytest.raises(BadInputError):
            open_witness_request(hostile, HUB, checkpoint(3))


@pytest.mark.parametrize(("old", "size"), [(0, 3), (3, 7), (4, 8), (7, 7), (10, 11)])
def test_a_witness_follows_a_log_that_grows(old: int, size: int) -> None:
    """From nothing, from a part, and from the same size."""
    hashes = consistency_proof(LEAVES[:size], old) if old else []
    seen = checkpoint(old) if old else None
    assert open_witness_request(write_witness_request(old, hashes, note(size)), HUB, seen) == (
        checkpoint(size),
        note(size),
    )


def test_a_witness_refuses_another_past() -> None:
    """A log that was rewritten, and a request that begins elsewhere, get no cosignature."""
    other = [leaf_hash(b"other"), *LEAVES[1:]]
    rewritten = sign_checkpoint(Checkpoint("hub-1", 7, root_of(other[:7])), KEY)
    with pytest.raises(BadInputError, match="does not follow"):
        open_witness_request(write_witness_request(3, consistency_proof(other[:7], 3), rewritten), HUB, checkpoint(3))
    with pytest.raises(BadInputError, match="begins at 0"):
        open_witness_request(write_witness_request(0, [], note(7)), HUB, checkpoint(3))
    with pytest.raises(BadInputError, match="begins at 3"):
        open_witness_request(write_witness_request(3, consistency_proof(LEAVES[:7], 3), note(7)), HUB, None)
