"""Story two on a real disk with a real store: everything an export needs besides the broker, to be crashed at will."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.acquire.stream import CameraId, encode_stream_header
from agent.acquire.timeline import VIDEO_CLOCK_HZ
from agent.buffer.chunk import ChunkKind, ChunkMeta
from agent.buffer.clock_eras import ClockWord
from agent.buffer.hold import HoldSettings
from agent.buffer.ring import RingSettings
from agent.clip_job import OPEN_STATES, JobPart, Status
from agent.clips.courier import Courier, outbox_name
from agent.clips.held_footage import RingAndHeld
from agent.clips.maker import ClipMaker
from agent.clips.part_sealer import PartSealer
from agent.clock import SECOND_NS, WallTime, Window
from agent.command.claims import ConfigSetParams
from agent.command.destination import listed_hosts
from agent.command.trust import is_in_force, open_first_bundle, open_trust_bundle
from agent.consent.grant import Granted
from agent.consent.history import Held, History, encode_history
from agent.consent.policy import open_policy
from agent.consent.standing import Standing
from agent.crypto import Secret, sha256_hex
from agent.cut.clip import WireChunk
from agent.cut.plan import PartSettings
from agent.deliver.age import generate_identity
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.unseal import open_age
from agent.demo.authority import clip_params, sharing_claims, upload_params
from agent.errors import BadInputError
from agent.evidence.audit import LOG_NAME
from agent.evidence.manifest import ClipFacts, build_manifest
from agent.exporter import Exporter
from agent.outside.audit_file import AuditFile
from agent.outside.cutter import ChildCutter
from agent.outside.database import Database
from agent.outside.held_log import HeldLog
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader, Patience
from agent.outside.outbox_files import OutboxFiles
from agent.outside.slab_files import SlabLog
from agent.ports import Cutter, Document
from agent.signing import thumbprint
from agent.trust.documents import POLICY
from agent.trust.passed_time import PassedTime
from agent.trust.policy_past import HISTORY
from agent.upkeep import Firmware, Upkeep
from tests.simulators.clips import shown_by_pyav, stored, window_of
from tests.simulators.h264_source import CAMERA, EPOCH, Recipe, Source, film
from tests.simulators.put_server import PutStore, put_server
from tests.simulators.set_clock import SetClock
from tests.simulators.signing_store import SignedReceipts, contents_of
from tests.simulators.switched_footage import SwitchedFootage
from tests.simulators.tus_server import TusStore, tus_server
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, OWNER

HUB = AUDIENCE.hub
MIB = 1024 * 1024
RING = RingSettings(slab_bytes=8 * MIB, bytes_max=4 * 8 * MIB, free_bytes_min=0, pending_bytes_max=16 * MIB)
NOW = WallTime(EPOCH + 60 * SECOND_NS)
SOON_S = 20.0
ASKED_EVERY_S = 0.01
RECIPE = Recipe(pictures=100)  # four seconds, a key picture every 0.8 s
STATUS_TOPIC = f"hub/v1/{HUB}/evt/cmd"
_IDENTITY, _RECIPIENT = generate_identity()
EVIDENCE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@dataclass(frozen=True)
class Disk:
    """Who writes what of a hub's state: the real adapters, or ones that die on the way."""

    journal: type[Database] = Database
    audit: type[AuditFile] = AuditFile
    outbox: type[OutboxFiles] = OutboxFiles
    holds: type[HeldLog] = HeldLog


