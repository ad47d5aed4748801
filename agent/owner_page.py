"""The owner's page: who is let in, what they see, and their signed words on the way to where all such words go.

Rules of this file:
- Whoever is not logged in learns that this is a hub, and nothing else.
- A session reads. Answers and policies are the owner's own statements, taken by the very functions that take them from
  the broker; this file only tells the browser what came of it.
- What is shown is read from journal and audit log when it is asked for, a bounded stretch at a time, in a thread.
- A login is in the audit log before it lets anybody in; of those turned away so many an hour are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from agent.clock import SECOND_NS, Clock, Instant
from agent.command.statement import unverified_claims
from agent.consent.standing import Standing
from agent.crypto import Secret, sha256_hex
from agent.errors import BadInputError, UnavailableError
from agent.evidence.kinds import Kind
from agent.loose_thread import in_thread
from agent.owner import render
from agent.owner.gate import CHANGING, READING, origin_of, turned_away
from agent.owner.login import Nonces, audience_of, open_login
from agent.owner.sessions import SECRET_BYTES, Session, Sessions, cookie_in, set_cookie
from agent.owner_reading import Reading
from agent.page_ports import PageRequest, PageResponse
from agent.ports import Audit, Journal
from agent.signing import thumbprint

REFUSED_LOGINS_PER_HOUR_MAX: Final = 10
NONCE_BYTES: Final = 16
NS_PER_MS: Final = 1_000_000
PAGES: Final = (("/", "Overview"), ("/accesses", "Accesses"), ("/policy", "Sharing"), ("/log", "Log"))
HOUR_NS: Final = 3600 * SECOND_NS
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

Query = Mapping[str, str]
SHOWN: Final[Mapping[str, tuple[str, Callable[[Reading, Query], Mapping[str, object]]]]] = MappingProxyType(
    {
        "/": ("overview", lambda reading, _: reading.overview()),
        "/accesses": ("accesses", lambda reading, query: reading.accesses(_place(query, "before"))),
        "/access": ("access", lambda reading, query: reading.access(_place(query, "at") or 0)),
        "/policy": ("policy", lambda reading, _: reading.policy()),
        "/log": ("log", lambda reading, query: reading.log(_place(query, "before"))),
    }
)
"""Each page's template, and what reads its values."""


@dataclass(frozen=True, slots=True)
class PageSettings:
    """How long sessions last, and by which names besides its addresses the hub is reached."""

    names: tuple[str, ...] = ()
    sessions_max: int = 4
    session_s: float = 1800.0


