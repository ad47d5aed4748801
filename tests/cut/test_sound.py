"""The sound of a clip, end to end: what is heard is what was said within the window, and when it was said."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import ClipReport, SoundReport
from agent.cut.sound_gaps import WHY_NO_SOUND, WHY_SOUND_EDGE, WHY_SOUND_LOST
from tests.simulators.clips import cut, shown_by_pyav, window_of
from tests.simulators.h264_source import EPOCH, Recipe, Source, film, without_packets
from tests.simulators.heard import hear, lag_s
from tests.simulators.mp4_reader import read_movie
from tests.simulators.sound_source import Microphone, Samples, aac_blocks, noise, tone, with_sound

FILM = film(Recipe(pictures=80))
AAC = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config="
MICROPHONES = [
    Microphone(),
    Microphone("PCMA"),
    Microphone("PCMU", 16_000, packet=320),
    *(Microphone(f"{order}G726-{kbits}") for order in ("", "AAL2-") for kbits in (16, 24, 32, 40)),
    Microphone("OPUS", 48_000, channels=2, packet=960),
    Microphone("MPEG4-GENERIC", 16_000, AAC + "1408", packet=1),
    Microphone("MPEG4-GENERIC", 8_000, AAC + "1588", packet=3),
    Microphone("MPEG4-GENERIC", 48_000, AAC + "1190", packet=1, channels=2, fragment_bytes=100),
]
PCMU, SIXTEEN_KHZ = MICROPHONES[0], MICROPHONES[-3]


def name_of(mic: Microphone) -> str:
    """Name a parameter."""
    return f"{mic.encoding}-{mic.rate_hz}"


def heard_as(report: ClipReport) -> SoundReport:
    """Return what the report says of the sound, which must be there."""
    assert report.sound is not None
    return report.sound


def recorded(mic: Microphone, samples: Samples | None = None, pictures: Source = FILM) -> Source:
    """Film with sound: noise, unless told otherwise."""
    return with_sound(pictures, mic, noise(round(mic.seconds * mic.rate_hz)) if samples is None else samples)


def lag_of(clip: bytes, report: ClipReport, mic: Microphone) -> tuple[float, float]:
    """Compare what is heard with what was said, by the pictures' clock: lag in seconds, and likeness."""
    heard, rate_hz, start_s = hear(clip)
    said = heard_as(report)
    assert report.first_picture is not None
    assert said.start is not None
    zero = min(report.first_picture, said.start)
    first_s = (zero - mic.start) / SECOND_NS + start_s
    spoken = noise(round(mic.seconds * mic.rate_hz)).astype(np.float32)
    at = (first_s + np.arange(len(heard)) / rate_hz) * mic.rate_hz
    return lag_s(heard, np.interp(at, np.arange(len(spoken)), spoken).astype(np.float32), rate_hz)


@pytest.mark.parametrize("mic", MICROPHONES, ids=name_of)
def test_sound_is_in_step_with_the_pictures(mic: Microphone) -> None:
    """Whatever the codec, what is heard was said when the picture shown with it was taken, within a millisecond."""
    window = window_of(0.51, 2.3)
    clip, report = cut([recorded(mic)], window, window)
    late_s, likeness = lag_of(clip, report, mic)
    assert abs(late_s) <= 0.001
    assert likeness > 0.85
    said = heard_as(report)
    assert (said.source, said.codec, said.clock) == (mic.encoding, "aac", "sr")
    assert said.is_reencoded == (mic.encoding != "MPEG4-GENERIC")
    assert report.pictures == len(shown_by_pyav(clip)) == 45


@pytest.mark.parametrize("sent_late_s", [-0.4, 0.4])
def test_sender_reports_tell_when_sound_was_taken_however_late_it_comes(sent_late_s: float) -> None:
    """A camera that sends its sound long before or after the pictures is still in step."""
    mic, window = replace(PCMU, sent_late_s=sent_late_s), window_of(0.71, 2.3)
    clip, report = cut([recorded(mic)], window, window)
    assert abs(lag_of(clip, report, mic)[0]) <= 0.001