class Site:
    """A hub's disk, and the store; `running` starts the exporter's process on it, any number of times.

    Between two of them lies a crash: every object is dropped, nothing is told to stop politely.
    """

    def __init__(self, folder: Path, store: TusStore | PutStore, url: str, pem: str, *, past_s: float = 60) -> None:
        self.folder, self.store, self.url = folder, store, url
        self.clock = SetClock(NOW, running=True)
        self.receipts = SignedReceipts(store, HUB, AUTHORITY.store)
        store.receipts = self.receipts
        self.settings = PartSettings(past_ns=round(past_s * SECOND_NS), longest_ns=round(past_s * SECOND_NS))
        self.give_up_h = 1.0
        self.disk = Disk()
        self.hold_settings = HoldSettings(free_bytes_min=0)
        self.firmware: Firmware | None = None
        self.cameras = frozenset({CAMERA})
        self.cutter: Cutter = ChildCutter()
        hosts = [url.removeprefix("https://")]
        claims = AUTHORITY.trust_claims(EPOCH, recipients={"vault": _RECIPIENT}, upload_hosts=hosts, tls_anchors=[pem])
        self._trust_claims, self._version = claims, 1
        self.standing = Standing(AUDIENCE, open_first_bundle(AUTHORITY.trust_bundle(claims)), OWNER.key)
        self.allow()

    # ------------------------------------------------------------ what people decide
    def allow(self, **claims: object) -> None:
        """Put a policy in force that shares the camera without asking, or as `claims` say, as if it had always been."""
        token = OWNER.policy(NOW, self._version, **{**sharing_claims(AUTHORITY, [CAMERA]), **claims})
        policy = open_policy(token, OWNER.key, HUB, self._version - 1)
        always = History((Held(policy, token, WallTime(0), NOW),))
        self.standing = replace(self.standing, policy=policy, policy_sha256=sha256_hex(token.encode()), history=always)
        self._version += 1

    def store_policy(self, journal: Database) -> None:
        """Store the policy in force and its history, where a hub keeps them, unless one is there."""
        policy, held = self.standing.policy, self.standing.history
        if policy is not None and journal.document(POLICY) is None:
            journal.put_document(POLICY, Document(policy.version, held.held[-1].token))
            journal.put_document(HISTORY, Document(1, encode_history(held)))

    def revoke_officer(self) -> None:
        """Take the officer's key out of the trust bundle, by the roots."""
        claims = {**self._trust_claims, "version": 2, "revoked_keys": [thumbprint(AUTHORITY.officer)]}
        bundle = open_first_bundle(AUTHORITY.trust_bundle(claims))
        self.standing = replace(self.standing, trust=bundle)

    def bundle(self, version: int, **how: Any) -> bytes:  # noqa: ANN401 - what `Authority.trust_bundle` takes
        """Sign a successor of the site's trust bundle."""
        return AUTHORITY.trust_bundle({**self._trust_claims, "version": version}, **how)

    def take_trust(self, bundle: bytes) -> bool:
        """Take a trust bundle as the hub's desk does."""
        if is_in_force(bundle, self.standing.trust):
            return True
        try:
            self.standing = replace(self.standing, trust=open_trust_bundle(bundle, self.standing.trust))
        except BadInputError:
            return False
        return True

    def order(self, action: str, command_id: str, covered: Window | None = None, **params: object) -> bytes:
        """Sign a hold (`hold_s`) or an order about a job (`job`), with the description of `command`."""
        described = clip_params(covered or window_of(0.5, 1.9), recipients=["vault"], upload={}, cameras=[CAMERA])
        del described["upload"]
        claims = {"exp": params.pop("exp")} if "exp" in params else {}
        params = {**described, **params}
        return AUTHORITY.order(
            self.clock.now(), AUDIENCE, command_id, action=action, params=params, role="officer", **claims
        )

    def command(self, command_id: str, window: Window | None = None, **claims: object) -> bytes:
        """Sign a command for a window of the film."""
        url, method = (f"{self.url}/puts", "put") if isinstance(self.store, PutStore) else (f"{self.url}/files", "tus")
        upload = upload_params(url, f"{self.url}/receipts", self.store.token, method)
        window = window or window_of(0.5, 1.9)
        params = clip_params(window, recipients=["vault"], upload=upload, cameras=[CAMERA])
        return AUTHORITY.clip_upload(self.clock.now(), AUDIENCE, command_id, params, **claims)

    # ------------------------------------------------------------ what is on the disk
    def ring(self, *, keep: bool = True) -> SlabLog:
        """Open the ring, as a hub does that has an owner, or had one."""
        return SlabLog(self.folder / "ring", Secret(bytes(32)), RING, self.clock, keep=keep)

    def journal(self) -> Database:
        """Open the journal."""
        return self.disk.journal(self.folder / "journal.db", STATUS_TOPIC)

    def audit_lines(self) -> list[dict[str, Any]]:
        """Read the audit log as it is on the disk now."""
        path = self.folder / "audit" / LOG_NAME
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def audited(self, kind: str) -> list[dict[str, Any]]:
        """Read the entries of one kind."""
        return [line for line in self.audit_lines() if line["kind"] == kind]

    def clips(self) -> dict[str, bytes]:
        """Open every clip part at the store with the officer's key."""
        parts = {name: held[-1] for name, held in contents_of(self.store).items() if not name.endswith("manifest")}
        return {name: b"".join(open_age(io.BytesIO(sealed), _IDENTITY)) for name, sealed in sorted(parts.items())}

    def delivered(self) -> dict[str, list[int]]:
        """Return the numbers of the pictures in every clip part at the store."""
        return {name: [number for _, number in shown_by_pyav(clip)] for name, clip in self.clips().items()}

    # ------------------------------------------------------------ the process
    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        """Run the exporter's process until the block ends; then it is cut off where it stands."""
        ring, journal = self.ring(), self.journal()
        audit = self.disk.audit(self.folder / "audit" / LOG_NAME, HUB, EVIDENCE_KEY, self.clock)
        outbox = self.disk.outbox(self.folder / "outbox")
        quick = Patience(connect_s=2, silence_s=5, request_s=5, upload_s=1, farewell_s=2)
        hosts = partial(listed_hosts, self.standing.trust)
        async with HttpsUploader(self.standing.trust.tls_anchors, HostClock(), quick, hosts) as uploader:
            process = Process(self, ring, journal, audit, outbox, uploader)
            try:
                yield process
            finally:
                await process.exporter.stop()
                process.holds.close()
                audit.close()
                journal.close()
                ring.close()
        await asyncio.sleep(0)
        with warnings.catch_warnings():
            # httpx leaves a connection that was cut off in its handshake to the garbage collector; so does a crash
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def run(site: Site, *lives: Callable[[Process], Awaitable[None]]) -> None:
    """Run the exporter's process once for each function; it crashes between them."""

    async def live(life: Callable[[Process], Awaitable[None]]) -> None:
        async with site.running() as process:
            await life(process)

    for life in lives:
        asyncio.run(live(life))