class OwnerPage:
    """Answers requests; used from the event loop only."""

    def __init__(  # noqa: PLR0913 - what the page shows and hands on, each by name
        self,
        *,
        standing: Callable[[], Standing],
        journal: Journal,
        audit: Audit,
        clock: Clock,
        reading: Reading,
        answer: Callable[[str], None],
        take_policy: Callable[[bytes], bool],
        random: Callable[[int], bytes],
        settings: PageSettings = PageSettings(),
    ) -> None:
        self._standing, self._journal, self._audit, self._clock = standing, journal, audit, clock
        self._reading, self._answer, self._take_policy = reading, answer, take_policy
        self._random, self._settings = random, settings
        self._nonces = Nonces(Secret(random(32)))
        self._sessions = Sessions(settings.sessions_max, settings.session_s)
        self._refused: list[Instant] = []
        self._refused_unwritten = 0

    async def respond(self, request: PageRequest) -> PageResponse:
        """Answer one request."""
        if (away := turned_away(request, self._settings.names)) is not None:
            return render.said(away.status, away.words.encode(), "text/plain; charset=utf-8")
        try:
            return await self._route(request)
        except BadInputError as error:
            return self._trouble(request, 404, "There is nothing at this address", str(error))
        except UnavailableError as error:
            words = f"{error}. Nothing was changed. Try again in a minute; the recording goes on."
            return self._trouble(request, 503, "The hub cannot do that now", words)

    # ------------------------------------------------------------ who asks
    async def _route(self, request: PageRequest) -> PageResponse:
        if (open_to_all := self._front_door(request)) is not None:
            return open_to_all
        if self._session(request, is_used=not _is_by_itself(request)) is None:
            if request.method == CHANGING or request.path in {"/news", "/policy.json"}:
                return _told(401, "Your login has ended. Log in again.")
            return render.page(200 if request.path == "/" else 401, "login", hub=None, now_ms=self._now_ms())
        return self._change(request) if request.method == CHANGING else await self._show(request)

    def _front_door(self, request: PageRequest) -> PageResponse | None:
        """Answer what anybody may ask; None for everything else."""
        if request.method == READING and request.path in render.ASSETS:
            return render.asset(request.path)
        if (request.method, request.path) == (READING, "/challenge"):
            return self._challenge()
        return self._login(request) if (request.method, request.path) == (CHANGING, "/login") else None

    def _session(self, request: PageRequest, *, is_used: bool = True) -> Session | None:
        value, who = cookie_in(request.headers.get("cookie", "")), self._who()
        if not value or not who:
            return None
        return self._sessions.find(value, who, self._clock.instant(), is_used=is_used)

    def _who(self) -> str:
        standing = self._standing()
        return f"{standing.audience.epoch} {thumbprint(standing.owner)}" if standing.owner else ""

    def _challenge(self) -> PageResponse:
        nonce = self._nonces.make(self._clock.instant(), self._random(NONCE_BYTES))
        audience = audience_of(self._standing().audience, nonce)
        return _json(200, {"nonce": nonce, "audience": audience})

    def _login(self, request: PageRequest) -> PageResponse:
        standing, now = self._standing(), self._clock.instant()
        try:
            open_login(
                request.body.decode("ascii", "replace"),
                standing.owner,
                audience=standing.audience,
                origin=origin_of(request),
                nonces=self._nonces,
                now=self._clock.now(),
                instant=now,
                is_clock_trusted=self._clock.is_trusted(),
            )
        except BadInputError as error:
            self._note_refused(request.peer, str(error), now)
            return _told(403, f"{str(error)[0].upper()}{str(error)[1:]}.")
        session, value = self._sessions.begin(self._random(SECRET_BYTES), self._who(), now)
        try:
            self._note(session.id, request.peer, "let in")
        except UnavailableError:
            self._sessions.end(value)
            raise
        return _json(200, {"words": "You are logged in."}, {"set-cookie": set_cookie(value)})

    def _note_refused(self, peer: str, why: str, now: Instant) -> None:
        self._refused = [at for at in self._refused if now - at < HOUR_NS]
        if len(self._refused) >= REFUSED_LOGINS_PER_HOUR_MAX:
            self._refused_unwritten += 1
            return
        self._refused.append(now)
        self._note("", peer, f"refused: {why}")

    def _note(self, session: str, peer: str, outcome: str) -> None:
        detail: dict[str, str | int] = {"by": peer, "how": "the owner's key", "outcome": outcome}
        detail |= {"refused_before": self._refused_unwritten} if self._refused_unwritten else {}
        self._audit.append(Kind.LOGIN, session, detail)
        self._refused_unwritten = 0

    # ------------------------------------------------- what they sign and say
    def _change(self, request: PageRequest) -> PageResponse:
        match request.path:
            case "/logout":
                self._sessions.end(cookie_in(request.headers.get("cookie", "")))
                return _json(200, {"words": "You are logged out."}, {"set-cookie": set_cookie("")})
            case "/answer":
                return self._hand_on_answer(request.body.decode("ascii", "replace"))
            case "/policy":
                return self._hand_on_policy(request.body)
        return _told(404, "This page knows nothing of that. Load it again.")

    def _hand_on_answer(self, token: str) -> PageResponse:
        try:
            asked = str(unverified_claims(token).get("command_sha256", ""))
        except BadInputError:
            return _told(400, "That is not a signed answer. Load the page again.")
        job = self._journal.job_of(asked)
        if job is None:
            return _told(409, "That question is not open any more. Load the page again.")
        self._answer(token)
        after = self._journal.job(job.id)
        if after is None or after.answer != token:
            words = "it is not signed by the owner's key, not in time, or the question was answered before"
            return _told(403, f"The hub did not take your answer: {words}. Load the page again and look.")
        return _told(200, "Your answer is written down.")

    def _hand_on_policy(self, token: bytes) -> PageResponse:
        if not self._take_policy(token):
            words = "it is not signed by the owner's key, or another one came first"
            return _told(403, f"The hub did not take your policy: {words}. Load the page again and look.")
        return _told(200, "What you share has changed.")

    # ----------------------------------------------------------- what they see
    async def _show(self, request: PageRequest) -> PageResponse:
        if (shown := SHOWN.get(request.path)) is not None:
            template, read = shown
            return self._page(template, request, await in_thread(lambda: read(self._reading, request.query)))
        if request.path == "/news":
            return _json(200, {"news": self._news()})
        if request.path == "/policy.json":
            return _json(200, {"claims": self._reading.policy_claims()})
        if request.path == "/log.tar":
            name = f"transom-{self._standing().audience.hub}-log.tar"
            kind = {"content-type": "application/x-tar", "content-disposition": f'attachment; filename="{name}"'}
            return PageResponse(200, {**render.HEADERS, **kind}, pieces=await in_thread(self._reading.archive))
        raise BadInputError("this page has no such part", cure="go back to the first one")

    def _page(self, template: str, request: PageRequest, values: Mapping[str, object]) -> PageResponse:
        hub = {
            "id": self._standing().audience.hub,
            "pages": PAGES,
            "path": request.path,
            "zone": self._reading.times().zone,
            "news": self._news(),
        }
        return render.page(200, template, hub=hub, now_ms=self._now_ms(), **values)

    def _news(self) -> str:
        """Name the state of what a person waits for; another name means that a page is to be loaded again."""
        policy, jobs = self._standing().policy, self._journal.open_jobs()
        state = [(job.id, job.state, job.deadline, bool(job.answer), job.stopped_by) for job in jobs]
        return sha256_hex(msgspec.json.encode((policy.version if policy else 0, state)))[:16]

    def _trouble(self, request: PageRequest, status: int, title: str, words: str) -> PageResponse:
        if request.method == CHANGING:
            return _told(status, words)
        return render.page(status, "trouble", hub=None, now_ms=self._now_ms(), title=title, words=words)

    def _now_ms(self) -> int:
        return self._clock.now() // NS_PER_MS


def _is_by_itself(request: PageRequest) -> bool:
    """Say whether a page has asked that nobody sits before: such a look keeps no session open."""
    return request.path == "/news" or request.query.get("by") == "news"


def _place(query: Query, name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**53)):
        raise BadInputError("no entry of the log begins there", cure="go back to the newest entries")
    return int(text)


def _json(status: int, told: object, headers: Mapping[str, str] = NO_HEADERS) -> PageResponse:
    said = render.said(status, msgspec.json.encode(told))
    return PageResponse(status, {**said.headers, **headers}, said.body)


def _told(status: int, words: str) -> PageResponse:
    return _json(status, {"words": words})
