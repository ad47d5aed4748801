"""Only a signed bundle from the right folder, no older than what once worked, is installed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from firmware_bridge.backend import Bundle
from firmware_bridge.errors import BadInputError, ConfigurationError
from firmware_bridge.messages import Installed, Progress, Refused, Slot
from firmware_bridge.updates import FLOOR_FILE, Updates

MARK_GOOD: Final = """\
import asyncio, pathlib, sys
from firmware_bridge.updates import Updates
from tests.firmware_bridge.test_updates import ShelfUpdater
asyncio.run(Updates(ShelfUpdater("1"), state=pathlib.Path(sys.argv[1]), bundles=pathlib.Path()).mark_good())
"""


class ShelfUpdater:
    """An updater that believes every bundle to be `version` and installs it by noting it."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.installed: list[Path] = []
        self.running: str | None = None
        self.written: str | None = None
        """What the other slot holds; None: the version that was looked at."""
        self.has_turned_back = False

    async def slots(self) -> list[Slot]:
        """Return what runs, and another slot with what was shelved."""
        return [
            Slot("rootfs.0", "booted", "good", self.running),
            Slot("rootfs.1", "inactive", "good", self.written if self.written is not None else self.version),
        ]

    async def inspect(self, bundle: Path) -> Bundle:
        """Return the version it was told."""
        assert bundle.is_absolute()
        return Bundle(self.version, None)

    async def install(self, bundle: Path, manifest_hash: str | None, progress: Callable[[Progress], None]) -> None:
        """Note it."""
        progress(Progress(100, str(manifest_hash)))
        await asyncio.sleep(0)
        self.installed.append(bundle)

    async def take_back(self) -> None:
        """Note it."""
        self.has_turned_back = True

    async def mark_good(self) -> str:
        """Return the running version."""
        return self.version


def install(updates: Updates, bundle: Path | str) -> Installed | Refused:
    """Install without looking at the progress."""
    return asyncio.run(updates.install(str(bundle), lambda _: None))


def test_what_was_marked_good_is_the_floor(tmp_path: Path, bundle: Path) -> None:
    """A downgrade is refused, by us and whatever RAUC thinks; the same version and a newer one are not."""
    updater = ShelfUpdater("2026.11.1")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)
    assert asyncio.run(updates.mark_good()) == "2026.11.1"
    updater.version = "2026.9.9"
    again = Updates(updater, state=tmp_path, bundles=bundle.parent)  # after a restart
    assert isinstance(install(again, bundle), Refused)
    assert updater.installed == []
    for version in ("2026.11.1", "2026.11.2"):
        updater.version = version
        assert install(again, bundle) == Installed(version, is_running=False)


def test_the_floor_never_falls(tmp_path: Path, bundle: Path) -> None:
    """Marking an older or an unknown firmware good leaves it where it is."""
    updater = ShelfUpdater("2026.11.1")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)
    asyncio.run(updates.mark_good())
    for version in ("2026.10.1", ""):
        updater.version = version
        assert asyncio.run(updates.mark_good()) == "2026.11.1"


def test_only_files_among_the_bundles_are_opened(tmp_path: Path, bundle: Path) -> None:
    """URLs, other folders, links out of the folder, folders and missing files are refused."""
    updater = ShelfUpdater("1")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)
    outside = tmp_path / "outside.raucb"
    outside.write_bytes(b"")
    (bundle.parent / "link").symlink_to(outside)
    (bundle.parent / "loop").symlink_to(bundle.parent / "loop")
    for path in ("https://example.org/a.raucb", outside, bundle.parent / "link", bundle.parent / "loop", bundle.parent,
                 bundle.parent / "missing", f"{bundle.parent}/../outside.raucb", "a\0b", "x" * 1000):  # fmt: skip
        with pytest.raises(BadInputError, match="no such bundle"):
            install(updates, path)
    assert updater.installed == []


