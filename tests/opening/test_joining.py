"""Parts become one movie: every picture of them, at its time, copied; proven by the log of the camera."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest

from agent.clock import SECOND_NS, WallTime
from agent.demo.clip_proof import How, prove
from agent.errors import BadInputError
from agent.opening.clip_boxes import BoxedSample, take_apart
from agent.opening.joining import PICTURE_BYTES_MAX, JoinPlan, OpenedPart, held_back, plan_movies
from tests.simulators.clips import cut, shown_by_ffmpeg, window_of
from tests.simulators.h264_source import Recipe
from tests.simulators.h264_source import film as film_gray
from tests.simulators.logged_streams import Sort, film, log_of
from tests.simulators.parted_clips import cut_in_parts, joined, opened
from tests.simulators.sound_source import Microphone, noise, with_sound

SORTS = [
    Sort(gops_s=(2.0,)),
    Sort(b_frames="two"),
    Sort(codec="h265", b_frames="two", is_open=True),
]


def one_plan(parts: list[OpenedPart]) -> JoinPlan:
    """Plan parts that fit into one movie."""
    (plan,) = plan_movies(parts)
    assert isinstance(plan, JoinPlan)
    return plan


@pytest.mark.parametrize("sort", SORTS, ids=map(str, SORTS))
def test_a_joined_movie_is_exact(sort: Sort) -> None:
    """The camera's log explains every byte: no picture is lost at a border or there twice, all have their times."""
    filmed = film(sort)
    parted = cut_in_parts(filmed, (0.15, 0.33, 0.52, 0.9))
    assert all(part.proof.is_exact for part in parted.cuts)
    plan = one_plan([opened(clip, report) for clip, report in zip(parted.clips, parted.reports, strict=True)])
    movie = joined(plan, parted.clips)
    proof = prove([movie], log_of(filmed), parted.window)
    assert proof.is_exact, (proof.faults, proof.outside, proof.missing)
    assert len(proof.accounts) == sum(report.pictures for report in parted.reports)
    assert proof.count(How.REENCODED) == sum(report.reencoded for report in parted.reports)
    assert take_apart(movie).faults == ()


def dependent_pictures(clip: bytes) -> list[bytes]:
    """Take all samples out of a file but the sync samples, before which H.265 has parameter sets."""
    return [clip[sample.begin : sample.end] for sample in take_apart(clip).video.samples if not sample.is_sync]


