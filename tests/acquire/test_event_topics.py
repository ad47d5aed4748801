"""What cameras call events: the standard's topics, their makers' dialects, and what is none of the hub's business."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.event_topics import TOPICS, EventKind, kind_of, state_of, topic_path


@pytest.mark.parametrize(
    ("topic", "item", "kind"),
    [
        ("tns1:VideoSource/MotionAlarm", "State", EventKind.MOTION),
        ("tns1:RuleEngine/CellMotionDetector/Motion", "IsMotion", EventKind.MOTION),
        ("tns1:RuleEngine/FieldDetector/ObjectsInside", "IsInside", EventKind.MOTION),
        ("tns1:VideoSource/GlobalSceneChange/ImagingService", "State", EventKind.TAMPER),
        ("tns1:VideoSource/ImageTooDark/AnalyticsService", "State", EventKind.TAMPER),
        ("tns1:RuleEngine/TamperDetector/Tamper", "IsTamper", EventKind.TAMPER),
        ("tns1:Device/Trigger/DigitalInput", "LogicalState", EventKind.INPUT),
        ("tns1:Device/HardwareFailure/StorageFailure", "Failed", EventKind.FAILURE),
        ("tns1:Device/HardwareFailure/TemperatureCritical", "Critical", EventKind.FAILURE),
        ("tns1:Device/Trigger/tnshik:AlarmIn", "State", EventKind.INPUT),
        ("tns1:VideoSource/tnsaxis:Tampering", "tampering", EventKind.TAMPER),
        ("tns1:Device/tnsaxis:Sensor/PIR", "state", EventKind.MOTION),
        ("tnsaxis:CameraApplicationPlatform/VMD/Camera1ProfileANY", "active", EventKind.MOTION),
        ("tns1:RuleEngine/MyRuleDetector/PeopleDetect", "State", EventKind.MOTION),
        ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsVehicle", EventKind.MOTION),
        ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsTamper", EventKind.TAMPER),
        ("tns1:RuleEngine/CellMotionDetector/TpSmartEvent", "IsTamper", EventKind.TAMPER),
        ("tns1:RuleEngine/CellMotionDetector/Intrusion", "IsIntrusion", EventKind.MOTION),
        ("  ns7:videosource / MOTIONALARM/. ", "state", EventKind.MOTION),
        ("tns1:Device/Trigger/Relay", "LogicalState", None),
        ("tns1:AudioAnalytics/Audio/DetectedSound", "IsSoundDetected", None),
        ("tns1:VideoSource/MotionAlarmSettings", "State", None),
        ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "Volume", None),
        ("", "State", None),
    ],
)
def test_what_a_topic_means(topic: str, item: str, kind: EventKind | None) -> None:
    """Prefixes and case do not count, a topic below a known one does, and the data item tells dialects apart."""
    assert kind_of(topic, [item]) is kind


def test_every_row_can_be_reached() -> None:
    """No row stands behind one that takes everything it would, and all are written as `topic_path` reduces topics."""
    for row in TOPICS:
        assert topic_path(row.path) == row.path
        assert kind_of(f"x:{row.path}", sorted(row.items)[:1]) is row.kind


@pytest.mark.parametrize(
    ("items", "state"),
    [
        ([("IsMotion", "true")], True),
        ([("IsMotion", "1")], True),
        ([("LogicalState", "inactive")], False),
        ([("Level", "0"), ("State", " FALSE ")], False),
        ([("ObjectId", "17")], None),
        ([("State", "maybe")], None),
        ([], None),
    ],
)
def test_what_a_message_says(items: list[tuple[str, str]], state: bool | None) -> None:  # noqa: FBT001 - a test's parameter
    """True, false, or only that it happened."""
    assert state_of(items) is state


@given(st.text(max_size=200), st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4))
def test_any_words_are_taken(topic: str, items: list[tuple[str, str]]) -> None:
    """Whatever a camera writes, nothing is raised, and most of it means nothing."""
    assert kind_of(topic, [name for name, _ in items]) in {None, *EventKind}
    assert state_of(items) in {True, False, None}