def test_one_installation_at_a_time(tmp_path: Path, bundle: Path) -> None:
    """Another bundle meanwhile is refused, and the next one after it is not."""
    updater, other = ShelfUpdater("1"), bundle.with_name("other.raucb")
    other.write_bytes(b"")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)

    async def both() -> list[Installed | Refused]:
        return await asyncio.gather(*(updates.install(str(path), lambda _: None) for path in (bundle, other)))

    first, second = asyncio.run(both())
    assert first == Installed("1", is_running=False)
    assert isinstance(second, Refused)
    assert "when it has ended" in second.text
    assert updater.installed == [bundle]
    assert install(updates, other) == Installed("1", is_running=False)


def test_who_asks_for_the_same_bundle_meanwhile_hears_its_end(tmp_path: Path, bundle: Path) -> None:
    """An agent that has started again finds the installation that it had ordered; nothing is installed twice."""
    updater = ShelfUpdater("1")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)
    told: list[list[Progress]] = [[], []]

    async def both() -> list[Installed | Refused]:
        return await asyncio.gather(*(updates.install(str(bundle), listener.append) for listener in told))

    assert asyncio.run(both()) == [Installed("1", is_running=False)] * 2
    assert updater.installed == [bundle]
    assert [[step.percent for step in heard] for heard in told] == [[100], [100]]


def test_an_installation_goes_on_when_its_client_has_left(tmp_path: Path, bundle: Path) -> None:
    """Who asked first may die; who asks again hears the end of the same installation."""
    updater = ShelfUpdater("1")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)

    async def leave_and_come_back() -> Installed | Refused:
        first = asyncio.create_task(updates.install(str(bundle), lambda _: None))
        await asyncio.sleep(0)
        first.cancel()
        return await updates.install(str(bundle), lambda _: None)

    assert asyncio.run(leave_and_come_back()) == Installed("1", is_running=False)
    assert updater.installed == [bundle]


def test_what_runs_is_not_installed_over_the_fallback(tmp_path: Path, bundle: Path) -> None:
    """After a power cut between the first boot and the last word about it, the order comes again."""
    updater = ShelfUpdater("2026.11.1")
    updater.running = "2026.11.1.0"
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)
    assert install(updates, bundle) == Installed("2026.11.1", is_running=True)
    assert updater.installed == []
    updater.running = "factory"
    assert install(updates, bundle) == Installed("2026.11.1", is_running=False)


def test_a_bundle_that_was_exchanged_is_not_started(tmp_path: Path, bundle: Path) -> None:
    """An old RAUC reads the file anew to install it; where it notes what it wrote, that is looked at."""
    updater = ShelfUpdater("2")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)
    for written, has_turned_back in (("2.0", False), ("", False), ("1", True)):
        updater.written = written
        assert isinstance(install(updates, bundle), Refused) is has_turned_back
        assert updater.has_turned_back is has_turned_back


def test_the_floor_outlives_a_power_cut(tmp_path: Path) -> None:
    """Its content is synced before it has its name, and the folder after that."""
    log = tmp_path / "calls"
    command = ["strace", "-f", "-y", "-o", str(log), "-e", "trace=fsync,/^rename", sys.executable, "-c", MARK_GOOD]
    subprocess.run([*command, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    calls = re.findall(r"\b(fsync|rename)\w*\(.*version_floor|\b(fsync)\(", log.read_text())
    told = [named or other for named, other in calls]
    assert told == ["fsync", "rename", "fsync"]


def test_a_version_without_an_order_never_becomes_the_floor(tmp_path: Path, bundle: Path) -> None:
    """Else nothing could be compared with it any more, and the hub would take no update."""
    updater = ShelfUpdater("beta")
    updates = Updates(updater, state=tmp_path, bundles=bundle.parent)
    with pytest.raises(BadInputError, match="version"):
        install(updates, bundle)
    assert asyncio.run(updates.mark_good()) == ""
    updater.version = "1"
    assert install(updates, bundle) == Installed("1", is_running=False)


@pytest.mark.parametrize("content", [b"", b"latest", b"\xff", b"1" * 5000])
def test_a_damaged_floor_stops_updates(tmp_path: Path, bundle: Path, content: bytes) -> None:
    """Without a known floor nothing can be called new enough."""
    (tmp_path / FLOOR_FILE).write_bytes(content)
    with pytest.raises(ConfigurationError):
        install(Updates(ShelfUpdater("1"), state=tmp_path, bundles=bundle.parent), bundle)
