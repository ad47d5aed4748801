"""The operator's commands: what is entitled to take effect does, once, and nothing of it reaches a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.command.claims import ConfigSetParams
from agent.command.request import RefusalReason
from agent.errors import BadInputError
from tests.simulators.export_site import Process, Site, export_site, run
from tests.vectors.command.scene import AUDIENCE, AUTHORITY

BUNDLE = {"url": "https://evidence.example/2.raucb", "sha256": "ab" * 32, "size": 10}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site without film."""
    with export_site(tmp_path, is_filmed=False) as made:
        yield made


def ops(site: Site, action: str, command: str, **params: object) -> bytes:
    """Sign a command of the operator."""
    return AUTHORITY.order(site.clock.now(), AUDIENCE, command, action=action, params=params, role="ops")


def test_a_bundle_by_command_is_one_by_topic(site: Site) -> None:
    """The roots' signatures decide; the same bundle again is a success, an older or forged one is refused."""
    newer, forged = site.bundle(2), site.bundle(3, signers=[AUTHORITY.officer])

    async def life(process: Process) -> None:
        for command, bundle in (("t1", newer), ("t2", newer)):
            process.exporter.take(ops(site, "trust.update", command, bundle=bundle.decode()))
            assert (await process.until_ended(command)).status is JobState.SUCCEEDED
            assert site.standing.trust.version == 2
        for command, bundle in (("t3", forged), ("t4", site.bundle(1)), ("t5", b"{}")):
            process.exporter.take(ops(site, "trust.update", command, bundle=bundle.decode()))
            assert (await process.until_ended(command)).reason is RefusalReason.TRUST_REFUSED
        assert site.standing.trust.version == 2

    run(site, life)


def test_settings_add_up_and_stay(site: Site) -> None:
    """What is named is set and written down; the rest stays, also over a restart."""

    async def life(process: Process) -> None:
        process.exporter.take(ops(site, "config.set", "s1", part_s=8.0))
        process.exporter.take(ops(site, "config.set", "s2", log_level="debug"))
        assert (await process.until_ended("s2")).status is JobState.SUCCEEDED
        assert process.applied[-1] == ConfigSetParams(part_s=8.0, log_level="debug")
        assert [line["detail"] for line in site.audited("settings")] == [{"part_s": "8.0"}, {"log_level": "debug"}]

    async def next_life(process: Process) -> None:
        await asyncio.sleep(0)
        assert process.upkeep.settings() == ConfigSetParams(part_s=8.0, log_level="debug")

    run(site, life, next_life)


class Bridge:
    """Firmware that comes, or does not, as a test says: the far side is tests/outside/test_firmware.py's."""

    def __init__(self, *, is_taken: bool = True, is_true: bool = True) -> None:
        self.is_taken, self.is_true, self.installed = is_taken, is_true, 0
        self.discarded: list[Path] = []

    async def fetch(self, url: str, sha256: str, size: int) -> Path:
        """Fetch nothing."""
        if not self.is_true:
            raise BadInputError("the bundle is not the one that was announced")
        return Path(f"{sha256}-{size}-{len(url)}")

    async def install(self, bundle: Path, progress: Callable[[int], object]) -> tuple[bool, str]:
        """Count what was handed over."""
        self.installed += 1
        progress(50)
        progress(100)  # as RAUC does at a bad end too
        return (
            (True, "version 2.0 starts with the next boot")
            if self.is_taken
            else (False, f"{bundle} is older than the floor")
        )

    async def discard(self, bundle: Path) -> None:
        """Note it."""
        self.discarded.append(bundle)


@pytest.mark.parametrize(
    ("bridge", "status", "reason"),
    [
        (None, JobState.REJECTED, RefusalReason.UNSUPPORTED),
        (Bridge(), JobState.SUCCEEDED, None),
        (Bridge(is_taken=False), JobState.FAILED, RefusalReason.FIRMWARE_REFUSED),
        (Bridge(is_true=False), JobState.FAILED, RefusalReason.FIRMWARE_REFUSED),
    ],
    ids=["no bridge", "taken", "refused by the bridge", "another bundle"],
)
def test_firmware_ends_as_the_bridge_says(
    site: Site, bridge: Bridge | None, status: JobState, reason: RefusalReason | None
) -> None:
    """The end says what became of it, and why not."""
    site.firmware = bridge

    async def life(process: Process) -> None:
        process.exporter.take(ops(site, "firmware.install", "f1", **bundle_at(site)))
        end = await process.until_ended("f1")
        assert (end.status, end.reason) == (status, reason)
        assert {said.percent for said in process.statuses("f1")} <= {0, 50}
        if bridge is not None:  # what was decided about does not stay
            await process.until(lambda: len(bridge.discarded) == bridge.installed)

    run(site, life)


def bundle_at(site: Site) -> dict[str, object]:
    """Describe a bundle at the site's own host, which the trust bundle lists."""
    return {**BUNDLE, "url": f"{site.url}/2.raucb"}
