"""The machine is restarted into what waits, once for each firmware, and for nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import UnavailableError
from firmware_bridge.messages import Installed, Refused
from firmware_bridge.restarts import RESTART_FILE, Restarts, boot_id
from tests.firmware_bridge.test_updates import ShelfUpdater
from tests.simulators.logind_service import LogindService
from tests.simulators.private_bus import PrivateBus
from tests.simulators.rauc_service import Behaviour


class Waiting(ShelfUpdater):
    """An updater with a firmware that waits, or none."""

    def __init__(self, version: str | None) -> None:
        super().__init__(version or "")
        self.following = version

        self.is_marked_bad = False

    async def mark_bad(self) -> None:
        """Note it."""
        self.is_marked_bad = True

    async def next_version(self) -> str | None:
        """Say which."""
        return self.following


class Box:
    """A machine that notes what is on the disk when it is told to restart."""

    def __init__(self, state: Path) -> None:
        self.state, self.seen, self.is_held = state, list[str](), False

    async def restart(self) -> None:
        """Note it."""
        if self.is_held:
            raise UnavailableError("somebody is logged in")
        self.seen.append((self.state / RESTART_FILE).read_text())


def asked(box: Box, version: str | None, boot: str) -> str | Refused:
    """Ask in one start of the machine."""
    return asyncio.run(Restarts(Waiting(version), box, state=box.state, boot=boot).restart())


def test_it_is_remembered_before_the_machine_goes_down(tmp_path: Path) -> None:
    """With the version and the start of the machine; a restart that did not happen may be asked for again."""
    box = Box(tmp_path)
    box.is_held = True
    with pytest.raises(UnavailableError):
        asked(box, "2", "boot-1")
    box.is_held = False
    assert asked(box, "2", "boot-1") == "2"
    assert box.seen == ['{"version":"2","boot":"boot-1"}']


def test_nothing_new_is_no_reason(tmp_path: Path) -> None:
    """What runs is also what starts next: whoever asks does not get the machine to go round."""
    box = Box(tmp_path)
    assert isinstance(asked(box, None, "boot-1"), Refused)
    assert (box.seen, list(tmp_path.iterdir())) == ([], [])


def test_a_firmware_that_did_not_stay_is_not_started_again(tmp_path: Path) -> None:
    """After a rollback the same one is refused; a newer one is not, nor the same once it was installed anew."""
    box = Box(tmp_path)
    assert asked(box, "2", "boot-1") == "2"
    refused = asked(box, "2", "boot-2")
    assert isinstance(refused, Refused)
    assert "did not stay" in refused.text
    assert asked(box, "3", "boot-2") == "3"
    Restarts(Waiting("3"), box, state=tmp_path, boot="boot-3").forget()
    assert asked(box, "3", "boot-3") == "3"


def test_a_damaged_memory_costs_one_restart(tmp_path: Path) -> None:
    """It says nothing; a folder that cannot be read or written stops the restart."""
    (tmp_path / RESTART_FILE).write_bytes(b"\xff")
    box = Box(tmp_path)
    assert asked(box, "2", "boot-2") == "2"
    (tmp_path / RESTART_FILE).unlink()
    (tmp_path / RESTART_FILE).mkdir()
    with pytest.raises(UnavailableError, match="restart"):
        asked(box, "2", "boot-3")
    (tmp_path / "gone").mkdir()
    lost = Box(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UnavailableError, match="remember"):
        asked(lost, "2", "boot-3")


@pytest.mark.parametrize(
    ("running", "boot", "is_on_trial"),
    [("2", "boot-2", True), ("2", "boot-1", False), ("1", "boot-2", False), (None, "boot-2", False)],
    ids=["restarted into it", "not restarted yet", "fell back already", "unknown"],
)
def test_only_a_firmware_on_trial_is_given_up(
    tmp_path: Path, running: str | None, boot: str, *, is_on_trial: bool
) -> None:
    """Marked bad first, so that also a later start goes back; what was kept is not on trial any more."""
    box = Box(tmp_path)
    assert asked(box, "2", "boot-1") == "2"
    updater = Waiting(None)
    updater.running = running
    restarts = Restarts(updater, box, state=tmp_path, boot=boot)
    outcome = asyncio.run(restarts.give_up())
    assert (outcome == "2", updater.is_marked_bad, len(box.seen)) == (is_on_trial, is_on_trial, 1 + is_on_trial)
    restarts.forget()
    assert isinstance(asyncio.run(restarts.give_up()), Refused)


def test_this_start_has_a_name() -> None:
    """Systemd's where it is given, the kernel's else; the same each time."""
    assert boot_id() == boot_id() != ""
    assert boot_id({"TRANSOM_BOOT": "from-systemd"}) == "from-systemd"


@pytest.mark.usefixtures("rauc")
def test_over_the_socket(client: BridgeClient, bus: PrivateBus, bundle: Path, behaviour: Behaviour) -> None:
    """Refused with nothing installed, then into what was; not while RAUC installs, and not against logind's no."""
    with LogindService(bus.address) as logind:
        assert isinstance(client.restart(), Refused)
        client.install(bundle, lambda _: None)
        logind.is_denied = True
        with pytest.raises(UnavailableError, match="logind does not restart"):
            client.restart()
        logind.is_denied = False
        assert client.restart() == Installed("2026.11.1", is_running=False)
        assert logind.restarts == 1
        behaviour.is_busy = True
        with pytest.raises(UnavailableError, match="busy"):
            client.restart()
