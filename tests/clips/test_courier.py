"""One part to the store and its receipt back, with the power going between any two steps."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobPart, PartState
from agent.clips.courier import LIES_MAX, Courier, StoreRefusedError, outbox_name
from agent.clock import WallTime
from agent.command.request import UploadTarget
from agent.crypto import Secret, sha256_hex
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.receipt import verify_receipt
from agent.deliver.turns import Urgency
from agent.evidence.audit import LOG_NAME
from agent.outside.host import HostClock
from agent.outside.https import Patience
from tests.simulators.export_site import EVIDENCE_KEY, HUB, STATUS_TOPIC
from tests.simulators.fuse import Fuse, FusedAudit, FusedDatabase, FusedOutbox, FusedUploader, PowerCutError
from tests.simulators.set_clock import SetClock
from tests.simulators.signing_store import STORED_AT, SignedReceipts, contents_of, name_of
from tests.simulators.tus_server import Fault, TusStore, tus_server
from tests.vectors.command.scene import AUTHORITY

CAMERA = CameraId("front")
QUICK = Patience(connect_s=2, silence_s=2, request_s=5, upload_s=2)
URGENCY = Urgency(WallTime(0), WallTime(0))
_numbers = itertools.count()


@dataclass(frozen=True)
class Shop:
    """A store that runs for all tests of this file, and how to reach it."""

    store: TusStore
    url: str
    pem: str

    @property
    def target(self) -> UploadTarget:
        """Where commands send their parts."""
        return UploadTarget(f"{self.url}/files", f"{self.url}/receipts", Secret(self.store.token))

    @property
    def receipts(self) -> SignedReceipts:
        """The store's receipts."""
        assert isinstance(self.store.receipts, SignedReceipts)
        return self.store.receipts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run the store."""
    with tus_server(tmp_path_factory.mktemp("store")) as (store, url, pem):
        store.receipts = SignedReceipts(store, HUB, AUTHORITY.store)
        yield Shop(store, url, pem)


class Hub:
    """The courier's side of a hub: files that stay, and objects that a crash takes away."""

    def __init__(self, folder: Path, shop: Shop, *, give_up_h: float = 1.0) -> None:
        self.folder, self.shop, self.give_up_h = folder, shop, give_up_h
        self.command = f"c{next(_numbers)}"
        self.sealed: dict[str, bytes] = {}  # by part id, as the journal has it
        self.start()
        self.journal.open_job(Job(self.command, b"{}", WallTime(0)), "aa", WallTime(0))

    def start(self) -> None:
        """Open everything anew."""
        self.journal = FusedDatabase(self.folder / "journal.db", STATUS_TOPIC)
        self.outbox = FusedOutbox(self.folder / "outbox")
        self.audit = FusedAudit(self.folder / "audit" / LOG_NAME, HUB, EVIDENCE_KEY, SetClock(STORED_AT))

    def crash(self) -> None:
        """Drop everything; the files are as they are."""
        self.journal.close()
        self.audit.close()

    def parts(self) -> tuple[JobPart, ...]:
        """Return what the journal knows."""
        return self.journal.parts(self.command)

    def seal(self, number: int, content: bytes, fuse: Fuse) -> None:
        """Make a part as the clip maker does: the file, then the journal."""
        start, end = WallTime(number), WallTime(number + 1)
        digest = sha256_hex(content)
        part = JobPart(
            job=self.command,
            camera=CAMERA,
            number=number,
            is_manifest=False,
            start=start,
            end=end,
            state=PartState.SEALED,
            size=len(content),
            sha256=digest,
            location="",
            receipt="",
            report=None,
        )
        self.outbox.fuse = self.journal.fuse = fuse
        self.outbox.write(outbox_name(part), lambda append: append(content))
        self.journal.put_part(part)

    def bring(self, part: JobPart, fuse: Fuse | None = None, *, allowed: int | None = None) -> JobPart:
        """Bring a part; with `allowed`, consent ends after so many questions."""
        fuse, asked = fuse or Fuse(), itertools.count()
        self.journal.fuse = self.outbox.fuse = self.audit.fuse = fuse

        async def run() -> JobPart:
            async with FusedUploader([self.shop.pem], HostClock(), QUICK) as uploader:
                uploader.fuse = fuse
                courier = Courier(
                    journal=self.journal,
                    outbox=self.outbox,
                    uploader=uploader,
                    audit=self.audit,
                    clock=HostClock(),
                    hub=HUB,
                    give_up_h=self.give_up_h,
                )
                keys = [AUTHORITY.store]
                is_allowed = lambda: allowed is None or next(asked) < allowed  # noqa: E731 - one line, used once
                return await courier.bring(part, self.shop.target, keys, is_allowed, URGENCY)

        return asyncio.run(run())


