"""The hub and a real broker: nothing is acknowledged before it is stored, and nothing stored is left unsaid."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from agent.clip_job import JobState, Status
from agent.clock import SECOND_NS
from agent.command.request import RefusalReason
from agent.command.signed_time import ASK_S_MAX
from agent.command.words import Jwk
from agent.conversation import Conversation, Topics
from agent.crypto import sha256_hex
from agent.demo.authority import command_of, sharing_claims
from agent.demo.broker import Broker, start_broker
from agent.demo.pki import Authority
from agent.evidence.audit import open_checkpoint
from agent.evidence.note import verifier_of
from agent.outside.mqtt import BrokerAddress, MqttLink, Will
from agent.ports import Inbound
from agent.signing import public_jwk, thumbprint
from agent.trust.documents import Desk, Pairing
from agent.trust.server_time import ServerTime
from agent.trust.witnessing import Witnessing
from provisioning.pairing import OwnerKey
from tests.simulators.commander import NAME, Commander, commander
from tests.simulators.eventually import eventually
from tests.simulators.export_site import EVIDENCE_KEY, HUB, NOW, Process, Site, export_site
from tests.vectors.command.scene import AUTHORITY, OWNER
from tests.vectors.time.make import CLOCK

TOPICS = Topics(HUB)


class WatchedLink(MqttLink):
    """The real link, which looks at the disk, through other file handles, whenever something is acknowledged."""

    site: Site
    on_disk: list[tuple[str, list[str], list[str]]]

    def acknowledge(self, message: Inbound) -> None:
        """Note topic, stored jobs and written audit entries, then acknowledge."""
        with sqlite3.connect(self.site.folder / "journal.db") as other:
            jobs = [row[0] for row in other.execute("SELECT id FROM job ORDER BY id")]
        other.close()
        kinds = [f"{line['kind']} {line['ref']}".strip() for line in self.site.audit_lines()]
        self.on_disk.append((message.topic, jobs, kinds))
        super().acknowledge(message)


@dataclass
class Talk:
    """A hub in conversation, and what the test needs to see of it."""

    process: Process
    desk: Desk
    conversation: Conversation
    link: WatchedLink
    server: Commander
    paired: list[bool] = field(default_factory=list)
    first_state: bytes = b""

    async def hear(self, topic: str, payload: bytes | None = None) -> bytes:
        """Wait until the server hears something on a topic."""
        return bytes((await asyncio.to_thread(self.server.hear, topic, payload)).payload)

    async def status(self, command: str, state: JobState) -> Status:
        """Wait until the server hears that a command is in a state."""
        while True:
            status = msgspec.json.decode(await self.hear(TOPICS.status), type=Status)
            if (status.command, status.status) == (command, state):
                return status

    async def tell(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Let the server say something."""
        await asyncio.to_thread(lambda: self.server.publish(topic, payload, retain=retain))


