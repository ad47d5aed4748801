"""An audit log with its hub and its witnesses, as tests need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import SECOND_NS, WallTime
from agent.demo.witness import LogWitness
from agent.evidence.audit import LOG_NAME
from agent.evidence.note import verifier_of
from agent.outside.audit_file import AuditFile
from tests.simulators.set_clock import SetClock

NOW: Final = WallTime(1_795_000_000 * SECOND_NS)
KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
HUB: Final = verifier_of("hub-1", KEY)
SERVER_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def server() -> LogWitness:
    """Return a witness that has seen nothing yet; always the same key."""
    return LogWitness("server.example/witness", SERVER_KEY)


@contextmanager
def audit_log(folder: Path, clock: SetClock | None = None) -> Iterator[AuditFile]:
    """Open the log in a folder."""
    log = AuditFile(folder / LOG_NAME, HUB.name, KEY, clock or SetClock(NOW))
    try:
        yield log
    finally:
        log.close()


def fill(log: AuditFile, size: int) -> str:
    """Append entries until there are `size`, and sign them."""
    while log.head()[0] < size:
        log.append("job", f"ref-{log.head()[0]}", {"n": log.head()[0]})
    return log.checkpoint()


def cosigned_by(log: AuditFile, witness: LogWitness) -> str:
    """Let a witness cosign the log as it is, as over the broker; return its note, not yet kept by the hub."""
    ((_, request),) = log.witness_requests([witness.public])
    return witness.cosign(request, HUB, NOW)
