"""One search for cameras: which probes belong to it, which replies count, and when it has seen enough.

Rules of this file: one datagram can never stop a search, and one sender can never fill it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from agent.acquire.discovery import (
    Announcement,
    FoundCamera,
    ProbeKind,
    ReplyKind,
    found_camera,
    normalise_epr,
    parse_reply,
    probe,
)
from agent.errors import BadInputError

CAMERAS_MAX: Final = 64
"""However many senders there are, the first camera of each has room beside these: a crowd hides nobody."""
CAMERAS_PER_SENDER_MAX: Final = 16  # a video encoder announces one device per channel
DATAGRAMS_PER_SENDER_MAX: Final = 128
SENDERS_MAX: Final = 1024
PROBES_EACH: Final = 3  # UDP loses some
PROBE_GAP_S: Final = (0.15, 0.5)  # uniform, so that a hundred cameras do not answer in step twice
FIRST_PROBE_S_MAX: Final = 0.05


@dataclass(slots=True)
class SearchCounts:
    """What came in, for the health report."""

    received: int = 0
    bad: int = 0  # not a discovery reply
    foreign: int = 0  # not a camera, or the answer to somebody else's probe
    repeated: int = 0
    over_limit: int = 0


@dataclass(slots=True)
class Search:
    """Gathers found cameras by (EPR, sender): cloned UUIDs exist, so two senders are never merged here.

    `message_ids` holds one `urn:uuid:` per probe kind.
    """

    message_ids: dict[ProbeKind, str]
    counts: SearchCounts = field(default_factory=SearchCounts)
    found: dict[tuple[str, str], FoundCamera] = field(default_factory=dict)
    _datagrams: Counter[str] = field(default_factory=Counter)
    _cameras: Counter[str] = field(default_factory=Counter)

    def probes(self, jitter: list[float]) -> list[tuple[float, bytes]]:
        """Return (seconds after the start, datagram) in order; `jitter` holds 6 numbers in [0, 1)."""
        schedule = []
        low_s, high_s = PROBE_GAP_S
        for number, (kind, message_id) in enumerate(self.message_ids.items()):
            at_s = 0.0
            for repeat in range(PROBES_EACH):
                share = jitter[number * PROBES_EACH + repeat]
                at_s += share * FIRST_PROBE_S_MAX if repeat == 0 else low_s + share * (high_s - low_s)
                schedule.append((at_s, probe(kind, message_id)))
        return sorted(schedule)

    def take(self, datagram: bytes, sender: str) -> list[FoundCamera]:
        """Count one datagram and return the cameras it brings that were not known; never raises."""
        self.counts.received += 1
        if self._is_over_limit(sender):
            self.counts.over_limit += 1
            return []
        try:
            announcements = parse_reply(datagram, sender)
        except BadInputError:
            self.counts.bad += 1
            return []
        return [camera for announcement in announcements if (camera := self._new_camera(announcement)) is not None]

    def _is_over_limit(self, sender: str) -> bool:
        if sender not in self._datagrams and len(self._datagrams) >= SENDERS_MAX:
            return True
        self._datagrams[sender] += 1
        return self._datagrams[sender] > DATAGRAMS_PER_SENDER_MAX

    def _new_camera(self, announcement: Announcement) -> FoundCamera | None:
        ours = {normalise_epr(message_id) for message_id in self.message_ids.values()}
        is_answer = announcement.kind is ReplyKind.MATCH and announcement.relates_to in ours | {""}
        key = announcement.epr, announcement.sender
        if not (is_answer and announcement.is_onvif):
            self.counts.foreign += 1
        elif key in self.found:
            self.counts.repeated += 1
        elif not self._has_room(announcement.sender):
            self.counts.over_limit += 1
        else:
            self.found[key] = found_camera(announcement)
            return self.found[key]
        return None

    def _has_room(self, sender: str) -> bool:
        count = self._cameras[sender]
        if count and (len(self.found) >= CAMERAS_MAX or count >= CAMERAS_PER_SENDER_MAX):
            return False
        self._cameras[sender] += 1
        return True