def pictures(clip: bytes) -> list[np.ndarray]:
    """Play a clip."""
    with av.open(io.BytesIO(clip)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_parts_with_other_parameter_sets_share_a_movie(codec: str) -> None:
    """A camera that was set up anew between two parts: both decode to the same pictures, joined as alone."""
    parts, clips = [], []
    for number, b_frames in enumerate(("none", "two")):
        made = cut_in_parts(film(Sort(codec=codec, b_frames=b_frames, seconds=2.0)), (0.1, 0.8))
        first = made.reports[0].first_picture
        assert first is not None
        clips += made.clips
        parts.append(OpenedPart(take_apart(made.clips[0]), WallTime(first + number * 60 * SECOND_NS)))
    plan = one_plan(parts)
    movie = joined(plan, clips)
    together, apart = pictures(movie), [picture for clip in clips for picture in pictures(clip)]
    assert len(together) == len(apart)
    assert all(np.array_equal(one, other) for one, other in zip(together, apart, strict=True))


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_border_inside_an_edge_leaves_no_trace(codec: str) -> None:
    """Joined, an edge that came in two parts is exact, and no slice of it or behind it names other sets."""
    filmed = film(Sort(codec=codec, gops_s=(2.0,)))
    parted = cut_in_parts(filmed, (0.15, 0.25, 0.9))
    assert [report.copied > 0 for report in parted.reports] == [False, True]
    assert all(report.reencoded > 1 for report in parted.reports)
    plan = one_plan([opened(clip, report) for clip, report in zip(parted.clips, parted.reports, strict=True)])
    movie = joined(plan, parted.clips)
    assert dependent_pictures(movie) == [picture for clip in parted.clips for picture in dependent_pictures(clip)]
    proof = prove([movie], log_of(filmed), parted.window)
    assert proof.is_exact, (proof.faults, proof.outside, proof.missing)
    assert proof.count(How.REENCODED) == sum(report.reencoded for report in parted.reports)


def test_a_gap_stays_a_gap() -> None:
    """Where a part is missing time goes on: the pictures behind it are shown when they were taken."""
    parted = cut_in_parts(film(Sort()), (0.1, 0.3, 0.6, 0.9))
    del parted.cuts[1]
    movie = joined(one_plan([opened(part.clip, part.report) for part in parted.cuts]), parted.clips)
    samples = take_apart(movie).video.samples
    first, second = (part.report for part in parted.cuts)
    assert first.first_picture is not None
    assert second.first_picture is not None
    behind = samples[first.pictures].shown_at
    assert behind == pytest.approx((second.first_picture - first.first_picture) * 90_000 / SECOND_NS, abs=1)


def test_a_stock_player_shows_every_picture() -> None:
    """The system's ffmpeg plays the joined movie without a complaint, picture by picture."""
    source = film_gray(Recipe(pictures=100))
    borders = (0.5, 1.3, 2.2, 3.4)
    made = [cut([source], window_of(*span)) for span in pairwise(borders)]
    movie = joined(one_plan([opened(clip, report) for clip, report in made]), [clip for clip, _ in made])
    width, height = made[0][1].width, made[0][1].height
    numbers, complaints = shown_by_ffmpeg(movie, width, height)
    apart = [number for clip, _ in made for number in shown_by_ffmpeg(clip, width, height)[0]]
    assert (numbers, complaints) == (apart, "")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_what_does_not_fit_stands_alone() -> None:
    """Another size, boxes that nobody knows, and times that do not rise begin a movie of their own."""
    small = cut_in_parts(film(Sort(seconds=2.0)), (0.1, 0.4, 0.7))
    large = cut_in_parts(film(Sort(seconds=2.0, width=320, height=192)), (0.1, 0.4))
    first, second = (opened(part.clip, part.report) for part in small.cuts)
    other = opened(large.clips[0], large.reports[0])
    assert second.first_picture is not None
    late = replace(other, first_picture=WallTime(second.first_picture + 10 * SECOND_NS))
    unknown = OpenedPart(None, late.first_picture)
    assert plan_movies([first, late, unknown]) == [0, 1, 2]
    assert plan_movies([second, first]) == [0, 1]
    plan, alone = plan_movies([first, second, late])
    assert isinstance(plan, JoinPlan)
    assert (plan.numbers, alone) == ((0, 1), 2)


def test_a_part_that_ends_early_is_refused() -> None:
    """Tables that promise more pictures than there are bytes are a lie."""
    parted = cut_in_parts(film(Sort(seconds=2.0)), (0.1, 0.4, 0.7))
    plan = one_plan([opened(part.clip, part.report) for part in parted.cuts])
    with pytest.raises(BadInputError, match="ends before its last picture"):
        joined(plan, [parted.clips[0], parted.clips[1][:-1]])


def test_sound_is_joined_in_step() -> None:
    """Sound of all parts is one track: as long as the pictures, and where a part is missing there is silence."""
    source = with_sound(film_gray(Recipe(pictures=150)), Microphone(), noise(6 * 8000))
    spans = ((0.4, 1.7), (1.7, 3.0), (3.6, 5.1))
    made = [cut([source], window_of(*span), window_of(0, 6)) for span in spans]
    movie = joined(one_plan([opened(clip, report) for clip, report in made]), [clip for clip, _ in made])
    boxes = take_apart(movie)
    assert boxes.faults == ()
    _, sound = boxes.tracks
    assert sound.total / sound.timescale_hz == pytest.approx(5.1 - 0.4, abs=0.06)
    with av.open(io.BytesIO(movie)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    hole = heard[round(2.75 * 48_000) : round(3.05 * 48_000)]  # of the movie: 3.15 s to 3.45 s of the source
    assert np.abs(hole).max() < 0.01 < np.abs(heard[48_000 : 2 * 48_000]).max()


def test_the_tables_of_all_parts_together_are_bounded() -> None:
    """What has more samples than are held at once is copied as it is; every part is still there."""
    parted = cut_in_parts(film(Sort(seconds=2.0)), (0.1, 0.3, 0.5, 0.7))
    parts = [opened(part.clip, part.report) for part in parted.cuts]
    first, second, third = (part.report.pictures for part in parted.cuts)
    kept = held_back(parts, first + second)
    assert kept == [*parts[:2], OpenedPart(None, parts[2].first_picture)]
    assert held_back(parts, first + second + third) == parts
    plan, alone = plan_movies(kept)
    assert isinstance(plan, JoinPlan)
    assert (plan.numbers, alone) == ((0, 1), 2)


def with_samples(part: OpenedPart, samples: list[BoxedSample], configuration: bytes = b"") -> OpenedPart:
    """Let a part's tables claim other pictures, and other parameter sets."""
    assert part.movie is not None
    video = replace(part.movie.video, samples=tuple(samples))
    video = replace(video, configuration=configuration or video.configuration)
    return replace(part, movie=replace(part.movie, tracks=(video,)))


def test_parameter_sets_do_not_make_a_video_a_thousand_times_as_long() -> None:
    """Sets of one part stand before each key picture of all: many large ones before many small pictures stand alone."""
    parted = cut_in_parts(film(Sort(codec="h265", seconds=2.0)), (0.1, 0.4, 0.7))
    first, second = (opened(part.clip, part.report) for part in parted.cuts)
    assert first.movie is not None
    assert isinstance(one_plan([first, second]), JoinPlan)
    record = first.movie.video.configuration
    sets = [bytes([0x40, 1, number << 4 | 0xC, 1]) + bytes([7]) * 4000 for number in range(1, 9)]
    large = record[:22] + bytes([record[22] + 1]) + record[23:] + bytes([0xA0, 0, len(sets)])
    large += b"".join(len(nal).to_bytes(2, "big") + nal for nal in sets)
    many = [BoxedSample(1000 + 9 * number, 1009 + 9 * number, number, is_sync=True) for number in range(20_000)]
    greedy = with_samples(first, list(first.movie.video.samples), large)
    assert isinstance(one_plan([greedy, second]), JoinPlan)  # before the few key pictures of a real part they may stand
    assert plan_movies([greedy, with_samples(second, many)]) == [0, 1]


def test_pictures_that_overlap_are_not_joined() -> None:
    """What claims bytes twice is copied as it is."""
    parted = cut_in_parts(film(Sort(seconds=2.0)), (0.1, 0.4, 0.7))
    first, second = (opened(part.clip, part.report) for part in parted.cuts)
    assert second.movie is not None
    samples = list(second.movie.video.samples)
    samples[-1] = replace(samples[-1], begin=samples[0].begin)
    assert plan_movies([first, with_samples(second, samples)]) == [0, 1]


def test_a_picture_that_would_fill_the_memory_is_not_joined() -> None:
    """Its part is copied as it is, piece by piece."""
    parted = cut_in_parts(film(Sort(seconds=2.0)), (0.1, 0.4, 0.7))
    first, second = (opened(part.clip, part.report) for part in parted.cuts)
    assert second.movie is not None
    *others, last = second.movie.video.samples
    huge = replace(last, end=last.begin + PICTURE_BYTES_MAX + 1)
    assert isinstance(one_plan([first, with_samples(second, [*others, last])]), JoinPlan)
    assert plan_movies([first, with_samples(second, [*others, huge])]) == [0, 1]
