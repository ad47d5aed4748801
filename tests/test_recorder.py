"""Story one against scripted cameras on real sockets: what is in the ring is what the camera sent."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

import pytest

from agent.acquire.camera import CameraStream, Login
from agent.acquire.camera_event import CameraEvent, EventClock, decode_events
from agent.acquire.event_topics import EventKind
from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId, decode_stream_header
from agent.acquire.timeline import Anchor, ClockOffset, ClockSource
from agent.buffer.chunk import ChunkKind
from agent.clock import SECOND_NS, TimeSource
from agent.crypto import Secret
from agent.recorder import TELL_EVERY_S
from tests.simulators.chunk_list import ChunkList
from tests.simulators.recorder_bench import DOOR, YARD, Bench, recording, stream_of
from tests.simulators.rtsp_camera import CameraScript, RtspCamera


def test_ring_holds_the_bytes_the_camera_sent() -> None:
    """Joined chunks are a prefix of the camera's frames; headers, sequence numbers and key flags stand as promised."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: len(bench.sink.of(DOOR)) >= 8)
        chunks = list(bench.sink.chunks)
    assert camera.media[0].startswith(bench.stored())
    assert len(bench.stored()) > 40_000
    first, payload = chunks[0]
    assert (first.kind, first.sequence) == (ChunkKind.STREAM, 0)
    header = decode_stream_header(payload)
    assert (header.camera, header.run, header.name, header.video.encoding) == (DOOR, first.run, "Front door", "H264")
    assert [meta.sequence for meta, _ in chunks] == list(range(len(chunks)))
    assert chunks[1][0].is_key
    assert bench.sink.commits > 0
    assert camera.methods()[-1] == "TEARDOWN"


def dated_by_reports(bench: Bench) -> list[Anchor]:
    """Return what dates the chunks that are dated by the camera's own clock."""
    anchors = [meta.anchor for meta, _ in bench.sink.of(DOOR)]
    return [anchor for anchor in anchors if anchor.source is ClockSource.SR_ONVIF]


def test_pictures_are_dated_by_arrival_then_by_sender_reports() -> None:
    """The first chunk's time comes from arrival, later ones from reports and the known offset, all near the truth."""
    began = time.time_ns()
    offset = ClockOffset(-5_000_000, 5_000_000)
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera, clock=offset)) as bench:
        bench.wait_until(lambda: dated_by_reports(bench) and len(bench.sink.of(DOOR)) >= 8)
        metas = [meta for meta, _ in bench.sink.of(DOOR)]
        for anchor in dated_by_reports(bench):
            assert 5_000_000 <= anchor.error_ns < SECOND_NS  # the offset's own, and what its drift may be
    for meta in metas:
        assert began - SECOND_NS < meta.first_picture <= meta.last_picture < time.time_ns() + SECOND_NS
        assert meta.first_arrival <= meta.last_arrival


def test_absurd_sender_reports_show_in_health() -> None:
    """A camera whose clock is an hour off its measured offset is recorded by arrival, and its reports are counted."""
    hour = 3600 * SECOND_NS
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera, clock=ClockOffset(hour, hour))) as bench:
        bench.wait_until(lambda: bench.health().reports_ignored >= 2 and bench.sink.of(DOOR))
    assert {meta.anchor.source for meta, _ in bench.sink.of(DOOR)} == {ClockSource.ARRIVAL}


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_digest_login(algorithm: str) -> None:
    """A camera with a password is recorded, whether it speaks MD5 or SHA-256 only; the password is never sent."""
    script = CameraScript(user="owner", password="hunter2", algorithm=algorithm)  # noqa: S106 - a test's password
    with RtspCamera(script) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.sink.of(DOOR))
        assert bench.health().error == ""
    assert not [headers for _, headers in camera.requests if "Basic" in headers.get("authorization", "")]


