"""The exact cut, end to end: what is in the file is what lies in the window."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.buffer.ring import Footage
from agent.clock import SECOND_NS, WallTime, Window
from agent.consent.mask import Masks
from agent.cut.clip import WireChunk
from agent.cut.plan import CutPlan, PartSettings, plan_next
from agent.errors import BadInputError
from tests.simulators.clips import cut, pictures_of, poisoned, shown_by_ffmpeg, shown_by_pyav, stored, window_of
from tests.simulators.grants import grant_for
from tests.simulators.h264_source import CAMERA, EPOCH, Recipe, Source, film, without_packets
from tests.simulators.mp4_reader import read_movie

RECIPES = [
    Recipe(),
    Recipe(profile="baseline", gop=1),
    Recipe(profile="baseline", gop=12, slices=3),
    Recipe(profile="main", gop=25),
    Recipe(gop=250),
    Recipe(gop=7, fps=30),
    Recipe(b_frames=2, gop=15),
    Recipe(b_frames=3, gop=20, x264="b-pyramid=normal:ref=4"),
    Recipe(b_frames=3, gop=20, x264="open-gop=1:b-pyramid=none"),
    Recipe(profile="main", b_frames=1, gop=10, slices=2),
    Recipe(pix_fmt="yuvj420p", gop=30),
]


def slices_of(nals: tuple[bytes, ...] | list[bytes]) -> tuple[bytes, ...]:
    """Return the NAL units that carry a picture."""
    return tuple(nal for nal in nals if 1 <= nal[0] & 31 <= 5)


def check_exact(source: Source, window: Window, clip: bytes) -> int:
    """Check picture by picture and byte by byte; return how many pictures were copied."""
    want = [(moment, number) for moment, number in zip(source.times, source.numbers, strict=True) if moment in window]
    shown = shown_by_pyav(clip)
    assert [number for _, number in shown] == [number for _, number in want]
    if not want:
        assert clip == b""
        return 0
    exact = [(moment - want[0][0]) * 90_000 / SECOND_NS for moment, _ in want]
    assert all(abs(tick - right) <= 1 for (tick, _), right in zip(shown, exact, strict=True))
    inside = {slices_of(u) for u, n in zip(source.units, source.order, strict=True) if source.times[n] in window}
    outside = {s for u, n in zip(source.units, source.order, strict=True) if source.times[n] not in window
               for s in slices_of(u) if len(s) > 40}  # fmt: skip
    movie = read_movie(clip)
    assert len(movie.samples) == len(want)
    for sample in movie.samples:
        assert {nal[0] & 31 for nal in sample.nals} <= {1, 5, 6}
        assert not any(nal[0] & 31 == 6 and nal[1] in (4, 5) for nal in sample.nals)
        assert not outside.intersection(sample.nals)
        assert not any(nal[8:] in sample.payload for nal in outside)
    return sum(slices_of(sample.nals) in inside for sample in movie.samples)


@settings(max_examples=60)
@given(recipe=st.sampled_from(RECIPES), start=st.floats(-0.2, 2.5), length=st.floats(0.0005, 2.8))
@example(recipe=RECIPES[0], start=0.8, length=0.8)
def test_any_window_is_cut_exactly(recipe: Recipe, start: float, length: float) -> None:
    """The clip shows the pictures of the window and no other; copied ones are bit by bit the camera's."""
    source, window = film(recipe), window_of(start, start + length)
    clip, report = cut([source], window)
    assert check_exact(source, window, clip) == report.copied
    inside = [moment for moment in source.times if moment in window]
    assert (report.pictures, report.copied + report.reencoded, report.refused) == (len(inside), len(inside), 0)
    assert (report.first_picture, report.last_picture) == ((inside[0], inside[-1]) if inside else (None, None))