class Process:
    """One life of the exporter with everything it holds."""

    def __init__(
        self,
        site: Site,
        ring: SlabLog,
        journal: Database,
        audit: AuditFile,
        outbox: OutboxFiles,
        uploader: HttpsUploader,
    ) -> None:
        self.site, self.ring, self.journal, self.audit, self.outbox = site, ring, journal, audit, outbox
        self.holds = site.disk.holds(
            site.folder / "ring" / "held", Secret(bytes(32)), site.hold_settings, ring, site.clock
        )
        self.footage = SwitchedFootage(RingAndHeld(ring, self.holds))
        self.clock_word: Callable[[WallTime], ClockWord] = lambda _: ClockWord.GOOD
        self.sealer = PartSealer(self.footage, outbox)
        self.courier = Courier(
            journal=journal,
            outbox=outbox,
            uploader=uploader,
            audit=audit,
            clock=HostClock(),
            hub=HUB,
            give_up_h=site.give_up_h,
        )
        self.clips = ClipMaker(
            ring=self.footage,
            cutter=site.cutter,
            sealer=self.sealer,
            outbox=outbox,
            journal=journal,
            courier=self.courier,
            audit=audit,
            clock=site.clock,
            write_manifest=self.write_manifest,
            settings=site.settings,
        )
        self.applied: list[ConfigSetParams] = []
        self.upkeep = Upkeep(journal, audit, site.take_trust, self.applied.append, site.firmware)
        self.exporter = Exporter(
            journal=journal,
            audit=audit,
            clock=site.clock,
            passed=PassedTime(journal, site.clock),
            standing=lambda: site.standing,
            cameras=lambda: site.cameras,
            clips=self.clips,
            holds=self.holds,
            upkeep=self.upkeep,
            clock_word=lambda received: self.clock_word(received),  # noqa: PLW0108 - a test may exchange it
        )
        self._said = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        journal.on_message = self.something_was_said

    def something_was_said(self) -> None:
        """Wake whoever waits; called in any thread."""
        self._loop.call_soon_threadsafe(self._said.set)

    def write_manifest(self, grant: Granted, camera: CameraId, parts: Sequence[JobPart]) -> bytes:
        """Write a manifest as the daemon does."""
        delivered = [
            (SealedPart(p.id, self.outbox.path(outbox_name(p)), p.size, p.sha256, MEDIA_TYPE_CLIP), p.report)
            for p in parts
            if p.report and p.report.pictures
        ]
        empty = [p.report for p in parts if p.report and not p.report.pictures]
        head, job = self.audit.head(), self.journal.job(grant.command.id)
        facts = ClipFacts(HUB, grant, camera, "Front door", delivered, empty, head, "transom test")
        facts = replace(facts, extended_by=job.extended_by if job else (), hub_clock=self.site.clock.standing())
        return build_manifest(facts, EVIDENCE_KEY)

    def statuses(self, command: str | None = None) -> list[Status]:
        """Read what waits for the broker, of one command or of all."""
        said = [msgspec.json.decode(m.payload, type=Status) for m in self.journal.outgoing(0, 1000)]
        return [status for status in said if command is None or status.command == command]

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something holds; it is asked after every message that the journal takes, and often between."""
        async with asyncio.timeout(SOON_S):
            while not is_so():
                self._said.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._said.wait(), ASKED_EVERY_S)

    async def until_ended(self, command: str) -> Status:
        """Wait for the end of a job; return the status that tells of it."""
        await self.until(lambda: (job := self.journal.job(command)) and job.state not in OPEN_STATES)
        return self.statuses(command)[-1]


@contextmanager
def export_site(
    folder: Path, *, past_s: float = 60, is_filmed: bool = True, is_presigned: bool = False
) -> Iterator[Site]:
    """Make a site with a film in its ring and a store that answers, by tus or by presigned URLs."""
    with (put_server if is_presigned else tus_server)(folder) as (store, url, pem):
        site = Site(folder, store, url, pem, past_s=past_s)
        if is_filmed:
            with closing(site.ring()) as ring:
                record(ring, film(RECIPE))
        yield site


@contextmanager
def incident_site(folder: Path) -> Iterator[Site]:
    """Make a site in the middle of an incident: three of the film's four seconds have passed, and parts are short."""
    with export_site(folder) as made:
        made.clock.set_to(WallTime(EPOCH + 3 * SECOND_NS))
        made.settings = replace(
            made.settings, live_ns=SECOND_NS // 2, poll_ns=SECOND_NS // 50, reorder_ns=60 * SECOND_NS
        )
        made.allow(ahead_s_max=60)
        yield made


def record(ring: SlabLog, source: Source) -> None:
    """Put a film into the ring as the recorder would, and wait until it is on the disk."""
    first = stored(source.chunks[0], is_key=False).meta
    ring.append(replace(first, kind=ChunkKind.STREAM), encode_stream_header(source.header))
    for chunk in source.chunks:
        ring.append(_meta(chunk), chunk.wire)
    assert ring.wait_until_written(10), "the ring did not write"


def _meta(chunk: WireChunk) -> ChunkMeta:
    meta = stored(chunk, is_key=False).meta
    picture = (meta.first_rtp - chunk.anchor.rtp) % 2**32 // (VIDEO_CLOCK_HZ // RECIPE.fps)
    return replace(meta, is_key=picture % RECIPE.gop == 0)
