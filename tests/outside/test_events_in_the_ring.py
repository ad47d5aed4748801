"""Cameras' events on a real disk: beside the footage, by camera and window, until their slab goes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from agent.acquire.camera_event import CameraEvent, EventClock
from agent.acquire.event_topics import EventKind
from agent.acquire.stream import CameraId
from agent.buffer.event_chunk import event_chunk
from agent.clock import Window
from agent.outside.slab_files import SlabLog
from tests.simulators.ring_content import CAMERA, at
from tests.simulators.ring_log import EVERYTHING, opened, record, sequences, settle

YARD = CameraId("yard")
TOPIC = "tns1:RuleEngine/CellMotionDetector/Motion"


def tell(log: SlabLog, seconds: float, camera: CameraId = CAMERA) -> CameraEvent:
    """Append one event."""
    event = CameraEvent(EventKind.MOTION, at(seconds), 10**8, EventClock.CAMERA, TOPIC, state=True)
    log.append(*event_chunk(camera, [event], at(seconds), at(seconds + 1)))
    return event


def test_events_come_back(tmp_path: Path) -> None:
    """By camera and window, also after restarts with an open slab and a left one; in the clear they are nowhere."""
    with closing(opened(tmp_path)) as log:
        record(log, range(1, 5))
        told = [tell(log, second) for second in (1, 2, 3)]
        yard = tell(log, 2, YARD)  # a camera that is not recorded
        assert log.events(CAMERA, EVERYTHING) == ()
        settle(log)
        assert log.events(CAMERA, EVERYTHING) == tuple(told)
    with closing(opened(tmp_path)) as log:
        assert log.events(CAMERA, EVERYTHING) == tuple(told)
        assert log.events(CAMERA, Window(at(1.5), at(2.5))) == (told[1],)
        assert log.events(YARD, EVERYTHING) == (yard,)
        assert [span.camera for span in log.stats().spans] == [CAMERA]
        assert set(log.stats().usage) == {CAMERA}
        assert sequences(log) == [1, 2, 3, 4]
        record(log, range(5, 45), size=250_000)  # the first slab is left, with an index
    with closing(opened(tmp_path)) as log:
        assert log.events(CAMERA, EVERYTHING) == tuple(told)
        assert len(sequences(log)) == 44
    assert TOPIC.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_events_expire_with_their_slab(tmp_path: Path) -> None:
    """When the ring comes round, what was told then is gone, and what was told later is there."""
    with closing(opened(tmp_path)) as log:
        tell(log, 1)
        record(log, range(1, 160), size=250_000)
        late = tell(log, 100)
        settle(log)
        assert log.events(CAMERA, EVERYTHING) == (late,)


def test_a_damaged_chunk_costs_its_events_only(tmp_path: Path) -> None:
    """The others of the slab are told."""
    with closing(opened(tmp_path)) as log:
        tell(log, 1)
        settle(log)
        kept = tell(log, 2)
        settle(log)
    (slab,) = tmp_path.glob("slab-*")
    raw = bytearray(slab.read_bytes())
    raw[4096 + 170] ^= 1
    slab.write_bytes(raw)
    with closing(opened(tmp_path)) as log:
        assert log.events(CAMERA, EVERYTHING) == (kept,)