def test_wrong_password_waits_long_and_says_so() -> None:
    """One refused answer, then ten minutes of peace; health tells what to do and no secret."""
    script = CameraScript(user="owner", password="right")  # noqa: S106 - a test's password
    with RtspCamera(script) as camera:
        wrong = replace(stream_of(camera), login=Login("owner", Secret("hunter2")))
        with recording(wrong) as bench:
            bench.wait_until(lambda: bench.health().state is CameraState.LOGIN_REFUSED)
            health, seen = bench.health(), bench.clock.instant()
            bench.recorder.add(stream_of(camera))  # the owner corrects it: tried at once
            bench.wait_until(lambda: bench.sink.of(DOOR))
    assert health.next_try_at is not None
    assert health.next_try_at - seen > 590 * SECOND_NS
    assert "password" in health.error
    assert "minutes" in health.error
    assert "hunter2" not in health.error
    assert camera.methods()[:3] == ["OPTIONS", "DESCRIBE", "DESCRIBE"]


def test_keep_alives_and_the_cameras_requests_do_not_reach_the_ring() -> None:
    """Answers and requests of the camera stand between its frames, are acted on, and are not stored."""
    with RtspCamera(CameraScript(session_timeout_s=1, asks_options=True)) as camera:
        with recording(stream_of(camera)) as bench:
            bench.wait_until(lambda: "GET_PARAMETER" in camera.methods() and len(camera.responses) >= 2)
            stored = len(bench.stored())
            bench.wait_until(lambda: len(bench.stored()) > stored + 20_000)
        assert camera.media[0].startswith(bench.stored())
    assert camera.responses == ["RTSP/1.0 200 OK"] * 2
    assert camera.sessions == 1


def test_disconnect_begins_a_new_run_after_a_short_wait() -> None:
    """Each session is a run of its own with a header of its own; run numbers rise; what came before is kept."""
    with RtspCamera(CameraScript(pictures_per_session=12)) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: len(bench.runs()) >= 3)
        health = bench.health()
    assert sorted(set(bench.runs())) == bench.runs()
    assert health.reconnects >= 2
    assert "closed the connection" in health.error or health.state is CameraState.RECORDING
    first = b"".join(payload for meta, payload in bench.sink.of(DOOR) if meta.run == bench.runs()[0])
    assert first == camera.media[0]


def test_garbage_ends_the_session_and_keeps_what_was_whole() -> None:
    """Bytes that are neither frame nor message cost a reconnect, not what came before them."""
    with RtspCamera(CameraScript(garbage_after=6)) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: len(bench.runs()) >= 2)
        runs = bench.runs()
    first = b"".join(payload for meta, payload in bench.sink.of(DOOR) if meta.run == runs[0])
    assert first.startswith(camera.media[0])


def test_dead_and_silent_cameras_do_not_disturb_a_good_one() -> None:
    """Beside a port that refuses, one that never answers and a name that cannot be dialed, the good one records on."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead_url = f"rtsp://127.0.0.1:{closed.getsockname()[1]}/"
    with RtspCamera(CameraScript()) as good, RtspCamera(CameraScript(is_silent=True)) as silent:
        others = {"dead": dead_url, "silent": silent.url, "named": "rtsp://camera.example/"}
        streams = [CameraStream(CameraId(name), name, url, None, None) for name, url in others.items()]
        with recording(stream_of(good, YARD), *streams) as bench:
            bench.wait_until(lambda: len(bench.sink.of(YARD)) >= 10)
            bench.wait_until(lambda: "refused" in bench.health(CameraId("dead")).error)
            bench.wait_until(lambda: "IP address" in bench.health(CameraId("named")).error)
    assert good.media[0].startswith(bench.stored(YARD))
    assert good.sessions == 1


def test_broken_ring_does_not_stop_reading() -> None:
    """Chunks that the ring cannot take are counted and leave a gap in the numbers; the session goes on."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.sink.is_broken = True
        bench.wait_until(lambda: bench.health().chunks_lost >= 2)
        bench.sink.is_broken = False
        bench.wait_until(lambda: len(bench.sink.of(DOOR)) >= 3)
        metas = [meta for meta, _ in bench.sink.chunks]
    assert camera.sessions == 1
    assert metas[0].kind is ChunkKind.STREAM
    assert metas[1].sequence > 1