@pytest.fixture
def hub(tmp_path: Path, shop: Shop) -> Iterator[Hub]:
    """Make a hub with one sealed part."""
    shop.store.faults.clear()
    shop.receipts.lies, shop.receipts.withheld = 0, False
    made = Hub(tmp_path, shop)
    made.seal(0, b"sealed" * 10_000, Fuse())
    yield made
    made.crash()


def test_a_part_goes_and_its_receipt_comes_back(hub: Hub) -> None:
    """The receipt is in the journal and in the log, the file is gone, and the store has the bytes."""
    part = hub.bring(hub.parts()[0])
    assert part == hub.parts()[0]
    assert part.state is PartState.RECEIPTED
    assert contents_of(hub.shop.store)[part.id] == [b"sealed" * 10_000]
    assert [(entry.kind, entry.ref) for entry in hub.audit.latest(5)] == [("receipt", hub.command)]
    assert not hub.outbox.names()
    assert hub.bring(part) == part  # again does nothing


@pytest.mark.parametrize(
    ("allowed", "state"),
    [
        (0, PartState.SEALED),
        (1, PartState.CREATED),
        (2, PartState.CREATED),
        (3, PartState.SENT),
    ],
)
def test_without_consent_no_further_step_is_taken(hub: Hub, allowed: int, state: PartState) -> None:
    """It is asked before every request to the store; the part comes back as far as it was, and can go on from there."""
    seen = len(hub.shop.store.seen)
    part = hub.bring(hub.parts()[0], allowed=allowed)
    assert part.state is state
    assert hub.outbox.names() == {outbox_name(part)}
    assert (len(hub.shop.store.seen) == seen) is (allowed == 0)
    assert hub.bring(part).state is PartState.RECEIPTED


def test_a_store_that_lies_now_and_then_is_tried_again(hub: Hub) -> None:
    """A receipt about other bytes is no receipt: the part is sent anew, and the file stays until a true one comes."""
    hub.shop.receipts.lies = 2
    assert hub.bring(hub.parts()[0]).state is PartState.RECEIPTED
    held = contents_of(hub.shop.store)[hub.parts()[0].id]
    assert held == [b"sealed" * 10_000] * len(held)


def test_a_store_that_keeps_lying_is_given_up(hub: Hub) -> None:
    """After a few lies the job ends; the part is not lost."""
    hub.shop.receipts.lies = LIES_MAX + 2
    with pytest.raises(StoreRefusedError, match="other bytes"):
        hub.bring(hub.parts()[0])
    assert hub.outbox.path(outbox_name(hub.parts()[0])).read_bytes() == b"sealed" * 10_000


def test_a_store_that_stays_away_is_given_up_after_the_time_that_was_set(hub: Hub) -> None:
    """Then somebody is told."""
    hub.give_up_h = 0.2 / 3600
    hub.shop.receipts.withheld = True
    with pytest.raises(StoreRefusedError, match="no receipt"):
        hub.bring(hub.parts()[0])


def test_the_power_may_go_between_any_two_steps_of_sending(hub: Hub) -> None:
    """Cut at the first step, at the second, and so on to the last: each time the part arrives as what it was."""
    cuts = 0
    while True:
        content, number = os.urandom(2_000), cuts + 1
        hub.seal(number, content, Fuse())
        part = hub.parts()[number]
        try:
            hub.bring(part, Fuse(cuts))
        except PowerCutError:
            cuts += 1
        else:
            break
        hub.crash()
        hub.start()
        found = hub.parts()[number]
        if found.state is not PartState.RECEIPTED:
            assert hub.outbox.path(outbox_name(part)).read_bytes() == content
        assert hub.bring(found).state is PartState.RECEIPTED
        assert set(contents_of(hub.shop.store)[part.id]) == {content}
        assert part.id in {entry.detail["part"] for entry in hub.audit.latest(100)}
    assert cuts >= 12  # three conversations, an entry, three states and a file, before and after each


def test_the_power_may_go_between_any_two_steps_of_sealing(hub: Hub) -> None:
    """A part is in the journal only with its whole file; what is sealed anew after a crash was never sent."""
    for steps in range(5):
        number = len(hub.parts())
        for fuse in (Fuse(steps), Fuse()):
            if len(hub.parts()) > number:
                break
            with suppress(PowerCutError):
                hub.seal(number, os.urandom(2_000), fuse)
            hub.crash()
            hub.start()
        part = hub.parts()[number]
        content = hub.outbox.path(outbox_name(part)).read_bytes()
        assert sha256_hex(content) == part.sha256
        hub.bring(part)
        assert contents_of(hub.shop.store)[part.id] == [content]


