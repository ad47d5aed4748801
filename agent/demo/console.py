"""The agency's console on MQTT: publishes commands and the owner's documents, and collects what the hub answers."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.clip_job import OPEN_STATES, JobState, Status
from agent.demo.pki import LOOPBACK
from agent.errors import BadInputError, UnavailableError
from agent.health.presence import Presence

COMMANDER: Final = "svc.commander"
SESSION_EXPIRY_S: Final = 3600  # what a hub says while the console is not connected, it hears later
ENDS: Final = frozenset(JobState) - OPEN_STATES

ENDS_HEARD: Final = ("state", "evt/cmd", "evt/audit", "evt/time", "evt/witness/+")

_Found = TypeVar("_Found")


class Console:
    """One connection to the broker, with everything that one hub has said since."""

    def __init__(
        self, port: int, anchors_pem: str, certificate: Path, key: Path, hub: str, *, address: str = LOOPBACK
    ) -> None:
        self.hub = hub
        self.statuses: list[tuple[float, Status]] = []  # monotonic seconds when it came
        self.presence: Presence | None = None
        self.checkpoints: list[str] = []
        self.cosign: Callable[[str, str], str] | None = None  # hub and request to cosigned checkpoint
        self.tell_time: Callable[[bytes], str] | None = None  # request to signed time
        self.heard: list[bytes] = []  # every message as it came
        self._changed = threading.Condition()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=anchors_pem)
        context.load_cert_chain(certificate, key)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, COMMANDER, protocol=paho.MQTTv5)
        self._client.tls_set_context(context)
        self._client.on_message = self._heard
        self._client.on_connect = self._connected
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types there
        session.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect(address, port, clean_start=False, properties=session)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish on one of the hub's topics (`cmd`, `policy`, `pair`, `answer`) and wait for the broker."""
        sent = self._client.publish(f"hub/v1/{self.hub}/{topic}", payload, qos=1, retain=retain)
        sent.wait_for_publish(10)

    def wait_presence(self, is_wanted: Callable[[Presence], bool], within_s: float, what: str) -> Presence:
        """Wait until the hub's retained state is as wanted. Raises UnavailableError with `what` did not happen."""
        return self._wait(lambda: self.presence if self.presence and is_wanted(self.presence) else None, within_s, what)

    def wait_end(self, command: str, within_s: float, *, after: int = 0) -> tuple[float, Status]:
        """Wait for the status that ends a command, among those that came `after` so many statuses."""

        def end() -> tuple[float, Status] | None:
            found = (one for one in self.statuses[after:] if one[1].command == command and one[1].status in ENDS)
            return next(found, None)

        return self._wait(end, within_s, f"the end of command {command}")

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, found: Callable[[], _Found | None], within_s: float, what: str) -> _Found:
        deadline = time.monotonic() + within_s
        with self._changed:
            while (result := found()) is None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise UnavailableError(f"waited {within_s:g} s in vain for {what}")
                self._changed.wait(left_s)
            return result

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(f"hub/v1/{self.hub}/{end}", 1) for end in ENDS_HEARD])

    def _heard(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        # What is not in the hub's words is passed by.
        with self._changed, contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, BadInputError):
            self.heard.append(message.topic.encode() + b" " + message.payload)
            end = message.topic.removeprefix(f"hub/v1/{self.hub}/")
            if end == "state":
                self.presence = msgspec.json.decode(message.payload, type=Presence)
            elif end == "evt/cmd":
                self.statuses.append((time.monotonic(), msgspec.json.decode(message.payload, type=Status)))
            elif end == "evt/audit":
                self.checkpoints.append(message.payload.decode())
            elif end == "evt/time" and self.tell_time is not None:
                self._client.publish(f"hub/v1/{self.hub}/time", self.tell_time(bytes(message.payload)), qos=1)
            elif end.startswith("evt/witness/") and self.cosign is not None:
                cosigned = self.cosign(self.hub, message.payload.decode())
                self._client.publish(f"hub/v1/{self.hub}/witness", cosigned, qos=1)
            self._changed.notify_all()
