"""Could the last hour be served? What is there is read back; what is not is found, measured and said in plain words."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.clock import rfc3339
from agent.health.self_test import FRESH_S, CameraTest, SelfTest, StoppedError, are_whole_frames
from agent.outside.slab_files import SlabLog
from tests.simulators.framed_ring import flip, framed, record_framed, slab_files
from tests.simulators.ring_content import CAMERA, StillClock, at, media, stream
from tests.simulators.ring_log import EVERYTHING, opened, settle

HOUR = 3600


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture
def log(tmp_path: Path, clock: StillClock) -> Iterator[SlabLog]:
    """Return an empty ring."""
    with closing(opened(tmp_path, clock=clock)) as log:
        yield log


def answer_of(
    log: SlabLog,
    clock: StillClock,
    until_s: float,
    *,
    is_thorough: bool = False,
    camera: CameraId = CAMERA,
    rest: Callable[[float], bool] = lambda _: False,
) -> CameraTest:
    """Test what there is when the footage of second `until_s` is old enough."""
    clock.wall = at(until_s + FRESH_S)
    chance = random.Random(7)  # noqa: S311 - the same chunks every time
    return SelfTest(log, clock, chance, rest).run(camera, is_thorough=is_thorough)


def test_a_whole_hour_can_be_served(log: SlabLog, clock: StillClock) -> None:
    """By default the oldest, the newest and one chunk of every five minutes are read; thoroughly, every one."""
    record_framed(log, range(1, HOUR + 101))
    answer = answer_of(log, clock, HOUR + 100)
    assert (answer.can_serve, answer.why, answer.gaps) == (True, "", ())
    assert (answer.asked_s, answer.covered_s) == (3600.0, pytest.approx(3600.0, abs=2))
    assert answer.chunks_read == 1 + 1 + 12 + 1
    assert (answer.key_interval_s_max, answer.time_source, answer.time_error_ms_max) == (4.0, "sr", 1.0)
    assert answer.tested == rfc3339(at(HOUR + 100 + FRESH_S))
    whole = answer_of(log, clock, HOUR + 100, is_thorough=True)
    assert whole.can_serve
    assert whole.chunks == answer.chunks
    assert whole.chunks_read == whole.chunks + 1
    assert HOUR <= whole.chunks <= HOUR + 6


def test_a_new_camera_is_asked_for_what_it_was_there(log: SlabLog, clock: StillClock) -> None:
    """Nobody can serve what was before."""
    record_framed(log, range(1, 101))
    answer = answer_of(log, clock, 100.9)
    assert answer.can_serve
    assert answer.asked_s == answer.covered_s == pytest.approx(99.9, abs=0.1)


@pytest.mark.parametrize(("missing_s", "can_serve"), [(10, True), (100, False)])
def test_missing_numbers_are_a_gap(log: SlabLog, clock: StillClock, missing_s: int, *, can_serve: bool) -> None:
    """It is listed with its length; more than a minute of the hour is too much."""
    record_framed(log, [*range(1, 1000), *range(1000 + missing_s, 2000)])
    answer = answer_of(log, clock, 2000)
    assert (answer.can_serve, answer.gaps_found) == (can_serve, 1)
    (gap,) = answer.gaps
    assert (gap.start, gap.why) == (rfc3339(at(999.9)), "chunks are missing")
    assert gap.seconds == pytest.approx(missing_s + 0.1)
    assert answer.asked_s - answer.covered_s == pytest.approx(missing_s, abs=1.5)
    assert can_serve or answer.why == "2 of the last 33 minutes are missing"


def test_one_missing_chunk_is_found(log: SlabLog, clock: StillClock) -> None:
    """However short it is."""
    record_framed(log, [*range(1, 50), *range(51, 100)])
    answer = answer_of(log, clock, 100)
    assert [round(gap.seconds, 3) for gap in answer.gaps] == [1.1]
    assert answer.can_serve


def test_a_time_between_two_sessions_is_a_gap(log: SlabLog, clock: StillClock) -> None:
    """What a camera that was away did not send is not there, and nothing is broken."""
    record_framed(log, range(1, 100))
    record_framed(log, range(500, 600), run=2)
    record_framed(log, range(601, 700), run=3)
    answer = answer_of(log, clock, 700)
    assert [(gap.start, gap.why) for gap in answer.gaps] == [(rfc3339(at(99.9)), "nothing was recorded")]
    assert answer.why == "7 of the last 12 minutes are missing"


def test_a_ring_that_is_too_small_is_said(log: SlabLog, clock: StillClock) -> None:
    """The oldest chunk is not its run's first one: what came before has left."""
    record_framed(log, range(2000, HOUR))
    answer = answer_of(log, clock, HOUR)
    assert answer.asked_s == 3600.0
    assert answer.why == "33 of the last 60 minutes are missing; what is older has left the ring already"


