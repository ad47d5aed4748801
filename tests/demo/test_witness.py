"""The small central server's witness: it cosigns what grows, and nothing else."""

from pathlib import Path

import pytest

from agent.errors import BadInputError
from agent.evidence.cosignature import parse_witness, read_cosignatures
from tests.simulators.audit_log import HUB, audit_log, cosigned_by, fill, server


def test_it_cosigns_a_log_that_grows(tmp_path: Path) -> None:
    """The hub keeps each cosignature and asks for the next from there."""
    witness = server()
    assert parse_witness(str(witness)) == witness.public
    with audit_log(tmp_path) as log:
        for size in (3, 8):
            fill(log, size)
            note = cosigned_by(log, witness)
            assert read_cosignatures(note, [witness.public])
            assert log.keep_cosigned(note, [witness.public]) == 1
        assert log.witness_requests([witness.public]) == []


def test_it_refuses_a_log_that_began_anew(tmp_path: Path) -> None:
    """A hub whose log was lost or rewritten cannot hide that from it."""
    witness = server()
    with audit_log(tmp_path / "a") as log:
        fill(log, 5)
        cosigned_by(log, witness)
    with audit_log(tmp_path / "b") as log:
        fill(log, 9)
        ((_, request),) = log.witness_requests([witness.public])
        with pytest.raises(BadInputError, match="5 were seen"):
            witness.cosign(request, HUB, log._clock.now())
