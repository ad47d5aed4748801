"""The bridge as a process, seen from another one of the same user."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from tests.simulators.eventually import eventually
from tests.simulators.peer_process import ROOT, looked_into, ordinary


def test_nobody_looks_into_the_running_bridge(tmp_path: Path) -> None:
    """From before its first answer on."""
    places = ["--socket", str(tmp_path / "b.sock"), "--tree", str(tmp_path), "--disk", str(tmp_path)]
    places += ["--state", str(tmp_path), "--bundles", str(tmp_path)]
    with subprocess.Popen(ordinary("-m", "firmware_bridge", *places), cwd=ROOT, stderr=subprocess.DEVNULL) as bridge:
        try:
            asyncio.run(eventually((tmp_path / "b.sock").exists))
            assert looked_into(bridge.pid) == set()
        finally:
            bridge.terminate()
