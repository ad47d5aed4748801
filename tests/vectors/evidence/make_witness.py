"""Write the vectors of cosignatures and proofs: `python -m tests.vectors.evidence.make_witness`. Always the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from agent.clock import SECOND_NS, WallTime
from agent.evidence.audit import Checkpoint, encode_entry, make_entry, sign_checkpoint
from agent.evidence.cosignature import Witness, cosign
from agent.evidence.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of
from agent.evidence.note import verifier_of
from agent.evidence.proof import write_proof, write_witness_request
from tests.vectors.evidence.make import HUB, KEY, OTHER, SEED

FOLDER: Final = Path(__file__).parent
AT: Final = WallTime(1_795_000_000 * SECOND_NS)
LINES: Final = [encode_entry(make_entry(WallTime(AT + n), "job", f"ref-{n}", {"n": n})) for n in range(7)]
LEAVES: Final = [leaf_hash(line) for line in LINES]
NAME: Final = "witness.example/w1"
WITNESS: Final = Witness(NAME, OTHER.public_key().public_bytes_raw())
Vector = dict[str, Any]


def note(size: int, leaves: list[bytes] = LEAVES) -> str:
    """Sign the checkpoint over the first entries."""
    return sign_checkpoint(Checkpoint(HUB, size, root_of(leaves[:size])), KEY)


def requests() -> list[Vector]:
    """Return what a witness that has seen three entries (or none) is asked, and what it must say."""
    other = [leaf_hash(b"other"), *LEAVES[1:]]
    grown = consistency_proof(LEAVES, 3)
    rewritten = write_witness_request(3, consistency_proof(other, 3), note(7, other))
    swapped = write_witness_request(3, grown[::-1], note(7))
    by_other = sign_checkpoint(Checkpoint(HUB, 7, root_of(LEAVES)), OTHER)
    return [
        _vector("first", "nothing was seen yet", "success", seen=0, body=write_witness_request(0, [], note(3))),
        _vector("grown", "the log follows", "success", seen=3, body=write_witness_request(3, grown, note(7))),
        _vector("same", "the same checkpoint again", "success", seen=3, body=write_witness_request(3, [], note(3))),
        _vector("rewritten", "its first entry is another", "failure", seen=3, body=rewritten),
        _vector("no_proof", "growth is only claimed", "failure", seen=3, body=write_witness_request(3, [], note(7))),
        _vector("swapped", "the hashes are in another order", "failure", seen=3, body=swapped),
        _vector(
            "elsewhere", "it begins before what was seen", "failure", seen=3, body=write_witness_request(0, [], note(7))
        ),
        _vector(
            "another_key", "the hub did not sign", "failure", seen=3, body=write_witness_request(3, grown, by_other)
        ),
    ]


def cosigned() -> list[Vector]:
    """Return what comes back to a hub that has signed 3 and 7 entries, and whether it is kept."""
    good = cosign(note(7), NAME, OTHER, AT)
    return [
        _vector("good", "by the witness", "success", note=good),
        _vector("among_others", "a stranger has cosigned too", "success", note=cosign(good, "stranger", KEY, AT)),
        _vector("not_cosigned", "only the hub's own line", "failure", note=note(7)),
        _vector("other_text", "the size was changed", "failure", note=good.replace("\n7\n", "\n6\n")),
        _vector("never_signed", "a size that the hub has not signed", "failure", note=cosign(note(5), NAME, OTHER, AT)),
        _vector("other_name", "the key in another name", "failure", note=cosign(note(7), "other.example", OTHER, AT)),
        _vector("other_key", "another key in the name", "failure", note=cosign(note(7), NAME, KEY, AT)),
    ]


def proofs() -> list[Vector]:
    """Return proofs of entries, and whether they prove anything."""
    good = write_proof(LINES[4], 4, inclusion_proof(LEAVES, 4), note(7))
    return [
        _vector("good", "the fifth of seven entries", "success", proof=good),
        _vector("last", "the last one, one hash on its way", "success", proof=_proof(6)),
        _vector("other_place", "the entry is said to be another", "failure", proof=good.replace("index 4", "index 5")),
        _vector("other_entry", "the entry was changed", "failure", proof=_proof(4, LINES[5])),
        _vector("hash_missing", "the way is too short", "failure", proof=good.replace(good.split("\n")[3] + "\n", "")),
        _vector("leading_zero", "a number in another spelling", "failure", proof=good.replace("index 4", "index 04")),
        _vector("other_root", "another checkpoint", "failure", proof=good.partition("\n\n")[0] + f"\n\n{note(3)}"),
    ]


def _proof(number: int, line: bytes | None = None) -> str:
    return write_proof(line or LINES[number], number, inclusion_proof(LEAVES, number), note(7))


def _vector(name: str, why: str, expect: str, **members: object) -> Vector:
    return {"name": name, "why": why, "expect": expect, **members}


def text() -> str:
    """Return the file."""
    made = {
        "seed": SEED.hex(),
        "key": str(verifier_of(HUB, KEY)),
        "witness": str(WITNESS),
        "lines": [line.decode() for line in LINES],
        "requests": requests(),
        "cosigned": cosigned(),
        "proofs": proofs(),
    }
    return json.dumps(made, indent=1) + "\n"


if __name__ == "__main__":
    (FOLDER / "witness.json").write_text(text())
