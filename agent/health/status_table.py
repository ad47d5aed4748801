"""How the hub does, as a table for a person in a terminal."""

from __future__ import annotations

from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from agent.acquire.health import CameraState
from agent.clock import TimeSource
from agent.health.vitals import CameraVitals, HubVitals

_GOOD: Final = "green"
_BAD: Final = "bold red"
_CLOCKS: Final = {
    TimeSource.NETWORK.value: ", time by NTP",
    TimeSource.ASSUMED.value: ", time by a setting",
    TimeSource.NONE.value: ", time by nobody",
}
_FIGURES: Final = ("Mbit/s", "fps", "key", "lost", "time ±", "in ring")  # all of it fits 80 characters


def status_table(vitals: HubVitals) -> Group:
    """Draw cameras, ring and warnings."""
    head = Text(f"hub {vitals.hub}, version {vitals.version}, as of {vitals.written}")
    head.append(_clock(vitals))
    cameras = Table(box=None, pad_edge=False, header_style="bold")
    cameras.add_column("camera", overflow="fold", min_width=14)
    cameras.add_column("state")
    for column in _FIGURES:
        cameras.add_column(column, justify="right", no_wrap=True)
    warned = vitals.camera_warnings
    for camera in vitals.cameras:
        cameras.add_row(*_cells(camera, _BAD if warned.get(camera.id) else ""))
    below = (*_events(vitals), _ring(vitals), *_outbox(vitals), *_certificate(vitals), *_warnings(vitals))
    return Group(head, Text(), cameras, Text(), *below)


def _clock(vitals: HubVitals) -> str:
    if vitals.clock_source == TimeSource.SIGNED:
        return f", time signed by the server ± {vitals.clock_error_ms or 0:.0f} ms"
    return _CLOCKS.get(vitals.clock_source, "")


def _cells(camera: CameraVitals, style: str) -> tuple[Text, ...]:
    is_good = camera.state == CameraState.RECORDING.value
    return (
        Text(f"{camera.id} {camera.name}".strip(), style),
        Text(camera.state, _GOOD if is_good else _BAD),
        Text(f"{camera.bytes_per_s * 8 / 1e6:.2f}"),
        Text(f"{camera.pictures_per_s:.1f}"),
        Text("" if camera.key_interval_s is None else f"{camera.key_interval_s:.1f} s"),
        Text(f"{camera.loss_share:.1%}"),
        Text("" if camera.time_error_ms is None else f"{camera.time_error_ms:.0f} ms"),
        Text(f"{camera.footage_s / 3600:.1f} h"),
    )


def _events(vitals: HubVitals) -> list[Text]:
    lines = []
    for camera in vitals.cameras:
        told = [
            f"{kind.kind} now" if kind.is_active else f"{kind.kind} at {kind.last}"
            for kind in (camera.events.kinds if camera.events else ())
            if kind.is_active or kind.last
        ]
        if told:
            lines.append(Text(f"{camera.id} told: {', '.join(told)}"))
    return lines


def _ring(vitals: HubVitals) -> Text:
    ring = vitals.ring
    if ring is None:
        return Text("nothing is recorded to disk: the hub has no owner yet, or just starts")
    text = f"ring: {ring.bytes / 2**30:.1f} of {ring.bytes_max / 2**30:.1f} GiB"
    tested = [camera.self_test for camera in vitals.cameras if camera.self_test]
    if tested:
        can = sum(test.can_serve for test in tested)
        text += f"; self-test: the last hour of {can} of {len(tested)} cameras can be served"
    return Text(text)


def _outbox(vitals: HubVitals) -> list[Text]:
    outbox = vitals.outbox
    if outbox is None:
        return []
    waits = f"{outbox.parts} parts ({outbox.parts_bytes / 1e6:.1f} MB) wait, the oldest since {outbox.oldest}"
    text = f"outbox: {waits if outbox.parts else 'nothing waits'}"
    rates = (("uplink", outbox.uplink_bit_s), ("cap", outbox.cap_bit_s))
    text += "".join(f"; {name} {bits / 1e6:.2f} Mbit/s" for name, bits in rates if bits is not None)
    return [Text(text)]


def _certificate(vitals: HubVitals) -> list[Text]:
    certificate = vitals.certificate
    if certificate is None:
        return []
    text = f"certificate: until {certificate.ends}, " + (
        f"renewed at {certificate.due}" if certificate.due else "which nobody renews"
    )
    if certificate.why:
        text += f"; {certificate.failures} tries have failed, the last: {certificate.why}"
    return [Text(text)]


def _warnings(vitals: HubVitals) -> list[Text]:
    lines = []
    for warning in vitals.warnings:
        line = Text(f"{warning.camera or 'hub'}: ", _BAD)
        since = f", since {warning.since}" if warning.since else ""
        lines.append(line.append(f"{warning}{since}", "default"))
    return lines
