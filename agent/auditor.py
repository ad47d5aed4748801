"""An audit log checked by someone who holds only its public key: whether all signed entries are there, unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.errors import BadInputError, ConfigurationError, TransomError
from agent.evidence.audit import (
    CHECKPOINTS_BYTES_MAX,
    CHECKPOINTS_NAME,
    ENTRY_BYTES_MAX,
    LOG_NAME,
    Checkpoint,
    Fault,
    open_checkpoint,
    replay,
    split_checkpoints,
)
from agent.evidence.note import Verifier, parse_verifier


class AuditVerdict(msgspec.Struct, frozen=True):
    """What a check found. `fault` is empty if every entry that a checkpoint covers is as it was signed."""

    log: str  # the name in the checkpoints: the hub's id
    fault: str
    entries: int = 0
    signed_entries: int = 0  # covered by the newest checkpoint
    checkpoints: int = 0
    root: str = ""  # hex, over all entries

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.fault


def verify_audit(directory: Path, vkey: str) -> AuditVerdict:
    """Check `audit.jsonl` and `checkpoints` in a folder by the hub's verifier line (`name+hash+key`). Changes nothing.

    A wrong log is a verdict. Raises ConfigurationError if there is no log there or the key is not one.
    """
    try:
        verifier = parse_verifier(vkey.strip())
    except BadInputError as error:
        raise ConfigurationError(str(error), cure="copy the whole line from the hub's page") from error
    try:
        with (directory / LOG_NAME).open("rb"):
            content = (directory / CHECKPOINTS_NAME).read_bytes()
    except OSError as error:
        cure = f"name the folder that holds {LOG_NAME} and {CHECKPOINTS_NAME}"
        raise ConfigurationError(f"{directory} holds no audit log ({error.strerror})", cure=cure) from error
    try:
        checkpoints = _checkpoints(content, verifier)
        tree = replay(_whole_lines(directory / LOG_NAME), checkpoints)
    except TransomError as error:
        return AuditVerdict(verifier.name, str(error))
    if isinstance(tree, Fault):
        return AuditVerdict(verifier.name, str(tree), checkpoints=len(checkpoints))
    return AuditVerdict(
        log=verifier.name,
        fault="" if checkpoints else "no checkpoint: nothing in this log is signed",
        entries=tree.size,
        signed_entries=checkpoints[-1].size if checkpoints else 0,
        checkpoints=len(checkpoints),
        root=tree.root().hex(),
    )


def _checkpoints(content: bytes, verifier: Verifier) -> list[Checkpoint]:
    if len(content) > CHECKPOINTS_BYTES_MAX:
        raise BadInputError(f"the checkpoints have more than {CHECKPOINTS_BYTES_MAX} bytes")
    notes, _ = split_checkpoints(content)
    return [open_checkpoint(note, verifier) for note in notes]


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Read the entries; a last line without line break is still being written and does not count."""
    with path.open("rb") as file:
        while line := file.readline(ENTRY_BYTES_MAX + 2):
            if line.endswith(b"\n") or len(line) > ENTRY_BYTES_MAX:
                yield line.removesuffix(b"\n")
