"""The daemon: the one place that builds the adapters, ties the stories together, and takes them down again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final

from agent.acquire.camera import CameraStream
from agent.acquire.stream import CameraId
from agent.buffer.latch import KeyFrameLatch
from agent.camera_logins import open_logins
from agent.camera_watch import CameraWatch
from agent.claim_watch import ClaimWatch
from agent.clock import SECOND_NS, WallTime
from agent.clock_past import ClockPast
from agent.command.trust import open_first_bundle
from agent.config import MIB, Config
from agent.consent.decide import masks_of
from agent.conversation import Conversation, Topics
from agent.daemon_audit import kept_audit
from agent.daemon_cameras import build_camera_watch, build_clock_watch, hearing, own_snapshots
from agent.daemon_exports import HubParts, open_exporter
from agent.documents import Desk, Pairing, first_standing
from agent.errors import BadInputError
from agent.event_watch import EventWatch
from agent.evidence.note import verifier_of
from agent.exporter import REPLAY_MARGIN_NS, Exporter
from agent.firmware_trial import FirmwareTrial
from agent.health_watch import HealthWatch, Outlet
from agent.metrics import encode_metrics
from agent.outside.audit_file import AuditFile
from agent.outside.bridge import keep_firmware, seconds_since_press
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from agent.outside.database import Database
from agent.outside.event_soap import EventService
from agent.outside.host import HostClock, boot_id, notify_service_manager
from agent.outside.keystore import Keystore
from agent.outside.mqtt import BrokerAddress, MqttLink, Will
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.outside.snapshots import publisher
from agent.outside.tls_dates import follow_clock
from agent.picture_watch import PictureWatch
from agent.presence import PresenceBoard
from agent.recorder import Recorder, RecorderSettings
from agent.recorder_thread import RecorderThread
from agent.server_time import ServerTime
from agent.vitals import encode_vitals
from agent.witnessing import Witnessing
from provisioning.enrolment import Enrolment
from provisioning.enrolment_https import enrol
from provisioning.errors import BadInputError as BadAnswerError
from provisioning.pairing import OwnerKey, pair_owner
from provisioning.store import IdentityStore

LOOK_LIMITS: Final = ChildLimits(deadline_s=20.0, memory_bytes=1024 * MIB, cpu_s=10)  # one key picture
STATUS_EVERY_S: Final = 5.0
METRICS_EVERY_S: Final = 15.0
CONFIRM_S: Final = 3.0  # a unicast probe is answered in milliseconds; a camera just started takes longer

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


async def _work(config: Config) -> None:
    clock = HostClock(
        unsafe_assume_synchronised=config.clock == "unsafe_assume_synchronised",
        is_network_believed=config.clock != "signed_only",
    )
    keys, identity, cutter, latch = (
        Keystore(config.key_dir),
        IdentityStore(config.identity_dir),
        ChildCutter(),
        KeyFrameLatch(),
    )
    topics = Topics(identity.load_factory().hub_id)
    settings = RecorderSettings(config.ring.tick_ms, config.ring.commit_ms, confirm_s=CONFIRM_S)
    with contextlib.ExitStack() as stack:
        journal = Database(config.data_dir / "journal.db", topics.status)
        stack.callback(journal.close)
        recorder = RecorderThread(Recorder(latch, clock, RtspDialer(), settings))
        stack.callback(recorder.stop)
        stack.callback(cutter.stop)
        searching = threading.Event()
        stack.callback(searching.set)
        logins = open_logins(config, keys)
        watch = build_camera_watch(config, clock, recorder.recorder, journal, logins, searching)
        events = EventWatch(_open_events(clock), recorder.recorder.note_events, clock)
        stack.callback(events.stop)
        stack.enter_context(hearing(config, watch))
        looker = ChildCutter(LOOK_LIMITS)
        stack.callback(looker.stop)
        publish = publisher(config.snapshot_dir)
        second = own_snapshots(config, clock, watch, looker, publish) if publish else None
        pictures = PictureWatch(looker, lambda: list(watch.streams), clock, publish, second)
        health = _health_watch(config, clock, identity.load_factory().hub_id, recorder.recorder, watch, events)
        health.watch_pictures(pictures)
        health.watch_lateness(recorder.recorder.late_s_max)
        board = PresenceBoard(watch, recorder.recorder.health, lambda: health.vitals, lambda: clock.standing().source)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch.run(lambda: _tell_troubles(watch, board)), name="cameras")
            tasks.create_task(recorder.watch(clock, board.changed), name="recorder")
            tasks.create_task(health.run(board.changed), name="health")
            tasks.create_task(events.run(lambda: watch.reached), name="events")
            clocks = build_clock_watch(clock, recorder.recorder)
            tasks.create_task(clocks.run(lambda: watch.reached, watch.note_clock), name="clocks")
            notify_service_manager("READY=1", "STATUS=looking for cameras")
            enrolment = identity.load_enrolment() or await _enrol(keys, identity, clock, latch, cutter)
            log.info("enrolled as hub %s: %s", enrolment.hub_id, enrolment.site)
            hub = _Hub(config, clock, keys, identity, enrolment, recorder, cutter, board, journal, topics, health)
            async with hub.open() as conversation:
                notify_service_manager("STATUS=in service")
                await conversation.run()


def _tell_troubles(watch: CameraWatch, board: PresenceBoard) -> None:
    for camera, trouble in watch.troubles.items():
        log.warning("camera %s at %s: %s", camera, trouble.address, trouble.why)
    board.changed()


async def _enrol(
    keys: Keystore, identity: IdentityStore, clock: HostClock, latch: KeyFrameLatch, cutter: ChildCutter
) -> Enrolment:
    log.info("this hub is blank: hold the installer's claim code before any of its cameras")
    public = keys.evidence_key().public_key().public_bytes_raw()

    def try_claim(text: str) -> Enrolment:
        return enrol(identity, text, evidence_key=public, now_s=clock.now() // SECOND_NS, check=_check_trust)

    return await ClaimWatch(latch, cutter, try_claim).run()


def _check_trust(enrolment: Enrolment) -> None:
    try:
        open_first_bundle(enrolment.trust_bundle.encode())
    except BadInputError as error:
        raise BadAnswerError(f"the server's trust bundle: {error}", cure="tell the operator") from error


def _open_events(clock: HostClock) -> Callable[[CameraStream, str], EventService]:
    return lambda stream, address: EventService(address, stream.login, clock.now)


def _health_watch(
    config: Config, clock: HostClock, hub: str, recorder: Recorder, watch: CameraWatch, events: EventWatch
) -> HealthWatch:
    def names() -> dict[CameraId, str]:
        return {camera: stream.name for camera, stream in watch.streams.items()}

    outlets = [Outlet(config.status_file, encode_vitals, STATUS_EVERY_S)]
    if config.metrics_file is not None:
        outlets.append(Outlet(config.metrics_file, encode_metrics, METRICS_EVERY_S))
    return HealthWatch(hub, recorder.health, names, config.ring.settings(), clock, outlets, events.health)


class _Hub:
    """An enrolled hub: everything that needs to know who it is."""

    def __init__(  # noqa: PLR0913, PLR0917 - what exists before a hub is enrolled
        self,
        config: Config,
        clock: HostClock,
        keys: Keystore,
        identity: IdentityStore,
        enrolment: Enrolment,
        recorder: RecorderThread,
        cutter: ChildCutter,
        board: PresenceBoard,
        journal: Database,
        topics: Topics,
        health: HealthWatch,
    ) -> None:
        self._config, self._clock, self._keys, self._identity = config, clock, keys, identity
        self._enrolment, self._recorder, self._cutter, self._board = enrolment, recorder, cutter, board
        self._journal, self._topics, self._hub, self._health = journal, topics, enrolment.hub_id, health
        self._clock_past = ClockPast(journal, clock, lambda: recorder.recorder.clock_changes)
        self._evidence, self._enrolment_pin = keys.evidence_key(), identity.enrolment_pin()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Conversation]:
        """Open ring, audit log and broker, and resume what was open; close all of it in the reverse order."""
        config, topics, loop = self._config, self._topics, asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            audit, boot = await stack.enter_async_context(
                kept_audit(config, self._hub, self._evidence, self._clock, self._journal)
            )
            desk = self._desk(audit)
            server_time = self._server_time(desk, audit)
            ring = self._ring(is_paired=desk.standing.owner is not None)
            stack.callback(ring.close)
            stack.callback(self._recorder.stop)  # before the ring closes
            stack.push_async_callback(self._health.detach)
            exporter = await open_exporter(stack, self._parts(ring, audit, desk))
            will = Will(topics.state, self._board.offline(boot))
            verifier = verifier_of(self._hub, self._evidence)

            def connected() -> None:
                conversation.connected()

            def something_to_say() -> None:
                loop.call_soon_threadsafe(conversation.wake)

            by_clock = partial(follow_clock, clock=self._clock)
            link = MqttLink(self._hub, self._broker(), topics.inward, will, connected, by_clock)
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
                beside=(self._clock_past.watch,),
            )
            self._journal.on_message = something_to_say
            self._board.on_change = conversation.state_changed
            if desk.standing.owner is not None:
                self._record_to(ring, desk)
            link.start()
            stack.callback(link.stop, (topics.state, self._board.offline(boot)))
            if config.bridge_socket:
                keep = partial(keep_firmware, config.bridge_socket)
                trial = FirmwareTrial(lambda: self._health.vitals, lambda: link.is_connected, keep)
                stack.callback(asyncio.create_task(trial.run(self._clock), name="firmware trial").cancel)
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
        from agent.daemon_page import PageParts, served_page  # noqa: PLC0415 - a hub without the page has not its memory

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

    def _desk(self, audit: AuditFile) -> Desk:
        identity, factory = self._identity, self._identity.load_factory()

        def decide(statement: bytes) -> OwnerKey | str:
            now_s = self._clock.instant() / SECOND_NS
            since_s = seconds_since_press(self._config.bridge_socket) if self._config.bridge_socket else None
            return pair_owner(
                statement,
                hub_id=factory.hub_id,
                owner_secret=factory.owner_secret,
                enrolment=self._enrolment_pin,
                paired=identity.load_owner(),
                pressed_s=None if since_s is None else now_s - since_s,
                now_s=now_s,
            )

        enrolment = self._enrolment
        first = first_standing(self._hub, enrolment.pairing_epoch, enrolment.trust_bundle, identity.load_owner())
        return Desk(first, self._journal, audit, Pairing(decide, identity.save_owner), self._clock)

    def _parts(self, ring: SlabLog, audit: AuditFile, desk: Desk) -> HubParts:
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
        )

    def _broker(self) -> BrokerAddress:
        broker = self._enrolment.broker
        paths = self._identity.mtls_certificate_path, self._identity.mtls_key_path
        return BrokerAddress(broker.host, broker.port, broker.anchors_pem, *paths)
