"""The exact cut of H.265 and JPEG, end to end: what is in the file is what lies in the window."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.buffer.ring import Footage
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.h265 import parameter_sets
from agent.cut.plan import CutPlan, PartSettings, plan_next
from agent.errors import BadInputError
from tests.simulators.clips import cut, pictures_of, poisoned, shown_by_ffmpeg, shown_by_pyav, stored, window_of
from tests.simulators.grants import grant_for
from tests.simulators.h264_source import CAMERA, EPOCH, Recipe, Source, draw, film, without_packets
from tests.simulators.h265_source import SETS, H265Recipe, film_h265, kind
from tests.simulators.jpeg_source import JpegRecipe, film_jpeg
from tests.simulators.mp4_reader import read_movie

BLA_N_LP, CRA = 18, 21
H265 = [
    H265Recipe(),
    H265Recipe(gop=1),
    H265Recipe(gop=12, x265="slices=2"),
    H265Recipe(gop=250),
    H265Recipe(gop=20, b_frames=3),
    H265Recipe(gop=20, b_frames=3, is_open=True),
    H265Recipe(gop=14, b_frames=4, is_open=True, x265="b-pyramid=1:ref=4"),
    H265Recipe(gop=12, b_frames=3, x265="radl=3"),
    H265Recipe(gop=12, b_frames=3, is_open=True, pix_fmt="yuv420p10le"),
]
JPEGS = [
    JpegRecipe(),
    JpegRecipe(restart_interval=5),
    JpegRecipe(sends_tables=False, quality=40),
    JpegRecipe(sends_tables=False, quality=90, sampling=0x211111),
]


def slices_of(nals: tuple[bytes, ...] | list[bytes]) -> tuple[bytes, ...]:
    """Return the NAL units that carry a picture."""
    return tuple(nal for nal in nals if kind(nal) < 32)


def as_bla(nals: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Change the type of a CRA picture's NAL units, and nothing else."""
    return tuple(bytes([BLA_N_LP << 1]) + nal[1:] if kind(nal) == CRA else nal for nal in nals)


def inside(source: Source, window: Window) -> list[int]:
    """Return the numbers of the pictures that a clip must show."""
    return [number for moment, number in zip(source.times, source.numbers, strict=True) if moment in window]


def check_h265(source: Source, window: Window, clip: bytes) -> int:
    """Check picture by picture and byte by byte; return how many pictures were copied."""
    want = inside(source, window)
    shown = shown_by_pyav(clip)
    assert [number for _, number in shown] == want
    if not want:
        assert clip == b""
        return 0
    times = [moment for moment in source.times if moment in window]
    assert all(
        abs(tick - (moment - times[0]) * 90_000 / SECOND_NS) <= 1
        for (tick, _), moment in zip(shown, times, strict=True)
    )
    by_place = [(source.times[n] in window, slices_of(u)) for u, n in zip(source.units, source.order, strict=True)]
    sent = {nals for is_inside, nals in by_place if is_inside}
    outside = {nal for is_inside, nals in by_place if not is_inside for nal in nals if len(nal) > 40}
    movie = read_movie(clip)
    assert movie.entries == ["hvc1"]
    assert len(movie.samples) == len(want)
    sets = [nal for nal in movie.samples[0].nals if kind(nal) in SETS]
    for sample in movie.samples:
        assert [nal for nal in sample.nals if kind(nal) in SETS] == (sets if sample.is_sync else [])
        assert {kind(nal) for nal in sample.nals} <= {*range(10), *range(16, 22), *SETS, 39, 40}
        assert not any(kind(nal) in (39, 40) and nal[2] in (4, 5) for nal in sample.nals)
        assert not any(nal[12:] in sample.payload for nal in outside)
    return sum(
        nals in sent or nals in {as_bla(one) for one in sent} for nals in (slices_of(s.nals) for s in movie.samples)
    )


@settings(max_examples=50)
@given(recipe=st.sampled_from(H265), start=st.floats(-0.2, 2.5), length=st.floats(0.0005, 2.8))
@example(recipe=H265[5], start=0.5, length=1.2)
def test_any_window_of_h265_is_cut_exactly(recipe: H265Recipe, start: float, length: float) -> None:
    """The clip shows the pictures of the window and no other; copied ones are bit by bit the camera's."""
    source, window = film_h265(recipe), window_of(start, start + length)
    clip, report = cut([source], window)
    assert check_h265(source, window, clip) == report.copied
    wanted = len(inside(source, window))
    assert (report.pictures, report.copied + report.reencoded, report.refused) == (wanted, wanted, 0)
    assert report.why_reencoded == ""


