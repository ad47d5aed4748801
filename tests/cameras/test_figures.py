"""What a camera's recording has come to: counts that never fall, figures of now."""

from __future__ import annotations

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.reader import Reader
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset, ClockSource
from agent.cameras.figures import CameraFigures
from agent.clock import SECOND_NS, Instant, WallTime
from tests.simulators.reader_talk import Talk
from tests.simulators.ring_content import media
from tests.simulators.rtsp_camera import rtp_frame

STREAM = CameraStream(CameraId("door"), "Door", "rtsp://192.0.2.1/", None, ClockOffset(100, 300))


def health(figures: CameraFigures, reader: Reader | None = None) -> CameraHealth:
    """Ask ten seconds on."""
    return figures.health(STREAM, CameraState.RECORDING, "", reader, Instant(10 * SECOND_NS))


def session(*numbers: int) -> Reader:
    """Return a session in which packets with these numbers came, each a picture."""
    talk = Talk()
    talk.play()
    for number in numbers:
        talk.feed(rtp_frame(0, number, number * 3600, b"\x65" + bytes(100), marker=True))
    return talk.reader


def test_before_anything_came_there_is_nothing_to_tell() -> None:
    """Nothing is zero where nobody knows."""
    said = health(CameraFigures())
    assert (said.camera, said.state, said.clock_offset_ns, said.clock_offset_error_ns) == (
        STREAM.camera,
        CameraState.RECORDING,
        200,
        100,
    )
    assert (said.last_byte, said.key_interval_s, said.time_source, said.time_error_ns) == (None, None, None, None)
    assert (said.bytes_received, said.pictures, said.packets, said.chunks) == (0, 0, 0, 0)


def test_counts_go_on_over_sessions() -> None:
    """What a session counted stays when it has ended; the next one adds to it."""
    figures = CameraFigures()
    first, second = session(1, 2, 4), session(9)
    assert (health(figures, first).pictures, health(figures, first).packets_lost) == (3, 1)
    figures.session_ended(first)
    assert (health(figures).pictures, health(figures).packets, health(figures).packets_lost) == (3, 3, 1)
    assert (health(figures, second).pictures, health(figures, second).packets_lost) == (4, 1)


def test_what_was_late_and_not_lost_stays_counted() -> None:
    """A count that is shown never falls."""
    figures, talk = CameraFigures(), Talk()
    talk.play()
    for number in (1, 2, 4):
        talk.feed(rtp_frame(0, number, number * 3600, b"\x65" + bytes(100), marker=True))
    assert health(figures, talk.reader).packets_lost == 1
    talk.feed(rtp_frame(0, 3, 5 * 3600, b"\x65" + bytes(100), marker=True))
    talk.feed(rtp_frame(0, 5, 6 * 3600, b"\x65" + bytes(100), marker=True))
    assert talk.reader.counts.video_packets_lost == 0
    assert health(figures, talk.reader).packets_lost == 1


def test_the_key_interval_is_that_of_the_newest_two_or_longer_if_one_is_overdue() -> None:
    """Within a run: a new one begins with a key picture that says nothing of the camera's habit."""
    figures = CameraFigures()
    for sequence, is_key in ((1, True), (2, False), (3, True)):
        figures.stored(media(sequence, is_key=is_key))
    assert health(figures).key_interval_s == 2
    figures.stored(media(8, is_key=False))
    assert health(figures).key_interval_s == 5
    figures.stored(media(9, run=2, is_key=True))
    assert health(figures).key_interval_s == 2
    assert health(figures).chunks == 5
    assert health(figures).time_source is ClockSource.SR


def test_what_the_newest_pictures_say_ends_with_their_session() -> None:
    """Nobody knows the bound of pictures that do not come."""
    figures = CameraFigures()
    figures.last_byte = WallTime(5), Instant(6)
    figures.stored(media(1, is_key=True))
    figures.session_ended(None)
    assert health(figures).time_error_ns is None
    assert (health(figures).last_byte, health(figures).last_byte_at, health(figures).chunks) == (5, 6, 1)
