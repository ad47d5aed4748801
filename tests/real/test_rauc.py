"""Firmware by a signed command through the real bridge and the real RAUC: a slot holds it, or the end says why."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import msgspec
import pytest

from agent.clip_job import JobState, Status
from agent.command.request import RefusalReason
from agent.outside.database import Database
from firmware_bridge.backend import Bundle
from firmware_bridge.errors import UnavailableError
from firmware_bridge.messages import Installed, Refused
from firmware_bridge.rauc import RaucUpdater
from firmware_bridge.updates import Updates
from tests.simulators.eventually import eventually
from tests.simulators.export_site import Process, Site, run
from tests.simulators.firmware_hub import firmware_site
from tests.simulators.logind_service import LogindService
from tests.simulators.real_rauc import ROOT, BridgeProcess, BundleMaker, RealRauc, bundle_host, why_not_here
from tests.vectors.command.scene import AUDIENCE, AUTHORITY

pytestmark = pytest.mark.skipif(bool(why_not_here()), reason=why_not_here() or "RAUC is here")

OLD, NOW, NEW = "2026.9.1", "2026.10.1", "2026.11.1"
LONG_S: Final = 60.0


class Hub:
    """One hub: its agent's site, its bridge, its RAUC, and the operator's host with bundles."""

    def __init__(
        self, folder: Path, rauc: RealRauc, bridge: BridgeProcess, url: str, pem: str, maker: BundleMaker
    ) -> None:
        self.folder, self.rauc, self.bridge, self.url, self.pem = folder, rauc, bridge, url, pem
        self.maker, self.bundles = maker, folder / "bundles"
        (folder / "host.pem").write_text(pem)

    def site(self) -> Site:
        """Return the agent's side."""
        return firmware_site(self.folder / "hub", self.url, self.pem, self.bundles, self.bridge.socket)

    def offered(self, name: str) -> Path:
        """Return where the operator's host has a file."""
        return self.folder / "host" / name

    def order(self, command: str, bundle: Path) -> bytes:
        """Sign the operator's command to install what the host has."""
        content = bundle.read_bytes()
        named = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "url": f"{self.url}/{bundle.name}",
        }
        now = self.site().clock.now()
        return AUTHORITY.order(now, AUDIENCE, command, action="firmware.install", params=named, role="ops")

    def agent(self, envelope: bytes | None = None) -> subprocess.Popen[bytes]:
        """Start the agent as a process."""
        places = [self.folder / "hub", self.url, self.folder / "host.pem", self.bundles, self.bridge.socket]
        if envelope is not None:
            (self.folder / "order").write_bytes(envelope)
            places.append(self.folder / "order")
        command = [sys.executable, "-m", "tests.simulators.firmware_hub", *map(str, places)]
        return subprocess.Popen(command, cwd=ROOT)

    def statuses(self) -> list[Status]:
        """Read what the agent's journal has for the server."""
        with closing(Database(self.folder / "hub/journal.db", "t")) as journal:
            return [msgspec.json.decode(message.payload, type=Status) for message in journal.outgoing(0, 1000)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Run a hub that has booted NOW from its first slot."""
    (tmp_path / "host").mkdir()
    (tmp_path / "bundles").mkdir()
    maker = BundleMaker(tmp_path / "maker")
    with ExitStack() as stack:
        rauc = stack.enter_context(RealRauc(tmp_path / "rauc", maker, NOW))
        bridge = stack.enter_context(BridgeProcess(tmp_path / "bridge", tmp_path / "bundles", rauc.address))
        url, pem = stack.enter_context(bundle_host(tmp_path / "host"))
        yield Hub(tmp_path, rauc, bridge, url, pem, maker)


def ended(hub: Hub, *orders: tuple[str, Path]) -> list[Status]:
    """Have one agent carry out orders, one after the other; return the last status of each."""

    async def life(process: Process) -> None:
        for command, bundle in orders:
            process.exporter.take(hub.order(command, bundle))
            await eventually(lambda: not process.exporter._tasks, LONG_S)

    run(hub.site(), life)
    return [[status for status in hub.statuses() if status.command == command][-1] for command, _ in orders]


def test_a_signed_command_becomes_the_other_slots_content(hub: Hub) -> None:
    """Fetched, checked, written and told; once it has booted, the slot to fall back to is not overwritten."""
    bundle = hub.maker.make(hub.offered("new.raucb"), NEW)
    [end] = ended(hub, ("f1", bundle))
    assert (end.status, end.reason) == (JobState.SUCCEEDED, None)
    assert end.detail == f"version {NEW} starts with the next boot"
    assert hub.rauc.holds("rootfs.1", NEW)
    assert hub.rauc.holds("rootfs.0", NOW)
    assert hub.rauc.primary == "B"
    assert list(hub.bundles.iterdir()) == []
    told = hub.statuses()
    assert [status.status for status in told[:2]] == [JobState.RECEIVED, JobState.IN_PROGRESS]
    percents = [status.percent for status in told if status.status is JobState.IN_PROGRESS]
    assert percents[0] == 0
    assert percents == sorted(set(percents))
    assert {20, 40, 60, 80} <= set(percents) <= set(range(100))
    written = [(line["kind"], line["detail"].get("state")) for line in hub.site().audit_lines() if line["ref"] == "f1"]
    assert written == [("command", None), ("firmware", None), ("job", "IN_PROGRESS"), ("job", "SUCCEEDED")]

    hub.rauc.boot()
    assert {slot.boot_status for slot in hub.bridge.client.slots()} == {"good"}
    booted = next(slot for slot in hub.bridge.client.slots() if slot.state == "booted")
    assert (booted.name, booted.version) == ("rootfs.1", NEW)
    assert hub.bridge.client.mark_good() == NEW
    [end] = ended(hub, ("f2", bundle))  # the same firmware, as after a power cut before the first one's last word
    assert (end.status, end.detail) == (JobState.SUCCEEDED, f"version {NEW} runs already")
    older = hub.maker.make(hub.offered("old.raucb"), OLD)
    [end] = ended(hub, ("f3", older))
    assert (end.status, end.reason) == (JobState.FAILED, RefusalReason.FIRMWARE_REFUSED)
    assert f"{OLD} is older than {NEW}" in end.detail
    assert hub.rauc.holds("rootfs.0", NOW)
    assert list(hub.bundles.iterdir()) == []


def test_what_rauc_refuses_is_not_installed_and_the_reason_is_told(hub: Hub) -> None:
    """A stranger's signature, damaged bytes, half a file, and another kind of hub: the slots stay as they were."""
    good = hub.maker.make(hub.offered("good.raucb"), NEW)
    stranger = BundleMaker(hub.folder / "stranger").make(hub.offered("stranger.raucb"), NEW)
    damaged, short = hub.offered("damaged.raucb"), hub.offered("short.raucb")
    content = bytearray(good.read_bytes())
    content[1000] ^= 1
    damaged.write_bytes(content)
    short.write_bytes(good.read_bytes()[:-1000])
    foreign = hub.maker.make(hub.offered("foreign.raucb"), NEW, compatible="another-hub")
    nameless = hub.maker.make(hub.offered("beta.raucb"), "beta")
    cases = {
        stranger: "not signed by a key of this hub's keyring",
        damaged: "damaged",
        short: "damaged",
        foreign: "another-hub",
        nameless: "not a version that can be compared",
    }
    ends = ended(hub, *((path.stem, path) for path in cases))
    for end, words in zip(ends, cases.values(), strict=True):
        assert (end.status, end.reason) == (JobState.FAILED, RefusalReason.FIRMWARE_REFUSED)
        assert words in end.detail
    assert (hub.rauc.primary, hub.rauc.holds("rootfs.1", NOW)) == ("A", True)
    assert list(hub.bundles.iterdir()) == []


def test_a_bundle_that_is_exchanged_after_it_was_looked_at_is_not_started(hub: Hub, tmp_path: Path) -> None:
    """RAUC 1.8 takes no hash: it installs the older one, and the next boot starts what runs now all the same."""
    bundle = hub.maker.make(hub.bundles / "new.raucb", NEW)
    older = hub.maker.make(hub.offered("old.raucb"), OLD)

    class Exchanged(RaucUpdater):
        async def inspect(self, bundle: Path) -> Bundle:
            seen = await super().inspect(bundle)
            shutil.copy(older, bundle)
            return seen

    updates = Updates(Exchanged(hub.rauc.address), state=tmp_path, bundles=hub.bundles)
    outcome = asyncio.run(updates.install(str(bundle), lambda _: None))
    assert isinstance(outcome, Refused)
    assert "exchanged" in outcome.text
    assert (hub.rauc.holds("rootfs.1", OLD), hub.rauc.primary) == (True, "A")
    assert {slot.name: slot.boot_status for slot in hub.bridge.client.slots()} == {
        "rootfs.0": "good",
        "rootfs.1": "bad",
    }


@pytest.mark.parametrize("killed", ["bridge", "agent", "rauc", "all of them"])
def test_whoever_dies_in_an_installation_it_ends_once_and_truly(hub: Hub, killed: str) -> None:
    """The job is one success, told once, and the slot holds every byte of the image."""
    bundle = hub.maker.make(hub.offered("new.raucb"), NEW)
    hub.rauc.hold()
    agent = hub.agent(hub.order("f1", bundle))
    try:
        asyncio.run(eventually(lambda: hub.rauc.is_held, LONG_S))
        with pytest.raises(UnavailableError, match="busy"):  # RAUC tells nobody of its slots now
            hub.bridge.client.slots()
        if killed in ("agent", "all of them"):
            agent.kill()
            agent.wait()
        if killed in ("bridge", "all of them"):
            hub.bridge.kill()
        if killed in ("rauc", "all of them"):
            hub.rauc.kill()
            (hub.folder / "rauc/held").unlink()
            hub.rauc.start()
        if killed in ("bridge", "all of them"):
            hub.bridge.start()
        if killed in ("agent", "all of them"):
            agent = hub.agent()
        has_asked_again = {
            "bridge": lambda: hub.bridge.conversations,
            "agent": lambda: hub.bridge.conversations > 1,  # with that of the dead one, which the bridge still answers
            "rauc": lambda: hub.rauc.is_held,
            "all of them": lambda: hub.rauc.is_held,
        }
        asyncio.run(eventually(has_asked_again[killed], LONG_S))
        hub.rauc.let_go()
        assert agent.wait(LONG_S) == 0
    finally:
        agent.kill()
        agent.wait()
    ends = [status for status in hub.statuses() if status.status not in (JobState.RECEIVED, JobState.IN_PROGRESS)]
    assert [(end.status, end.detail) for end in ends] == [
        (JobState.SUCCEEDED, f"version {NEW} starts with the next boot")
    ]
    assert hub.rauc.holds("rootfs.1", NEW)
    assert hub.rauc.holds("rootfs.0", NOW)
    assert hub.rauc.primary == "B"


def test_the_machine_restarts_into_what_rauc_has_installed_and_not_twice(hub: Hub) -> None:
    """By RAUC's own word about what starts next; a bootloader that goes back ends it, another firmware does not."""
    with LogindService(hub.rauc.address) as logind:
        assert isinstance(hub.bridge.client.restart(), Refused)
        bundle = hub.maker.make(hub.bundles / "new.raucb", NEW)
        hub.bridge.client.install(bundle, lambda _: None)
        assert hub.bridge.client.restart() == Installed(NEW, is_running=False)
        assert logind.restarts == 1

        hub.bridge.kill()
        hub.rauc.fall_back()  # the new one never came up
        hub.bridge.boot = "boot-2"
        hub.bridge.start()
        refused = hub.bridge.client.restart()
        assert isinstance(refused, Refused)
        assert "did not stay" in refused.text
        hub.bridge.client.install(bundle, lambda _: None)  # somebody means it
        assert hub.bridge.client.restart() == Installed(NEW, is_running=False)

        hub.bridge.kill()
        hub.rauc.boot()
        hub.bridge.boot = "boot-3"
        hub.bridge.start()
        assert isinstance(hub.bridge.client.restart(), Refused)
        assert hub.bridge.client.mark_good() == NEW
        assert logind.restarts == 2


def test_a_firmware_that_does_not_do_its_work_is_left_for_the_one_before(hub: Hub) -> None:
    """Restarted into, given up: RAUC's bootloader starts the old slot next; one that was kept is not given up."""
    with LogindService(hub.rauc.address) as logind:
        bundle = hub.maker.make(hub.bundles / "new.raucb", NEW)
        hub.bridge.client.install(bundle, lambda _: None)
        assert isinstance(hub.bridge.client.give_up(), Refused)  # it does not run yet
        hub.bridge.client.restart()
        for start, boot in (("boot-2", hub.rauc.boot), ("boot-3", hub.rauc.boot)):
            hub.bridge.kill()
            boot()
            hub.bridge.boot = start
            hub.bridge.start()
            if start == "boot-2":
                assert hub.rauc.primary == "B"
                assert hub.bridge.client.give_up() == Installed(NEW, is_running=False)
                assert logind.restarts == 2
        booted = {slot.name: slot for slot in hub.bridge.client.slots()}
        assert (booted["rootfs.0"].state, booted["rootfs.0"].version) == ("booted", None)
        assert booted["rootfs.1"].boot_status == "bad"
        assert isinstance(hub.bridge.client.give_up(), Refused)
        assert isinstance(hub.bridge.client.restart(), Refused)
        hub.bridge.client.install(bundle, lambda _: None)
        hub.bridge.client.restart()
        hub.bridge.kill()
        hub.rauc.boot()
        hub.bridge.boot = "boot-4"
        hub.bridge.start()
        assert hub.bridge.client.mark_good() == NEW
        assert isinstance(hub.bridge.client.give_up(), Refused)
        assert logind.restarts == 3
