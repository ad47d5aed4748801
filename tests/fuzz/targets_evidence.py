"""What comes back from witnesses, and what people are handed as proof: taken only if it is the true one."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.evidence.audit import Checkpoint, encode_entry, make_entry, sign_checkpoint
from agent.evidence.cosignature import Witness, cosign
from agent.evidence.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of
from agent.evidence.note import verifier_of
from agent.evidence.proof import open_proof, open_witness_request, write_proof, write_witness_request
from agent.evidence.witnessed import Witnessed

_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
_HUB: Final = verifier_of("hub-1", _KEY)
_WITNESS: Final = Witness("w", _OTHER.public_key().public_bytes_raw())
_LINES: Final = [encode_entry(make_entry(WallTime(n), "job", f"ref-{n}", {})) for n in range(7)]
_LEAVES: Final = [leaf_hash(line) for line in _LINES]
_SIGNED: Final = [Checkpoint("hub-1", size, root_of(_LEAVES[:size])) for size in (3, 7)]
_NOTES: Final = [sign_checkpoint(one, _KEY) for one in _SIGNED]
_COSIGNED: Final = [cosign(note, "w", _OTHER, WallTime(1_795_000_000 * SECOND_NS)) for note in _NOTES]

COSIGNED: Final = tuple(note.encode() for note in _COSIGNED)
PROOFS: Final = tuple(
    write_proof(_LINES[n], n, inclusion_proof(_LEAVES, n), note).encode()
    for n in (0, 6)
    for note in (_NOTES[1], _COSIGNED[1])
)
REQUESTS: Final = (write_witness_request(3, consistency_proof(_LEAVES, 3), _NOTES[1]).encode(),)


def cosigned(raw: bytes) -> None:
    """Take a cosigned checkpoint; what is kept is one of those that both have signed."""
    kept = Witnessed(_HUB, _SIGNED, []).take(_text(raw), [_WITNESS])
    assert set(kept) <= set(_COSIGNED)


def proof(raw: bytes) -> None:
    """Open a proof; the entry is the one at its place."""
    proven = open_proof(_text(raw), _HUB)
    assert encode_entry(proven.entry) == _LINES[proven.index]
    assert proven.checkpoint in _SIGNED


def witness_request(raw: bytes) -> None:
    """Judge a request as a witness that has seen three entries; what follows from them is this log."""
    checkpoint, _ = open_witness_request(_text(raw), _HUB, _SIGNED[0])
    assert checkpoint in _SIGNED


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadInputError("not text") from None
