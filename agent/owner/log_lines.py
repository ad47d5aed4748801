"""The audit log's newest entries, each in one line that a person understands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from agent.evidence.kinds import Kind
from agent.owner.words import Times
from agent.page_ports import PlacedEntry

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Kind.COMMAND: "A command came",
        Kind.JOB: "A command's next step",
        Kind.OWNER_ANSWERED: "You answered",
        Kind.SEALED: "A part was cut and sealed",
        Kind.RECEIPT: "The store holds a part",
        Kind.WITHHELD: "A sealed part was not sent",
        Kind.UNTOLD: "No manifest tells of what went: there was no room for one",
        Kind.NOT_HELD: "Footage could not be kept",
        Kind.RESUMED: "Went on after a restart",
        Kind.EXTENDED: "A clip has a later end",
        Kind.STOPPED: "The agency ended a command",
        Kind.SETTINGS: "The operator's settings",
        Kind.REFUSED: "A message was refused",
        Kind.ANSWER_REFUSED: "An answer was not yours",
        Kind.TRUST: "The agency's list of whom to trust",
        Kind.TRUST_REFUSED: "A list of whom to trust was refused",
        Kind.POLICY: "You changed what is shared",
        Kind.MODE: "What is shared changed by itself",
        Kind.POLICY_REFUSED: "A policy was refused",
        Kind.PAIRED: "The hub has an owner",
        Kind.PAIRING_REFUSED: "Somebody could not become the owner",
        Kind.LOGIN: "This page: a login",
        Kind.FIRMWARE: "An update was ordered",
        Kind.FIRMWARE_RUNS: "Which software runs",
        Kind.RESTART: "The hub restarts for an update",
        Kind.CERTIFICATE: "The hub's certificate for its server",
        Kind.CLOCK_STEP: "The clock was set",
        Kind.CLOCK_SOURCE: "Somebody else vouches for the time",
        Kind.TIME_ACCEPTED: "The server's signed time",
        Kind.TIME_REFUSED: "A signed time was refused",
        Kind.STARTED: "The hub started",
        Kind.SHUT_DOWN: "The hub stopped",
        Kind.LOG_CHANGED: "The log before was tampered with",
        Kind.NOT_WRITTEN: "Entries over the day's limit",
    }
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry."""

    at: str
    kind: str  # as it stands there
    words: str
    ref: str
    detail: tuple[tuple[str, str], ...]


def log_lines(placed: Iterable[PlacedEntry], times: Times) -> list[LogLine]:
    """Write entries for a person, in their order."""
    return [
        LogLine(
            times.when_text(one.entry.at),
            one.entry.kind,
            KINDS.get(one.entry.kind, one.entry.kind),
            one.entry.ref,
            tuple((name, str(value)) for name, value in one.entry.detail.items()),
        )
        for one in placed
    ]
