"""A box made of files, a private bus with a RAUC, and a bridge that runs in a thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM
from socket import socket as Socket  # noqa: N812 - a class

import pytest

from firmware_bridge.client import BridgeClient
from firmware_bridge.logind import LogindMachine
from firmware_bridge.rauc import RaucUpdater
from firmware_bridge.restarts import Restarts
from firmware_bridge.server import BridgeServer
from firmware_bridge.tree import HardwareTree
from firmware_bridge.updates import Updates
from tests.simulators.private_bus import PrivateBus
from tests.simulators.rauc_service import Behaviour, RaucService

BOX = {
    "sys/block/mmcblk0/device/life_time": "0x02 0x05\n",
    "sys/block/mmcblk0/device/pre_eol_info": "0x01\n",
    "sys/block/mmcblk0boot0/device/life_time": "0x0b 0x0b\n",
    "sys/class/thermal/thermal_zone0/temp": "61250\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_type": "critical\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp": "95000\n",
    "sys/class/leds/status/trigger": "",
    "sys/class/leds/status/brightness": "0",
    "sys/class/leds/status/max_brightness": "255\n",
    "run/transom-bridge/button": "",
    "run/transom-bridge/alarm": "0\n",
}


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Return the root of a healthy hub's files."""
    root = tmp_path / "box"
    for name, content in BOX.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture(scope="session")
def bus() -> Iterator[PrivateBus]:
    """Return a private bus for all tests that leave it alive."""
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle where bundles lie; RAUC has to know it to find it signed."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    (folder / "update.raucb").write_bytes(b"hsqs")
    return folder / "update.raucb"


@pytest.fixture
def behaviour(bundle: Path) -> Behaviour:
    """Return what RAUC will do; change it before or during the test."""
    return Behaviour(bundles={str(bundle): "2026.11.1"})


@pytest.fixture
def rauc(bus: PrivateBus, behaviour: Behaviour) -> Iterator[RaucService]:
    """Return a running RAUC."""
    with RaucService(bus.address, behaviour) as service:
        yield service


@pytest.fixture
def socket_path(box: Path, bus: PrivateBus, bundle: Path, tmp_path: Path) -> Iterator[Path]:
    """Return the socket of a running bridge."""
    path = tmp_path / "bridge.sock"
    updates = Updates(RaucUpdater(bus.address), state=tmp_path, bundles=bundle.parent)
    loop = asyncio.new_event_loop()
    restarts = Restarts(RaucUpdater(bus.address), LogindMachine(bus.address), state=tmp_path, boot="boot-1")
    server = BridgeServer(HardwareTree(box, tmp_path), updates, restarts)
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve(path)))
    told, outlet = _listen_for_systemd(tmp_path)
    thread.start()
    assert told.recv(100) == b"READY=1"
    yield path
    loop.call_soon_threadsafe(server.stop)
    thread.join()
    loop.close()
    told.close()
    os.environ.pop(outlet)


@pytest.fixture
def client(socket_path: Path) -> BridgeClient:
    """Return the agent's side of it."""
    return BridgeClient(socket_path)


def _listen_for_systemd(folder: Path) -> tuple[Socket, str]:
    outlet = Socket(AF_UNIX, SOCK_DGRAM)
    outlet.settimeout(10)
    outlet.bind(str(folder / "notify.sock"))
    os.environ["NOTIFY_SOCKET"] = str(folder / "notify.sock")
    return outlet, "NOTIFY_SOCKET"
