"""How tests are shared out: a file stays on one worker, and what listens to the loopback's multicast stays on one too.

All cameras on this machine answer the same WS-Discovery group on `lo`, so a test that floods it, or that expects just
its own cameras, must not run beside another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

HERE: Final = Path(__file__).parent
SHARE_LOOPBACK: Final = (
    "stories",
    "real/test_foreign_cameras.py",
    "demo/test_alarm.py",
    "demo/test_camera.py",
    "demo/test_camera_discovery.py",
    "demo/test_processes.py",
    "demo/test_site.py",
    "demo/test_story.py",
    "bench/test_cold.py",
    "outside/test_discovery_sockets.py",
    "outside/test_hello_listener.py",
    "outside/test_site_search.py",
    "test_daemon_cameras.py",
    "outside/test_hostile_network.py",
    "outside/test_onvif.py",
)


class ByGroup(LoadScopeScheduling):
    """Hands out whole files, and all that share the loopback's multicast as one."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid.partition("::")[0].removeprefix("tests/"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Use our own groups: pytest 9 does not hand xdist's group marks on."""
    return ByGroup(config, log)


def group(path: str) -> str:
    """Name the group of a test file."""
    is_shared = any(path == name or path.startswith(f"{name}/") for name in SHARE_LOOPBACK)
    return "loopback" if is_shared else path
