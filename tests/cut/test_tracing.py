"""Where copying may begin, and where decoding must."""

from __future__ import annotations

from msgspec.structs import replace

from agent.cut.codec import PictureKind
from agent.cut.depacketize import AccessUnit, depacketize
from agent.cut.tracing import trace, undecodable
from tests.simulators.h264_source import Recipe, film
from tests.simulators.h265_source import H265Recipe, film_h265
from tests.simulators.jpeg_source import JpegRecipe, film_jpeg

OPEN = H265Recipe(pictures=40, gop=12, b_frames=3, is_open=True)


def units_of(recipe: Recipe | H265Recipe | JpegRecipe) -> list[AccessUnit]:
    """Film a recipe."""
    if isinstance(recipe, Recipe):
        source = film(recipe)
    else:
        source = film_h265(recipe) if isinstance(recipe, H265Recipe) else film_jpeg(recipe)
    return depacketize([source.header], source.chunks)


def of_kind(units: list[AccessUnit], kind: PictureKind) -> list[int]:
    """Return the indexes of the units of a kind."""
    return [index for index, unit in enumerate(units) if unit.kind is kind]


def test_every_picture_has_a_start_and_rasl_pictures_an_earlier_one() -> None:
    """A RASL picture needs the group before its own; what follows the CRA picture does not."""
    units = units_of(OPEN)
    tracing = trace(units)
    assert set(tracing.decode_from) == set(range(len(units)))
    entries = [0, *of_kind(units, PictureKind.OPEN)]
    for index, start in tracing.decode_from.items():
        before = [entry for entry in entries if entry <= index]
        assert start == before[-2 if units[index].kind is PictureKind.SKIPPED else -1]
    assert [(one.begin, one.is_joined) for one in tracing.sequences] == [(e, e > 0) for e in entries]
    assert {i for one in tracing.sequences for i in one.leading} == set(of_kind(units, PictureKind.SKIPPED))


def test_rasl_pictures_behind_a_loss_have_no_start() -> None:
    """The pictures that they refer to never came, or not all of them."""
    for change in ({"is_gap": True}, {"is_torn": True}):
        units = units_of(OPEN)
        entry = of_kind(units, PictureKind.OPEN)[-1]
        hurt = entry if "is_gap" in change else entry - 1
        units[hurt] = replace(units[hurt], **change)
        tracing = trace(units)
        rasl = [i for i in of_kind(units, PictureKind.SKIPPED) if i > entry]
        assert rasl
        assert not set(rasl) & set(tracing.decode_from)
        assert next(one for one in tracing.sequences if one.begin == entry).is_joined is False
        assert list(undecodable(units, entry, len(units))) == rasl


def test_behind_the_end_of_a_sequence_decoding_begins_anew() -> None:
    """A CRA picture behind an end of sequence NAL unit has lost its RASL pictures (H.265 8.1.3)."""
    units = units_of(OPEN)
    entry = of_kind(units, PictureKind.OPEN)[-1]
    units[entry - 1] = replace(units[entry - 1], nals=(*units[entry - 1].nals, b"\x48\x01\x00"))
    tracing = trace(units)
    rasl = [index for index in of_kind(units, PictureKind.SKIPPED) if index > entry]
    assert rasl
    assert not set(rasl) & set(tracing.decode_from)


def test_radl_pictures_are_decoded_from_the_picture_they_lead() -> None:
    """Nothing of theirs lies before it, even if it is lost."""
    units = units_of(H265Recipe(pictures=40, gop=12, b_frames=3, x265="radl=3"))
    radl = of_kind(units, PictureKind.LEADING)
    entry = max(index for index in of_kind(units, PictureKind.CLOSED) if index < radl[-1])
    units[entry] = replace(units[entry], is_gap=True)
    tracing = trace(units)
    assert tracing.decode_from[radl[-1]] == entry
    assert not list(undecodable(units, entry, len(units)))


def test_open_groups_of_h264_are_decoded_but_not_copied() -> None:
    """A recovery point is a start for what is shown behind it only; its leading pictures need the group before."""
    units = units_of(Recipe(b_frames=3, gop=20, x264="open-gop=1:b-pyramid=normal:ref=3"))
    tracing = trace(units)
    assert [one.begin for one in tracing.sequences] == [0]
    first, second, *_ = of_kind(units, PictureKind.RECOVERY)
    early = [index for index in range(second, second + 8) if units[index].time < units[second].time]
    assert early
    assert {tracing.decode_from[index] for index in early} == {first}
    assert tracing.decode_from[second] == tracing.decode_from[second + len(early) + 1] == second


def test_leading_pictures_of_h264_behind_a_loss_have_no_start() -> None:
    """Everything else from the recovery point on has."""
    units = units_of(Recipe(b_frames=3, gop=20, x264="open-gop=1:b-pyramid=normal:ref=3"))
    first = of_kind(units, PictureKind.RECOVERY)[0]
    units[first] = replace(units[first], is_gap=True)
    tracing = trace(units)
    early = {index for index in range(first, len(units)) if units[index].time < units[first].time}
    assert early
    assert set(range(first, len(units))).difference(tracing.decode_from) == early


def test_every_jpeg_stands_alone() -> None:
    """Each is its own start, and a loss hurts none but the torn one."""
    units = units_of(JpegRecipe(pictures=6))
    units[3] = replace(units[3], is_torn=True)
    units[4] = replace(units[4], is_gap=True)
    assert trace(units).decode_from == {n: n for n in (0, 1, 2, 4, 5)}