def test_a_camera_without_footage(log: SlabLog, clock: StillClock) -> None:
    """Its hour cannot be served."""
    assert answer_of(log, clock, HOUR).why == "nothing was recorded in the last hour"


def test_key_pictures_that_are_too_rare(log: SlabLog, clock: StillClock) -> None:
    """A cut must begin with one."""
    record_framed(log, [1], is_key=True)
    log.append(*stream())
    for sequence in range(2, 90):
        log.append(media(sequence, is_key=False), framed(sequence))
    settle(log)
    answer = answer_of(log, clock, 90)
    assert answer.key_interval_s_max == 88.0
    assert answer.why == "no key picture for 88 s"


def test_flipped_bytes_are_found(log: SlabLog, clock: StillClock, tmp_path: Path) -> None:
    """In the newest chunk by every test, in any other by a thorough one."""
    record_framed(log, range(1, 400))
    chunks = log.footage(CAMERA, EVERYTHING).chunks
    flip(tmp_path, chunks[-1])
    answer = answer_of(log, clock, 400)
    assert (answer.can_serve, answer.chunks_bad) == (False, 1)
    newest = rfc3339(chunks[-1].meta.first_picture)
    assert answer.why.startswith(f"1 of {answer.chunks_read + 1} chunks cannot be read, the first one of {newest}: ")
    assert "front-door cannot be read" in answer.why
    flip(tmp_path, chunks[-1])
    flip(tmp_path, chunks[200])
    assert answer_of(log, clock, 400, is_thorough=True).chunks_bad == 1


def test_a_deleted_slab_is_found(log: SlabLog, clock: StillClock, tmp_path: Path) -> None:
    """The index still names what is not there any more."""
    record_framed(log, range(1, 200), size=60_000)
    first, *others = slab_files(tmp_path)
    assert others
    first.unlink()
    answer = answer_of(log, clock, 200)
    assert not answer.can_serve
    assert "slab file 0 cannot be read: No such file or directory" in answer.why


def test_a_damaged_stream_header_is_found(log: SlabLog, clock: StillClock, tmp_path: Path) -> None:
    """Without it no picture of the run can be read."""
    record_framed(log, range(1, 400))
    flip(tmp_path, log.footage(CAMERA, EVERYTHING).headers[0])
    assert answer_of(log, clock, 400).chunks_bad == 1


def test_a_payload_that_is_no_frames_is_found(log: SlabLog, clock: StillClock) -> None:
    """It decrypts, and is not what the recorder writes."""
    log.append(*stream())
    log.append(media(1), framed(1) + b"x")
    settle(log)
    assert "does not hold whole frames" in answer_of(log, clock, 20).why


def test_footage_that_leaves_meanwhile_is_no_fault(log: SlabLog, clock: StillClock) -> None:
    """The ring goes on while it is tested."""
    record_framed(log, range(1, 60), size=60_000)
    rested: list[float] = []

    def rest(seconds: float) -> bool:
        if len(rested) == 11:  # after the index of the last five minutes was asked for, before a chunk is read
            record_framed(log, range(60, 800), size=60_000)
        rested.append(seconds)
        return False

    answer = answer_of(log, clock, 60, rest=rest)
    assert answer.chunks_read == 0
    assert (answer.chunks_bad, answer.chunks) == (0, 59)


def test_it_stops_when_it_is_told_to(log: SlabLog, clock: StillClock) -> None:
    """In the middle of an hour."""
    record_framed(log, range(1, 100))
    answers = iter([False, False, True])
    with pytest.raises(StoppedError):
        answer_of(log, clock, 100, rest=lambda _: next(answers))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20), st.integers(1, 20))
def test_frames_end_where_the_payload_ends(packets: list[bytes], short_by: int) -> None:
    """Whole frames are whole; with less or more at the end they are not."""
    payload = b"".join(b"$\0" + len(packet).to_bytes(2) + packet for packet in packets)
    assert are_whole_frames(payload)
    cut = payload[: -min(short_by, 4 + len(packets[-1]) - 1)]
    assert not are_whole_frames(cut)
    assert not are_whole_frames(payload + b"$")
    assert not are_whole_frames(b"")


@given(st.binary(max_size=200))
def test_anything_is_looked_at_without_an_error(payload: bytes) -> None:
    """What was never a frame."""
    assert are_whole_frames(payload) in {True, False}
