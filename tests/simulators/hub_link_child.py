"""A hub of its own process that only connects to its broker, to be killed by a test.

`python -m tests.simulators.hub_link_child HUB PORT CA CERTIFICATE KEY` prints "connected" and then every message's
payload; with ACK as a sixth argument it acknowledges them.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.outside.mqtt import BrokerAddress, MqttLink, Will


async def main() -> None:
    """Listen until killed."""
    hub, port, authority, certificate, key, *acknowledge = sys.argv[1:]
    address = BrokerAddress("127.0.0.1", int(port), Path(authority).read_text(), Path(certificate), Path(key))
    will = Will(f"hub/v1/{hub}/state", b"gone")
    link = MqttLink(hub, address, (f"hub/v1/{hub}/cmd",), will, lambda: print("connected", flush=True))  # noqa: T201
    link.start()
    while True:
        message = await link.receive()
        print(message.payload.decode(), flush=True)  # noqa: T201 - its answer
        if acknowledge:
            link.acknowledge(message)


if __name__ == "__main__":
    asyncio.run(main())