@settings(max_examples=25)
@given(recipe=st.sampled_from(H265), first=st.integers(0, 58), count=st.integers(1, 60), inset=st.integers(-1, 1))
def test_borders_on_a_picture_are_half_open(recipe: H265Recipe, first: int, count: int, inset: int) -> None:
    """A picture at the start is in, a picture at the end is out, to the nanosecond."""
    source = film_h265(recipe)
    start, end = source.times[first], source.times[min(first + count, recipe.pictures - 1)]
    window = Window(WallTime(start + inset), WallTime(max(end, start + 2) + inset))
    check_h265(source, window, cut([source], window)[0])


@pytest.mark.parametrize("recipe", H265, ids=lambda r: f"g{r.gop}-b{r.b_frames}-{r.is_open}-{r.x265}-{r.pix_fmt}")
def test_the_stock_ffmpeg_plays_h265_without_a_word(recipe: H265Recipe) -> None:
    """Debian's ffmpeg shows the same pictures and has nothing to say about the file."""
    source, window = film_h265(recipe), window_of(0.33, 1.9)
    clip, _ = cut([source], window)
    assert shown_by_ffmpeg(clip, recipe.width, recipe.height) == (inside(source, window), "")


def test_copying_starts_at_a_cra_picture_and_goes_on_over_the_next() -> None:
    """The first becomes BLA_N_LP and its leading pictures are encoded again; the next stays, with its RASL pictures."""
    source = film_h265(H265Recipe(gop=12, b_frames=3, is_open=True))
    clip, report = cut([source], window_of(0.22, 1.62))
    kinds = [kind(slices_of(sample.nals)[0]) for sample in read_movie(clip).samples]
    assert kinds.count(BLA_N_LP) == 1
    assert kinds.count(CRA) >= 2
    first = kinds.index(BLA_N_LP)
    assert {8, 9} & set(kinds[first:])
    assert not {8, 9} & set(kinds[:first])
    assert report.copied > 25


def test_parts_join_without_loss_or_doubling() -> None:
    """Planned as the hub would and cut one by one, parts that meet on CRA pictures show every picture once."""
    source = film_h265(H265Recipe(pictures=200, gop=20, b_frames=3, is_open=True))
    window = window_of(0.71, 7.33)
    chunks = {stored(c, is_key=not _has_no_key(source, c.sequence)): c for c in source.chunks}
    footage = Footage((), tuple(chunks), source.times[-1])
    until, parts, shown, reencoded = window.start, 0, [], []
    while isinstance(
        plan := plan_next(
            grant=grant_for(CAMERA, window), camera=CAMERA, next_part=parts, delivered_until=until, footage=footage,
            now=WallTime(window.end + 10**10), settings=PartSettings(past_ns=2 * SECOND_NS, longest_ns=2 * SECOND_NS),
        ), CutPlan,
    ):  # fmt: skip
        clip, report = cut([replace(source, chunks=tuple(chunks[chunk] for chunk in plan.chunks))], plan.window)
        shown += [number for _, number in shown_by_pyav(clip)]
        reencoded.append(report.reencoded)
        until, parts = plan.window.end, parts + 1
    assert parts == 4
    assert shown == inside(source, window)
    assert max(reencoded[1:-1]) <= 3  # the pictures that lead the CRA picture behind the part


def test_reencoded_edges_look_like_the_source() -> None:
    """Decoded from the same references, the edge differs from what the camera encoded by little."""
    for source in (film_h265(H265Recipe(gop=50, b_frames=2)), film_jpeg(JpegRecipe(pictures=60))):
        edge, report = cut([source], window_of(0.5, 1.3))
        assert report.copied == 0
        after = pictures_of(edge)
        worst = max(float(np.abs(draw(n, 192, 112).astype(int) - picture).mean()) for n, picture in after.items())
        assert worst < 8  # of which the camera's own coding is the larger part


def test_a_cra_picture_behind_a_loss_starts_a_run_of_its_own() -> None:
    """Its RASL pictures refer to what is missing: they are refused, never shown with something else in its place."""
    source = film_h265(H265Recipe(gop=12, b_frames=3, is_open=True))
    missing = next(c.sequence for c in source.chunks if c.sequence > 1 and _has_no_key(source, c.sequence))
    damaged = replace(source, chunks=tuple(c for c in source.chunks if c.sequence != missing))
    clip, report = cut([damaged], window_of(0.0, 2.4))
    shown = [number for _, number in shown_by_pyav(clip)]
    assert set(shown) < set(range(60))
    assert shown == sorted(shown)
    assert report.refused
    assert report.gaps
    kinds = [kind(slices_of(sample.nals)[0]) for sample in read_movie(clip).samples]
    assert kinds.count(BLA_N_LP) == 1