class Delivery(RuleBasedStateMachine):
    """Seal, bring, cut the power anywhere, let the store fail; then look at what is on both sides."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.shop = shop
        shop.store.faults.clear()
        shop.receipts.lies, shop.receipts.withheld = 0, False
        self.folder = tempfile.TemporaryDirectory()
        self.hub = Hub(Path(self.folder.name), shop)
        self.sealed: dict[str, bytes] = {}
        self.receipted: dict[str, str] = {}

    @rule(size=st.sampled_from([0, 1, 5_000]), steps=st.one_of(st.none(), st.integers(0, 4)))
    def seal(self, size: int, steps: int | None) -> None:
        """Seal the next part, or the one that a crash left without its name in the journal."""
        number, content = len(self.hub.parts()), os.urandom(size)
        self.until_cut(lambda fuse: self.hub.seal(number, content, fuse), steps)
        if len(self.hub.parts()) > number:
            self.sealed[self.hub.parts()[-1].id] = content

    @precondition(lambda self: self.unfinished())
    @rule(steps=st.one_of(st.none(), st.integers(0, 14)), which=st.integers(0, 10))
    def bring(self, steps: int | None, which: int) -> None:
        """Bring one of the parts that have no receipt."""
        parts = self.unfinished()
        self.until_cut(lambda fuse: self.hub.bring(parts[which % len(parts)], fuse), steps)

    @rule(fault=st.sampled_from([Fault.DROP_IN_PATCH, Fault.DROP_ANSWER, Fault.ERROR_500]))
    def break_the_store(self, fault: Fault) -> None:
        """Let the store fail once."""
        self.shop.store.faults.append(fault)

    @rule()
    def lie(self) -> None:
        """Let the store sign for other bytes once."""
        self.shop.receipts.lies = 2

    @rule()
    def forget_an_upload(self) -> None:
        """Let the store drop what it has not whole, as stores do after a while."""
        store = self.shop.store
        for number, upload in enumerate(store.uploads):
            if len(upload) < store.lengths[number]:
                upload.clear()

    def unfinished(self) -> list[JobPart]:
        """Return the parts without receipt."""
        return [part for part in self.hub.parts() if part.state is not PartState.RECEIPTED]

    def until_cut(self, act: object, steps: int | None) -> None:
        """Do something until it ends or the power goes, and start again after that."""
        assert callable(act)
        try:
            act(Fuse(steps))
        except PowerCutError:
            self.hub.crash()
            self.hub.start()

    @invariant()
    def a_part_is_never_sent_as_other_bytes(self) -> None:
        """Whatever of a part is at the store, whole or not, are its first bytes as they were sealed."""
        store = self.shop.store
        for upload, metadata in zip(store.uploads, store.metadata, strict=True):
            name = name_of(metadata)
            if name.startswith(self.hub.command + "."):
                assert self.sealed[name].startswith(bytes(upload))

    @invariant()
    def no_part_is_lost(self) -> None:
        """Look into the outbox: a part without receipt is there, as it was sealed."""
        assert [part.id for part in self.hub.parts()] == list(self.sealed)
        for part in self.unfinished():
            assert self.hub.outbox.path(outbox_name(part)).read_bytes() == self.sealed[part.id]

    @invariant()
    def no_receipt_is_forgotten_or_made_up(self) -> None:
        """Look into journal and log: a receipt stays, is the store's own, and the store has the bytes."""
        whole = contents_of(self.shop.store)
        for part in self.hub.parts():
            if part.state is PartState.RECEIPTED:
                content = self.sealed[part.id]
                facts = SealedPart(part.id, Path(), len(content), sha256_hex(content), MEDIA_TYPE_CLIP)
                verify_receipt(part.receipt, [AUTHORITY.store], facts, HUB)
                assert content in whole[part.id]
                assert part.id in {entry.detail["part"] for entry in self.hub.audit.latest(1000)}
                self.receipted.setdefault(part.id, part.receipt)
        assert self.receipted == {part.id: part.receipt for part in self.hub.parts() if part.receipt}

    def teardown(self) -> None:
        """In the end everything arrives."""
        for part in self.unfinished():
            assert self.hub.bring(part).state is PartState.RECEIPTED
        self.hub.crash()
        self.folder.cleanup()


def test_no_crash_changes_loses_or_forgets_anything(shop: Shop) -> None:
    """Any order of sealing, sending, failing and power cuts: see the invariants above."""
    quick = settings(max_examples=12, stateful_step_count=12, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: Delivery(shop), settings=quick)  # type: ignore[arg-type]  # a factory will do
