"""The latch keeps each camera's newest picture group and nothing else."""

from __future__ import annotations

import pytest

from agent.acquire.camera_event import CameraEvent, EventClock
from agent.acquire.event_topics import EventKind
from agent.acquire.stream import CameraId
from agent.buffer.event_chunk import event_chunk
from agent.buffer.latch import LATCH_BYTES_MAX, LATCH_CAMERAS_MAX, KeyFrameLatch
from agent.errors import BadInputError
from tests.simulators.ring_content import CAMERA, media, stream


def sequences(latch: KeyFrameLatch) -> list[int]:
    """Return which chunks are kept."""
    newest = latch.newest(CAMERA)
    return [meta.sequence for meta, _ in newest[1]] if newest else []


def test_it_keeps_what_came_since_the_newest_key_chunk() -> None:
    """Older picture groups are gone; the stream's header comes with the chunks."""
    latch = KeyFrameLatch()
    latch.append(*stream())
    for sequence in range(1, 7):
        latch.append(media(sequence), b"wire")
    latch.commit()
    assert sequences(latch) == [4, 5, 6]
    newest = latch.newest(CAMERA)
    assert newest is not None
    assert newest[0].camera == CAMERA
    assert latch.cameras() == (CAMERA,)


def test_there_is_nothing_before_the_first_key_chunk() -> None:
    """Neither an unknown camera nor one without a key picture has anything."""
    latch = KeyFrameLatch()
    latch.append(media(4), b"no stream yet")
    latch.append(*stream())
    latch.append(media(1), b"not key")
    assert latch.newest(CAMERA) is None
    assert latch.cameras() == ()


def test_a_new_run_begins_with_nothing() -> None:
    """Chunks of another run than the header's are not kept under it."""
    latch = KeyFrameLatch()
    latch.append(*stream())
    latch.append(media(4), b"wire")
    latch.append(*stream(run=2))
    latch.append(media(5), b"of run 1")
    assert latch.newest(CAMERA) is None


def test_memory_is_bounded() -> None:
    """What exceeds the limit is left out up to the next key chunk, without a hole in what is kept."""
    latch = KeyFrameLatch()
    latch.append(*stream())
    latch.append(media(4), bytes(LATCH_BYTES_MAX - 10))
    latch.append(media(5), bytes(11))
    latch.append(media(6), bytes(1))
    assert sequences(latch) == [4]
    latch.append(media(8), b"next group")
    assert sequences(latch) == [8]


def test_cameras_are_bounded() -> None:
    """A camera beyond the limit is not kept."""
    latch = KeyFrameLatch()
    for number in range(LATCH_CAMERAS_MAX + 1):
        camera = CameraId(f"camera-{number}")
        latch.append(*stream(camera))
        latch.append(media(0, camera=camera), b"wire")
    assert len(latch.cameras()) == LATCH_CAMERAS_MAX


def test_a_bad_stream_header_is_refused() -> None:
    """A stream chunk that is no stream header is the sender's error."""
    with pytest.raises(BadInputError):
        KeyFrameLatch().append(stream()[0], b"{}")


def test_events_are_passed_over() -> None:
    """A hub without owner keeps nothing of what cameras tell, and its pictures stay as they are."""
    latch = KeyFrameLatch()
    latch.append(*stream())
    latch.append(media(1, is_key=True), b"key")
    before = latch.newest(CAMERA)
    event = CameraEvent(EventKind.MOTION, 5, 1, EventClock.CAMERA, "t")
    for camera in (CAMERA, CameraId("new")):
        latch.append(*event_chunk(camera, [event], 1, media(1).last_arrival))
    assert latch.newest(CAMERA) == before is not None
    assert latch.cameras() == (CAMERA,)
