"""The bench's footage is what a camera sends: one endless stream whose windows are cut exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.cut.splice import make_clip
from agent.opening.clip_boxes import take_apart
from tests.bench.cut_contenders import parts, run_transom
from tests.bench.cut_footage import CutFootage, large_film, prepare_footage, shop_film

SMALL = "320x180"
FILMS = {
    "H.264": replace(shop_film(1), size=SMALL, loop_s=2, file_s=6),
    "H.265": replace(large_film(), size=SMALL, loop_s=4, file_s=12),
}


@pytest.fixture(params=FILMS, scope="module")
def footage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CutFootage:
    """Make small footage of each codec."""
    return prepare_footage(tmp_path_factory.mktemp("footage"), FILMS[request.param])


def test_the_loop_is_one_stream_without_a_hole(footage: CutFootage) -> None:
    """Over its seams every picture of a window is there, and only those before its first key picture are encoded."""
    start_s = footage.gop_s * 1.5
    order, chunks = footage.order(start_s, 10.0), footage.chunks(start_s, 10.0)
    pieces, report = make_clip(order, chunks)
    count = footage.pictures(10.0 - start_s)
    assert (report.pictures, report.refused, report.gaps) == (count, 0, ())
    assert report.reencoded == footage.pictures(footage.gop_s / 2)
    assert len(take_apart(b"".join(pieces)).video.samples) == count


def test_the_file_has_the_same_pictures(footage: CutFootage) -> None:
    """As many as it should, with key pictures where the film says."""
    samples = take_apart(footage.mp4.read_bytes()).video.samples
    assert len(samples) == footage.pictures(footage.film.file_s)
    assert [n for n, s in enumerate(samples) if s.is_sync][:2] == [0, footage.pictures(footage.gop_s)]


def test_windows_begin_where_the_edge_is_as_long_as_said(footage: CutFootage) -> None:
    """Aligned ones on a key picture."""
    assert footage.start_s(0.0) % footage.gop_s == 0
    assert (footage.start_s(0.5) + 0.5) % footage.gop_s == 0


def test_long_windows_are_divided_at_key_pictures() -> None:
    """As the hub's plan does it."""
    footage = CutFootage(shop_film(4), Path(), Path())
    divided = list(parts(footage, 10.0, 200.0))
    assert divided[:3] == [(10.0, 10.5), (10.5, 28.0), (28.0, 48.0)]
    assert divided[-2:] == [(168.0, 188.0), (188.0, 200.0)]
    assert list(parts(footage, 12.0, 50.0)) == [(12.0, 16.0), (16.0, 36.0), (36.0, 50.0)]
    assert list(parts(footage, 11.5, 18.0)) == [(11.5, 18.0)]


def test_a_cut_is_measured_by_what_the_kernel_says_of_the_child(footage: CutFootage) -> None:
    """Its memory is that of Python with libav, not of this process; the first byte comes before the end."""
    done = run_transom(footage, 2.0, 0.5)
    assert (done.pictures, done.outside) == (footage.pictures(2.0), 0)
    assert 20e6 < done.peak_bytes < 300e6
    assert 0 < (done.first_byte_s or 0) <= done.wall_s
    assert done.cpu_s > 0.05
