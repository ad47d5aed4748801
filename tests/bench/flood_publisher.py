"""Somebody who owns the broker: publishes a round of messages over and over, so many a second, from standard input on.

    python -m tests.bench.flood_publisher PORT CA CERTIFICATE KEY MESSAGES

Each line on standard input is a rate in messages a second, 0 for silence; each is answered by a line with how many
messages have been sent so far. Ends with its standard input. Half of the messages ask for an acknowledgement.
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.demo.processes import Program
from agent.errors import UnavailableError

PUBLISHER: Final = "flood"
"""Its name in its certificate."""

TICK_S: Final = 0.01
BEHIND_S_MAX: Final = 0.5
"""What a publisher that was late makes up for; the rest is left out, and shows in what it has sent."""
SAID_S_MAX: Final = 10.0


class Publisher(Program):
    """The publisher, in a process of its own."""

    def __init__(self, port: int, certificates: tuple[Path, Path, Path], messages: Path, log: Path) -> None:
        """`certificates`: the authority's, the publisher's own, and its key."""
        arguments = [str(port), *map(str, certificates), str(messages)]
        super().__init__("tests.bench.flood_publisher", arguments, log, with_stdout=True)
        self._read_line(SAID_S_MAX)

    def publish(self, messages_per_s: int) -> int:
        """Publish at this rate from now on; returns how many have been published so far."""
        self._write_line(b"%d" % messages_per_s)
        return int(self._read_line(SAID_S_MAX))


class _Flood:
    def __init__(self, client: paho.Client, messages: list[tuple[str, bytes]]) -> None:
        self._client, self._messages = client, messages
        self.rate, self.sent = 0, 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        due, last = 0.0, time.monotonic()
        while True:
            time.sleep(TICK_S)
            now = time.monotonic()
            due = min(due + (now - last) * self.rate, BEHIND_S_MAX * self.rate)
            last = now
            for _ in range(int(due)):
                topic, payload = self._messages[self.sent % len(self._messages)]
                self._client.publish(topic, payload, qos=self.sent // 3 % 2)
                self.sent += 1
            due -= int(due)


def _main(port: str, authority: str, certificate: str, key: str, messages: str) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, PUBLISHER, protocol=paho.MQTTv5)
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    client.tls_set_context(context)
    client.max_inflight_messages_set(2000)
    is_connected = threading.Event()
    client.on_connect = lambda *_: is_connected.set()
    client.connect("127.0.0.1", int(port))
    client.loop_start()
    if not is_connected.wait(SAID_S_MAX):
        raise UnavailableError("the broker does not let the flood's publisher in")
    flood = _Flood(client, msgspec.msgpack.decode(Path(messages).read_bytes(), type=list[tuple[str, bytes]]))
    print("ready", flush=True)  # noqa: T201 - for the bench
    for line in sys.stdin:
        flood.rate = int(line)
        print(flood.sent, flush=True)  # noqa: T201 - for the bench


if __name__ == "__main__":
    _main(*sys.argv[1:])
