"""The daemon's clips: builds what story two needs, from the held footage to the firmware bridge."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.acquire.stream import CameraId
from agent.buffer.hold import HoldSettings
from agent.clip_job import JobPart
from agent.clips.courier import Courier, outbox_name
from agent.clips.dated_footage import DatedFootage
from agent.clips.held_footage import RingAndHeld
from agent.clips.maker import ClipMaker
from agent.clips.part_sealer import PartSealer
from agent.clips.upload_turns import UploadTurns
from agent.clock import SECOND_NS, rfc3339
from agent.command.claims import ConfigSetParams
from agent.command.destination import listed_hosts
from agent.command.trust import is_in_force
from agent.config import MIB, Config
from agent.consent.grant import Granted
from agent.crypto import Secret
from agent.cut.plan import PartSettings
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.evidence.manifest import ClipFacts, build_manifest
from agent.exporter import Exporter
from agent.health.presence import PresenceBoard
from agent.health.vitals import OutboxVitals
from agent.health.watch import HealthWatch
from agent.outside.audit_file import AuditFile
from agent.outside.cutter import ChildCutter
from agent.outside.database import Database
from agent.outside.firmware import BridgeFirmware
from agent.outside.held_log import HeldLog
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader
from agent.outside.logs import set_level
from agent.outside.outbox_files import OutboxFiles
from agent.outside.pacer import Pacer
from agent.outside.slab_files import SlabLog
from agent.outside.tls_dates import follow_clock
from agent.trust.clock_past import ClockPast
from agent.trust.documents import Desk
from agent.trust.passed_time import PassedTime
from agent.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class HubParts:
    """What of an enrolled hub the clips are made with."""

    config: Config
    clock: HostClock
    hub: str
    evidence_key: Ed25519PrivateKey
    key_encryption_key: Secret
    journal: Database
    ring: SlabLog
    audit: AuditFile
    desk: Desk
    cutter: ChildCutter
    board: PresenceBoard
    clock_past: ClockPast
    health: HealthWatch
    on_installed: Callable[[str], None]  # a firmware that starts with the next boot


async def open_exporter(stack: contextlib.AsyncExitStack, parts: HubParts) -> Exporter:
    """Build story two; what it opens is closed with `stack`."""
    config, desk, journal = parts.config, parts.desk, parts.journal
    outbox = OutboxFiles(config.data_dir / "outbox", config.clips.outbox_mib * MIB)
    turns = UploadTurns(parts.clock, config.upload.at_once)
    pacer = Pacer(parts.clock, config.upload.caps(), turns)
    turns.bytes_per_s = lambda: pacer.link_bytes_per_s
    parts.health.watch_outbox(partial(outbox_vitals, turns, pacer, outbox))
    trust, hosts = desk.standing.trust, lambda: listed_hosts(desk.standing.trust)
    uploader = await stack.enter_async_context(HttpsUploader(trust.tls_anchors, parts.clock, hosts=hosts, pacer=pacer))
    holds = _open_holds(stack, parts)
    courier = Courier(
        journal=journal,
        outbox=outbox,
        uploader=uploader,
        audit=parts.audit,
        clock=parts.clock,
        hub=parts.hub,
        give_up_h=config.clips.give_up_h,
        turns=turns,
    )
    footage = DatedFootage(RingAndHeld(parts.ring, holds), parts.clock_past)
    clips = ClipMaker(
        ring=footage,
        cutter=parts.cutter,
        sealer=PartSealer(footage, outbox),
        outbox=outbox,
        journal=journal,
        courier=courier,
        audit=parts.audit,
        clock=parts.clock,
        write_manifest=_ManifestDesk(parts, outbox).write,
        settings=PartSettings(live_ns=int(config.clips.part_s * SECOND_NS)),
    )
    upkeep = _open_upkeep(parts, clips, courier)
    return Exporter(
        journal=journal,
        audit=parts.audit,
        clock=parts.clock,
        passed=PassedTime(journal, parts.clock),
        standing=lambda: desk.standing,
        cameras=lambda: parts.board.cameras,
        clips=clips,
        holds=holds,
        upkeep=upkeep,
        urgent_types=config.upload.urgent_types,
        clock_word=parts.clock_past.word_for,
    )


def outbox_vitals(turns: UploadTurns, pacer: Pacer, outbox: OutboxFiles) -> OutboxVitals:
    """Say what waits for the store now, and how fast it may go."""
    line, link = turns.line(), pacer.figures()
    return OutboxVitals(
        parts=line.parts,
        parts_bytes=line.bytes,
        sending=line.sending,
        oldest="" if line.oldest is None else rfc3339(line.oldest),
        bytes=outbox.bytes_used(),
        bytes_max=outbox.bytes_max,
        sent_bytes=pacer.sent_bytes,
        uplink_bit_s=link.uplink_bit_s,
        cap_bit_s=link.cap_bit_s,
        is_store_away=line.is_store_away,
    )


def _open_holds(stack: contextlib.AsyncExitStack, parts: HubParts) -> HeldLog:
    """Open what is held; what an unpaired hub finds is an earlier owner's, and goes."""
    directory = (parts.config.ring.dir or parts.config.data_dir / "ring") / "held"
    settings = HoldSettings(bytes_max=parts.config.clips.held_mib * MIB)
    holds = HeldLog(directory, parts.key_encryption_key, settings, parts.ring, parts.clock)
    stack.callback(holds.close)
    if parts.desk.standing.owner is None:
        for hold in holds.held():
            holds.release(hold.name)
    return holds