@dataclass
class Place:
    """The site, the broker, and the server at it."""

    site: Site
    authority: Authority
    broker: Broker
    server: Commander


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Run store and broker, and connect the server."""
    authority = Authority()
    broker = start_broker(tmp_path / "broker", authority, NAME, kind="mosquitto")
    try:
        with export_site(tmp_path) as site, commander(tmp_path, authority, broker.port) as server:
            yield Place(site, authority, broker, server)
    finally:
        broker.stop()


@asynccontextmanager
async def talking(place: Place) -> AsyncIterator[Talk]:
    """Let the hub talk."""
    site = place.site
    async with site.running() as process:
        paired: list[bool] = []
        site.store_policy(process.journal)
        desk = Desk(
            site.standing, process.journal, process.audit, Pairing(lambda _: owner_key(), lambda _: None), site.clock
        )
        process.exporter._standing = lambda: desk.standing
        certificate, key = place.authority.issue_client(site.folder, HUB)
        address = BrokerAddress("127.0.0.1", place.broker.port, place.authority.pem, certificate, key)

        def connected() -> None:
            conversation.connected()

        link = WatchedLink(HUB, address, TOPICS.inward, Will(TOPICS.state, b"gone"), connected)
        link.site, link.on_disk = site, []
        conversation = Conversation(
            link=link,
            topics=TOPICS,
            exporter=process.exporter,
            desk=desk,
            mailbox=process.journal,
            state=lambda: json.dumps({"policy": desk.standing.policy.version if desk.standing.policy else 0}).encode(),
            checkpoint=process.audit.checkpoint,
            witnessing=Witnessing(process.audit, lambda: desk.standing, site.clock),
            server_time=ServerTime(site.clock, lambda: desk.standing, process.journal, process.audit, "boot 1"),
            on_paired=lambda: paired.append(True),
        )
        said = process.journal.on_message
        loop = asyncio.get_running_loop()

        def something_to_say() -> None:
            said()
            loop.call_soon_threadsafe(conversation.wake)

        process.journal.on_message = something_to_say
        link.start()
        task = asyncio.create_task(conversation.run())
        try:
            talk = Talk(process, desk, conversation, link, place.server, paired)
            while not talk.first_state.startswith(b"{"):  # it has subscribed to its topics before it says that
                talk.first_state = await talk.hear(TOPICS.state)
            yield talk
        finally:
            task.cancel()
            link.stop((TOPICS.state, b"offline"))


def owner_key() -> OwnerKey:
    """Return the owner whom pairing finds."""
    return OwnerKey(public_jwk(OWNER.key), thumbprint(OWNER.key))


def run(place: Place, *lives: Callable[[Talk], Awaitable[None]]) -> None:
    """Run the hub once for each function."""

    async def live(life: Callable[[Talk], Awaitable[None]]) -> None:
        async with asyncio.timeout(50), talking(place) as talk:
            await life(talk)

    for life in lives:
        asyncio.run(live(life))


def test_a_command_is_on_the_disk_before_the_broker_may_forget_it(place: Place) -> None:
    """Job and audit entry are there when the acknowledgement goes out; the clip follows, and its statuses in order."""

    async def life(talk: Talk) -> None:
        await talk.tell(TOPICS.command, place.site.command("c1"))
        for state in (JobState.RECEIVED, JobState.IN_PROGRESS, JobState.SUCCEEDED):
            await talk.status("c1", state)
        assert talk.link.on_disk[0] == (TOPICS.command, ["c1"], ["command c1"])

    run(place, life)
    assert place.site.delivered()


def test_a_checkpoint_follows_what_was_said(place: Place) -> None:
    """The server gets a signed root over every entry that was there when the messages went out."""

    async def life(talk: Talk) -> None:
        await talk.tell(TOPICS.command, b"noise")
        await talk.status("", JobState.REJECTED)
        while True:
            note = (await talk.hear(TOPICS.checkpoint)).decode()
            if (checkpoint := open_checkpoint(note, verifier_of(HUB, EVIDENCE_KEY))).size:
                break
        assert (checkpoint.size, checkpoint.root.hex()) == talk.process.audit.head()

    run(place, life)


def test_statuses_wait_for_a_broker_that_is_away(place: Place) -> None:
    """A job ends while nobody listens; when the hub is back, all of it is told, in order, and then forgotten."""

    async def alone() -> None:
        async with place.site.running() as process:
            process.exporter.take(place.site.command("c1"))
            await process.until_ended("c1")

    asyncio.run(alone())

    async def life(talk: Talk) -> None:
        for state in (JobState.RECEIVED, JobState.IN_PROGRESS, JobState.SUCCEEDED):
            await talk.status("c1", state)
        await talk.hear(TOPICS.checkpoint)
        assert talk.process.journal.outgoing(0, 10) == ()

    run(place, life)


def test_the_state_is_told_at_every_connection_and_change(place: Place) -> None:
    """It is retained: who comes later sees it; a new policy makes it new."""

    async def life(talk: Talk) -> None:
        assert json.loads(talk.first_state) == {"policy": 1}
        policy = OWNER.policy(NOW, 5, **sharing_claims(AUTHORITY, ["cam-1"])).encode()
        await talk.tell(TOPICS.policy, policy, retain=True)
        await talk.hear(TOPICS.state, b'{"policy": 5}')
        assert "policy" in talk.link.on_disk[-1][2]

    async def next_life(talk: Talk) -> None:  # the policy is stored, and retained at the broker: it comes once more
        assert json.loads(talk.first_state) == {"policy": 5}
        await talk.tell(TOPICS.command, place.site.command("c1"))
        await talk.status("c1", JobState.SUCCEEDED)

    run(place, life, next_life)
    assert len(place.site.audited("policy")) == 1


def test_the_time_is_asked_for_and_taken(place: Place) -> None:
    """A hub that does not know it asks for it; the answer opens it."""
    place.site.standing = replace(
        place.site.standing,
        trust=msgspec.structs.replace(place.site.standing.trust, time_keys=(Jwk(**public_jwk(CLOCK)),)),
    )
    place.site.clock.trusted = False

    async def life(talk: Talk) -> None:
        place.site.clock.go_on(ASK_S_MAX)  # its first question went out before this test listened
        question = await talk.hear(TOPICS.time_request)
        await talk.tell(TOPICS.command, place.site.command("early"))
        refused = await talk.status("early", JobState.REJECTED)
        assert refused.reason is RefusalReason.CLOCK_UNTRUSTED
        await talk.tell(TOPICS.time, AUTHORITY.signed_time(NOW, question, key=CLOCK).encode())
        await eventually(place.site.clock.is_trusted)
        await talk.tell(TOPICS.command, place.site.command("in-time"))
        await talk.status("in-time", JobState.SUCCEEDED)

    run(place, life)


def test_pairing_and_answers_come_in(place: Place) -> None:
    """Each topic goes to the desk where it belongs; the recorder is told who was paired."""
    place.site.allow(mode="ask_first")

    async def life(talk: Talk) -> None:
        await talk.tell(TOPICS.pairing, b"statement")
        await eventually(lambda: talk.paired)
        envelope = place.site.command("c1", exp=NOW // SECOND_NS + 3)
        await talk.tell(TOPICS.command, envelope)
        await talk.status("c1", JobState.AWAITING_OWNER)
        answer = OWNER.answer(NOW, sha256_hex(command_of(envelope).encode()), "no")
        await talk.tell(TOPICS.answer, answer.encode())
        assert (await talk.status("c1", JobState.REJECTED)).reason is RefusalReason.OWNER_DECLINED

    run(place, life)


@pytest.mark.parametrize("topic", [TOPICS.command, TOPICS.policy, TOPICS.pairing, TOPICS.answer, TOPICS.trust])
def test_noise_on_any_topic_is_acknowledged_and_changes_nothing(place: Place, topic: str) -> None:
    """Whatever the broker makes up, the conversation goes on."""
    noise = [b"", b"\xff\xfe\x00", b"{" * 60_000, b"a.b.c", b'{"v":1}', b"[" * 60_000]

    async def life(talk: Talk) -> None:
        standing = talk.desk.standing
        for payload in noise:
            await talk.tell(topic, payload)
        await talk.tell(TOPICS.command, place.site.command("c1"))
        await talk.status("c1", JobState.RECEIVED)
        assert [entry[0] for entry in talk.link.on_disk[: len(noise)]] == [topic] * len(noise)
        assert talk.desk.standing.policy == standing.policy
        assert talk.desk.standing.trust == standing.trust

    run(place, life)