def test_without_sender_reports_sound_is_as_late_as_it_came() -> None:
    """Arrival is the last resort, and the report says so with a bound that holds."""
    mic, window = replace(PCMU, report_every_s=0, sent_late_s=0.1), window_of(0.71, 2.3)
    clip, report = cut([recorded(mic)], window, window)
    late_s, likeness = lag_of(clip, report, mic)
    said = heard_as(report)
    assert (said.clock, likeness > 0.85) == ("arrival", True)
    assert 0.05 < late_s < 0.15
    assert late_s < said.error_ns / SECOND_NS


@pytest.mark.parametrize("mic", MICROPHONES, ids=name_of)
def test_nothing_from_outside_the_window_is_heard(mic: Microphone) -> None:
    """In a clip of a silent second between two loud ones there is no sound at all."""
    count = round(mic.seconds * mic.rate_hz)
    samples = tone(count, mic.rate_hz, 1000, 25_000)
    begin, end = round((mic.early_s + 1) * mic.rate_hz), round((mic.early_s + 2) * mic.rate_hz)
    samples[begin:end] = 0
    window = window_of(1, 2)
    clip, _ = cut([recorded(mic, samples)], window, window)
    heard, _, _ = hear(clip)
    assert len(heard)
    loud, _, _ = hear(cut([recorded(mic, samples)], window_of(0.1, 0.95), window_of(0.1, 0.95))[0])
    assert float(np.abs(loud).max()) > 0.5
    # What remains is the step of the codec's own quantisation, which has no part of the tone.
    assert float(np.abs(heard).max()) < 0.01


