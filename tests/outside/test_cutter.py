"""The daemon's side of the cutter's child: answers, failures, and nothing left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from agent.cut.clip import CutOrder, WireChunk
from agent.errors import BadInputError, UnavailableError
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from tests.simulators.clips import cut, shown_by_pyav, window_of
from tests.simulators.h264_source import Recipe, Source, film, film_pictures
from tests.simulators.h265_source import H265Recipe, film_h265
from tests.simulators.heard import hear
from tests.simulators.jpeg_source import JpegRecipe, film_jpeg
from tests.simulators.sound_source import Microphone, noise, with_sound

SOURCE = film(Recipe())
ORDER = CutOrder(window_of(0.5, 1.9), (SOURCE.header,))


def children() -> set[str]:
    """Return the process ids of this process's children, zombies too."""
    return set(" ".join(task.read_text() for task in Path("/proc/self/task").glob("*/children")).split())


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = children()
    yield
    assert children() == before


def test_a_clip_comes_piece_by_piece_and_the_report_last() -> None:
    """The port's promise, through a real child."""
    pieces: list[bytes] = []
    report = ChildCutter().cut(ORDER, iter(SOURCE.chunks), pieces.append)
    assert len(pieces) > 2
    assert [number for _, number in shown_by_pyav(b"".join(pieces))] == list(range(13, 48))
    assert (report.pictures, report.copied, report.reencoded) == (35, 28, 7)


def test_the_parts_of_a_clip_are_cut_by_one_child() -> None:
    """Starting one costs more than copying a minute: it is kept, and gives what a new one would."""
    windows = window_of(0.5, 1.9), window_of(1.9, 2.4), window_of(20, 21), window_of(0, 0.4)
    before, seen = children(), []
    with ChildCutter().cuts() as cuts:
        for window in windows:
            order, kept, alone = CutOrder(window, ORDER.headers), [], []
            report = cuts.cut(order, SOURCE.chunks, kept.append)
            seen.append(children() - before)
            assert report == ChildCutter().cut(order, SOURCE.chunks, alone.append)
            assert bool(kept) == bool(report.pictures)
            if kept:
                assert shown_by_pyav(b"".join(kept)) == shown_by_pyav(b"".join(alone))
    assert seen == [seen[0]] * len(windows)
    assert len(seen[0]) == 1


def test_after_a_failure_the_next_part_is_cut_by_another_child() -> None:
    """Bad input ends one, whoever kills it ends another, and the camera's clip goes on."""
    poison = WireChunk(1, 0, SOURCE.chunks[0].anchor, b"not interleaved frames")
    before, seen = children(), []
    with ChildCutter().cuts() as cuts:
        for _ in range(2):
            cuts.cut(ORDER, SOURCE.chunks, lambda _: None)
            seen.append(children() - before)
        with pytest.raises(BadInputError, match="interleaved"):
            cuts.cut(ORDER, [poison], lambda _: None)
        assert children() == before
        cuts.cut(ORDER, SOURCE.chunks, lambda _: None)
        seen.append(children() - before)
        (killed,) = seen[-1]
        os.kill(int(killed), signal.SIGKILL)
        while "State:\tZ" not in Path(f"/proc/{killed}/status").read_text():
            time.sleep(0.001)
        assert cuts.cut(ORDER, SOURCE.chunks, lambda _: None).pictures == 35
        seen.append(children() - before)
    first, second, third, fourth = seen
    assert first == second
    assert len({*first, *third, *fourth}) == 3


def test_a_child_that_is_still_cutting_ends_with_the_part() -> None:
    """Whoever gives a clip up in the middle of a part leaves no child behind."""
    before, is_running, may_go_on = children(), threading.Event(), threading.Event()

    def slow() -> Iterator[WireChunk]:
        is_running.set()
        may_go_on.wait(10)
        yield from SOURCE.chunks

    cuts = ChildCutter().cuts()
    with ThreadPoolExecutor(1) as threads:
        cut = threads.submit(cuts.cut, ORDER, slow(), lambda _: None)
        assert is_running.wait(10)
        cuts.end()
        may_go_on.set()
        assert cut.result(10).pictures == 35
    assert children() == before


def test_a_window_without_pictures_gives_a_report_and_no_bytes() -> None:
    """Nothing to deliver is not an error."""
    pieces: list[bytes] = []
    report = ChildCutter().cut(CutOrder(window_of(20, 21), ORDER.headers), SOURCE.chunks, pieces.append)
    assert (pieces, report.pictures) == ([], 0)


def test_more_input_and_output_than_pipes_hold_does_not_block() -> None:
    """Both directions flow at once: far more than 64 KiB each way."""
    noise = np.random.default_rng(1).integers(0, 256, (10, 368, 640), np.uint8)
    big = film_pictures(list(noise), gop=5)
    pieces: list[bytes] = []
    ChildCutter().cut(CutOrder(window_of(0, 0.4), (big.header,)), big.chunks, pieces.append)
    assert sum(map(len, pieces)) > 500_000


@pytest.mark.parametrize("source", [film_h265(H265Recipe()), film_jpeg(JpegRecipe(pictures=60))], ids=["h265", "jpeg"])
def test_other_codecs_are_cut_in_the_child_too(source: Source) -> None:
    """Their decoders and encoders work without the system calls that the child has given up."""
    pieces: list[bytes] = []
    report = ChildCutter().cut(CutOrder(ORDER.window, (source.header,)), source.chunks, pieces.append)
    expected, same = cut([source], ORDER.window)
    assert report == same
    assert report.reencoded
    assert shown_by_pyav(b"".join(pieces)) == shown_by_pyav(expected)


