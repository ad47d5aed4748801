"""The console waits for what it was promised, and says what did not come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.clip_job import JobState, Status
from agent.demo.broker import start_broker
from agent.demo.console import COMMANDER, Console
from agent.demo.pki import Authority
from agent.errors import UnavailableError
from agent.health.presence import Presence
from tests.simulators.central_desk import mqtt_client


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[tuple[Console, Hub]]:
    """Connect a console and somebody in the hub's place to a broker."""
    authority = Authority()
    broker = start_broker(tmp_path / "broker", authority, COMMANDER)
    certificate, key = authority.issue_client(tmp_path, COMMANDER)
    console = Console(broker.port, authority.pem, certificate, key, "hub-1")
    hub = Hub(authority, tmp_path, broker.port)
    yield console, hub
    hub.stop()
    console.stop()
    broker.stop()


class Hub:
    """Speaks in the hub's name."""

    def __init__(self, authority: Authority, folder: Path, port: int) -> None:
        self._client = mqtt_client("hub-1", authority, folder)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say(self, topic: str, message: object) -> None:
        """Publish a message, or bytes as they are."""
        payload = message if isinstance(message, bytes) else msgspec.json.encode(message)
        self._client.publish(f"hub/v1/hub-1/{topic}", payload, qos=1).wait_for_publish(10)

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def test_presence_is_waited_for(talk: tuple[Console, Hub]) -> None:
    """The state that was asked for is returned, not the one before it."""
    console, hub = talk
    hub.say("state", Presence(state="offline", boot=1))
    hub.say("state", Presence(state="online", boot=2))
    assert console.wait_presence(lambda one: one.state == "online", 10, "the hub").boot == 2


def test_a_command_ends_with_its_own_last_status(talk: tuple[Console, Hub]) -> None:
    """Other commands' statuses and those on the way are not the end; earlier ones can be left out."""
    console, hub = talk
    for command, state in (("a", JobState.IN_PROGRESS), ("b", JobState.FAILED), ("a", JobState.SUCCEEDED)):
        hub.say("evt/cmd", Status(command, state, "2026-11-22T14:00:00Z"))
    assert console.wait_end("a", 10)[1].status is JobState.SUCCEEDED
    with pytest.raises(UnavailableError, match="the end of command a"):
        console.wait_end("a", 0.05, after=len(console.statuses))


def test_what_does_not_come_is_named(talk: tuple[Console, Hub]) -> None:
    """A person learns what was waited for, and how long."""
    console, _ = talk
    with pytest.raises(UnavailableError, match=r"0\.05 s in vain for the hub to sing"):
        console.wait_presence(lambda _: True, 0.05, "the hub to sing")


def test_rubbish_from_a_hub_does_not_end_the_conversation(talk: tuple[Console, Hub]) -> None:
    """What is not in a hub's words is passed by; what follows is heard."""
    console, hub = talk
    for rubbish in (b"", b"\xff\xfe", b"[[[[", b'{"state": 7}'):
        for topic in ("state", "evt/cmd", "evt/audit"):
            hub.say(topic, rubbish)
    hub.say("state", Presence(state="online", boot=3))
    assert console.wait_presence(lambda one: one.boot == 3, 10, "the hub").state == "online"
    assert console.statuses == []
