"""Events as bytes: the vectors, and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.camera_event import EVENTS_MAX, CameraEvent, EventClock, decode_events, encode_events
from agent.acquire.event_topics import EventKind
from agent.errors import BadInputError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/buffer/vectors.json").read_text())
WORDS = st.text(st.characters(categories=("L", "N", "P"), include_characters=" "))
EVENTS = st.builds(
    CameraEvent,
    kind=st.sampled_from(EventKind),
    at=st.integers(0, 2**62),
    error_ns=st.integers(0, 2**62),
    clock=st.sampled_from(EventClock),
    topic=WORDS.map(lambda text: text[:128]),
    source=WORDS.map(lambda text: text[:64]),
    state=st.none() | st.booleans(),
    is_initial=st.booleans(),
)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["of"] == "events"], ids=lambda v: v["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """The good payload is read and written again; each bad one is refused for its one failure."""
    payload = bytes.fromhex(vector["hex"])
    if vector["failure"]:
        with pytest.raises(BadInputError):
            decode_events(payload)
    else:
        motion, door = decode_events(payload)
        assert (motion.kind, motion.state, motion.source) == (EventKind.MOTION, True, "source/Zone 1")
        assert (door.kind, door.state, door.clock) == (EventKind.INPUT, None, EventClock.ARRIVAL)
        assert encode_events([motion, door]) == payload


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_events_come_back(events: list[CameraEvent]) -> None:
    """What was encoded is decoded to the same events."""
    assert decode_events(encode_events(events)) == tuple(events)


@given(st.binary(max_size=300))
def test_noise_is_refused(payload: bytes) -> None:
    """Bytes that no hub wrote raise BadInputError and nothing else."""
    with pytest.raises(BadInputError):
        decode_events(payload)


def test_what_could_not_be_read_back_is_not_written() -> None:
    """Too many events, none at all, and texts that a camera must not smuggle in."""
    event = CameraEvent(EventKind.MOTION, 1, 0, EventClock.CAMERA, "t")
    for events in ([], [event] * (EVENTS_MAX + 1)):
        with pytest.raises(BadInputError):
            encode_events(events)
    for topic in ("t" * 129, "a\nb", "\x1b[2J"):
        with pytest.raises(BadInputError):
            encode_events([CameraEvent(EventKind.MOTION, 1, 0, EventClock.CAMERA, topic)])
