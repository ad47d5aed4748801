"""A hub of its own process that only connects to its broker, to be killed by a test.

`python -m tests.simulators.hub_link_child HUB PORT CA CERTIFICATE KEY` prints "connected" and then every message's
payload, which it does not acknowledge.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from agent.errors import UnavailableError
from agent.outside.mqtt import BrokerAddress, MqttLink, Will


def say(line: str) -> None:
    """Tell the test."""
    print(line, flush=True)  # noqa: T201 - its answer


async def main(hub: str, address: BrokerAddress) -> None:
    """Listen until killed."""
    will = Will(f"hub/v1/{hub}/state", b"gone")
    link = MqttLink(hub, address, (f"hub/v1/{hub}/cmd",), will, lambda: None)
    link.start()
    while True:
        with suppress(UnavailableError):
            await link.publish(f"hub/v1/{hub}/evt/here", b"here")  # the broker has taken the subscription before that
            break
        await asyncio.sleep(0.01)
    say("connected")
    while True:
        message = await link.receive()
        say(message.payload.decode())


if __name__ == "__main__":
    _, name, port, authority, certificate, key = sys.argv
    broker = BrokerAddress("127.0.0.1", int(port), Path(authority).read_text(), Path(certificate), Path(key))
    asyncio.run(main(name, broker))
