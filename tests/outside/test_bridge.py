"""The button as the agent asks for it: through the real bridge, or not at all."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.errors import UnavailableError
from agent.outside.bridge import ANSWER_S_MAX, firmware_slots, seconds_since_press
from agent.trust.audit_watch import FirmwareSlot
from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import BridgeError
from firmware_bridge.logind import LogindMachine
from firmware_bridge.messages import Answer, Slot, write_line
from firmware_bridge.rauc import RaucUpdater
from firmware_bridge.restarts import Restarts
from firmware_bridge.server import BridgeServer
from firmware_bridge.tree import HardwareTree
from firmware_bridge.updates import Updates
from tests.simulators.eventually import until


@contextmanager
def bridge(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Run the bridge of a hub that has a button; give its socket and the button's file."""
    button = folder / "box/run/transom-bridge/button"
    button.parent.mkdir(parents=True)
    button.write_text("")
    nowhere = f"unix:path={folder}/no-bus"
    updates = Updates(RaucUpdater(nowhere), state=folder, bundles=folder)
    restarts = Restarts(RaucUpdater(nowhere), LogindMachine(nowhere), state=folder, boot="boot-1")
    server, loop, path = (
        BridgeServer(HardwareTree(folder / "box", folder), updates, restarts),
        asyncio.new_event_loop(),
        folder / "s",
    )
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve(path)))
    thread.start()
    wait_until_it_answers(path)
    yield path, button
    loop.call_soon_threadsafe(server.stop)
    thread.join()
    loop.close()


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    """Let somebody else than the bridge answer there, once."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                with suppress(OSError):  # the agent may have hung up, as it should
                    connection.sendall(answer)

        thread = threading.Thread(target=talk)
        thread.start()
        yield
        thread.join()


def wait_until_it_answers(path: Path) -> None:
    """Ask until there is an answer."""

    def does_answer() -> bool:
        try:
            BridgeClient(path).ping()
        except BridgeError:
            return False
        return True

    until(does_answer)


def test_a_press_is_seen_and_its_age_told(tmp_path: Path) -> None:
    """Nobody has pressed: None; somebody has: how long ago."""
    with bridge(tmp_path) as (path, button):
        assert seconds_since_press(path) is None
        button.write_text("pressed")
        pressed = seconds_since_press(path)
        assert pressed is not None
        assert 0 <= pressed < 10


def test_without_a_bridge_nobody_has_pressed(tmp_path: Path) -> None:
    """No socket, and no bridge behind it: pairing then asks for the button."""
    assert seconds_since_press(tmp_path / "none") is None
    (tmp_path / "file").write_text("")
    assert seconds_since_press(tmp_path / "file") is None


@pytest.mark.parametrize("answer", [b"", b"noise\n", b"{}\n", b'{"v":1,"pressed_s_ago":"now"}\n', b"\xff" * 100_000])
def test_a_bridge_that_talks_nonsense_has_seen_no_press(tmp_path: Path, answer: bytes) -> None:
    """What answers at the socket is another process: its words are checked."""
    with answering(tmp_path / "s", answer):
        assert seconds_since_press(tmp_path / "s") is None


def test_a_bridge_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    """The owner's phone waits too."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        began = time.monotonic()
        assert seconds_since_press(tmp_path / "s") is None
        assert time.monotonic() - began < 10 * ANSWER_S_MAX


def test_the_firmware_is_told_as_the_bridge_says(tmp_path: Path) -> None:
    """Which slot runs, and what was found of it; no RAUC behind the bridge, or no bridge, is a reason to ask again."""
    slots = [Slot("rootfs.0", "booted", "good", "1.0"), Slot("rootfs.1", "inactive", None, None)]
    with answering(tmp_path / "told", write_line(Answer(ok=True, slots=slots))):
        assert firmware_slots(tmp_path / "told") == [
            FirmwareSlot("rootfs.0", "booted", "good", "1.0"),
            FirmwareSlot("rootfs.1", "inactive", None, None),
        ]
    with bridge(tmp_path) as (real, _), pytest.raises(UnavailableError, match="does not say"):
        firmware_slots(real)
    with pytest.raises(UnavailableError, match="does not say"):
        firmware_slots(tmp_path / "none")
