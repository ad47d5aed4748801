"""An audit log read by someone who holds only its public key: whether all signed entries are there, unchanged.

Rules of this file: a log is read, never written; a wrong log is a verdict, not an error. Nothing of the hub is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from agent.clock import rfc3339
from agent.errors import BadInputError, ConfigurationError, TransomError
from agent.evidence.audit import (
    CHECKPOINTS_BYTES_MAX,
    CHECKPOINTS_NAME,
    ENTRY_BYTES_MAX,
    LOG_NAME,
    Entry,
    Fault,
    decode_entry,
    open_checkpoint,
    replay,
    split_checkpoints,
)
from agent.evidence.cosignature import Witness, parse_witness, read_cosignatures
from agent.evidence.merkle import inclusion_proof, leaf_hash
from agent.evidence.note import Verifier, parse_verifier
from agent.evidence.proof import PROOF_CHARS_MAX, Proven, open_proof, write_proof
from agent.evidence.stamp import STAMPS_BYTES_MAX, STAMPS_NAME, Stamp, check_stamp, decode_stamp
from agent.evidence.witnessed import COSIGNATURES_BYTES_MAX, COSIGNATURES_NAME


class SeenBy(msgspec.Struct, frozen=True):
    """How far somebody else has cosigned a log: the hub alone cannot change anything before that any more."""

    witness: str
    entries: int
    at: str  # RFC 3339, by the witness's clock


class AuditVerdict(msgspec.Struct, frozen=True):
    """What a check found. `fault` is empty if every entry that a checkpoint covers is as it was signed."""

    log: str  # the name in the checkpoints: the hub's id
    fault: str
    entries: int = 0
    signed_entries: int = 0  # covered by the newest checkpoint
    checkpoints: int = 0
    root: str = ""  # hex, over all entries
    seen_by: tuple[SeenBy, ...] = ()  # the newest cosignature of each witness whose key was given
    stamped: SeenBy | None = None  # the newest time stamp, if an authority's certificate was given

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.fault


def verify_audit(directory: Path, vkey: str, witnesses: Sequence[str] = (), tsa_pem: bytes = b"") -> AuditVerdict:
    """Check the log in a folder by the hub's verifier line (`name+hash+key`), and by those of witnesses.

    With the certificates of a time stamping authority every stamp must hold by them.
    Raises ConfigurationError if there is no log there or a line is not a key.
    """
    verifier, known = _key(vkey), [_witness(line) for line in witnesses]
    log = open_log(directory)
    try:
        notes, cosigned, stamps = log.checkpoints(), log.cosigned(), log.stamps()
        checkpoints = [open_checkpoint(note, verifier) for note in notes]
        signed = [*checkpoints, *(open_checkpoint(note, verifier) for note in cosigned)]
        signed += [open_checkpoint(stamp.note, verifier) for stamp in stamps]
        tree = replay(log.lines(), sorted(signed, key=lambda one: one.size))
        stamped = _stamped(stamps, verifier, tsa_pem) if tsa_pem else None
    except ConfigurationError:
        raise
    except TransomError as error:
        return AuditVerdict(verifier.name, str(error))
    if isinstance(tree, Fault):
        return AuditVerdict(verifier.name, str(tree), checkpoints=len(checkpoints))
    return AuditVerdict(
        log=verifier.name,
        fault="" if checkpoints else "no checkpoint: nothing in this log is signed",
        entries=tree.size,
        signed_entries=max((one.size for one in signed), default=0),
        checkpoints=len(checkpoints),
        root=tree.root().hex(),
        seen_by=tuple(_seen_by(cosigned, verifier, known)),
        stamped=stamped,
    )


def _stamped(stamps: Sequence[Stamp], verifier: Verifier, tsa_pem: bytes) -> SeenBy | None:
    found = [(open_checkpoint(stamp.note, verifier).size, check_stamp(stamp, tsa_pem)) for stamp in stamps]
    return SeenBy("time stamp", max(found)[0], rfc3339(max(found)[1])) if found else None


def _seen_by(cosigned: Sequence[str], verifier: Verifier, known: Sequence[Witness]) -> Iterator[SeenBy]:
    for witness in known:
        found = [
            (open_checkpoint(note, verifier).size, one.at)
            for note in cosigned
            for one in read_cosignatures(note, [witness])
        ]
        if found:
            size, at = max(found)
            yield SeenBy(witness.name, size, rfc3339(at))


def prove_entry(directory: Path, number: int, verifier: Verifier | None = None) -> str:
    """Write the proof that entry `number` (from 0) is in the log, under its newest checkpoint, a cosigned one first.

    `verifier` is asked whether the proof holds. Raises ConfigurationError if there is no such entry, or no signature
    over it yet.
    """
    log = open_log(directory)
    candidates = [
        (note, size) for note in [*log.cosigned(), *log.checkpoints()] if (size := _claimed_size(note)) > number
    ]
    if number < 0 or not candidates:
        raise ConfigurationError(
            f"no checkpoint covers entry {number}", cure="`transom audit list` has the numbers; the hub signs each hour"
        )
    cosigned = [one for one in candidates if len(one[0].partition("\n\n")[2].splitlines()) > 1]
    note, size = max(cosigned or candidates, key=lambda one: one[1])
    lines = list(islice(log.lines(), size))
    if len(lines) < size:
        raise ConfigurationError(f"the log ends before entry {size}", cure="copy it again, checkpoints first")
    proof = write_proof(lines[number], number, inclusion_proof([leaf_hash(line) for line in lines], number), note)
    if verifier is not None:
        open_proof(proof, verifier)
    return proof


def verify_proof(path: Path, vkey: str, witnesses: Sequence[str] = ()) -> tuple[Proven, tuple[SeenBy, ...]]:
    """Check a proof's file by the hub's line; return the entry, and which of the witnesses have cosigned.

    Raises BadInputError if it proves nothing, ConfigurationError if a file or a line is missing.
    """
    verifier, known = _key(vkey), [_witness(line) for line in witnesses]
    proven = open_proof(_text(path), verifier)
    return proven, tuple(_seen_by([proven.note], verifier, known))


@dataclass(frozen=True, slots=True)
class LogFolder:
    """A hub's audit folder or a copy of it, as it lies there: nothing about it is proven."""

    folder: Path

    def lines(self) -> Iterator[bytes]:
        """Read the entries' lines; a last line without line break is still being written and does not count."""
        with (self.folder / LOG_NAME).open("rb") as file:
            while line := file.readline(ENTRY_BYTES_MAX + 2):
                if line.endswith(b"\n") or len(line) > ENTRY_BYTES_MAX:
                    yield line.removesuffix(b"\n")

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """Read the entries with their numbers. Raises BadInputError at one that is not an entry."""
        for number, line in enumerate(self.lines()):
            yield number, decode_entry(line)

    def checkpoints(self) -> list[str]:
        """Read the hub's own checkpoints, oldest first. Raises BadInputError."""
        return self._notes(CHECKPOINTS_NAME, CHECKPOINTS_BYTES_MAX)

    def cosigned(self) -> list[str]:
        """Read those with a cosignature. Raises BadInputError."""
        return self._notes(COSIGNATURES_NAME, COSIGNATURES_BYTES_MAX)

    def stamps(self) -> list[Stamp]:
        """Read the time stamps; a last one without line break is still being written. Raises BadInputError."""
        path = self.folder / STAMPS_NAME
        content = path.read_bytes() if path.exists() else b""
        if len(content) > STAMPS_BYTES_MAX:
            raise BadInputError(f"the time stamps have more than {STAMPS_BYTES_MAX} bytes")
        return [decode_stamp(line) for line in content.split(b"\n")[:-1]]

    def _notes(self, name: str, bytes_max: int) -> list[str]:
        path = self.folder / name
        content = path.read_bytes() if path.exists() else b""
        if len(content) > bytes_max:
            raise BadInputError(f"the {name} have more than {bytes_max} bytes")
        return split_checkpoints(content)[0]


def open_log(directory: Path) -> LogFolder:
    """Find the log in a folder. Raises ConfigurationError if it is not there, or may not be read."""
    try:
        with (directory / LOG_NAME).open("rb"), (directory / CHECKPOINTS_NAME).open("rb"):
            return LogFolder(directory)
    except OSError as error:
        cure = f"name the folder that holds {LOG_NAME} and {CHECKPOINTS_NAME}"
        raise ConfigurationError(f"{directory} holds no audit log ({error.strerror})", cure=cure) from error


def _claimed_size(note: str) -> int:
    row = note.split("\n", 2)[1]
    return int(row) if row.isdecimal() else 0


def _key(vkey: str) -> Verifier:
    try:
        return parse_verifier(vkey.strip())
    except BadInputError as error:
        raise ConfigurationError(str(error), cure="copy the whole line from the hub's page") from error


def _witness(line: str) -> Witness:
    try:
        return parse_witness(line.strip())
    except BadInputError as error:
        raise ConfigurationError(f"a witness: {error}", cure="copy the whole line from the trust bundle") from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(PROOF_CHARS_MAX + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as a proof", cure="check the path") from error
