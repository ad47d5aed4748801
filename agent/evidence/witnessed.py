"""What the hub keeps of others' cosignatures: the verified ones, by known witnesses, of checkpoints that it has signed.

Rules of this file: a cosigned checkpoint is kept only if this hub has signed exactly that root at that size, so it
follows from this log; a witness's next one must cover more; what is kept is bounded, and the newest of each stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from agent.errors import BadInputError
from agent.evidence.audit import Checkpoint, open_checkpoint
from agent.evidence.cosignature import Witness, read_cosignatures
from agent.evidence.note import Verifier, open_signed, split_note

COSIGNATURES_NAME: Final = "cosignatures"  # beside the log
COSIGNATURES_BYTES_MAX: Final = 256 * 1024
ROOTS_MAX: Final = 8192  # signed checkpoints that are remembered: a witness that is slower than this starts anew


class Witnessed:
    """Which checkpoints of this log were signed, and how far each witness has seen it."""

    def __init__(self, verifier: Verifier, signed: Iterable[Checkpoint], cosigned: Iterable[str]) -> None:
        self._verifier = verifier
        self._roots: dict[int, bytes] = {}
        self._kept: list[str] = []
        self._newest: dict[tuple[str, bytes], int] = {}  # by name and key id
        for checkpoint in sorted(signed, key=lambda one: one.size):
            self.add(checkpoint)
        for note in cosigned:
            self._note(note)

    def add(self, checkpoint: Checkpoint) -> None:
        """Remember a checkpoint that this hub has signed."""
        self._roots[checkpoint.size] = checkpoint.root
        if len(self._roots) > ROOTS_MAX:
            del self._roots[next(iter(self._roots))]

    def size_seen(self, witness: Witness) -> int:
        """Return how many entries a witness has cosigned, 0 if it never did."""
        return self._newest.get((witness.name, witness.key_id), 0)

    def take(self, note: str, witnesses: Sequence[Witness]) -> list[str]:
        """Return what to keep of a cosigned checkpoint: a note for each witness that says something new.

        Raises BadInputError if the checkpoint is not this log's.
        """
        checkpoint, (text, own) = open_checkpoint(note, self._verifier), open_signed(note, self._verifier)
        if self._roots.get(checkpoint.size) != checkpoint.root:
            raise BadInputError(f"a checkpoint of {checkpoint.size} entries that this log does not follow from")
        return [
            f"{text}\n{own}{found.line}"  # the two lines that hold, whatever else stands there
            for found in read_cosignatures(note, witnesses)
            if checkpoint.size > self.size_seen(found.witness)
        ]

    def keep(self, note: str) -> None:
        """Remember a note that is stored now."""
        self._note(note)

    def thin(self) -> list[str]:
        """Forget every second note of those kept, but never the newest of a witness; return what is left."""
        newest = set(self._newest.items())
        marks = [_mark(note, self._verifier) for note in self._kept]
        self._kept = [
            note
            for number, (note, mark) in enumerate(zip(self._kept, marks, strict=True))
            if number % 2 or mark in newest
        ]
        return list(self._kept)

    def _note(self, note: str) -> None:
        identity, size = _mark(note, self._verifier)
        self._kept.append(note)
        self._newest[identity] = max(size, self._newest.get(identity, 0))


def _mark(note: str, verifier: Verifier) -> tuple[tuple[str, bytes], int]:
    """Read who has cosigned a kept note, and at how many entries."""
    own = (verifier.name, verifier.key_id)
    _, lines = split_note(note)
    others = [(line.name, line.key_id) for line in lines if not line.is_by(*own)]
    return (others[0] if others else own), open_checkpoint(note, verifier).size
