"""One entry shown to be in the log, in a file that needs no hub to be checked (c2sp.org/tlog-proof).

Rules of this file: the entry travels as the proof's extra line, which proves nothing by itself: it is hashed, and only
the way from that hash to the signed root counts.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.errors import BadInputError
from agent.evidence.audit import Checkpoint, Entry, decode_entry, open_checkpoint
from agent.evidence.merkle import HASH_BYTES, PROOF_HASHES_MAX, leaf_hash, verify_consistency, verify_inclusion
from agent.evidence.note import NOTE_CHARS_MAX, Verifier

PROOF_CHARS_MAX: Final = 128 * 1024
_HEADER: Final = "c2sp.org/tlog-proof@v1"
_NUMBER: Final = r"(0|[1-9][0-9]{0,15})"
_INDEX: Final = re.compile(rf"index {_NUMBER}")
_OLD: Final = re.compile(rf"old {_NUMBER}")


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry, its place in the log (from 0), and the signed checkpoint that covers it."""

    entry: Entry
    index: int
    checkpoint: Checkpoint
    note: str  # the checkpoint with all its signatures


def write_proof(line: bytes, index: int, hashes: Sequence[bytes], note: str) -> str:
    """Write the proof that `line` is entry `index` of the log that `note` is a checkpoint of."""
    rows = [_HEADER, f"extra {_base64(line)}", f"index {index}", *map(_base64, hashes)]
    return "".join(f"{row}\n" for row in rows) + f"\n{note}"


def open_proof(text: str, verifier: Verifier) -> Proven:
    """Check a proof by the log's key, and return what it proves. Raises BadInputError."""
    rows, note = _split(text, PROOF_CHARS_MAX)
    if len(rows) < 3 or rows[0] != _HEADER or not rows[1].startswith("extra "):  # noqa: PLR2004 - header, extra, index
        raise BadInputError("not a proof that holds its entry")
    index = _number(_INDEX, rows[2])
    checkpoint = open_checkpoint(note, verifier)
    line = _unbase64(rows[1].removeprefix("extra "))
    if not verify_inclusion(leaf_hash(line), index, checkpoint.size, _hashes(rows[3:]), checkpoint.root):
        raise BadInputError(f"the proof does not lead from its entry to the root that {verifier.name} signed")
    return Proven(decode_entry(line), index, checkpoint, note)


def write_witness_request(old: int, hashes: Sequence[bytes], note: str) -> str:
    """Ask a witness to cosign: what it has seen, the proof from there, the checkpoint (c2sp.org/tlog-witness)."""
    return "".join(f"{row}\n" for row in [f"old {old}", *map(_base64, hashes)]) + f"\n{note}"


def open_witness_request(body: str, verifier: Verifier, seen: Checkpoint | None) -> tuple[Checkpoint, str]:
    """Judge a request as a witness that has `seen` a checkpoint of this log last; return the new one and its note.

    Raises BadInputError: the log does not follow from what was seen, or the request begins elsewhere.
    """
    rows, note = _split(body, PROOF_CHARS_MAX)
    old, checkpoint = _number(_OLD, rows[0]), open_checkpoint(note, verifier)
    size = seen.size if seen else 0
    if old != size:
        raise BadInputError(f"the request begins at {old} entries, and {size} were seen")
    proof = _hashes(rows[1:])
    if seen is None or size == 0:
        follows = not proof
    else:
        follows = verify_consistency(size, checkpoint.size, seen.root, checkpoint.root, proof)
    if not follows:
        raise BadInputError(f"the log of {verifier.name} does not follow from what it was at {size} entries")
    return checkpoint, note


def _split(text: str, chars_max: int) -> tuple[list[str], str]:
    head, divider, note = text.partition("\n\n")
    if len(text) > chars_max or not divider or len(note) > NOTE_CHARS_MAX:
        raise BadInputError("not a proof: the checkpoint is missing, or it is too long")
    return head.split("\n"), note


def _number(pattern: re.Pattern[str], row: str) -> int:
    match = pattern.fullmatch(row)
    if match is None:
        raise BadInputError("not a proof: a number is missing")
    return int(match[1])


def _hashes(rows: Sequence[str]) -> list[bytes]:
    hashes = [_unbase64(row) for row in rows]
    if len(hashes) > PROOF_HASHES_MAX or any(len(one) != HASH_BYTES for one in hashes):
        raise BadInputError("not a proof: its hashes are not hashes")
    return hashes


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadInputError("not a proof: not base64") from None
