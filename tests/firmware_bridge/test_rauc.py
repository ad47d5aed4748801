"""Updates through RAUC's D-Bus interface, on a private bus: new and old RAUCs, and ones that fail or go away."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from firmware_bridge.errors import BadInputError, UnavailableError
from firmware_bridge.messages import Progress, Slot
from firmware_bridge.rauc import IDLE_POLL_S, RaucUpdater
from tests.simulators.private_bus import PrivateBus
from tests.simulators.rauc_service import Behaviour, RaucService


def install(bus: PrivateBus, bundle: Path, manifest_hash: str | None = None) -> list[Progress]:
    """Install and return the progress that was told."""
    told: list[Progress] = []
    asyncio.run(RaucUpdater(bus.address).install(bundle, manifest_hash, told.append))
    return told


@pytest.mark.usefixtures("rauc")
def test_slots(bus: PrivateBus) -> None:
    """Which slot runs, which is good, and what is in it."""
    assert asyncio.run(RaucUpdater(bus.address).slots()) == [
        Slot("rootfs.0", "booted", "good", "2026.10.1"),
        Slot("rootfs.1", "inactive", "bad", None),
    ]


@pytest.mark.usefixtures("rauc")
def test_an_installation_tells_its_progress_and_names_the_manifest(
    bus: PrivateBus, bundle: Path, behaviour: Behaviour
) -> None:
    """RAUC is asked to install exactly what was inspected."""
    inspected = asyncio.run(RaucUpdater(bus.address).inspect(bundle))
    assert inspected == ("2026.11.1", "ab" * 32)
    assert [told.percent for told in install(bus, bundle, inspected.manifest_hash)] == [0, 40, 100]
    assert behaviour.installed == [(str(bundle), {"require-manifest-hash": "ab" * 32})]


def test_an_old_rauc_is_asked_in_the_old_way(bus: PrivateBus, bundle: Path, behaviour: Behaviour) -> None:
    """RAUC 1.8 has no InspectBundle and no manifest hash."""
    with RaucService(bus.address, behaviour, is_old=True):
        assert asyncio.run(RaucUpdater(bus.address).inspect(bundle)) == ("2026.11.1", None)
        install(bus, bundle)
    assert behaviour.installed == [(str(bundle), {})]


@pytest.mark.usefixtures("rauc")
def test_a_bundle_with_a_bad_signature_is_refused(bus: PrivateBus, tmp_path: Path) -> None:
    """RAUC's own words reach the operator."""
    with pytest.raises(BadInputError, match="signature verification failed"):
        asyncio.run(RaucUpdater(bus.address).inspect(tmp_path / "evil.raucb"))


def test_an_old_rauc_gives_no_reason_so_we_name_what_it_can_be(
    bus: PrivateBus, behaviour: Behaviour, tmp_path: Path
) -> None:
    """RAUC 1.8 says "rauc info error" of every bundle that it refuses; the person learns where the reason stands."""
    with (
        RaucService(bus.address, behaviour, is_old=True),
        pytest.raises(BadInputError, match=r"not signed .* keyring.*clock.*journalctl -u rauc"),
    ):
        asyncio.run(RaucUpdater(bus.address).inspect(tmp_path / "evil.raucb"))


@pytest.mark.parametrize("is_old", [True, False], ids=["1.8", "newer"])
def test_a_bundle_is_looked_at_when_rauc_has_done_with_another(
    bus: PrivateBus, bundle: Path, behaviour: Behaviour, *, is_old: bool
) -> None:
    """RAUC goes on when the bridge that asked it has died; meanwhile it calls every bundle bad, and we do not."""

    async def wait() -> str:
        looking = asyncio.create_task(RaucUpdater(bus.address).inspect(bundle))
        done, _ = await asyncio.wait({looking}, timeout=3 * IDLE_POLL_S)
        assert not done
        behaviour.is_busy = False
        return (await looking).version

    behaviour.is_busy = True
    with RaucService(bus.address, behaviour, is_old=is_old):
        assert asyncio.run(wait()) == "2026.11.1"


@pytest.mark.usefixtures("rauc")
def test_a_busy_rauc_is_asked_later(bus: PrivateBus, behaviour: Behaviour, bundle: Path) -> None:
    """It refuses every question while it installs; that says nothing about slots or bundle."""
    behaviour.is_busy = True
    updater = RaucUpdater(bus.address)
    for question in (updater.slots, updater.mark_good, lambda: updater.install(bundle, None, lambda _: None)):
        with pytest.raises(UnavailableError, match="wait until it has ended"):
            asyncio.run(question())


@pytest.mark.usefixtures("rauc")
def test_a_failed_installation_says_why(bus: PrivateBus, bundle: Path, behaviour: Behaviour) -> None:
    """The result code and RAUC's last error become one error."""
    behaviour.result, behaviour.last_error = 1, "no space left on slot"
    with pytest.raises(BadInputError, match="no space left on slot"):
        install(bus, bundle)


@pytest.mark.usefixtures("rauc")
def test_a_rauc_that_goes_away_while_installing_is_noticed(bus: PrivateBus, bundle: Path, behaviour: Behaviour) -> None:
    """Nobody waits half an hour for a process that is gone."""
    behaviour.is_leaving = True
    with pytest.raises(UnavailableError):
        install(bus, bundle)


def test_a_bus_that_goes_away_while_installing_is_noticed(bundle: Path, behaviour: Behaviour) -> None:
    """The same for the bus under it; the next question says so too."""
    with PrivateBus() as bus, RaucService(bus.address, behaviour):
        is_told = threading.Event()
        behaviour.is_leaving = True
        behaviour.before_finishing = lambda: is_told.wait(10) and bus.stop()
        with pytest.raises(UnavailableError, match="how the installation ended"):
            asyncio.run(RaucUpdater(bus.address).install(bundle, None, lambda _: is_told.set()))
        with pytest.raises(UnavailableError, match="D-Bus"):
            asyncio.run(RaucUpdater(bus.address).slots())


def test_without_rauc_the_cure_is_named(bus: PrivateBus) -> None:
    """A bus without RAUC is not a broken bus."""
    with pytest.raises(UnavailableError, match=r"rauc\.service"):
        asyncio.run(RaucUpdater(bus.address).slots())