def test_new_sink_begins_a_new_run_with_a_key_picture() -> None:
    """After `replace_sink` the new place has a header and a key chunk first; the camera is not reconnected."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.sink.of(DOOR))
        other = ChunkList()
        bench.recorder.replace_sink(other)
        other.wait_until(lambda: len(other.of(DOOR)) >= 2)
        header, first = other.chunks[0][0], other.chunks[1][0]
    assert header.kind is ChunkKind.STREAM
    assert header.run > bench.runs()[0]
    assert first.is_key
    assert camera.sessions == 1


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_step_of_the_hubs_clock_begins_a_new_run_without_a_gap(step_s: int) -> None:
    """Nothing is rewritten and no byte is lost; the new run's number is higher even if the clock went back."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.sink.of(DOOR))
        bench.clock.step_ns = step_s * SECOND_NS
        bench.wait_until(lambda: len(bench.runs()) >= 2 and bench.sink.of(DOOR)[-1][0].run == bench.runs()[-1])
        metas = [meta for meta, _ in bench.sink.of(DOOR)]
    assert camera.media[0].startswith(bench.stored())
    assert bench.runs() == sorted(bench.runs())
    told = bench.recorder.clock_changes[-1]
    assert (told.is_step, told.source) == (True, TimeSource.NETWORK)
    assert bench.runs()[0] < told.first_run <= bench.runs()[-1]
    old, new = metas[0], metas[-1]
    assert abs(new.first_picture - old.first_picture - step_s * SECOND_NS) < 60 * SECOND_NS


def test_a_clock_that_somebody_else_vouches_for_begins_a_new_run() -> None:
    """From which run on is told, and no byte is lost; whichever run comes then is numbered from there."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.sink.of(DOOR))
        bench.clock.source = TimeSource.NONE
        bench.wait_until(lambda: len(bench.runs()) >= 2)
        first, second = bench.recorder.clock_changes
    assert camera.media[0].startswith(bench.stored())
    assert (first.number, first.source, second.number, second.source) == (1, TimeSource.NETWORK, 2, TimeSource.NONE)
    assert first.first_run <= bench.runs()[0] < second.first_run <= bench.runs()[1]


def test_newer_measurement_of_the_cameras_clock_goes_on_in_the_same_run() -> None:
    """What it says is believed from there on, and nothing is interrupted."""
    with RtspCamera(CameraScript(sends_reports=True)) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.sink.of(DOOR))
        bench.recorder.add(stream_of(camera, clock=ClockOffset(-5_000_000, 5_000_000)))
        bench.wait_until(lambda: bench.sink.of(DOOR)[-1][0].anchor.source is ClockSource.SR_ONVIF)
        bench.recorder.add(stream_of(camera, clock=ClockOffset(-6_000_000, 2_000_000)))
        bench.wait_until(lambda: bench.health().clock_offset_error_ns == 6_000_000)
        assert len(bench.runs()) == 1
    assert camera.sessions == 1


def test_what_was_measured_before_the_hubs_clock_was_set_is_void() -> None:
    """It dates no picture after the step, also when it is told again; a new one does from the next report on."""
    old, new = ClockOffset(-5_000_000, 5_000_000), ClockOffset(-5_000_000, 4_000_000)
    with RtspCamera(CameraScript(sends_reports=True)) as camera, recording(stream_of(camera, clock=old)) as bench:
        bench.wait_until(lambda: bench.health().time_source is ClockSource.SR_ONVIF)
        bench.clock.step_ns = SECOND_NS // 5
        bench.wait_until(lambda: len(bench.runs()) == 2 and bench.health().clock_offset_ns is None)
        bench.recorder.add(stream_of(camera, clock=old))
        chunks = len(bench.sink.of(DOOR))
        bench.wait_until(lambda: len(bench.sink.of(DOOR)) > chunks + 3)
        second = [meta.anchor.source for meta, _ in bench.sink.of(DOOR) if meta.run == bench.runs()[1]]
        assert ClockSource.SR_ONVIF not in second
        bench.recorder.add(stream_of(camera, clock=new))
        bench.wait_until(lambda: bench.sink.of(DOOR)[-1][0].anchor.source is ClockSource.SR_ONVIF)
    assert camera.sessions == 1


def test_events_are_stored_beside_the_pictures() -> None:
    """What a camera told goes into the ring with the next commit, in chunks of at most 64, numbered upwards."""
    event = CameraEvent(EventKind.MOTION, 5, 1, EventClock.CAMERA, "tns1:VideoSource/MotionAlarm")
    with recording() as bench:
        bench.recorder.note_events(YARD, (event,) * 100)
        bench.recorder.note_events(DOOR, (event,))
        bench.wait_until(lambda: len(bench.sink.chunks) == 3)
        first, second = bench.sink.of(YARD, ChunkKind.EVENTS)
        assert [len(decode_events(payload)) for _, payload in (first, second)] == [64, 36]
        assert first[0].sequence < second[0].sequence < bench.sink.of(DOOR, ChunkKind.EVENTS)[0][0].sequence
        bench.sink.is_broken = True
        bench.recorder.note_events(DOOR, (event,))
        commits = bench.sink.commits
        bench.wait_until(lambda: bench.sink.commits > commits + 1)
        bench.sink.is_broken = False
        bench.recorder.note_events(DOOR, (event,))
        bench.wait_until(lambda: len(bench.sink.of(DOOR, ChunkKind.EVENTS)) == 2)


def test_removed_camera_is_left_politely() -> None:
    """TEARDOWN, what came is stored, and its health is gone."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.sink.of(DOOR))
        bench.recorder.remove(DOOR)
        bench.wait_until(lambda: "TEARDOWN" in camera.methods())
        bench.wait_until(lambda: bench.recorder.health() == ())


