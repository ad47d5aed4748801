"""The hub and its broker: commands and documents in, statuses and the retained state out.

Rules of this file: a message is acknowledged after the story that takes it has stored what it means; one that could not
be stored is tried again until the disk takes it. What the broker sends is never believed here, only sorted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

from agent.errors import UnavailableError
from agent.exporter import Exporter
from agent.ports import BrokerLink, Inbound, Mailbox
from agent.trust.documents import Desk
from agent.trust.server_time import ServerTime
from agent.trust.witnessing import Witnessing

BATCH: Final = 20
RETRY_S: Final = 5.0
CHECKPOINT_EVERY_S: Final = 3600.0

log: Final = logging.getLogger("transom.conversation")


class Topics:
    """The hub's own topics; `command/FORMAT.md` lists them."""

    def __init__(self, hub: str) -> None:
        own = f"hub/v1/{hub}"
        self.command, self.policy = f"{own}/cmd", f"{own}/policy"
        self.pairing, self.answer, self.trust = f"{own}/pair", f"{own}/answer", f"{own}/trust"
        self.cosigned, self.to_witness = f"{own}/witness", f"{own}/evt/witness"
        self.time, self.time_request = f"{own}/time", f"{own}/evt/time"
        self.state, self.status, self.checkpoint = f"{own}/state", f"{own}/evt/cmd", f"{own}/evt/audit"

    @property
    def inward(self) -> tuple[str, ...]:
        """What the hub listens to."""
        return self.trust, self.command, self.policy, self.pairing, self.answer, self.cosigned, self.time


class Conversation:
    """Listens and speaks; `wake` and `state_changed` may be called at any time in the event loop."""

    def __init__(  # noqa: PLR0913 - who talks to whom, each by name
        self,
        *,
        link: BrokerLink,
        topics: Topics,
        exporter: Exporter,
        desk: Desk,
        mailbox: Mailbox,
        state: Callable[[], bytes],
        checkpoint: Callable[[], str],
        witnessing: Witnessing,
        server_time: ServerTime,
        on_paired: Callable[[], None],
        beside: Sequence[Callable[[], Coroutine[object, object, None]]] = (),
    ) -> None:
        self._link, self._topics, self._exporter, self._desk = link, topics, exporter, desk
        self._mailbox, self._state, self._checkpoint, self._on_paired = mailbox, state, checkpoint, on_paired
        self._witnessing, self._server_time, self._beside = witnessing, server_time, beside
        self._something_to_say = asyncio.Event()
        self._is_state_new = True

    def wake(self) -> None:
        """There is something to say, or the broker is there again."""
        self._something_to_say.set()

    def connected(self) -> None:
        """Tell the broker, which is there again, everything anew; ask it for the time if nobody knows that."""
        self._server_time.hurry()
        self.state_changed()

    def state_changed(self) -> None:
        """Publish the hub's state anew."""
        self._is_state_new = True
        self.wake()

    async def run(self) -> None:
        """Talk for ever, and let what runs beside it run as long."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="listen")
            tasks.create_task(self._speak(), name="speak")
            tasks.create_task(self._desk.watch_clock(), name="policy")
            tasks.create_task(self._server_time.watch(self.wake), name="time")
            for watch in self._beside:
                tasks.create_task(watch())

    async def _listen(self) -> None:
        while True:
            message = await self._link.receive()
            while not self._is_taken(message):  # noqa: ASYNC110 - a full disk sends no event
                await asyncio.sleep(RETRY_S)
            self._link.acknowledge(message)

    def _is_taken(self, message: Inbound) -> bool:
        try:
            self._take(message)
        except UnavailableError as error:
            log.warning("a message waits: %s", error)
            return False
        return True

    def _take(self, message: Inbound) -> None:
        if message.topic == self._topics.command:
            self._exporter.take(message.payload)
        elif message.topic == self._topics.answer:
            self._exporter.answer(message.payload.decode("ascii", "replace"))
        elif message.topic == self._topics.trust:
            self._desk.take_trust(message.payload)
        elif message.topic == self._topics.cosigned:
            self._witnessing.take(message.payload)
        elif message.topic == self._topics.time:
            if self._server_time.take(message.payload):
                self.state_changed()
        elif message.topic == self._topics.policy and self._desk.take_policy(message.payload):
            self.state_changed()
        elif message.topic == self._topics.pairing and self._desk.take_pairing(message.payload):
            self._on_paired()
            self.state_changed()

    async def _speak(self) -> None:
        while True:
            await self._wait_for_something(CHECKPOINT_EVERY_S)
            self._something_to_say.clear()
            try:
                await self._say_all()
            except UnavailableError:
                await self._wait_for_something(RETRY_S)
                self.wake()

    async def _wait_for_something(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._something_to_say.wait()

    async def _say_all(self) -> None:
        """Ask for the time, publish the state if it changed, what the mailbox has, a checkpoint of all that."""
        if question := self._server_time.request():  # first: whatever goes before it would make its answer late
            await self._ask(question)
        if self._is_state_new:
            self._is_state_new = False
            try:
                await self._link.publish(self._topics.state, self._state(), retain=True)
            except UnavailableError:
                self._is_state_new = True
                raise
        while messages := self._mailbox.outgoing(0, BATCH):
            for message in messages:
                await self._link.publish(message.topic, message.payload)
                self._mailbox.sent(message.id)
        await self._link.publish(self._topics.checkpoint, self._checkpoint().encode())
        for witness, request in await self._witnessing.requests():
            await self._link.publish(f"{self._topics.to_witness}/{witness}", request)

    async def _ask(self, question: bytes) -> None:
        try:
            await self._link.publish(self._topics.time_request, question)
        except UnavailableError:
            self._server_time.hurry()
            raise