@pytest.mark.parametrize(
    "mic",
    [
        Microphone(),
        Microphone("G726-32"),
        Microphone("OPUS", 48_000, channels=2, packet=960),
        Microphone("MPEG4-GENERIC", 16_000, "sizelength=13;indexlength=3;indexdeltalength=3;config=1408", packet=1),
    ],
    ids=lambda mic: mic.encoding,
)
def test_sound_is_cut_in_the_confined_child(mic: Microphone) -> None:
    """Every codec works without the system calls that a child gives up, and only if it was ordered."""
    source = with_sound(SOURCE, mic, noise(round(mic.seconds * mic.rate_hz)))
    order = CutOrder(ORDER.window, (source.header,), ORDER.window)
    pieces: list[bytes] = []
    report = ChildCutter().cut(order, source.chunks, pieces.append)
    heard, _, _ = hear(b"".join(pieces))
    assert report.sound is not None
    assert (report.pictures, report.sound.source, len(heard) > 1000) == (35, mic.encoding, True)
    silent: list[bytes] = []
    assert ChildCutter().cut(CutOrder(ORDER.window, (source.header,)), source.chunks, silent.append).sound is None
    assert len(hear(b"".join(silent))[0]) == 0


def test_poisoned_wire_bytes_are_bad_input() -> None:
    """The same bytes would fail again: do not retry."""
    poison = WireChunk(1, 0, SOURCE.chunks[0].anchor, b"not interleaved frames")
    with pytest.raises(BadInputError, match="interleaved"):
        ChildCutter().cut(ORDER, [poison], lambda _: None)


def test_an_unsupported_codec_is_named() -> None:
    """The owner learns what to change at the camera."""
    track = film(Recipe()).header.video
    header = type(SOURCE.header)(SOURCE.header.camera, 1, (type(track)(0, "video", "VP8", 96, 90_000),))
    with pytest.raises(BadInputError, match="codec not supported: VP8"):
        ChildCutter().cut(CutOrder(ORDER.window, (header,)), SOURCE.chunks, lambda _: None)


def test_a_child_that_takes_too_long_is_ended() -> None:
    """The deadline is absolute; the process is reaped."""
    with pytest.raises(UnavailableError, match=r"longer than 0\.05 s"):
        ChildCutter(ChildLimits(deadline_s=0.05)).cut(ORDER, SOURCE.chunks, lambda _: None)


def test_a_child_out_of_memory_fails_and_can_be_tried_again() -> None:
    """A limit on memory is the world's failure, not the camera's."""
    with pytest.raises(UnavailableError):
        ChildCutter(ChildLimits(memory_bytes=40 * 1024 * 1024)).cut(ORDER, SOURCE.chunks, lambda _: None)


def test_a_child_out_of_processor_time_is_a_crash() -> None:
    """The kernel ends it, the cutter says so."""
    anchor, empty_frames = SOURCE.chunks[0].anchor, b"$\x09\0\0" * 100_000
    chunks = (WireChunk(1, sequence, anchor, empty_frames) for sequence in range(1000))
    with pytest.raises(UnavailableError, match="status -"):
        ChildCutter(ChildLimits(cpu_s=1)).cut(ORDER, chunks, lambda _: None)


def test_the_errors_of_the_ring_and_the_outbox_pass_through() -> None:
    """A chunk that is gone or a full disk ends the child and is told as it is."""

    def gone() -> Iterator[WireChunk]:
        yield SOURCE.chunks[0]
        raise UnavailableError("the chunk is gone")

    def full(_: bytes) -> None:
        raise UnavailableError("the disk is full")

    with pytest.raises(UnavailableError, match="the chunk is gone"):
        ChildCutter().cut(ORDER, gone(), lambda _: None)
    with pytest.raises(UnavailableError, match="the disk is full"):
        ChildCutter().cut(ORDER, SOURCE.chunks, full)


def test_codes_are_read_through_a_child() -> None:
    """A picture without a code has none."""
    assert ChildCutter().read_codes(ORDER, SOURCE.chunks) == []


def test_stop_ends_a_cut_that_runs_and_lets_none_begin() -> None:
    """A hub that stops does not wait until its child has all it wants to read."""
    cutter, is_running, may_go_on = ChildCutter(), threading.Event(), threading.Event()

    def slow() -> Iterator[WireChunk]:
        yield SOURCE.chunks[0]
        is_running.set()
        may_go_on.wait(10)
        yield from SOURCE.chunks[1:]

    with ThreadPoolExecutor(2) as threads:
        cut = threads.submit(cutter.cut, ORDER, slow(), lambda _: None)
        assert is_running.wait(10)
        stopping = threads.submit(cutter.stop)
        has_killed = False
        while not has_killed:
            with cutter._children._changed:  # free only before it begins and after it has killed
                has_killed = cutter._children._is_ended
        may_go_on.set()
        with pytest.raises(UnavailableError):
            cut.result(10)
        stopping.result(10)
    with pytest.raises(UnavailableError, match="stopping"):
        cutter.cut(ORDER, SOURCE.chunks, lambda _: None)