@settings(max_examples=30)
@given(recipe=st.sampled_from(RECIPES), first=st.integers(0, 58), count=st.integers(1, 60), inset=st.integers(-1, 1))
def test_borders_on_a_picture_are_half_open(recipe: Recipe, first: int, count: int, inset: int) -> None:
    """A picture at the start is in, a picture at the end is out, to the nanosecond."""
    source = film(recipe)
    last = min(first + count, recipe.pictures - 1)
    window = Window(
        WallTime(source.times[first] + inset), WallTime(max(source.times[last], source.times[first] + 2) + inset)
    )
    clip, _ = cut([source], window)
    check_exact(source, window, clip)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"{r.profile}-g{r.gop}-b{r.b_frames}-s{r.slices}-{r.pix_fmt}")
def test_the_stock_ffmpeg_plays_it_without_a_word(recipe: Recipe) -> None:
    """Debian's ffmpeg shows the same pictures and has nothing to say about the file."""
    source, window = film(recipe), window_of(0.33, 1.9)
    clip, _ = cut([source], window)
    numbers, complaints = shown_by_ffmpeg(clip, recipe.width, recipe.height)
    assert numbers == [n for moment, n in zip(source.times, source.numbers, strict=True) if moment in window]
    assert complaints == ""


def test_reencoded_edges_look_like_the_source() -> None:
    """Decoded from the same references, the edge differs from what the camera encoded by little."""
    source = film(Recipe(gop=50, b_frames=2))
    whole, _ = cut([source], window_of(0, 2.4))
    edge, report = cut([source], window_of(0.5, 1.3))
    assert report.copied == 0
    before, after = pictures_of(whole), pictures_of(edge)
    worst = max(float(np.abs(before[number].astype(int) - picture).mean()) for number, picture in after.items())
    assert worst < 4


@pytest.mark.parametrize("recipe", [Recipe(pictures=200, gop=12), Recipe(pictures=200, gop=20, b_frames=2)])
def test_parts_join_without_loss_or_doubling(recipe: Recipe) -> None:
    """Planned as the hub would and cut one by one, the parts show every picture of the window once."""
    source = film(recipe)
    keys = [chunk.sequence for chunk in source.chunks if any(_holds(chunk, source.units[k]) for k in source.key_units)]
    chunks = {stored(chunk, is_key=chunk.sequence in keys): chunk for chunk in source.chunks}
    window = window_of(0.71, 7.33)
    footage = Footage((), tuple(chunks), source.times[-1])
    until, parts, shown = window.start, 0, []
    while isinstance(
        plan := plan_next(
            grant=grant_for(CAMERA, window), camera=CAMERA, next_part=parts, delivered_until=until, footage=footage,
            now=WallTime(window.end + 10**10), settings=PartSettings(past_ns=2 * SECOND_NS, longest_ns=2 * SECOND_NS),
        ), CutPlan,
    ):  # fmt: skip
        clip, report = cut([_only(source, [chunks[chunk] for chunk in plan.chunks])], plan.window)
        shown += [number for _, number in shown_by_pyav(clip)]
        inner = parts > 0 and not plan.is_last
        assert not (inner and report.reencoded)
        until, parts = plan.window.end, parts + 1
    assert parts == 4
    assert shown == [n for moment, n in zip(source.times, source.numbers, strict=True) if moment in window]


@pytest.mark.parametrize("masks", [(), (((9000, 9000), (10_000, 9000), (10_000, 10_000)),)])
def test_a_part_that_ends_inside_an_edge_loses_and_doubles_nothing(masks: Masks) -> None:
    """With B-frames over the border, too: both parts are encoded anew from the same key picture."""
    source = film(Recipe(pictures=150, gop=75, b_frames=2))
    whole, parts = window_of(0.71, 5.33), [window_of(0.71, 1.21), window_of(1.21, 5.33)]
    made = [cut([source], part, masks=masks) for part in parts]
    shown = [number for clip, _ in made for _, number in shown_by_pyav(clip)]
    assert shown == [n for moment, n in zip(source.times, source.numbers, strict=True) if moment in whole]
    _, report = cut([source], whole, masks=masks)
    assert report.reencoded == sum(one.reencoded for _, one in made)
    assert (made[0][1].copied, made[1][1].copied) == (0, report.copied)


def _holds(chunk: WireChunk, nals: tuple[bytes, ...]) -> bool:
    return nals[-1][1:40] in chunk.wire


