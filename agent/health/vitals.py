"""How the hub does at one moment, cameras, ring and self-test in one value, for everything that shows it.

Rules of this file: names, numbers, times and words for people; never an address, a login or a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

import msgspec

from agent.acquire.event_board import EventHealth
from agent.acquire.health import CameraHealth
from agent.acquire.stream import CameraId
from agent.buffer.ring import CameraUsage, RingSettings
from agent.clock import SECOND_NS, Clock, Instant, TimeSource, WallTime, rfc3339
from agent.errors import BadInputError, UnavailableError
from agent.health.self_test import CameraTest
from agent.outside.slab_files import RingStats
from agent.pictures.watch import PictureVitals

STALE_S: Final = 30.0
"""The daemon says how it does every few seconds; if it has not for so long, it does not run."""

VITALS_BYTES_MAX: Final = 4 * 1024 * 1024
NS_PER_MS: Final = 1_000_000
NOT_LOOKED: Final[Mapping[CameraId, PictureVitals]] = {}


class HealthWarning(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a person should look at."""

    code: str  # for programs: a word that stays the same
    words: str
    cure: str = ""
    camera: CameraId = CameraId("")  # empty: the hub itself
    since: str = ""  # RFC 3339

    def __str__(self) -> str:
        return f"{self.words} ({self.cure})" if self.cure else self.words


class EventKindVitals(msgspec.Struct, frozen=True):
    """How one kind of a camera's own events stands."""

    kind: str  # a word of `EventKind`
    is_active: bool  # some source says that it is so now
    last: str  # when it was so last; RFC 3339, empty: not since the daemon began with it
    count: int  # how often it began


class EventVitals(msgspec.Struct, frozen=True):
    """A camera's own events: motion, tamper, inputs, failures."""

    state: str  # a word of `EventState`
    note: str  # the last failure, with what a person can do
    kept: int
    left_out: int  # beyond what a camera may say in a minute
    kinds: tuple[EventKindVitals, ...] = ()  # those it has told of


class CameraVitals(msgspec.Struct, frozen=True):
    """One camera. Times are RFC 3339, empty where there is none; counts are since the daemon began with it."""

    id: CameraId
    name: str
    state: str  # a word of `CameraState`
    note: str  # the last error, with what a person can do
    last_byte: str
    bytes_received: int
    bytes_per_s: float  # of the last 10 s
    pictures: int
    pictures_per_s: float
    packets: int
    packets_lost: int
    loss_share: float  # of the last minute, 0 to 1
    datagrams_dropped: int
    reconnects: int
    runs: int
    chunks: int
    chunks_lost: int
    key_interval_s: float | None
    clock_offset_ms: float | None  # the camera's clock minus the hub's; None: it does not tell its time
    clock_offset_error_ms: float | None
    time_source: str  # of the newest pictures' times
    time_error_ms: float | None
    is_apart: bool = False  # in the ring, since it would push the others' footage out
    footage_bytes: int = 0
    footage_oldest: str = ""
    footage_newest: str = ""
    footage_s: float = 0.0  # from the oldest to the newest
    self_test: CameraTest | None = None  # the last one
    picture: PictureVitals | None = None  # None: none was looked at yet
    events: EventVitals | None = None  # None: it was not asked for any yet


class RingVitals(msgspec.Struct, frozen=True):
    """The ring; counts are since the daemon's start."""

    bytes: int  # of footage
    bytes_max: int
    floor_s: int  # what each camera should keep
    slabs: int
    bytes_written: int
    commits: int
    errors: int
    last_error: str  # empty while the disk works
    dropped_chunks: int
    damaged_chunks: int
    waiting_bytes: int
    is_direct: bool


class PageVitals(msgspec.Struct, frozen=True):
    """Where the owner's page is."""

    address: str  # of the hub, that it listens at; `0.0.0.0`: every one
    port: int
    fingerprint: str  # of its certificate: SHA-256, as browsers show it


class OutboxVitals(msgspec.Struct, frozen=True):
    """What waits for the store, and how fast it may go; rates are on the wire."""

    parts: int  # sealed, without receipt; those on their way are among them
    parts_bytes: int
    sending: int  # on their way now
    oldest: str  # since when the oldest could have gone; RFC 3339, empty: nothing waits
    bytes: int  # in the outbox's folder
    bytes_max: int
    sent_bytes: int  # since the start, whatever became of it
    uplink_bit_s: int | None  # measured; None: not yet
    cap_bit_s: int | None  # in force now; None: none
    is_store_away: bool


class CertificateVitals(msgspec.Struct, frozen=True):
    """The hub's certificate towards its server. Dates are RFC 3339."""

    ends: str
    due: str  # when it is renewed; empty: nobody renews it
    late: str  # from then on a person should know if it was not
    failures: int  # on end
    why: str  # the last failure, with what a person can do; empty: none
    is_refused: bool  # the server has said no


class HubVitals(msgspec.Struct, frozen=True):
    """The whole hub."""

    hub: str
    version: str
    written: str  # RFC 3339
    instant_ns: int  # the same on the monotonic clock of this boot, which nobody sets
    is_clock_trusted: bool
    cameras: tuple[CameraVitals, ...]
    ring: RingVitals | None = None  # None: nothing is recorded to disk, the hub has no owner yet
    outbox: OutboxVitals | None = None  # None: the hub is not enrolled yet
    recorder_late_s_max: float = 0.0  # the recorder's latest round of the last minute
    warnings: tuple[HealthWarning, ...] = ()
    clock_source: str = ""  # a word of `TimeSource`: who vouches for the time
    clock_error_ms: float | None = None  # how far off signed time may be; None: it is not signed
    page: PageVitals | None = None  # None: there is none, or not yet
    certificate: CertificateVitals | None = None  # None: the hub is not enrolled yet
    v: int = 1

    @property
    def camera_warnings(self) -> Mapping[CameraId, tuple[HealthWarning, ...]]:
        """The warnings of each camera; those of the hub itself under the empty name."""
        found: dict[CameraId, tuple[HealthWarning, ...]] = {}
        for warning in self.warnings:
            found[warning.camera] = (*found.get(warning.camera, ()), warning)
        return found


