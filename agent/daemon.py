"""The daemon: the one place that builds the adapters, ties the stories together, and takes them down again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from agent.buffer.latch import KeyFrameLatch
from agent.clock import WallTime
from agent.config import Config
from agent.consent.decide import masks_of
from agent.conversation import Conversation, Topics
from agent.evidence.note import verifier_of
from agent.exporter import REPLAY_MARGIN_NS, Exporter
from agent.maintenance.restart_watch import RestartWatch
from agent.outside.audit_file import AuditFile
from agent.outside.cutter import ChildCutter
from agent.outside.database import Database
from agent.outside.host import HostClock, boot_id, notify_service_manager
from agent.outside.keystore import Keystore
from agent.outside.mqtt import BrokerAddress, MqttLink, Will
from agent.outside.slab_files import SlabLog
from agent.trust.clock_past import ClockPast
from agent.trust.documents import Desk
from agent.trust.server_time import ServerTime
from agent.trust.witnessing import Witnessing
from agent.wiring.audit import kept_audit
from agent.wiring.certificate import hub_certificate, watched_certificate
from agent.wiring.exports import HubParts, open_exporter
from agent.wiring.firmware import started_trial, watched_restarts
from agent.wiring.provisioning import enrolled, open_desk
from agent.wiring.recording import RecordedSite, recorded_site
from provisioning.enrolment import Enrolment
from provisioning.store import IdentityStore

log: Final = logging.getLogger("transom")


async def run(config: Config) -> None:
    """Run the hub until SIGTERM or SIGINT: enrol it if it is blank, then record and serve commands."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = asyncio.create_task(_work(config), name="hub")
    ending = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
    notify_service_manager("STOPPING=1")
    for task in (work, ending):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


@dataclass(frozen=True, slots=True)
class _Ground:
    """What there is before a hub is enrolled."""

    config: Config
    clock: HostClock
    keys: Keystore
    identity: IdentityStore
    topics: Topics
    journal: Database
    cutter: ChildCutter
    site: RecordedSite


async def _work(config: Config) -> None:
    clock = HostClock(
        unsafe_assume_synchronised=config.clock == "unsafe_assume_synchronised",
        is_network_believed=config.clock != "signed_only",
    )
    keys, identity = Keystore(config.key_dir), IdentityStore(config.identity_dir)
    cutter, latch, name = ChildCutter(), KeyFrameLatch(), identity.load_factory().hub_id
    topics = Topics(name)
    with contextlib.ExitStack() as stack:
        journal = Database(config.data_dir / "journal.db", topics.status)
        stack.callback(journal.close)
        site = stack.enter_context(recorded_site(config, clock, keys, name, journal, latch))
        stack.callback(cutter.stop)
        async with asyncio.TaskGroup() as tasks:
            site.begin(tasks)
            notify_service_manager("READY=1", "STATUS=looking for cameras")
            enrolment = identity.load_enrolment() or await enrolled(keys, identity, clock, latch, cutter)
            log.info("enrolled as hub %s: %s", enrolment.hub_id, enrolment.site)
            hub = _Hub(_Ground(config, clock, keys, identity, topics, journal, cutter, site), enrolment)
            async with hub.open() as conversation:
                notify_service_manager("STATUS=in service")
                await conversation.run()