@settings(max_examples=25)
@given(start_ns=st.integers(0, 2 * SECOND_NS), length_ns=st.integers(SECOND_NS // 20, SECOND_NS))
def test_any_window_has_its_samples_exactly(start_ns: int, length_ns: int) -> None:
    """Of G.711 exactly the samples taken in the half-open window are encoded: not one more, not one less."""
    window = Window(WallTime(EPOCH + start_ns), WallTime(EPOCH + start_ns + length_ns))
    source, mic = recorded(PCMU), PCMU
    clip, report = cut([source], window, window)
    if not report.pictures:
        assert clip == b""
        return
    times = [mic.start + n * SECOND_NS // mic.rate_hz for n in range(round(mic.seconds * mic.rate_hz))]
    # The camera's reports are rounded to what NTP can say: a sample on the very border may be on either side of it.
    surely = [time for time in times if window.start + 100 <= time < window.end - 100]
    maybe = [time for time in times if window.start - 100 <= time < window.end + 100]
    (sound,) = read_movie(clip).sounds
    assert len(surely) <= sum(sound.durations) / 6 <= len(maybe)
    said = heard_as(report)
    assert said.gaps == ()
    assert said.start is not None
    assert abs(said.start - surely[0]) <= 125_100


@settings(max_examples=25)
@given(start_s=st.floats(0, 2), length_s=st.floats(0.2, 1))
def test_copied_blocks_reach_nowhere_outside(start_s: float, length_s: float) -> None:
    """Every block of AAC is the camera's own, and what it codes lies within the window by any reading of its time."""
    mic, window = SIXTEEN_KHZ, window_of(start_s, start_s + length_s)
    clip, report = cut([recorded(mic)], window, window)
    if not report.pictures or not heard_as(report).codec:
        return
    blocks = aac_blocks(mic, noise(round(mic.seconds * mic.rate_hz)))[1:]
    for sample in read_movie(clip).sounds[0].samples:
        time = mic.start + blocks.index(sample.payload) * 1024 * SECOND_NS // mic.rate_hz
        assert window.start <= time - 64_000_000 < time + 128_000_000 <= window.end


@settings(max_examples=15)
@given(start_s=st.floats(0, 2), length_s=st.floats(0.1, 0.6))
def test_packets_of_opus_that_reach_outside_are_left_out(start_s: float, length_s: float) -> None:
    """A packet's samples are coded together: only whole ones are heard, and their edges are told."""
    mic, window = MICROPHONES[-4], window_of(start_s, start_s + length_s)
    clip, report = cut([recorded(mic)], window, window)
    if not report.pictures:
        return
    said = heard_as(report)
    assert said.start is not None
    assert sum(read_movie(clip).sounds[0].durations) % mic.packet == 0
    packet_ns, lookahead_ns = mic.packet * SECOND_NS // mic.rate_hz, 6_500_000
    since = (said.start + lookahead_ns - mic.start) % packet_ns
    assert min(since, packet_ns - since) < 1000
    assert {gap.why for gap in said.gaps} <= {WHY_SOUND_EDGE}


@pytest.mark.parametrize("mic", [PCMU, SIXTEEN_KHZ], ids=name_of)
def test_without_a_grant_the_file_is_as_if_nobody_had_spoken(mic: Microphone) -> None:
    """Byte for byte it is the file of a camera without a microphone."""
    window = window_of(0.8, 2.4)  # between two key pictures: nothing is encoded, so two files can be equal
    clip, report = cut([recorded(mic)], window)
    assert clip == cut([FILM], window)[0]
    assert (report.sound, read_movie(clip).sounds) == (None, [])
    assert len(clip) < len(cut([recorded(mic)], window, window)[0])


def test_the_sound_of_two_parts_meets_to_the_sample() -> None:
    """Where one part of a clip ends and the next begins no sample is lost and none is there twice."""
    whole = window_of(0.51, 2.6)
    border = window_of(0, 1.6).end  # of a key picture
    (first, one), (second, other) = (
        cut([recorded(PCMU)], part, whole) for part in (Window(whole.start, border), Window(border, whole.end))
    )
    together, _ = cut([recorded(PCMU)], whole, whole)
    counts = [sum(read_movie(clip).sounds[0].durations) for clip in (first, second, together)]
    assert counts[0] + counts[1] == counts[2]
    end, start = heard_as(one).end, heard_as(other).start
    assert end is not None
    assert start is not None
    assert abs(end - start) <= 125_000


def test_copied_blocks_of_two_parts_are_those_of_the_whole() -> None:
    """An inner border costs no block: only the window's own edges must not be reached over."""
    whole, border = window_of(0.51, 2.6), window_of(0, 1.6).end
    source = recorded(SIXTEEN_KHZ)
    parts = [cut([source], part, whole)[0] for part in (Window(whole.start, border), Window(border, whole.end))]
    blocks = [
        [s.payload for s in read_movie(clip).sounds[0].samples] for clip in (*parts, cut([source], whole, whole)[0])
    ]
    assert blocks[0] + blocks[1] == blocks[2]
    assert len(set(blocks[2])) == len(blocks[2])


@pytest.mark.parametrize("mic", [PCMU, MICROPHONES[-4], SIXTEEN_KHZ], ids=name_of)
def test_what_is_lost_is_silence_and_told(mic: Microphone) -> None:
    """A hole is heard as silence of its own length, what follows is in its place, and the report names it."""
    lost = range(70, 80) if mic.encoding != "MPEG4-GENERIC" else range(24, 28)
    mic, window = replace(mic, lost=frozenset(lost)), window_of(0.51, 2.3)
    clip, report = cut([recorded(mic)], window, window)
    late_s, likeness = lag_of(clip, report, mic)
    assert abs(late_s) <= 0.001
    assert likeness > 0.8
    inner = [gap for gap in heard_as(report).gaps if WHY_SOUND_EDGE not in gap.why]
    assert [gap.why for gap in inner] == [WHY_SOUND_LOST]
    block_s = mic.packet * (1024 if mic.encoding == "MPEG4-GENERIC" else 1) / mic.rate_hz
    assert inner[0].end - inner[0].start == pytest.approx(len(lost) * block_s * SECOND_NS, rel=0.01)


def test_sound_that_begins_after_the_pictures_waits_for_them() -> None:
    """The only edit in a file is the empty one before such sound."""
    mic, window = replace(PCMU, early_s=-1.0, seconds=2.0), window_of(0.5, 2.5)
    clip, report = cut([recorded(mic)], window, window)
    movie = read_movie(clip)
    assert not movie.has_video_edits
    (delay, nothing), (_, begins) = movie.sounds[0].edits
    assert (nothing, begins) == (-1, 0)
    assert delay == pytest.approx(0.48 * 90_000, abs=3)  # the first picture is the one at 0.52
    assert abs(lag_of(clip, report, mic)[0]) <= 0.001
    assert [gap.why for gap in heard_as(report).gaps] == [WHY_NO_SOUND]


def test_sound_is_there_while_pictures_are_not_yet() -> None:
    """After a loss the pictures begin late; the sound does not, and both are in step."""
    pictures = without_packets(FILM, range(4))
    mic, window = PCMU, window_of(0.1, 1.9)
    clip, report = cut([recorded(mic, pictures=pictures)], window, window)
    said = heard_as(report)
    assert report.first_picture is not None
    assert said.start is not None
    assert report.first_picture - said.start > SECOND_NS // 2
    assert abs(lag_of(clip, report, mic)[0]) <= 0.001
    shown = shown_by_pyav(clip)
    assert shown[0][0] == pytest.approx((report.first_picture - said.start) * 90_000 / SECOND_NS, abs=1)


@pytest.mark.parametrize(
    ("mic", "why"),
    [
        (replace(PCMU, early_s=-9), WHY_NO_SOUND),
        (replace(SIXTEEN_KHZ, fmtp=AAC + "2b11"), "kind of AAC"),
        (replace(SIXTEEN_KHZ, fmtp=AAC + "zz"), "hexadecimal"),
        (replace(SIXTEEN_KHZ, fmtp=AAC + "1408;auxiliaryDataSizeLength=8"), "not known"),
        (replace(PCMU, channels=5), "5 channels"),
    ],
    ids=["none", "he-aac", "no-hex", "auxiliary", "channels"],
)
def test_sound_that_cannot_be_cut_costs_no_picture(mic: Microphone, why: str) -> None:
    """The clip is there without sound, and the report says why."""
    window = window_of(0.5, 1.9)
    source = recorded(mic) if mic.channels == 1 else _as(recorded(PCMU), channels=mic.channels)
    clip, report = cut([source], window, window)
    assert (report.pictures, read_movie(clip).sounds, heard_as(report).codec) == (35, [], "")
    (gap,) = heard_as(report).gaps
    assert why in gap.why
    assert (gap.start, gap.end) == (window.start, window.end)


def _as(source: Source, *, channels: int) -> Source:
    video, sound = source.header.tracks
    tracks = (video, msgspec.structs.replace(sound, sound_channels=channels))
    return replace(source, header=msgspec.structs.replace(source.header, tracks=tracks))


def test_sound_without_a_picture_is_not_delivered() -> None:
    """There is no file that it could be in, and the report says so."""
    window = window_of(3.3, 3.45)
    clip, report = cut([recorded(replace(PCMU, sent_late_s=-0.3))], window, window)
    assert (clip, heard_as(report).codec) == (b"", "")
    assert heard_as(report).gaps


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sampled_from(MICROPHONES))
def test_poisoned_sound_costs_sound_only(drawn: random.Random, mic: Microphone) -> None:
    """Whatever a camera sends as sound or as reports, the pictures are all there and nothing is raised."""
    source, window = recorded(mic), window_of(0.5, 1.9)
    chunks = []
    for chunk in source.chunks:
        wire, position = bytearray(chunk.wire), 0
        while position < len(wire):
            length = int.from_bytes(wire[position + 2 : position + 4], "big")
            if wire[position + 1] and drawn.random() < 0.3:
                for _ in range(drawn.randrange(1, 6)):
                    wire[position + 4 + drawn.randrange(length)] = drawn.randrange(256)
            position += 4 + length
        chunks.append(msgspec.structs.replace(chunk, wire=bytes(wire)))
    clip, report = cut([replace(source, chunks=tuple(chunks))], window, window)
    assert report.pictures == len(read_movie(clip).samples) == 35
    said = heard_as(report)
    if said.start is not None and said.end is not None:
        assert window.start <= said.start <= said.end <= window.end
