"""The agent's part of an installation, in a process of its own that a test can kill.

`python -m tests.simulators.firmware_hub FOLDER URL AUTHORITY BUNDLES SOCKET [ENVELOPE]` takes the command in the file
ENVELOPE, if there is one, goes on with what was open, and ends when every job has ended.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.outside.firmware import BridgeFirmware
from tests.simulators.eventually import eventually
from tests.simulators.export_site import Site
from tests.simulators.tus_server import TusStore

RETRY_S = 0.5
JOB_S_MAX = 60.0


def firmware_site(folder: Path, url: str, pem: str, bundles: Path, socket: Path) -> Site:
    """Make a hub whose trust bundle lists one host, for firmware."""
    folder.mkdir(exist_ok=True)
    site = Site(folder, TusStore(), url, pem)
    site.firmware = BridgeFirmware(bundles, socket, lambda: [pem], retry_s=RETRY_S)
    return site


async def main(site: Site, envelope: bytes | None) -> None:
    """Run the jobs to their end."""
    async with site.running() as process:
        if envelope:
            process.exporter.take(envelope)
        else:
            process.exporter.resume()
        await eventually(lambda: not process.exporter._tasks, JOB_S_MAX)


if __name__ == "__main__":
    folder, url, pem, bundles, socket, *order = sys.argv[1:]
    hub = firmware_site(Path(folder), url, Path(pem).read_text(), Path(bundles), Path(socket))
    asyncio.run(main(hub, Path(order[0]).read_bytes() if order else None))
