"""How tests are shared out, and what properties are tried with.

A file stays on one worker, and each worker has a loopback of its own where it can.

All cameras on one loopback answer the same WS-Discovery group, so a test that floods it, or that expects just its own
cameras, must not run beside another. Who may make network namespaces (root) gives each worker one; elsewhere all tests
that share the loopback's multicast stay on one worker.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.simulators.private_network import enter_private_network

HERE: Final = Path(__file__).parent
# No time limits: they would say how busy the machine is. The same examples in every run: what fails is the change.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("exploring", deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")
WHOLE_HUBS: Final = ("tests/stories", "tests/demo/test_story", "tests/real/test_foreign", "tests/test_crash_points")
HAS_OWN_NETWORK: Final = "has_own_network"
SHARE_LOOPBACK: Final = (
    "stories",
    "real/test_foreign_cameras.py",
    "demo/test_alarm.py",
    "demo/test_camera.py",
    "demo/test_camera_discovery.py",
    "demo/test_camera_quirks.py",
    "demo/test_processes.py",
    "demo/test_site.py",
    "demo/test_story.py",
    "bench/test_cold.py",
    "outside/test_discovery_sockets.py",
    "outside/test_hello_listener.py",
    "outside/test_site_search.py",
    "wiring/test_cameras.py",
    "outside/test_hostile_network.py",
    "outside/test_onvif.py",
)


class ByGroup(LoadScopeScheduling):
    """Hands out whole files, and where there is one loopback for all, those that share its multicast as one."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix("tests/")
        return path if can_make_networks() else group(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one ask for what would take an ordinary run too long."""
    parser.addoption("--all-cells", action="store_true", help="cut every cell of the matrix with sound, not a sample")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Use our own groups, in our own order: pytest 9 does not hand xdist's group marks on."""
    config.option.loadscopereorder = False  # it would begin with the files of most tests, which take the least
    return ByGroup(config, log)


def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker whether it shall have a network of its own."""
    node.workerinput[HAS_OWN_NETWORK] = can_make_networks()


def pytest_configure(config: pytest.Config) -> None:
    """Enter it, before anything listens or starts a thread or a process."""
    if getattr(config, "workerinput", {}).get(HAS_OWN_NETWORK):
        enter_private_network()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes: begun last, it would keep one worker busy while the others are done."""
    items.sort(key=lambda item: not item.nodeid.startswith(WHOLE_HUBS))


@cache
def can_make_networks() -> bool:
    """Say whether this machine lets us."""
    try:
        return subprocess.run(("unshare", "--net", "true"), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def group(path: str) -> str:
    """Name the group of a test file where all share one loopback."""
    is_shared = any(path == name or path.startswith(f"{name}/") for name in SHARE_LOOPBACK)
    return "loopback" if is_shared else path
