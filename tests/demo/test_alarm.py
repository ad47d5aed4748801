"""The alarm as the hub gets it, the three bad commands, and a hub that says yes to everything: the demo must notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest

from agent.clip_job import JobState, Status
from agent.clock import SECOND_NS, WallTime
from agent.command.envelope import Audience, verify
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.trust import open_first_bundle
from agent.demo.alarm import note_delivery, raise_alarm, try_bad_commands
from agent.demo.central import PAIRING_EPOCH
from agent.demo.facts import Facts
from agent.demo.site import Scene, Site
from tests.simulators.central_desk import mqtt_client


class YesHub:
    """Stands in the hub's place, keeps what it hears, and answers that all went well."""

    def __init__(self, site: Site) -> None:
        self.heard: list[bytes] = []
        self.has_heard_all = threading.Event()  # the alarm and three bad commands
        self._topic = f"hub/v1/{site.factory.hub_id}"
        self._is_listening = threading.Event()
        self._client = mqtt_client(site.factory.hub_id, site._certificates, site.folder)
        self._client.on_message = self._say_yes
        self._client.on_subscribe = lambda *_: self._is_listening.set()
        self._client.connect("127.0.0.1", site.broker.port)
        self._client.subscribe(f"{self._topic}/cmd", qos=1)
        self._client.loop_start()
        assert self._is_listening.wait(10)

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _say_yes(self, client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self.heard.append(message.payload)
        if len(self.heard) == 4:
            self.has_heard_all.set()
        for command in ("alarm-1", "forged-1", "too-long-1"):
            status = Status(command, JobState.SUCCEEDED, "2026-11-22T14:00:00Z")
            client.publish(f"{self._topic}/evt/cmd", msgspec.json.encode(status), qos=1)


@pytest.fixture
def met(tmp_path: Path) -> Iterator[tuple[Site, YesHub]]:
    """Put up a site whose hub is a liar."""
    with Site(tmp_path / "site", Scene(window_s_max=60)) as site:
        site.start_central()
        hub = YesHub(site)
        yield site, hub
        hub.stop()


def test_the_alarm_is_a_true_command_and_the_bad_ones_are_bad(met: tuple[Site, YesHub]) -> None:
    """What goes over the wire verifies as the alarm; the forgery does not; the others differ only in what is wrong."""
    site, hub = met
    facts, before = Facts(), time.time_ns()
    alarm = raise_alarm(site, before_s=8, after_s=4)
    note_delivery(site, alarm, facts)
    try_bad_commands(site, alarm, facts)
    assert hub.has_heard_all.wait(10)
    trust = open_first_bundle(site.central.trust_bundle(WallTime(time.time_ns())))
    here = Audience(site.factory.hub_id, PAIRING_EPOCH)
    assert hub.heard[2] == hub.heard[0]
    good, forged, _, long = (
        verify(raw, trust, here, WallTime(time.time_ns()), is_clock_trusted=True) for raw in hub.heard
    )
    assert isinstance(good, VerifiedCommand)
    assert good.window == alarm.window
    assert good.window.seconds == 12
    assert 0 <= good.window.start + 8 * SECOND_NS - before < SECOND_NS
    assert good.cameras == ()
    assert isinstance(forged, Refusal)
    assert forged.reason is RefusalReason.BAD_SIGNATURE
    assert isinstance(long, VerifiedCommand)
    assert long.window.seconds > site.scene.window_s_max
    assert site.upload_token not in forged.detail


def test_a_hub_that_says_yes_to_everything_fails_the_demo(met: tuple[Site, YesHub]) -> None:
    """Nothing came to the store, and no bad command was refused: every one of these is a problem."""
    site, _ = met
    facts = Facts()
    alarm = raise_alarm(site)
    note_delivery(site, alarm, facts)
    try_bad_commands(site, alarm, facts)
    assert facts.clip_status == "SUCCEEDED"
    assert (facts.alarm_to_first_byte_s, facts.alarm_to_receipt_s) == (-1, -1)
    assert [one.attempt for one in facts.refusals if not one.is_right] == [one.attempt for one in facts.refusals]
    problems = "\n".join(facts.problems)
    for words in ("forged signature", "replay", "longer than the owner allows", "store holds nothing", "0 cameras"):
        assert words in problems