def _only(source: Source, chunks: list[WireChunk]) -> Source:
    return replace(source, chunks=tuple(chunks))


@pytest.mark.parametrize("seed", range(12))
def test_after_losses_nothing_from_outside_is_shown(seed: int) -> None:
    """What is shown are whole pictures of the window; the others are refused and told."""
    drawn = random.Random(seed)  # noqa: S311 - a reproducible test
    source = film(drawn.choice(RECIPES))
    damaged = without_packets(source, [drawn.randrange(250) for _ in range(3)])
    window = window_of(drawn.uniform(0.2, 1), drawn.uniform(1.2, 2.4))
    clip, report = cut([damaged], window)
    want = [n for moment, n in zip(source.times, source.numbers, strict=True) if moment in window]
    shown = [number for _, number in shown_by_pyav(clip)]
    assert set(shown) <= set(want)
    assert shown == sorted(set(shown))
    assert len(shown) == report.pictures
    if len(shown) < len(want):
        assert report.gaps


def test_a_parameter_change_inside_is_copied_under_new_ids() -> None:
    """Two runs with other parameter sets of the same ids make one clip of copied pictures."""
    first = film(Recipe(pictures=20, gop=10, x264="cabac=0"))
    second = film(Recipe(pictures=20, gop=10, x264="chroma-qp-offset=3", first_number=100), run=2,
                  start=WallTime(EPOCH + 800_000_000))  # fmt: skip
    clip, report = cut([first, second], window_of(0.2, 1.6))
    assert (report.copied, report.reencoded) == (30, 5)
    want = [*range(5, 20), *range(100, 120)]
    assert [number for _, number in shown_by_pyav(clip)] == want
    assert shown_by_ffmpeg(clip, 192, 112) == (want, "")


def test_when_ids_run_out_everything_is_reencoded() -> None:
    """More parameter sets than H.264 has ids for cost quality, not pictures."""
    sources = [
        film(Recipe(pictures=2, x264=f"chroma-qp-offset={n - 9}", first_number=2 * n), run=n,
             start=WallTime(EPOCH + 80_000_000 * n))
        for n in range(19)
    ]  # fmt: skip
    clip, report = cut(sources, window_of(0, 10))
    assert (report.copied, report.reencoded) == (0, 38)
    assert [number for _, number in shown_by_pyav(clip)] == list(range(38))


def test_another_size_is_scaled_into_the_clip() -> None:
    """A camera that changes its picture size inside the window loses sharpness, not pictures."""
    small = film(Recipe(pictures=10, width=176, height=96), run=2, start=WallTime(EPOCH + 400_000_000))
    clip, report = cut([film(Recipe(pictures=10)), small], window_of(0, 1))
    assert (report.pictures, report.copied, report.width, report.height) == (20, 10, 192, 112)
    assert len(shown_by_pyav(clip)) == 20


def test_the_report_names_the_worst_clock() -> None:
    """The manifest's time bound is that of the worst mapping used."""
    source = film(Recipe(pictures=20))
    _, report = cut([source], window_of(0, 0.5))
    assert (report.error_ns, report.source, report.codec) == (2_000_000, "sr+onvif", "h264")


def test_a_window_beside_the_footage_gives_no_file() -> None:
    """No picture, no bytes, one gap."""
    clip, report = cut([film(Recipe())], window_of(10, 12))
    assert (clip, report.pictures, len(report.gaps)) == (b"", 0, 1)


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_poisoned_bitstreams_raise_bad_input_only(drawn: random.Random) -> None:
    """Bytes changed at will inside the packets give a clip of the window's pictures, or BadInputError."""
    source = film(drawn.choice(RECIPES))
    window = window_of(drawn.uniform(0, 1), drawn.uniform(1.1, 2.4))
    chunks = poisoned(source, drawn)
    try:
        clip, report = cut([_only(source, chunks)], window)
    except BadInputError:
        return
    movie = read_movie(clip).samples if clip else []
    assert len(movie) == report.pictures <= len([moment for moment in source.times if moment in window]) + 1