def test_health_tells_what_happens() -> None:
    """A recording camera shows bytes, chunks, key interval and last byte; the loop's beat moves."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        beat = bench.recorder.last_tick
        bench.wait_until(lambda: bench.health().key_interval_s is not None and bench.health().chunks > 3)
        health = bench.health()
        assert bench.recorder.last_tick > beat
    assert health.state is CameraState.RECORDING
    assert health.bytes_received > 10_000
    assert health.key_interval_s is not None
    assert 0.03 < health.key_interval_s < 0.5
    assert health.last_byte is not None
    assert bench.health().state is CameraState.STOPPED


def test_numbers_of_runs_rise_above_what_the_ring_has() -> None:
    """Also where the hub's clock was far ahead once, from the start and when the ring comes later."""
    ahead = time.time_ns() + 3600 * SECOND_NS
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera), last_run=ahead) as bench:
        bench.wait_until(lambda: bench.sink.of(DOOR))
        other = ChunkList()
        bench.recorder.replace_sink(other, 2 * ahead)
        other.wait_until(lambda: other.of(DOOR))
    assert bench.runs()[0] > ahead
    assert other.chunks[0][0].run > 2 * ahead


def test_health_is_told_at_once_when_a_state_changes_and_else_now_and_then() -> None:
    """Numbers may be some seconds old, the word for how the camera does may not; telling costs more than a tick."""
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.wait_until(lambda: bench.health().state is CameraState.RECORDING)
        began, told, stored = bench.clock.instant(), [bench.recorder.health()], len(bench.stored())

        def is_enough() -> bool:
            if bench.recorder.health() is not told[-1]:
                told.append(bench.recorder.health())
            return len(bench.stored()) > stored + 400_000

        bench.wait_until(is_enough)  # half a second, if nothing holds it up: some 25 ticks
        passed_s = (bench.clock.instant() - began) / SECOND_NS
    assert len(told) <= 2 + passed_s / TELL_EVERY_S
    assert bench.health().bytes_received > 400_000


def test_what_the_owner_does_not_let_be_recorded_is_not_recorded() -> None:
    """Within a tick every camera is left and told as not recorded, its events too; it goes on when it may again."""
    may_record = [True]
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera)) as bench:
        bench.recorder.obey(lambda _: may_record[0])
        bench.wait_until(lambda: len(bench.sink.of(DOOR)) >= 4)
        may_record[0] = False
        bench.wait_until(lambda: bench.health().state is CameraState.OFF)
        bench.wait_until(lambda: camera.methods()[-1] == "TEARDOWN")
        commits = bench.sink.commits
        bench.wait_until(lambda: bench.sink.commits > commits)
        stored, commits = len(bench.sink.chunks), bench.sink.commits
        bench.recorder.note_events(DOOR, (CameraEvent(EventKind.MOTION, 5, 1, EventClock.CAMERA, "tns1:Any"),))
        bench.wait_until(lambda: bench.sink.commits > commits + 2)
        assert len(bench.sink.chunks) == stored
        may_record[0] = True
        bench.wait_until(lambda: len(bench.sink.chunks) > stored + 4)
        bench.wait_until(lambda: bench.health().state is CameraState.RECORDING)
    assert len({meta.run for meta, _ in bench.sink.of(DOOR)}) > 1
