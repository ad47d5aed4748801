"""Chunks pass by unchanged and leave their sound: packets with what was lost, and sender reports."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.stream import StreamHeader, Track
from agent.cut.clip import WireChunk
from agent.cut.sound_rtp import PACKETS_MAX, REPORTS_MAX, SoundTap
from agent.errors import BadInputError
from tests.simulators.h264_source import CAMERA, Recipe, film, rtp_frame
from tests.simulators.sound_source import CHANNEL, KIND, Microphone, noise, sender_report, with_sound

MIC = Microphone()
SOURCE = with_sound(film(Recipe(pictures=80)), MIC, noise(32_000))


def tapped(chunks: tuple[WireChunk, ...], header: StreamHeader = SOURCE.header) -> SoundTap:
    """Let all chunks pass."""
    tap = SoundTap([header])
    assert tuple(tap.passing(chunks)) == chunks
    return tap


def spoken(frames: bytes, sequence: int = 0) -> WireChunk:
    """Make a chunk of these frames."""
    return WireChunk(1, sequence, SOURCE.chunks[0].anchor, frames)


def test_packets_and_reports_are_kept_in_order() -> None:
    """Each packet knows the picture it came with; the reports of both tracks are told apart."""
    (run,) = tapped(SOURCE.chunks).runs
    steps = [(b.rtp - a.rtp) % 2**32 for a, b in zip(run.packets, run.packets[1:], strict=False)]
    assert set(steps) == {160}
    assert not any(packet.is_after_loss for packet in run.packets)
    assert all(packet.video_rtp is not None for packet in run.packets)
    assert len(run.video_reports) == len(run.reports) == 4
    assert run.reports[0].ntp64 > run.video_reports[0].ntp64


def test_holes_are_marked_where_numbers_are_missing() -> None:
    """A missing packet, a missing chunk; a packet that came twice is no hole."""
    source = with_sound(film(Recipe(pictures=80)), replace(MIC, lost=frozenset([5])), noise(32_000))
    (run,) = tapped(source.chunks).runs
    assert [n for n, packet in enumerate(run.packets) if packet.is_after_loss] == [5]
    (run,) = tapped((*SOURCE.chunks[:2], *SOURCE.chunks[3:])).runs
    assert sum(packet.is_after_loss for packet in run.packets) == 1
    one = [rtp_frame(n, 160 * n, b"x", marker=False, channel=CHANNEL, kind=KIND) for n in (1, 1, 2)]
    (run,) = tapped((spoken(b"".join(one)),)).runs
    assert [(p.rtp, p.is_after_loss) for p in run.packets] == [(160, False), (320, False)]


def test_a_camera_without_sound_leaves_nothing() -> None:
    """Nothing is read of a run that has pictures only."""
    plain = film(Recipe())
    assert tapped(plain.chunks, plain.header).runs == []


def test_other_payload_types_and_broken_reports_are_passed_over() -> None:
    """What is not the track's own is not sound, and half a report is none."""
    foreign = rtp_frame(1, 0, b"x", marker=False, channel=CHANNEL, kind=KIND + 1)
    report = sender_report(1, 2, CHANNEL + 1)
    half = report[:2] + (12).to_bytes(2, "big") + report[4:16]
    none = report[:12] + bytes(8) + report[20:]
    (run,) = tapped((spoken(foreign + half + none),)).runs
    assert (run.packets, run.reports) == ([], [])
    (run,) = tapped((spoken(report * (REPORTS_MAX + 1)),)).runs
    assert len(run.reports) == REPORTS_MAX


def test_too_many_packets_are_given_up() -> None:
    """Memory has a limit: beyond it no sound is kept at all, and the pictures pass on."""
    frames = [rtp_frame(n, n, b"", marker=False, channel=CHANNEL, kind=KIND) for n in range(1000)]
    tap = tapped(tuple(spoken(b"".join(frames), n) for n in range(PACKETS_MAX // 1000 + 1)))
    assert (tap.is_too_much, tap.runs) == (True, [])


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_bad_input(wire: bytes) -> None:
    """Nothing but BadInputError comes out of any chunk."""
    tracks = (Track(0, "video", "H264", 96, 90_000), Track(2, "audio", "PCMU", 0, 8000))
    tap = SoundTap([StreamHeader(CAMERA, 1, tracks)])
    for chunk in (spoken(wire), spoken(b"$\x03" + len(wire).to_bytes(2, "big") + wire)):
        try:
            list(tap.passing([chunk]))
        except BadInputError:
            assert chunk.wire == wire
    with pytest.raises(BadInputError):
        list(tap.passing([spoken(b"not frames")]))
