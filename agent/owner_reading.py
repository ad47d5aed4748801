"""What the owner's page shows, read from journal, audit log and the hub's health at the moment it is asked for.

Rules of this file: nothing is kept here, so that the owner sees what the hub did and no copy of it; each call reads a
bounded stretch; its calls block, and run in worker threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from agent.acquire.stream import CameraId
from agent.clock import Clock
from agent.command.statement import unverified_claims
from agent.consent.standing import Standing
from agent.errors import BadInputError
from agent.evidence.kinds import Kind
from agent.health.vitals import HubVitals
from agent.owner.accesses import Access, Known, Manner, access, accesses
from agent.owner.log_lines import log_lines
from agent.owner.overview import health_of, sharing_of
from agent.owner.policy_view import policy_sections
from agent.owner.questions import questions
from agent.owner.words import Times
from agent.page_ports import PlacedEntry, ReadableLog
from agent.ports import Journal

STRETCH_BYTES: Final = 256 * 1024  # some thousand entries
STRETCHES_MAX: Final = 4  # that one request looks through
FOLLOWED_BYTES: Final = 512 * 1024  # behind a command, for what became of it
ACCESSES_SHOWN: Final = 20
LATEST_SHOWN: Final = 5
LINES_SHOWN: Final = 50
STEPS_SHOWN: Final = 200

Values = dict[str, object]


class Reading:
    """Reads what each page shows."""

    def __init__(
        self,
        *,
        standing: Callable[[], Standing],
        journal: Journal,
        log: ReadableLog,
        clock: Clock,
        vitals: Callable[[], HubVitals | None],
        names: Callable[[], Mapping[CameraId, str]],
    ) -> None:
        self._standing, self._journal, self._log, self._clock = standing, journal, log, clock
        self._vitals, self._names = vitals, names

    def times(self) -> Times:
        """Write times in the zone of the owner's policy."""
        policy = self._standing().policy
        return Times(policy.zone if policy else None)

    def _manner(self) -> Manner:
        return Manner(self._names(), self._standing().trust, self.times())

    def overview(self) -> Values:
        """Read the first page: questions, sharing, health, the latest accesses."""
        standing = self._standing()
        found, _ = self._commands(None, LATEST_SHOWN)
        return {
            "questions": questions(self._journal.open_jobs(), self._manner(), standing.policy),
            "sharing": sharing_of(standing.policy, self._clock.now(), is_clock_trusted=self._clock.is_trusted()),
            "health": health_of(self._vitals()),
            "accesses": found,
        }

    def accesses(self, before: int | None) -> Values:
        """Read commands before a place of the log, newest first. Raises BadInputError for no place."""
        found, older = self._commands(before, ACCESSES_SHOWN)
        return {"accesses": found, "older": older, "is_later": before is not None}

    def access(self, place: int) -> Values:
        """Read one command and what became of it. Raises BadInputError if no command is there."""
        entries = self._log.entries_from(place, FOLLOWED_BYTES)
        if not entries or entries[0].entry.kind != Kind.COMMAND:
            raise BadInputError("no command is at this place of the log", cure="look for it in the list")
        command = entries[0]
        own = [one for one in entries if one.entry.ref == command.entry.ref]
        job = self._journal.job(command.entry.ref)
        known = Known(job, self._journal.parts(job.id)) if job else None
        shown = access(command, [one.entry for one in own], known, self._manner())
        return {"one": shown, "lines": log_lines(own[:STEPS_SHOWN], self.times())}

    def policy(self) -> Values:
        """Read the policy in words."""
        policy, now = self._standing().policy, self._clock.now()
        sharing = sharing_of(policy, now, is_clock_trusted=self._clock.is_trusted())
        return {"sharing": sharing, "sections": policy_sections(policy, now, self._names()) if policy else []}

    def policy_claims(self) -> dict[str, object]:
        """Return the policy's claims as its owner signed them, to be signed anew with a change.

        Raises BadInputError if there is none.
        """
        standing = self._standing()
        token = standing.history.held[-1].token if standing.policy and standing.history.held else ""
        return unverified_claims(token)

    def log(self, before: int | None) -> Values:
        """Read the log's head and a page of its entries. Raises BadInputError for no place, UnavailableError."""
        checkpoint = self._log.checkpoint()
        size, root = self._log.head()
        page = self._log.page(before, 0)
        shown, older = page.entries[:LINES_SHOWN], page.older
        if len(page.entries) > LINES_SHOWN:
            older = shown[-1].place
        lines = log_lines(shown, self.times())
        head: Values = {"size": size, "root": root, "checkpoint": checkpoint}
        return {**head, "lines": lines, "older": older, "is_later": before is not None}

    def archive(self) -> Iterator[bytes]:
        """Write the log as one file."""
        return self._log.archive()

    def _commands(self, before: int | None, count: int) -> tuple[list[Access], int | None]:
        """Find the newest commands before a place; return them and where older ones are looked for."""
        newer: Sequence[PlacedEntry] = () if before is None else self._log.entries_from(before, FOLLOWED_BYTES)
        placed: list[PlacedEntry] = []
        older = before
        for _ in range(STRETCHES_MAX):
            page = self._log.page(older, STRETCH_BYTES)
            placed += page.entries
            older = page.older
            if older is None or sum(one.entry.kind == Kind.COMMAND for one in placed) > count:
                break
        commands = [one for one in placed if one.entry.kind == Kind.COMMAND]
        if len(commands) > count:
            older = commands[count - 1].place
            placed = [one for one in placed if one.place >= older]
        jobs = {one.entry.ref: self._journal.job(one.entry.ref) for one in commands[:count]}
        known = {ref: Known(job, ()) for ref, job in jobs.items() if job is not None}
        return accesses(placed, newer, known, self._manner()), older
