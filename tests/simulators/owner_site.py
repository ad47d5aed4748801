"""A hub's page on a real journal, audit log and desk, over real TLS; commands come as if from the broker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobEvent, JobState
from agent.clips.asking import Asking
from agent.clips.teller import Teller
from agent.clock import WallTime
from agent.command.envelope import verify
from agent.command.request import VerifiedCommand
from agent.command.trust import open_first_bundle
from agent.consent.decide import decide
from agent.consent.grant import Ask
from agent.consent.standing import Standing
from agent.crypto import canonical_json, sha256_hex
from agent.demo.authority import command_of, seconds, sharing_claims
from agent.health.vitals import HubVitals
from agent.outside.audit_file import open_audit
from agent.outside.audit_reading import AuditReader
from agent.outside.database import Database
from agent.owner.login import LOGIN_TYP
from agent.owner_page import OwnerPage, PageSettings
from agent.owner_reading import Reading
from agent.page_ports import PageLimits
from agent.signing import SigningKey, sign_statement
from agent.trust.documents import Desk, Pairing
from agent.trust.passed_time import PassedTime
from tests.simulators.export_site import EVIDENCE_KEY, HUB
from tests.simulators.page_visitor import page_server, visitor
from tests.simulators.set_clock import SetClock
from tests.simulators.vital_signs import DOOR, YARD, camera, hub, ring
from tests.vectors.command import scene
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, OWNER

CAMERAS = {CameraId("front"): "Front door", CameraId("back"): "Back yard"}
HOUR_S = 3600
VITALS: HubVitals = hub(cameras=(camera(DOOR), camera(YARD)), ring=ring())
LIMITS = PageLimits()
SETTINGS = PageSettings()


class OwnerSite:
    """One hub with an owner who wants to be asked; its clock stands until a test moves it."""

    def __init__(self, folder: Path, settings: PageSettings = SETTINGS, owner: SigningKey | None = OWNER.key) -> None:
        self.clock = SetClock(WallTime(scene.NOW - HOUR_S * 10**9))
        self.journal = Database(folder / "journal.db", "t")
        self.audit = open_audit(folder / "audit", HUB, EVIDENCE_KEY, self.clock)
        first = Standing(AUDIENCE, open_first_bundle(AUTHORITY.trust_bundle(scene.trust_claims())), owner)
        nobody = Pairing(lambda _: "no", lambda _: None)
        self.desk = Desk(first, self.journal, self.audit, nobody, self.clock)
        self.allow(1)
        self.clock.go_on(HOUR_S)
        self.desk.look_at_clock()
        self.teller = Teller(self.journal, self.audit, self.clock)
        self.asking = Asking(
            journal=self.journal,
            audit=self.audit,
            clock=self.clock,
            passed=PassedTime(self.journal, self.clock),
            standing=lambda: self.desk.standing,
            teller=self.teller,
        )
        reading = Reading(
            standing=lambda: self.desk.standing,
            journal=self.journal,
            log=AuditReader(self.audit),
            clock=self.clock,
            vitals=lambda: VITALS,
            names=lambda: CAMERAS,
        )
        self.reading = reading
        self.page = OwnerPage(
            standing=lambda: self.desk.standing,
            journal=self.journal,
            audit=self.audit,
            clock=self.clock,
            reading=reading,
            answer=self.asking.take,
            take_policy=self.desk.take_policy,
            random=os.urandom,
            settings=settings,
        )

    def close(self) -> None:
        """Close journal and log."""
        self.journal.close()
        self.audit.close()

    def allow(self, version: int, **claims: object) -> bool:
        """Put a policy in force."""
        return self.desk.take_policy(self.policy(version, **claims).encode())

    def policy(self, version: int, **claims: object) -> str:
        """Sign a policy."""
        told = {"mode": "ask_first", "zone": "Europe/Berlin", **claims}
        return OWNER.policy(self.clock.now(), version, **sharing_claims(AUTHORITY, list(CAMERAS), **told))

    def ask(self, command_id: str, **params: object) -> str:
        """Let an officer ask for a clip, and the hub ask its owner; return the command's digest."""
        told = scene.params(**{"cameras": ["*"], **params})
        envelope = AUTHORITY.clip_upload(self.clock.now(), AUDIENCE, command_id, told)
        standing, now = self.desk.standing, self.clock.now()
        command = verify(envelope, standing.trust, standing.audience, now, is_clock_trusted=True)
        assert isinstance(command, VerifiedCommand), command
        self.teller.note_command(command)
        job = Job(command.id, envelope, now)
        self.journal.open_job(job, command.sha256, command.expires)
        asked = decide(command, standing.word, list(CAMERAS), now, 0)
        assert isinstance(asked, Ask), asked
        self.asking.put(job, asked)
        return sha256_hex(command_of(envelope).encode())

    def grant(self, command_id: str) -> Job:
        """Begin to send what was asked about."""
        job = self.journal.job(command_id)
        assert job is not None
        return self.teller.move(job, JobEvent.OWNER_SAID_YES, granted=self.clock.now())

    def state(self, command_id: str) -> JobState | None:
        """Return how a command stands."""
        job = self.journal.job(command_id)
        return job.state if job else None

    def kinds(self) -> list[str]:
        """Return the kinds of all audit entries, oldest first."""
        return [entry.kind for entry in reversed(self.audit.latest(10_000))]


class Browser:
    """What the owner's browser does, without one: it holds the key and signs."""

    def __init__(self, http: httpx.AsyncClient, site: OwnerSite) -> None:
        self.http, self._site = http, site
        self.origin = str(http.base_url).rstrip("/")

    async def get(self, path: str) -> httpx.Response:
        """Load a page."""
        return await self.http.get(path, headers={"Sec-Fetch-Site": "same-origin"})

    async def post(self, path: str, text: str, **headers: str) -> httpx.Response:
        """Send what the page's script sends."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, content=text, headers={"Origin": self.origin, **named})

    async def login_statement(self, key: SigningKey = OWNER.key, **changed: object) -> str:
        """Fetch a nonce and sign a login."""
        told = (await self.get("/challenge")).json()
        now = seconds(self._site.clock.now())
        claims = {**told, "origin": self.origin, "iat": now, "exp": now + 120, **changed}
        return sign_statement(canonical_json(claims), key, LOGIN_TYP)

    async def log_in(self) -> None:
        """Log in as the owner."""
        let_in = await self.post("/login", await self.login_statement())
        assert let_in.status_code == 200, let_in.text


def visit(
    folder: Path,
    act: Callable[[OwnerSite, Browser], Awaitable[None]],
    *,
    settings: PageSettings = SETTINGS,
    limits: PageLimits = LIMITS,
    owner: SigningKey | None = OWNER.key,
) -> None:
    """Put up a hub with its page, and let a browser act there."""

    async def life() -> None:
        async with opened(folder, settings, limits, owner) as (site, browser):
            await act(site, browser)

    asyncio.run(life())


@asynccontextmanager
async def opened(
    folder: Path, settings: PageSettings, limits: PageLimits, owner: SigningKey | None
) -> AsyncIterator[tuple[OwnerSite, Browser]]:
    """Serve the page and open a browser."""
    with closing(OwnerSite(folder, settings, owner)) as site:
        async with page_server(site.page.respond, limits, site.clock) as port, visitor(port) as http:
            yield site, Browser(http, site)