def _has_no_key(source: Source, sequence: int) -> bool:
    wire = source.chunks[sequence].wire
    return not any(source.units[place][-1][2:40] in wire for place in source.key_units)


@pytest.mark.parametrize("seed", range(8))
def test_after_losses_nothing_from_outside_is_shown(seed: int) -> None:
    """What is shown are whole pictures of the window; the others are refused and told."""
    drawn = random.Random(seed)  # noqa: S311 - a reproducible test
    is_jpeg = seed % 4 == 3
    source = film_jpeg(drawn.choice(JPEGS)) if is_jpeg else film_h265(drawn.choice(H265))
    damaged = without_packets(source, [drawn.randrange(100) for _ in range(3)])
    window = window_of(drawn.uniform(0.1, 0.4), drawn.uniform(0.6, 1.2))
    clip, report = cut([damaged], window)
    want, shown = inside(source, window), [number for _, number in shown_by_pyav(clip)]
    assert set(shown) <= set(want)
    assert shown == sorted(set(shown))
    assert len(shown) == report.pictures
    assert len(want) - len(shown) in (report.refused, report.refused + 1)  # a picture may be missing without a trace
    assert bool(report.gaps) == (len(shown) < len(want))


def test_parameter_sets_come_from_the_sdp() -> None:
    """A camera that never sends them in band, and numbers its units, is cut as any other."""
    source = film_h265(H265Recipe(gop=10), in_band=False, has_order=True)
    window = window_of(0.3, 1.5)
    clip, report = cut([source], window)
    assert [number for _, number in shown_by_pyav(clip)] == inside(source, window)
    assert report.copied == 28


def test_a_parameter_change_inside_is_copied_under_new_ids() -> None:
    """Two runs with other parameter sets of the same ids make one clip of copied pictures."""
    first = film_h265(H265Recipe(pictures=20, gop=10))
    second = film_h265(
        H265Recipe(pictures=20, gop=10, x265="cbqpoffs=3:sao=0:max-merge=3", first_number=100),
        run=2,
        start=WallTime(EPOCH + 800_000_000),
    )
    assert parameter_sets(first.units[0]) != parameter_sets(second.units[0])
    clip, report = cut([first, second], window_of(0.2, 1.6))
    want = [*range(5, 20), *range(100, 120)]
    assert (report.copied, report.reencoded) == (30, 5)
    assert shown_by_ffmpeg(clip, 192, 112) == (want, "")


def test_when_ids_run_out_everything_is_reencoded_and_told() -> None:
    """More parameter sets than there are ids for cost quality, not pictures."""
    sources = [
        film_h265(H265Recipe(pictures=2, x265=f"cbqpoffs={n - 9}", first_number=2 * n), run=n,
                  start=WallTime(EPOCH + 80_000_000 * n))
        for n in range(19)
    ]  # fmt: skip
    clip, report = cut(sources, window_of(0, 10))
    assert (report.copied, report.reencoded, report.codec) == (0, 38, "h264")
    assert report.why_reencoded == "no parameter set ids left"
    assert [number for _, number in shown_by_pyav(clip)] == list(range(38))


@pytest.mark.parametrize("recipe", JPEGS, ids=lambda r: f"q{r.quality}-r{r.restart_interval}-{r.sends_tables}")
def test_any_window_of_jpeg_becomes_h264(recipe: JpegRecipe) -> None:
    """Every picture of the window is in the clip and no other; the report says why none is copied."""
    source = film_jpeg(recipe)
    for start, end in ((-0.1, 0.5), (0.3, 0.33), (0.31, 0.9), (0.0, 2.0)):
        window = window_of(start, end)
        clip, report = cut([source], window)
        assert [number for _, number in shown_by_pyav(clip)] == inside(source, window)
        assert (report.copied, report.reencoded, report.codec) == (0, len(inside(source, window)), "h264")
        assert report.why_reencoded == "JPEG pictures"
        assert read_movie(clip).entries == ["avc1"]
        assert shown_by_ffmpeg(clip, recipe.width, recipe.height) == (inside(source, window), "")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (film(Recipe(height=128, x264="interlaced=1")), "interlaced pictures"),
        (film(Recipe(pix_fmt="gray")), "H.264 of profile 100 with chroma format 0 and 8 bits"),
    ],
    ids=["interlaced", "gray"],
)
def test_what_cannot_be_copied_is_reencoded_and_told(source: Source, why: str) -> None:
    """The whole window becomes H.264 that plays everywhere."""
    window = window_of(0.3, 1.9)
    clip, report = cut([source], window)
    assert [number for _, number in shown_by_pyav(clip)] == inside(source, window)
    assert (report.copied, report.why_reencoded, report.codec) == (0, why, "h264")


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le"])
def test_other_formats_of_h264_are_joined(pix_fmt: str) -> None:
    """More colour or depth is kept: the edges are encoded in the same format."""
    profile = {"yuv422p": "high422", "yuv444p": "high444", "yuv420p10le": "high10", "yuv422p10le": "high422"}[pix_fmt]
    source, window = film(Recipe(pix_fmt=pix_fmt, profile=profile)), window_of(0.3, 1.9)
    clip, report = cut([source], window)
    assert shown_by_ffmpeg(clip, 192, 112) == (inside(source, window), "")
    assert (report.copied, report.why_reencoded) == (28, "")


