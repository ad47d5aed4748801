"""The broker: MQTT 5 over TLS 1.3 with the hub's certificate, a durable session and a last will.

Rules of this file:
- A message from the broker is acknowledged by `acknowledge` only, after the story has stored what it means.
- paho runs its own network thread; everything crosses to the event loop by `call_soon_threadsafe`.
- The broker is not trusted: what it sends is bounded here and judged by the stages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.errors import UnavailableError
from agent.ports import Inbound

PACKET_BYTES_MAX: Final = 128 * 1024
UNACKNOWLEDGED_MAX: Final = 20
INBOX_MAX: Final = 100
"""So many messages wait for the event loop; more of those that want no acknowledgement are dropped and counted. For the
others there is room beyond it, since the broker may not send more than UNACKNOWLEDGED_MAX: one that was dropped would
never be acknowledged, and after so many of them no command would come any more."""
SESSION_EXPIRY_S: Final = 7 * 24 * 3600
KEEPALIVE_S: Final = 30
WILL_DELAY_S: Final = 5
"""A connection lost for less than this is nobody's business."""
RECONNECT_S_MAX: Final = 60
ACKNOWLEDGED_S_MAX: Final = 30
FAREWELL_S_MAX: Final = 0.5
STOP_S_MAX: Final = 1.4
_PUBLISH_MASK, _PUBLISH_QOS_2 = 0xF4, 0x34  # MQTT 5 section 3.3.1; QoS 2 and the forbidden 3: we subscribe with 1

log: Final = logging.getLogger("transom.mqtt")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how both sides prove who they are."""

    host: str
    port: int
    anchors_pem: str
    certificate: Path  # the hub's chain, PEM
    key: Path  # the hub's key, PEM


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we are gone."""

    topic: str
    payload: bytes