def gather(  # noqa: PLR0913 - all that a hub's health is put together from
    hub: str,
    health: Sequence[CameraHealth],
    names: Mapping[CameraId, str],
    ring: tuple[RingStats, RingSettings] | None,
    tests: Mapping[CameraId, CameraTest],
    clock: Clock,
    *,
    pictures: Mapping[CameraId, PictureVitals] = NOT_LOOKED,
    events: Mapping[CameraId, EventHealth] | None = None,
) -> HubVitals:
    """Put together how the hub does now, without warnings. `names` is what the cameras call themselves."""
    stats, standing = ring[0] if ring else None, clock.standing()
    cameras = [
        _camera_vitals(
            one,
            names.get(one.camera, ""),
            stats.usage.get(one.camera) if stats else None,
            tests.get(one.camera),
            pictures.get(one.camera),
            is_apart=stats is not None and one.camera in stats.noisy,
            events=(events or {}).get(one.camera),
        )
        for one in sorted(health, key=lambda one: one.camera)
    ]
    return HubVitals(
        hub=hub,
        version=version("transom"),
        written=rfc3339(clock.now()),
        instant_ns=clock.instant(),
        is_clock_trusted=standing.source is not TimeSource.NONE,
        clock_source=standing.source.value,
        clock_error_ms=standing.error_ns / NS_PER_MS if standing.source is TimeSource.SIGNED else None,
        cameras=tuple(cameras),
        ring=_ring_vitals(*ring) if ring else None,
    )


def encode_vitals(vitals: HubVitals) -> bytes:
    """Write them as JSON."""
    return msgspec.json.encode(vitals)


def decode_vitals(text: bytes, now: Instant) -> HubVitals:
    """Read what the daemon of this machine has written; `now` is of the same monotonic clock.

    Raises UnavailableError if it is from before `STALE_S` or from another boot, BadInputError if it is none.
    """
    try:
        vitals = msgspec.json.decode(text, type=HubVitals)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"not a hub's status: {error}") from error
    age_s = (now - vitals.instant_ns) / SECOND_NS
    if not 0 <= age_s <= STALE_S:
        raise UnavailableError(f"the hub's software has said nothing since {vitals.written}")
    return vitals


def _camera_vitals(
    health: CameraHealth,
    name: str,
    usage: CameraUsage | None,
    test: CameraTest | None,
    picture: PictureVitals | None,
    *,
    is_apart: bool,
    events: EventHealth | None,
) -> CameraVitals:
    return CameraVitals(
        id=health.camera,
        name=name,
        state=health.state.value,
        note=health.error,
        last_byte=_time(health.last_byte),
        bytes_received=health.bytes_received,
        bytes_per_s=round(health.bytes_per_s, 1),
        pictures=health.pictures,
        pictures_per_s=round(health.pictures_per_s, 2),
        packets=health.packets,
        packets_lost=health.packets_lost,
        loss_share=round(health.loss_share, 6),
        datagrams_dropped=health.datagrams_dropped,
        reconnects=health.reconnects,
        runs=health.runs,
        chunks=health.chunks,
        chunks_lost=health.chunks_lost,
        key_interval_s=None if health.key_interval_s is None else round(health.key_interval_s, 3),
        clock_offset_ms=None if health.clock_offset_ns is None else health.clock_offset_ns / NS_PER_MS,
        clock_offset_error_ms=None if health.clock_offset_ns is None else health.clock_offset_error_ns / NS_PER_MS,
        time_source=health.time_source.value if health.time_source else "",
        time_error_ms=None if health.time_error_ns is None else health.time_error_ns / NS_PER_MS,
        is_apart=is_apart,
        footage_bytes=usage.bytes if usage else 0,
        footage_oldest=_time(usage.oldest if usage else None),
        footage_newest=_time(usage.newest if usage else None),
        footage_s=round((usage.newest - usage.oldest) / SECOND_NS, 1) if usage else 0.0,
        self_test=test,
        picture=picture,
        events=_event_vitals(events) if events else None,
    )


def _event_vitals(health: EventHealth) -> EventVitals:
    kinds = [
        EventKindVitals(kind.value, fact.is_active, _time(fact.last), fact.count)
        for kind, fact in sorted(health.facts.items())
    ]
    return EventVitals(health.state.value, health.why, health.kept, health.left_out, tuple(kinds))


def _ring_vitals(stats: RingStats, settings: RingSettings) -> RingVitals:
    return RingVitals(
        bytes=sum(usage.bytes for usage in stats.usage.values()),
        bytes_max=settings.bytes_max,
        floor_s=settings.floor_s,
        slabs=stats.slabs,
        bytes_written=stats.bytes_written,
        commits=stats.commits,
        errors=stats.errors,
        last_error=stats.last_error,
        dropped_chunks=stats.dropped_chunks,
        damaged_chunks=stats.damaged_chunks,
        waiting_bytes=stats.waiting_bytes,
        is_direct=stats.is_direct,
    )


def _time(moment: WallTime | None) -> str:
    return rfc3339(moment) if moment is not None else ""
