"""A searched network, and the hub's two books of its cameras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from tests.simulators.export_site import STATUS_TOPIC
from tests.simulators.searched_network import Network


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Database]:
    """Open the journal."""
    with closing(Database(tmp_path / "journal.db", STATUS_TOPIC)) as database:
        yield database


@pytest.fixture
def identities(tmp_path: Path) -> IdentityFile:
    """Open the book of marks."""
    return IdentityFile(tmp_path / "cameras.json")


@pytest.fixture
def network(book: Database, identities: IdentityFile) -> Network:
    """Make a network."""
    return Network(book, identities)
