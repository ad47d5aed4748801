"""The audit log on disk: one line per decision, synced before the decision takes effect, under signed checkpoints.

Rules of this file: `append` returns only after the line is on the disk. A line without its line break was being written
when the power went, so nobody was told of it: it is cut off. A line that is not as a signed checkpoint says it was
stops the log: a person must look. Nothing here removes an entry, and nothing asks it to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from threading import Lock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import Clock
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.evidence.audit import (
    CHECKPOINTS_BYTES_MAX,
    CHECKPOINTS_NAME,
    ENTRY_BYTES_MAX,
    LOG_NAME,
    Checkpoint,
    Entry,
    Fault,
    decode_entry,
    encode_entry,
    make_entry,
    open_checkpoint,
    replay,
    sign_checkpoint,
    split_checkpoints,
)
from agent.evidence.cosignature import Witness
from agent.evidence.kinds import Kind
from agent.evidence.merkle import consistency_proof, leaf_hash
from agent.evidence.note import verifier_of
from agent.evidence.proof import write_witness_request
from agent.evidence.room import LogRoom, StrangersBudget
from agent.evidence.witnessed import COSIGNATURES_BYTES_MAX, COSIGNATURES_NAME, Witnessed
from agent.outside.appended_file import AppendedFile


class ChangedLogError(ConfigurationError):
    """What the signed checkpoints cover is not what the log holds: somebody or a dying disk has changed it."""


def open_audit(folder: Path, origin: str, key: Ed25519PrivateKey, clock: Clock) -> AuditFile:
    """Open the log in `folder`; a changed one is kept aside for whoever examines it, and a new one begins with that.

    So a hub whose log was tampered with goes on recording, and everybody who has an old checkpoint can tell.
    """
    try:
        return AuditFile(folder / LOG_NAME, origin, key, clock)
    except ChangedLogError as error:
        aside = folder.with_name(f"{folder.name}.changed-{clock.now()}")
        folder.rename(aside)
        log = AuditFile(folder / LOG_NAME, origin, key, clock)
        log.append(Kind.LOG_CHANGED, "", {"why": str(error)[:200], "kept": aside.name})
        return log


class AuditFile:
    """The log at `path`, with `checkpoints` and `cosignatures` beside it. Implements `ports.Audit`.

    `origin` names the log in its checkpoints (the hub's id). Raises ConfigurationError if the log was changed or is
    in use by another process, UnavailableError if the disk fails.
    """

    def __init__(self, path: Path, origin: str, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._origin, self._key, self._clock = origin, key, clock
        self._lock = Lock()
        self._budget, self._room = StrangersBudget(), LogRoom()
        self._files: list[AppendedFile] = []
        try:
            self._log, self._checkpoints, self._cosigned = (
                self._opened(path.with_name(name)) for name in (path.name, CHECKPOINTS_NAME, COSIGNATURES_NAME)
            )
            self._open()
        except BaseException:
            self.close()
            raise

    def _opened(self, path: Path) -> AppendedFile:
        self._files.append(AppendedFile(path))
        return self._files[-1]

    def _open(self) -> None:
        self.healed_bytes = self._log.cut_torn_line()
        verifier = verifier_of(self._origin, self._key)
        cure = f"keep {self._log.path.parent} as it is for whoever examines it, and start with an empty folder"
        try:
            notes, whole = split_checkpoints(self._checkpoints.content(CHECKPOINTS_BYTES_MAX))
            checkpoints = [open_checkpoint(note, verifier) for note in notes]
            cosigned, whole_cosigned = split_checkpoints(self._cosigned.content(COSIGNATURES_BYTES_MAX))
            signed = [*checkpoints, *(open_checkpoint(note, verifier) for note in cosigned)]
        except BadInputError as error:
            raise ChangedLogError(f"the audit log's checkpoints are damaged: {error}", cure=cure) from error
        self.healed_bytes += self._checkpoints.cut(whole) + self._cosigned.cut(whole_cosigned)
        tree = replay(self._log.lines(ENTRY_BYTES_MAX), sorted(signed, key=lambda one: one.size))
        if isinstance(tree, Fault):
            raise ChangedLogError(f"the audit log was changed: {tree}", cure=cure)
        self._tree = tree
        self._size_signed = checkpoints[-1].size if checkpoints else 0
        self._witnessed = Witnessed(verifier, signed, cosigned)

    def append(self, kind: str, ref: str, detail: Mapping[str, str | int]) -> None:
        """Write one entry with the time of now; it is on the disk when this returns.

        Of entries that strangers cause so many a day are written and the rest is counted. Raises UnavailableError, and
        then what the entry would tell of must not happen: `room.py` says when.
        """
        with self._lock:
            if not self._budget.takes(kind, self._clock.instant()):
                return
            if left_out := self._budget.take_left_out():
                self._write(Kind.NOT_WRITTEN, "", {"count": left_out})
            self._write(kind, ref, detail)

    def _write(self, kind: str, ref: str, detail: Mapping[str, str | int]) -> None:
        line = encode_entry(make_entry(self._clock.now(), kind, ref, detail))
        self._room.check(kind, len(line) + 1, self._log.size, _free_bytes(self._log.path))
        self._log.append(line + b"\n")
        self._tree.append(leaf_hash(line))

    def head(self) -> tuple[int, str]:
        """Return the number of entries and the tree's root as hex."""
        with self._lock:
            return self._tree.size, self._tree.root().hex()

    @property
    def extent(self) -> tuple[Path, int]:
        """Say where the log lies, and how many bytes of whole entries it has."""
        return self._log.path, self._log.size

    def checkpoint(self) -> str:
        """Sign the log as it is now, store the note beside it and return it. Raises UnavailableError."""
        with self._lock:
            checkpoint = Checkpoint(self._origin, self._tree.size, self._tree.root())
            note = sign_checkpoint(checkpoint, self._key)
            if self._tree.size > self._size_signed:
                record = note.encode() + b"\n"
                if self._checkpoints.size + len(record) > CHECKPOINTS_BYTES_MAX:
                    self._thin_checkpoints()
                self._checkpoints.append(record)
                self._size_signed = self._tree.size
            self._witnessed.add(checkpoint)
            return note

    def _thin_checkpoints(self) -> None:
        """Keep every second checkpoint, the newest among them: what they prove is the same, in wider steps."""
        notes, _ = split_checkpoints(self._checkpoints.content(CHECKPOINTS_BYTES_MAX))
        self._checkpoints.replace("".join(f"{note}\n" for note in notes[(len(notes) + 1) % 2 :: 2]).encode())

    def keep_cosigned(self, note: str, witnesses: Sequence[Witness]) -> int:
        """Keep what is new in a cosigned checkpoint of this log; return by how many of the witnesses.

        Raises BadInputError if it is not a checkpoint that this hub has signed, UnavailableError if the disk fails.
        """
        with self._lock:
            for kept in (new := self._witnessed.take(note, witnesses)):
                record = kept.encode() + b"\n"
                if self._cosigned.size + len(record) > COSIGNATURES_BYTES_MAX:
                    self._cosigned.replace(b"".join(note.encode() + b"\n" for note in self._witnessed.thin()))
                self._cosigned.append(record)
                self._witnessed.keep(kept)
            return len(new)

    def witness_requests(self, witnesses: Sequence[Witness]) -> list[tuple[Witness, str]]:
        """Write for each witness that has not seen the newest checkpoint the proof from what it has seen to there.

        Reads the log: call it in a worker thread. Raises UnavailableError.
        """
        note = self.checkpoint()
        with self._lock:
            size = self._size_signed
            seen = {witness: self._witnessed.size_seen(witness) for witness in witnesses}
        behind = {witness: old for witness, old in seen.items() if old < size}
        if not behind:
            return []
        lines = islice(self._log.lines(ENTRY_BYTES_MAX), size) if any(behind.values()) else ()
        leaves = [leaf_hash(line) for line in lines]
        proofs = {old: consistency_proof(leaves, old) if old else [] for old in set(behind.values())}
        return [(witness, write_witness_request(old, proofs[old], note)) for witness, old in behind.items()]

    def latest(self, count_max: int) -> list[Entry]:
        """Return the newest entries, newest first."""
        with self._lock:
            return [decode_entry(line) for line in self._log.last_lines(count_max)]

    def close(self) -> None:
        """Let go of the files."""
        while self._files:
            self._files.pop().close()


def _free_bytes(path: Path) -> int:
    try:
        disk = os.statvfs(path)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written ({error.strerror})") from error
    return disk.f_bavail * disk.f_frsize
