"""What a camera calls an event to what it means for the hub: the standard's topics and makers' dialects, as a table.

Rules of this file: a topic is compared by local names, without prefixes and case, because cameras bind prefixes as they
like; the first row that fits counts; what stands in no row is not an event for the hub.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple


class EventKind(StrEnum):
    """What the hub keeps; everything else a camera may tell (relays, sound, its own users) is left out."""

    MOTION = "motion"
    TAMPER = "tamper"  # covered, blinded, turned away, out of focus
    INPUT = "input"  # a contact at the camera: a door, a button
    FAILURE = "failure"  # of its storage, fan, power or temperature


class TopicRow(NamedTuple):
    """A topic, or all below it, and what it means; `items` narrows it to messages that carry one of them."""

    path: str
    kind: EventKind
    items: frozenset[str] = frozenset()  # names of data items in lower case; empty: any


_MOTION_ITEMS: Final = frozenset(
    {"ispeople", "isvehicle", "ispet", "isintrusion", "islinecross", "ismotion", "isperson"}
)
_TAMPER_ITEMS: Final = frozenset({"istamper"})

TOPICS: Final[tuple[TopicRow, ...]] = (
    # ONVIF: Imaging, Analytics (annexes A and B), Device IO, Core section 8.8 (event topics).
    TopicRow("videosource/motionalarm", EventKind.MOTION),
    TopicRow("videosource/globalscenechange", EventKind.TAMPER),
    TopicRow("videosource/imagetooblurry", EventKind.TAMPER),
    TopicRow("videosource/imagetoodark", EventKind.TAMPER),
    TopicRow("videosource/imagetoobright", EventKind.TAMPER),
    TopicRow("videosource/signalloss", EventKind.FAILURE),
    TopicRow("device/trigger/digitalinput", EventKind.INPUT),
    TopicRow("device/hardwarefailure", EventKind.FAILURE),
    # TP-Link and Tapo send several meanings under one topic; the data item tells them apart.
    TopicRow("ruleengine/cellmotiondetector", EventKind.TAMPER, _TAMPER_ITEMS),
    TopicRow("ruleengine/tpsmarteventdetector", EventKind.TAMPER, _TAMPER_ITEMS),
    TopicRow("ruleengine/tpsmarteventdetector", EventKind.MOTION, _MOTION_ITEMS),
    TopicRow("ruleengine/peopledetector", EventKind.MOTION),
    # Rules of the analytics engine.
    TopicRow("ruleengine/cellmotiondetector", EventKind.MOTION),
    TopicRow("ruleengine/motionregiondetector", EventKind.MOTION),
    TopicRow("ruleengine/fielddetector", EventKind.MOTION),
    TopicRow("ruleengine/linedetector", EventKind.MOTION),
    TopicRow("ruleengine/tamperdetector", EventKind.TAMPER),
    # Reolink: its own detector, one topic for each thing that it recognises.
    TopicRow("ruleengine/myruledetector/tamperdetect", EventKind.TAMPER),
    TopicRow("ruleengine/myruledetector", EventKind.MOTION),
    # Hikvision.
    TopicRow("device/trigger/alarmin", EventKind.INPUT),
    TopicRow("videoanalytics/maskalarm", EventKind.TAMPER),
    TopicRow("ruleengine/vehicledetector", EventKind.MOTION),
    # Axis, whose topics stand in its own namespace, in part below the standard's.
    TopicRow("videosource/tampering", EventKind.TAMPER),
    TopicRow("cameraapplicationplatform/tampering", EventKind.TAMPER),
    TopicRow("videoanalytics/motiondetection", EventKind.MOTION),
    TopicRow("cameraapplicationplatform/vmd", EventKind.MOTION),
    TopicRow("cameraapplicationplatform/objectanalytics", EventKind.MOTION),
    TopicRow("device/sensor/pir", EventKind.MOTION),
    TopicRow("device/io/port", EventKind.INPUT),
    TopicRow("storage/disruption", EventKind.FAILURE),
    # Human shapes as user alarms, by several makers of cheap cameras.
    TopicRow("useralarm/iva/humanshapedetect", EventKind.MOTION),
    TopicRow("useralarm/videolost", EventKind.FAILURE),
)
"""Sources: ONVIF specifications; Home Assistant's `onvif` parsers; Axis' event topics; captures in public trackers.

Axis' `IO/Port` also tells of outputs: the camera says which in its source item only, so they count as inputs.
"""

STATE_ITEMS: Final = (
    *sorted(_MOTION_ITEMS | _TAMPER_ITEMS),
    *("state", "isinside", "logicalstate", "active", "motion", "tampering", "tamper"),
    *("failed", "critical", "disruption", "ishuman", "value"),
)
"""The data items that say whether something is so now, in lower case, the first that is there counts."""

_TRUE: Final = frozenset({"true", "1", "active", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "inactive", "off", "no"})


def topic_path(topic: str) -> str:
    """Reduce `tns1:Device/Trigger/tnshik:AlarmIn` to `device/trigger/alarmin`, as the table is written."""
    parts = (part.rpartition(":")[2].strip().lower() for part in topic.strip().split("/"))
    return "/".join(part for part in parts if part and part != ".")


def kind_of(topic: str, items: Iterable[str]) -> EventKind | None:
    """Say what a topic means whose message has data items of these names; None if the hub does not keep it."""
    path, names = topic_path(topic), {item.lower() for item in items}
    for row in TOPICS:
        if (path == row.path or path.startswith(row.path + "/")) and (not row.items or row.items & names):
            return row.kind
    return None


def state_of(items: Iterable[tuple[str, str]]) -> bool | None:
    """Say whether the thing is so now, by a message's data items; None if it only says that it happened."""
    told = {name.lower(): value.strip().lower() for name, value in items}
    for name in STATE_ITEMS:
        if told.get(name) in _TRUE:
            return True
        if told.get(name) in _FALSE:
            return False
    return None
