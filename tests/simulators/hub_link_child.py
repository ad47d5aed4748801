"""A hub of its own process that only connects to its broker, to be killed by a test.

`python -m tests.simulators.hub_link_child HUB PORT CA CERTIFICATE KEY` prints "connected" and then every message's
payload, which it does not acknowledge.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.outside.mqtt import BrokerAddress, MqttLink, Will


def say(line: str) -> None:
    """Tell the test."""
    print(line, flush=True)  # noqa: T201 - its answer


async def main(hub: str, address: BrokerAddress) -> None:
    """Listen until killed."""
    will = Will(f"hub/v1/{hub}/state", b"gone")
    link = MqttLink(hub, address, (f"hub/v1/{hub}/cmd",), will, lambda: say("connected"))
    link.start()
    while True:
        message = await link.receive()
        say(message.payload.decode())


if __name__ == "__main__":
    _, name, port, authority, certificate, key = sys.argv
    broker = BrokerAddress("127.0.0.1", int(port), Path(authority).read_text(), Path(certificate), Path(key))
    asyncio.run(main(name, broker))