class MqttLink:
    """One durable session with one broker; reconnects by itself for ever."""

    def __init__(
        self,
        client_id: str,
        address: BrokerAddress,
        subscriptions: tuple[str, ...],
        will: Will,
        on_connected: Callable[[], None],
        before_connecting: Callable[[ssl.SSLContext], None] = lambda _: None,
        on_accepted: Callable[[], None] = lambda: None,
    ) -> None:
        """`before_connecting` and `on_accepted` are called in paho's thread: before each try, and if it succeeds."""
        self._inbox: asyncio.Queue[Inbound] = asyncio.Queue(INBOX_MAX + UNACKNOWLEDGED_MAX)
        self.dropped = 0
        self._address = address
        self._subscriptions = subscriptions
        self._on_connected, self._on_accepted = on_connected, on_accepted
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        client = _BoundClient(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, manual_ack=True)
        context = _tls(address)
        client.tls_set_context(context)
        client.on_pre_connect = lambda *_: before_connecting(context)
        client.reconnect_delay_set(min_delay=random.randint(1, 3), max_delay=RECONNECT_S_MAX)  # noqa: S311 - jitter
        client.max_inflight_messages_set(UNACKNOWLEDGED_MAX)
        client.max_queued_messages_set(UNACKNOWLEDGED_MAX)  # what was not acknowledged in time is still there
        delay = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]  # paho has no types there
        delay.WillDelayInterval = WILL_DELAY_S
        client.will_set(will.topic, will.payload, qos=1, retain=True, properties=delay)
        client.on_connect = self._connected
        client.on_message = self._message
        client.on_publish = self._published
        self._client = client

    def start(self) -> None:
        """Begin to connect; returns at once."""
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types there
        session.SessionExpiryInterval = SESSION_EXPIRY_S
        session.ReceiveMaximum = UNACKNOWLEDGED_MAX
        session.MaximumPacketSize = PACKET_BYTES_MAX
        self._client.connect_async(
            self._address.host, self._address.port, keepalive=KEEPALIVE_S, clean_start=False, properties=session
        )
        self._client.loop_start()

    def reconnect(self) -> None:
        """Let the connection break, as a network would: the session stays, and what is on its way comes again."""
        connection = self._client.socket()
        if connection is None:
            return
        # Below TLS: SSLSocket.shutdown would let the other thread write without TLS for a moment.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there now, as far as the protocol knows."""
        return self._client.is_connected()

    async def receive(self) -> Inbound:
        """Wait for the next message."""
        return await self._inbox.get()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at least once and wait for the broker's acknowledgement. Raises UnavailableError without one."""
        if not self._client.is_connected():  # paho would queue it and send it later, besides the mailbox
            raise UnavailableError("the broker is not connected")
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UnavailableError("the broker is not connected")
        if sent.is_published():
            return
        waiting = self._waiting[sent.mid] = self._loop.create_future()
        try:
            async with asyncio.timeout(ACKNOWLEDGED_S_MAX):
                await waiting
        except TimeoutError as error:
            raise UnavailableError(f"the broker did not acknowledge a message within {ACKNOWLEDGED_S_MAX} s") from error
        finally:
            self._waiting.pop(sent.mid, None)

    def acknowledge(self, message: Inbound) -> None:
        """Tell the broker that it may forget a message."""
        self._client.ack(message.id, message.qos)

    def stop(self, farewell: tuple[str, bytes]) -> None:
        """Say the retained farewell, disconnect and end the network thread; the session stays at the broker."""
        if self._client.is_connected():
            said = self._client.publish(farewell[0], farewell[1], qos=1, retain=True)
            with contextlib.suppress(RuntimeError, ValueError):  # the connection ended, or too much is on its way
                said.wait_for_publish(FAREWELL_S_MAX)  # so every acknowledgement before it has arrived too
        self._client.disconnect()
        # paho cannot leave a handshake with a silent broker: it is left behind then, with its thread
        ending = threading.Thread(target=self._client.loop_stop, daemon=True)
        ending.start()
        ending.join(STOP_S_MAX)

    # ------------------------------------------------ called in paho's thread
    def _connected(self, _c: paho.Client, _u: Any, flags: Any, reason: ReasonCode, _p: Any) -> None:  # noqa: ANN401 - paho's
        if reason.is_failure:
            return
        self._on_accepted()
        if flags.session_present:
            self._cross(self._forget)
        self._client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._cross(self._on_connected)

    def _message(self, _c: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:  # noqa: ANN401 - paho's
        inbound = Inbound(message.topic, bytes(message.payload), message.mid, message.qos)
        self._cross(self._put, inbound)

    def _published(self, _c: paho.Client, _u: Any, mid: int, _r: ReasonCode, _p: Any) -> None:  # noqa: ANN401 - paho's
        self._cross(self._settle, mid)

    def _cross(self, call: Callable[..., None], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    # ------------------------------------------------------ in the event loop
    def _put(self, message: Inbound) -> None:
        if self._inbox.full() or (message.qos == 0 and self._inbox.qsize() >= INBOX_MAX):
            self.dropped += 1
        else:
            self._inbox.put_nowait(message)

    def _forget(self) -> None:
        """Drop what waits from before the connection broke: the session brings it again, and it must fit."""
        while not self._inbox.empty():
            self._inbox.get_nowait()

    def _settle(self, mid: int) -> None:
        waiting = self._waiting.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


class _BoundClient(paho.Client):
    """paho, hanging up on a broker that breaks the protocol, and trying again later.

    paho 2.2 itself keeps packets of up to 256 MiB and any number of QoS 2 messages in memory, and a malformed packet
    ends its thread, so that the hub would be deaf until its next start.
    """

    def _packet_read(self) -> MQTTErrorCode:
        result = super()._packet_read()
        is_too_long = self._in_packet["remaining_length"] > PACKET_BYTES_MAX
        return MQTTErrorCode.MQTT_ERR_PROTOCOL if is_too_long else result

    def _packet_handle(self) -> MQTTErrorCode:
        is_qos_2 = self._in_packet["command"] & _PUBLISH_MASK == _PUBLISH_QOS_2
        if is_qos_2 or self._in_packet["remaining_length"] > PACKET_BYTES_MAX:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        try:
            return super()._packet_handle()
        except Exception as error:  # noqa: BLE001 - whatever paho's parser stumbles over
            log.warning("the broker sent what cannot be read (%s): hanging up", type(error).__name__)
            return MQTTErrorCode.MQTT_ERR_PROTOCOL


def _tls(address: BrokerAddress) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=address.anchors_pem)
    context.load_cert_chain(address.certificate, address.key)
    return context