class _Hub:
    """An enrolled hub: everything that needs to know who it is."""

    def __init__(self, ground: _Ground, enrolment: Enrolment) -> None:
        self._config, self._clock, self._journal = ground.config, ground.clock, ground.journal
        self._keys, self._identity, self._topics = ground.keys, ground.identity, ground.topics
        self._recorder, self._board, self._health = ground.site.thread, ground.site.board, ground.site.health
        self._cutter, self._enrolment, self._hub = ground.cutter, enrolment, enrolment.hub_id
        recorder = ground.site.recorder
        self._clock_past = ClockPast(ground.journal, ground.clock, lambda: recorder.clock_changes, boot_id())
        self._evidence, self._enrolment_pin = ground.keys.evidence_key(), ground.identity.enrolment_pin()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Conversation]:
        """Open ring, audit log and broker, and resume what was open; close all of it in the reverse order."""
        config, topics, loop = self._config, self._topics, asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            audit, boot = await stack.enter_async_context(
                kept_audit(config, self._hub, self._evidence, self._clock, self._journal)
            )
            desk = open_desk(config, self._clock, self._identity, self._enrolment, self._journal, audit)
            server_time = self._server_time(desk, audit)
            ring = self._ring(is_paired=desk.standing.owner is not None)
            stack.callback(ring.close)
            stack.callback(self._recorder.stop)  # before the ring closes
            stack.push_async_callback(self._health.detach)
            restarts = watched_restarts(config.bridge_socket, self._journal, audit, self._clock, self._board)
            exporter = await open_exporter(stack, self._parts(ring, audit, desk, restarts))
            will = Will(topics.state, self._board.offline(boot))
            verifier = verifier_of(self._hub, self._evidence)

            def connected() -> None:
                conversation.connected()

            def something_to_say() -> None:
                loop.call_soon_threadsafe(conversation.wake)

            pairs = hub_certificate(self._identity, self._enrolment, self._clock)
            asked = pairs.before_connecting, pairs.accepted
            link = MqttLink(self._hub, self._broker(), topics.inward, will, connected, *asked)
            told = lambda: server_time.known, self._health, self._board.changed
            renewal = watched_certificate(pairs, link, self._clock, audit, *told)
            conversation = Conversation(
                link=link,
                topics=topics,
                exporter=exporter,
                desk=desk,
                mailbox=self._journal,
                state=lambda: self._board.online(boot, desk.standing, verifier, self._enrolment_pin),
                checkpoint=audit.checkpoint,
                witnessing=Witnessing(audit, lambda: desk.standing, self._clock),
                server_time=server_time,
                on_paired=lambda: self._record_to(ring, desk),
                beside=(self._clock_past.watch, renewal.run, restarts.run),
            )
            self._journal.on_message = something_to_say
            self._board.on_change = conversation.state_changed
            if desk.standing.owner is not None:
                self._record_to(ring, desk)
            link.start()
            stack.callback(link.stop, (topics.state, self._board.offline(boot)))
            if config.bridge_socket:
                stack.callback(started_trial(config.bridge_socket, self._health, link, self._clock).cancel)
            exporter.resume()
            stack.callback(self._cutter.stop)  # after the jobs ended, before the ring does, which its threads read
            stack.push_async_callback(exporter.stop)
            await self._open_page(stack, audit, desk, exporter, conversation)
            yield conversation

    def _server_time(self, desk: Desk, audit: AuditFile) -> ServerTime:
        def forget(moment: WallTime) -> None:
            self._journal.forget_before(moment, REPLAY_MARGIN_NS)

        return ServerTime(self._clock, lambda: desk.standing, self._journal, audit, boot_id(), forget)

    async def _open_page(
        self,
        stack: contextlib.AsyncExitStack,
        audit: AuditFile,
        desk: Desk,
        exporter: Exporter,
        conversation: Conversation,
    ) -> None:
        """Serve the owner's page, unless it is switched off; only then is anything of it loaded."""
        if not self._config.owner_page.is_on:
            return
        from agent.wiring.page import PageParts, served_page  # noqa: PLC0415 - a hub without the page has not its memory

        parts = PageParts(
            config=self._config.owner_page,
            key_encryption_key=self._keys.key_encryption_key(),
            clock=self._clock,
            desk=desk,
            journal=self._journal,
            audit=audit,
            answer=exporter.answer,
            vitals=lambda: self._health.vitals,
            names=self._board.names,
            on_policy=conversation.state_changed,
        )
        self._health.page = await stack.enter_async_context(served_page(parts))

    def _ring(self, *, is_paired: bool) -> SlabLog:
        """Open the ring; what an unpaired hub finds is an earlier owner's, which the next one must not share."""
        config = self._config
        return SlabLog(
            config.ring.dir or config.data_dir / "ring",
            self._keys.key_encryption_key(),
            config.ring.settings(),
            self._clock,
            config.identity_dir / "ring-volume",
            keep=is_paired,
        )

    def _record_to(self, ring: SlabLog, desk: Desk) -> None:
        self._clock_past.begin(ring.last_run)
        self._recorder.recorder.obey(desk.may_record)
        self._recorder.recorder.replace_sink(ring, ring.last_run)
        self._health.attach(ring, lambda camera: masks_of(camera, desk.standing.policy))

    def _parts(self, ring: SlabLog, audit: AuditFile, desk: Desk, restarts: RestartWatch) -> HubParts:
        return HubParts(
            config=self._config,
            clock=self._clock,
            hub=self._hub,
            evidence_key=self._evidence,
            key_encryption_key=self._keys.key_encryption_key(),
            journal=self._journal,
            ring=ring,
            audit=audit,
            desk=desk,
            cutter=self._cutter,
            board=self._board,
            clock_past=self._clock_past,
            health=self._health,
            on_installed=restarts.want,
        )

    def _broker(self) -> BrokerAddress:
        broker = self._enrolment.broker
        pair = self._identity.credentials.present()
        return BrokerAddress(broker.host, broker.port, broker.anchors_pem, *pair)