def _open_upkeep(parts: HubParts, clips: ClipMaker, courier: Courier) -> Upkeep:
    config, desk = parts.config, parts.desk

    def take_trust(bundle: bytes) -> bool:
        return is_in_force(bundle, desk.standing.trust) or desk.take_trust(bundle)

    def apply(settings: ConfigSetParams) -> None:
        if settings.log_level is not None:
            set_level(settings.log_level)
        if settings.part_s is not None:
            clips.set_live_ns(int(settings.part_s * SECOND_NS))
        if settings.give_up_h is not None:
            courier.give_up_h = settings.give_up_h

    firmware = None
    if config.bridge_socket is not None:
        anchors, by_clock = lambda: desk.standing.trust.tls_anchors, partial(follow_clock, clock=parts.clock)
        firmware = BridgeFirmware(
            config.bundle_dir,
            config.bridge_socket,
            anchors,
            before_connecting=by_clock,
            on_installed=parts.on_installed,
        )
    upkeep = Upkeep(parts.journal, parts.audit, take_trust, apply, firmware)
    apply(upkeep.settings())
    return upkeep


@dataclass(frozen=True, slots=True)
class _ManifestDesk:
    """Writes manifests with the hub's name and key."""

    parts: HubParts
    outbox: OutboxFiles

    def write(self, grant: Granted, camera: CameraId, of_clip: Sequence[JobPart]) -> bytes:
        delivered = [
            (SealedPart(p.id, self.outbox.path(outbox_name(p)), p.size, p.sha256, MEDIA_TYPE_CLIP), p.report)
            for p in of_clip
            if p.report and p.report.pictures
        ]
        empty = [part.report for part in of_clip if part.report and not part.report.pictures]
        name, head = self.parts.board.camera_name(camera), self.parts.audit.head()
        job = self.parts.journal.job(grant.command.id)
        facts = ClipFacts(
            hub=self.parts.hub,
            grant=grant,
            camera=camera,
            camera_name=name,
            parts=delivered,
            empty=empty,
            audit=head,
            software=version("transom"),
            extended_by=job.extended_by if job else (),
            hub_clock=self.parts.clock.standing(),
        )
        return build_manifest(facts, self.parts.evidence_key)