def test_another_codec_inside_is_encoded_into_the_first() -> None:
    """A camera that was set to another codec in mid-window gives one clip, in the codec that came first."""
    first = film_h265(H265Recipe(pictures=20, gop=10))
    second = film(Recipe(pictures=20, gop=10, first_number=100), run=2, start=WallTime(EPOCH + 800_000_000))
    third = film_jpeg(JpegRecipe(pictures=10, first_number=200), run=3, start=WallTime(EPOCH + 1_600_000_000))
    clip, report = cut([first, second, third], window_of(0.2, 2))
    want = [*range(5, 20), *range(100, 120), *range(200, 210)]
    assert shown_by_ffmpeg(clip, 192, 112) == (want, "")
    assert (report.codec, report.copied) == ("h265", 10)
    assert report.why_reencoded == "pictures of another codec; JPEG pictures"


def test_another_size_is_scaled_into_the_clip() -> None:
    """A camera that changes its picture size inside the window loses sharpness, not pictures."""
    small = film_h265(H265Recipe(pictures=10, width=176, height=96), run=2, start=WallTime(EPOCH + 400_000_000))
    clip, report = cut([film_h265(H265Recipe(pictures=10)), small], window_of(0, 1))
    assert (report.pictures, report.copied, report.width, report.height) == (20, 10, 192, 112)
    assert report.why_reencoded == "pictures of another size or format"
    assert len(shown_by_pyav(clip)) == 20


@settings(max_examples=40)
@given(st.randoms(use_true_random=False))
def test_poisoned_bitstreams_raise_bad_input_only(drawn: random.Random) -> None:
    """Bytes changed at will inside the packets give a clip of the window's pictures, or BadInputError."""
    source = film_jpeg(drawn.choice(JPEGS)) if drawn.random() < 0.3 else film_h265(drawn.choice(H265))
    window = window_of(drawn.uniform(0, 0.4), drawn.uniform(0.5, 2.4))
    chunks = poisoned(source, drawn)
    try:
        clip, report = cut([replace(source, chunks=tuple(chunks))], window)
    except BadInputError:
        return
    movie = read_movie(clip).samples if clip else []
    assert len(movie) == report.pictures <= len(inside(source, window)) + 1


@pytest.mark.parametrize(("gop", "entry", "counts"), [(12, 72, (7, 8, 9, 10, 11)), (16, 64, (1, 2, 3, 4))])
def test_a_copied_picture_is_not_taken_for_one_of_the_head(gop: int, entry: int, counts: tuple[int, ...]) -> None:
    """The camera's numbers come round after 64 pictures: whatever the head's length, every picture is shown."""
    source = film_h265(H265Recipe(pictures=90, gop=gop, b_frames=3, is_open=True, x265="log2-max-poc-lsb=4"))
    for count in counts:
        window = window_of((entry - count) / 25 - 0.001, 3.6)
        clip, report = cut([source], window)
        assert check_h265(source, window, clip) == report.copied
        assert report.copied >= 10
        assert shown_by_ffmpeg(clip, 192, 112) == (inside(source, window), "")


def test_a_cra_picture_alone_is_encoded_again() -> None:
    """Libav 8 would take the IDR picture behind it for one that it missed."""
    source = film_h265(H265Recipe(pictures=40, gop=5, b_frames=2, is_open=True))
    window = window_of(0.2, 0.28)
    clip, report = cut([source], window)
    assert [number for _, number in shown_by_pyav(clip)] == [5, 6]
    assert report.copied == 0


def test_a_stream_that_hides_its_reordering_is_encoded_in_order() -> None:
    """x265 with temporal layers says that it reorders less than it does; the edge is in order all the same."""
    source = film_h265(H265Recipe(gop=20, b_frames=7, is_open=True, x265="temporal-layers=2:b-pyramid=1"))
    window = window_of(1.85, 2.4)
    clip, report = cut([source], window)
    assert [number for _, number in shown_by_pyav(clip)] == inside(source, window)
    assert report.copied == 0
