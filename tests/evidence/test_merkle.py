"""The Merkle tree: the known roots of RFC 6962's reference tree, and proofs that hold for the truth only."""

import pymerkle
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from agent.evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# certificate-transparency, the reference tree and its roots after 1 to 8 leaves
LEAVES = [
    leaf_hash(bytes.fromhex(leaf))
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
HASH = st.binary(min_size=32, max_size=32)


def test_the_roots_are_the_references() -> None:
    """Frontier and definition both give the published roots; no leaves give the hash of nothing."""
    tree = Frontier()
    assert tree.root() == EMPTY_ROOT == root_of([])
    for size, leaf in enumerate(LEAVES, 1):
        tree.append(leaf)
        assert tree.root() == root_of(LEAVES[:size])
        assert tree.root().hex() == ROOTS.get(size, tree.root().hex())


@given(st.lists(HASH, max_size=70))
def test_appending_is_the_definition(leaves: list[bytes]) -> None:
    """Appended leaf by leaf the root is the one over all leaves, with at most log2(n) + 1 hashes kept."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    assert (tree.size, tree.root()) == (len(leaves), root_of(leaves))
    assert len(tree._subtrees) == len(leaves).bit_count()


@given(st.lists(HASH, min_size=1, max_size=70, unique=True), st.data())
def test_inclusion_is_proven_for_the_leaf_at_its_place_only(leaves: list[bytes], data: st.DataObject) -> None:
    """A proof holds for its leaf, place, size and root; any other of these, and any changed proof, is refused."""
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root, size = inclusion_proof(leaves, index), root_of(leaves), len(leaves)
    assert verify_inclusion(leaves[index], index, size, proof, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, size, proof, root)
    assert not verify_inclusion(leaves[index], index, size, proof, leaf_hash(b"other"))
    assert not verify_inclusion(leaves[index], index, size, [*proof, root], root)
    assert not verify_inclusion(leaves[index], size, size, proof, root)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        assert not verify_inclusion(leaves[index], other, size, proof, root)
        assert not verify_inclusion(leaves[other], index, size, proof, root)


@given(st.lists(HASH, min_size=1, max_size=70, unique=True), st.data())
def test_consistency_is_proven_for_a_true_beginning_only(leaves: list[bytes], data: st.DataObject) -> None:
    """A log that grew is shown to have grown; one whose past was changed is not."""
    size = data.draw(st.integers(1, len(leaves)))
    proof, root, root_later = consistency_proof(leaves, size), root_of(leaves[:size]), root_of(leaves)
    assert verify_consistency(size, len(leaves), root, root_later, proof)
    changed = root_of([leaf_hash(b"other"), *leaves[1:size]])
    assert not verify_consistency(size, len(leaves), changed, root_later, proof)
    assert not verify_consistency(size, len(leaves), root, leaf_hash(b"other"), proof)
    assert not verify_consistency(size, len(leaves), root, root_later, [*proof, root])
    assert not verify_consistency(len(leaves) + 1, len(leaves), root, root_later, proof)
    assert not verify_consistency(0, len(leaves), EMPTY_ROOT, root_later, proof)


@given(st.integers(), st.integers(), st.lists(st.binary(max_size=33) | HASH, max_size=70), HASH)
def test_made_up_proofs_prove_nothing(size: int, index: int, proof: list[bytes], root: bytes) -> None:
    """Proofs of any form are judged, never believed, and never break the verifier."""
    assert not verify_inclusion(leaf_hash(b"never"), index, size, proof, root)
    assert not verify_consistency(size, index, leaf_hash(b"never"), root, proof)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=40), st.data())
def test_a_second_implementation_agrees(entries: list[bytes], data: st.DataObject) -> None:
    """Pymerkle builds the same roots, and finds the same hashes for both proofs, which its own verifier takes."""
    other = InmemoryTree(algorithm="sha256")
    for entry in entries:
        other.append_entry(entry)
    leaves = [leaf_hash(entry) for entry in entries]
    size, index = len(entries), data.draw(st.integers(0, len(entries) - 1))
    assert other.get_root() == root_of(leaves)
    inclusion = other.prove_inclusion(index + 1, size)
    pymerkle.verify_inclusion(leaves[index], root_of(leaves), inclusion)
    assert [bytes(one) for one in inclusion.path[1:]] == inclusion_proof(leaves, index)
    earlier = data.draw(st.integers(1, size))
    consistency = other.prove_consistency(earlier, size)
    pymerkle.verify_consistency(root_of(leaves[:earlier]), root_of(leaves), consistency)
