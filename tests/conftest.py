"""How tests are shared out: a file stays on one worker, and what listens to the loopback's multicast stays on one too.

All cameras on this machine answer the same WS-Discovery group on `lo`, so a test that floods it, or that expects just
its own cameras, must not run beside another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
SHARE_LOOPBACK: Final = (
    "stories",
    "real",
    "demo/test_camera.py",
    "demo/test_camera_discovery.py",
    "demo/test_alarm.py",
    "demo/test_processes.py",
    "demo/test_site.py",
    "demo/test_story.py",
    "outside/test_discovery_sockets.py",
    "outside/test_onvif.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group for `--dist loadgroup`, and begin with the longest one."""
    groups = {item: _group(item.path.relative_to(HERE)) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: groups[item] != "loopback")


def _group(path: Path) -> str:
    is_shared = any(path == Path(name) or Path(name) in path.parents for name in SHARE_LOOPBACK)
    return "loopback" if is_shared else str(path)
