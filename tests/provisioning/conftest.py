"""A new hub and a running operator for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.factory import FactoryIdentity, make_identity
from provisioning.store import IdentityStore
from tests.simulators.enrolment_server import EnrolmentServer


@pytest.fixture
def identity() -> FactoryIdentity:
    """Return a hub that just left the factory."""
    return make_identity("hub.example", 1_795_354_560_000)


@pytest.fixture
def store(tmp_path: Path, identity: FactoryIdentity) -> IdentityStore:
    """Return its identity folder."""
    store = IdentityStore(tmp_path / "identity")
    store.save_factory(identity)
    return store


@pytest.fixture
def operator(tmp_path: Path, identity: FactoryIdentity) -> Iterator[EnrolmentServer]:
    """Return a running server that has this hub on its list."""
    with EnrolmentServer(tmp_path) as server:
        server.records[identity.hub_id] = identity.record
        yield server
