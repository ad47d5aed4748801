"""Ratios, bars and verdicts, from rounds whose numbers are known."""

from __future__ import annotations

from io import StringIO

import msgspec
import pytest
from rich.console import Console

from tests.bench.contenders import Kept
from tests.bench.figures import BARS, MIB, Figure, Measured, Round, Verdict, figures, print_tables
from tests.bench.rounds import losses
from tests.bench.source import Sent


def measured(kind: str, cameras: int, cpu_ms: float, name: str = "") -> Measured:
    """Make a contender that did everything well."""
    return Measured(
        name=name or kind,
        kind=kind,
        cameras=cameras,
        cpu_ms_per_camera_s=cpu_ms,
        memory_bytes=(12 + cameras) * MIB,
        pss_bytes=cameras * MIB,
        switches_per_s=4.0,
        system_calls_per_s=None,
        sent_bytes=1000,
        received_bytes=1000,
        stored_bytes=500,
        device_bytes=505,
        written_bytes_per_s=0.0,
        flushes_per_s=1.5,
        dropped_pictures=0,
        late_pictures=0,
        holes=0,
        has_all=True,
    )


def a_round(ours: float, ffmpeg: float, limit: float) -> Round:
    """Make a round of eight cameras."""
    contenders = measured("Transom", 8, ours), measured("ffmpeg", 8, ffmpeg), measured("limit", 8, limit)
    return Round(8, 10.0, 50.0, contenders)


def by_name(rounds: list[Round]) -> dict[str, Figure]:
    """Return the figures by what they are."""
    return {figure.what: figure for figure in figures(rounds)}


@pytest.mark.parametrize(
    ("value", "must", "goal", "verdict"),
    [
        (1.4, 2.2, 1.5, Verdict.MET),
        (1.5, 2.2, 1.5, Verdict.MET),
        (1.51, 2.2, 1.5, Verdict.MUST_MET),
        (2.21, 2.2, 1.5, Verdict.MISSED),
        (1.1, 1.1, None, Verdict.MET),
        (2.1, None, 2.0, Verdict.MISSED),
        (9.0, None, None, Verdict.NO_BAR),
        (None, 2.2, 1.5, Verdict.NOT_MEASURED),
    ],
)
def test_verdicts(value: float | None, must: float | None, goal: float | None, verdict: Verdict) -> None:
    """A figure meets a bar that it reaches; what was not measured is not met."""
    assert Figure("some", "x", value, must, goal).verdict is verdict


def test_ratios_are_taken_inside_a_round() -> None:
    """A slow round slows everybody: the ratio of medians would be another number."""
    rounds = [a_round(1.0, 6.0, 0.5), a_round(10.0, 50.0, 5.0), a_round(2.0, 20.0, 0.5)]
    found = by_name(rounds)
    assert found["CPU beside ffmpeg, N=8"].measured == pytest.approx(1 / 6)
    assert found["CPU beside ffmpeg, N=8"].verdict is Verdict.MUST_MET
    assert found["CPU beside the C limit, N=8"].measured == 2.0


def test_more_cameras_are_compared_with_eight_of_the_same_round() -> None:
    """The eight that ran alone do not count there, nor do the eight beside others count as a round of eight."""
    beside = measured("Transom", 8, 2.0, "transom-beside")
    wide = Round(32, 10.0, 50.0, (measured("Transom", 32, 2.1), beside, measured("limit", 32, 0.5)))
    found = by_name([a_round(1.0, 6.0, 0.5), wide])
    assert found["CPU per camera, N=32 to N=8"].measured == pytest.approx(1.05)
    assert found["CPU per camera-second, N=8"].measured == 1.0
    assert found["memory per camera beyond 8"].measured == 1.0
    assert found["memory per camera, N=8"].measured == 2.5
    assert found["device B per video B, N=8"].measured == pytest.approx(1.01)


def test_what_was_not_measured_is_said_so() -> None:
    """Without the limit, or a device of its own, no figure is made up."""
    ours = msgspec.structs.replace(measured("Transom", 8, 1.0), device_bytes=None, flushes_per_s=None)
    found = by_name([Round(8, 10.0, 50.0, (ours,))])
    unknown = {what for what, figure in found.items() if figure.verdict is Verdict.NOT_MEASURED}
    assert unknown >= {"CPU beside the C limit, N=8", "device B per video B, N=8", "flushes of the device, N=8"}
    assert len(found) == len(BARS)


def test_who_did_not_do_its_work_is_not_praised_for_its_cost() -> None:
    """A recorder that lost what it was sent costs little, and is judged by the hole only."""
    lost = msgspec.structs.replace(measured("Transom", 8, 0.01), has_all=False, holes=3)
    found = by_name([Round(8, 10.0, 50.0, (lost, measured("ffmpeg", 8, 6.0)))])
    assert found["CPU beside ffmpeg, N=8"].verdict is Verdict.NOT_MEASURED
    assert found["cameras with a hole"].measured == 3
    assert found["cameras with a hole"].verdict is Verdict.MISSED
    never = msgspec.structs.replace(lost, holes=0)
    assert by_name([a_round(1, 6, 1), Round(8, 10.0, 50.0, (never,))])["cameras with a hole"].measured == 8
    assert by_name([a_round(1, 6, 1)])["cameras with a hole"].verdict is Verdict.MET


def test_tables_name_every_figure_and_verdict() -> None:
    """What people see has every figure, its bars, and fits a terminal of 80 columns."""
    text = StringIO()
    print_tables(Console(file=text, width=80), [a_round(3.0, 6.0, 0.5)])
    lines = text.getvalue()
    assert all(bar.what in lines for bar in BARS)
    assert "missed" in lines
    assert "not measured" in lines
    assert "<= 2.2" in lines


@pytest.mark.parametrize(
    ("kept", "sent", "words"),
    [
        (Kept(990, 970, is_wire=True), Sent(8, 1000), []),
        (Kept(990, 970, is_wire=True), Sent(7, 1000), ["connections"]),
        (Kept(990, 970, is_wire=True), Sent(8, 1000, dropped=1), ["dropped"]),
        (Kept(800, 790, is_wire=True), Sent(8, 1000), ["received"]),
        (Kept(990, 500, is_wire=True), Sent(8, 1000), ["footage"]),
        (Kept(None, 500), Sent(8, 1000), []),
    ],
)
def test_losses_are_told(kept: Kept, sent: Sent, words: list[str]) -> None:
    """What was sent and neither received nor stored is named; a second's bytes may be on their way."""
    told = list(losses(8, kept, sent, second_bytes=100))
    assert len(told) == len(words)
    assert all(word in one for word, one in zip(words, told, strict=True))
