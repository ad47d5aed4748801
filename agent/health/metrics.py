"""How the hub does as Prometheus text (exposition format 0.0.4), for node_exporter's textfile collector.

Rules of this file: base units, and the unit last in the name; counters end in `_total`; what is not known is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

from agent.acquire.event_session import EventState
from agent.acquire.health import CameraState
from agent.clock import SECOND_NS, parse_rfc3339
from agent.health.vitals import CameraVitals, EventKindVitals, EventVitals, HubVitals, OutboxVitals, RingVitals

Number = int | float | None
_Source = TypeVar("_Source")


class _Metric(NamedTuple, Generic[_Source]):
    name: str  # without the prefix
    kind: str  # "counter" or "gauge"
    help: str
    value: Callable[[_Source], Number]


_HUB: Final[tuple[_Metric[HubVitals], ...]] = (
    _Metric("status_timestamp_seconds", "gauge", "When this was written.", lambda h: _moment(h.written)),
    _Metric("clock_trusted", "gauge", "1 if somebody vouches for the hub's time.", lambda h: h.is_clock_trusted),
    _Metric("clock_error_seconds", "gauge", "How far off signed time may be.", lambda h: _of_ms(h.clock_error_ms)),
    _Metric("recorder_late_seconds", "gauge", "Its latest round of the last minute.", lambda h: h.recorder_late_s_max),
    _Metric(
        "certificate_end_timestamp_seconds",
        "gauge",
        "When its certificate ends.",
        lambda h: _moment(h.certificate.ends) if h.certificate else None,
    ),
    _Metric("cameras", "gauge", "Cameras that the hub records or tries to.", lambda h: len(h.cameras)),
)

_OUTBOX: Final[tuple[_Metric[OutboxVitals], ...]] = (
    _Metric("waiting_parts", "gauge", "Sealed parts without a receipt.", lambda o: o.parts),
    _Metric("waiting_bytes", "gauge", "What these are.", lambda o: o.parts_bytes),
    _Metric("sending_parts", "gauge", "Those that are on their way now.", lambda o: o.sending),
    _Metric("oldest_timestamp_seconds", "gauge", "Since when the oldest waits.", lambda o: _moment(o.oldest)),
    _Metric("used_bytes", "gauge", "In the outbox's folder.", lambda o: o.bytes),
    _Metric("limit_bytes", "gauge", "How much may be there.", lambda o: o.bytes_max),
    _Metric("sent_bytes_total", "counter", "Sent to stores, whatever became of it.", lambda o: o.sent_bytes),
    _Metric("uplink_bytes_per_second", "gauge", "Measured by uploads.", lambda o: _bytes(o.uplink_bit_s)),
    _Metric("cap_bytes_per_second", "gauge", "In force now.", lambda o: _bytes(o.cap_bit_s)),
    _Metric("store_away", "gauge", "1 while a store takes nothing.", lambda o: o.is_store_away),
)

_CAMERA: Final[tuple[_Metric[CameraVitals], ...]] = (
    _Metric("recording", "gauge", "1 while it is recorded.", lambda c: c.state == CameraState.RECORDING.value),
    _Metric("last_byte_timestamp_seconds", "gauge", "When it last sent anything.", lambda c: _moment(c.last_byte)),
    _Metric("received_bytes_total", "counter", "What it has sent.", lambda c: c.bytes_received),
    _Metric("received_bytes_per_second", "gauge", "What it sent in the last 10 s.", lambda c: c.bytes_per_s),
    _Metric("pictures_total", "counter", "Pictures it has sent.", lambda c: c.pictures),
    _Metric("pictures_per_second", "gauge", "Pictures of the last 10 s.", lambda c: c.pictures_per_s),
    _Metric("packets_total", "counter", "Packets of video received.", lambda c: c.packets),
    _Metric("packets_lost_total", "counter", "Packets of video missing by their numbers.", lambda c: c.packets_lost),
    _Metric("datagrams_dropped_total", "counter", "UDP that this hub had no room for.", lambda c: c.datagrams_dropped),
    _Metric("reconnects_total", "counter", "Sessions that failed.", lambda c: c.reconnects),
    _Metric("chunks_total", "counter", "Chunks given to the ring.", lambda c: c.chunks),
    _Metric("chunks_lost_total", "counter", "Chunks that the ring could not take.", lambda c: c.chunks_lost),
    _Metric("key_interval_seconds", "gauge", "Between the newest key pictures.", lambda c: c.key_interval_s),
    _Metric("clock_offset_seconds", "gauge", "Its clock minus the hub's.", lambda c: _of_ms(c.clock_offset_ms)),
    _Metric("clock_offset_error_seconds", "gauge", "Bound of it.", lambda c: _of_ms(c.clock_offset_error_ms)),
    _Metric("time_error_seconds", "gauge", "Bound of its pictures' times.", lambda c: _of_ms(c.time_error_ms)),
    _Metric("kept_apart", "gauge", "1 while it has its own part of the ring.", lambda c: c.is_apart),
    _Metric("footage_bytes", "gauge", "What the ring has of it.", lambda c: c.footage_bytes),
    _Metric("footage_oldest_timestamp_seconds", "gauge", "Its oldest footage.", lambda c: _moment(c.footage_oldest)),
    _Metric("footage_newest_timestamp_seconds", "gauge", "Its newest footage.", lambda c: _moment(c.footage_newest)),
    _Metric("can_serve", "gauge", "1 if its last hour could be read back.", lambda c: _tested(c, "can_serve")),
    _Metric("self_test_covered_seconds", "gauge", "Of the last hour.", lambda c: _tested(c, "covered_s")),
    _Metric("self_test_bad_chunks", "gauge", "Chunks that could not be read.", lambda c: _tested(c, "chunks_bad")),
    _Metric(
        "picture_timestamp_seconds", "gauge", "The picture looked at last.", lambda c: _moment(_pictured(c, "taken"))
    ),
    _Metric(
        "picture_brightness_ratio", "gauge", "Mean, 1 is white.", lambda c: _share(_pictured(c, "brightness"), 255)
    ),
    _Metric("picture_sharpness_ratio", "gauge", "How steep lines are.", lambda c: _pictured(c, "sharpness")),
    _Metric("picture_likeness_ratio", "gauge", "To the scene it knows.", lambda c: _pictured(c, "likeness")),
    _Metric("picture_group_bytes", "gauge", "Of one group of pictures.", lambda c: _pictured(c, "group_bytes")),
    _Metric("picture_looks_total", "counter", "Key pictures looked at.", lambda c: _pictured(c, "looks")),
    _Metric("picture_looks_failed_total", "counter", "Not judged.", lambda c: _pictured(c, "looks_failed")),
    _Metric(
        "self_test_timestamp_seconds", "gauge", "When.", lambda c: _moment(c.self_test.tested) if c.self_test else None
    ),
)

_EVENTS: Final[tuple[_Metric[EventVitals], ...]] = (
    _Metric("events_subscribed", "gauge", "1 while it tells its events.", lambda e: e.state == EventState.SUBSCRIBED),
    _Metric("events_kept_total", "counter", "Events of it that were kept.", lambda e: e.kept),
    _Metric("events_left_out_total", "counter", "Events beyond what it may say in a minute.", lambda e: e.left_out),
)

_EVENT_KIND: Final[tuple[_Metric[EventKindVitals], ...]] = (
    _Metric("event_active", "gauge", "1 while the camera says that it is so.", lambda k: k.is_active),
    _Metric("event_starts_total", "counter", "How often it began.", lambda k: k.count),
    _Metric("event_last_timestamp_seconds", "gauge", "When it was so last.", lambda k: _moment(k.last)),
)

_RING: Final[tuple[_Metric[RingVitals], ...]] = (
    _Metric("footage_bytes", "gauge", "Footage in the ring.", lambda r: r.bytes),
    _Metric("limit_bytes", "gauge", "How large the ring may become.", lambda r: r.bytes_max),
    _Metric("slabs", "gauge", "Slabs of the ring.", lambda r: r.slabs),
    _Metric("written_bytes_total", "counter", "Written to the disk.", lambda r: r.bytes_written),
    _Metric("commits_total", "counter", "Syncs of the disk.", lambda r: r.commits),
    _Metric("write_errors_total", "counter", "Writes that failed; each is repeated.", lambda r: r.errors),
    _Metric("failing", "gauge", "1 while the disk takes nothing.", lambda r: bool(r.last_error)),
    _Metric("dropped_chunks_total", "counter", "Chunks lost on their way to the disk.", lambda r: r.dropped_chunks),
    _Metric("damaged_chunks", "gauge", "Chunks found torn at the start.", lambda r: r.damaged_chunks),
    _Metric("waiting_bytes", "gauge", "In memory, not on the disk yet.", lambda r: r.waiting_bytes),
)


def encode_metrics(vitals: HubVitals) -> bytes:
    """Write them as text."""
    return ("\n".join(_lines(vitals)) + "\n").encode()


def _lines(vitals: HubVitals) -> Iterator[str]:
    yield from _head("transom_info", "gauge", "The hub and its software.")
    yield f"transom_info{_labels(hub=vitals.hub, version=vitals.version)} 1"
    for hub in _HUB:
        yield from _family(f"transom_{hub.name}", hub, [("", vitals)])
    yield from _head("transom_warning", "gauge", "What a person should look at; camera is empty for the hub itself.")
    for warning in vitals.warnings:
        yield f"transom_warning{_labels(code=warning.code, camera=warning.camera)} 1"
    yield from _head("transom_camera_info", "gauge", "What the camera calls itself.")
    for one in vitals.cameras:
        yield f"transom_camera_info{_labels(camera=one.id, name=one.name)} 1"
    cameras = [(_labels(camera=one.id), one) for one in vitals.cameras]
    for camera in _CAMERA:
        yield from _family(f"transom_camera_{camera.name}", camera, cameras)
    listened = [(_labels(camera=one.id), one.events) for one in vitals.cameras if one.events]
    for events in _EVENTS:
        yield from _family(f"transom_camera_{events.name}", events, listened)
    told = [
        (_labels(camera=one.id, kind=kind.kind), kind)
        for one in vitals.cameras
        for kind in (one.events.kinds if one.events else ())
    ]
    for fact in _EVENT_KIND:
        yield from _family(f"transom_camera_{fact.name}", fact, told)
    yield from _lines_of_disk(vitals)


def _lines_of_disk(vitals: HubVitals) -> Iterator[str]:
    if vitals.outbox is not None:
        for outbox in _OUTBOX:
            yield from _family(f"transom_outbox_{outbox.name}", outbox, [("", vitals.outbox)])
    if vitals.ring is not None:
        for ring in _RING:
            yield from _family(f"transom_ring_{ring.name}", ring, [("", vitals.ring)])


def _family(name: str, metric: _Metric[_Source], sources: Iterable[tuple[str, _Source]]) -> Iterator[str]:
    yield from _head(name, metric.kind, metric.help)
    for labels, source in sources:
        value = metric.value(source)
        if value is not None:
            yield f"{name}{labels} {value + 0}"


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _moment(text: str | None) -> float | None:
    return parse_rfc3339(text) / SECOND_NS if text else None


def _of_ms(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _bytes(bits: int | None) -> float | None:
    return None if bits is None else bits / 8


def _pictured(camera: CameraVitals, field: str) -> Any:  # noqa: ANN401 - the field's type
    return getattr(camera.picture, field) if camera.picture else None


def _share(value: int | None, whole: int) -> float | None:
    return None if value is None else value / whole


def _tested(camera: CameraVitals, field: str) -> Number:
    value: Number = getattr(camera.self_test, field) if camera.self_test else None
    return value
