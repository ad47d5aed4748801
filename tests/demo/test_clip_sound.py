"""Exact sound is proven, and each way in which the sound of a clip may lie is caught."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from agent.clock import WallTime, Window
from agent.cut.mp4 import Sample, VideoTrack, write_movie
from agent.cut.mp4_sound import SoundTrack
from agent.cut.sound_libav import encode_aac
from agent.demo.clip_proof import Proof, prove
from agent.demo.clip_sound import HowHeard, SoundProof
from agent.demo.sound_code import LEVEL, wave
from agent.errors import BadInputError
from agent.opening.clip_boxes import take_apart
from tests.simulators.logged_sound import MICROPHONES, film_and_hear
from tests.simulators.logged_streams import Filmed, Sort, log_of
from tests.simulators.proven_cuts import TICK_NS, cut_and_prove, windows

SORT = Sort(gops_s=(1.0,), seconds=3.0)
PCMU, AAC = (film_and_hear(SORT, MICROPHONES[name]) for name in ("PCMU", "AAC 16 kHz"))
WINDOW = windows(PCMU)["1 tick before"]
FIRST = next(n for n in range(1 << 20) if log_of(PCMU).heard_at(n) >= WINDOW.start)
COUNT = next(n for n in range(1 << 20) if log_of(PCMU).heard_at(FIRST + n) >= WINDOW.end)
FAR = Window(WallTime(WINDOW.start - 900_000_000), WallTime(WINDOW.end + 500_000_000))


def sound_of(proof: Proof) -> SoundProof:
    """Return what is proven of the sound, which was judged."""
    assert proof.sound is not None
    return proof.sound


def judged(filmed: Filmed, clip: bytes) -> SoundProof:
    """Judge a clip whose pictures are exact."""
    proof = prove([clip], log_of(filmed), WINDOW, has_sound=True)
    assert proof.are_pictures_exact
    assert proof.is_exact == sound_of(proof).is_exact
    return sound_of(proof)


def with_track(filmed: Filmed, sound: SoundTrack) -> bytes:
    """Write the window's pictures with a track of sound."""
    clip = cut_and_prove([filmed], WINDOW).clip
    video = take_apart(clip).video
    samples = [Sample(one.shown_at, one.is_sync, clip[one.begin : one.end]) for one in video.samples]
    return b"".join(write_movie(VideoTrack(SORT.width, SORT.height, video.configuration, samples, 3600), sound))


def encoded(
    first: int, count: int, *, told: int = 0, silent: Sequence[int] = (), late_ns: int = 0, hz: int = 8000
) -> bytes:
    """Write a clip with sound made from samples of the camera's; `told` is how many more the tables leave out."""
    log, head = log_of(PCMU), PCMU.sound
    assert head is not None
    samples = (LEVEL * wave(first, count, head.starts_ns, hz, head.chips_hz)).astype("<i2")
    samples[list(silent)] = 0
    made = encode_aac(samples.tobytes(), 8000, 1)
    durations = [*made.durations[:-1], made.durations[-1] - told * 6]
    start_ns = log.heard_at(first) - min(moment for moment in PCMU.times if moment >= WINDOW.start) + late_ns
    return with_track(PCMU, SoundTrack(48_000, 1, made.configuration.encoded(), made.blocks, durations, start_ns))


def copied(numbers: Sequence[int], *, late_ns: int = 0, spoiled: int = -1) -> bytes:
    """Write a clip with these blocks of the camera's."""
    wide = cut_and_prove([AAC], FAR, has_sound=True).clip
    track = take_apart(wide).tracks[1]
    every = {one.first: wide[s.begin : s.end] for one, s in zip(sent_in(wide), track.samples, strict=True)}
    blocks = [every[1024 * number] for number in numbers]
    if spoiled >= 0:
        blocks[spoiled] = blocks[spoiled][:-3] + b"\1\2\3"
    start_ns = log_of(AAC).heard_at(1024 * numbers[0]) - min(m for m in AAC.times if m >= WINDOW.start) + late_ns
    return with_track(AAC, SoundTrack(16_000, 1, track.configuration, blocks, [1024] * len(blocks), start_ns))


def sent_in(clip: bytes) -> Sequence[object]:
    """Return what is proven of each block of a clip of the wide window."""
    return sound_of(prove([clip], log_of(AAC), FAR, has_sound=True)).accounts


def whole_blocks() -> range:
    """Return the numbers of the blocks that an exact clip has."""
    told = sound_of(cut_and_prove([AAC], WINDOW, has_sound=True).proof).accounts
    return range((told[0].first or 0) // 1024, (told[-1].first or 0) // 1024 + 1)


def test_sound_made_from_exactly_the_windows_samples_is_proven() -> None:
    """What these tests write is what the cutter writes, as far as anybody can hear."""
    told = judged(PCMU, encoded(FIRST, COUNT))
    assert told.is_exact
    assert abs(told.late_ns) <= TICK_NS
    assert (told.accounts[0].first, told.count(HowHeard.REENCODED)) == (FIRST, len(told.accounts))
    assert sum(account.samples for account in told.accounts) == COUNT


def test_the_cameras_own_blocks_are_proven() -> None:
    """Each is the one that the log names, and lies in the window."""
    told = judged(AAC, copied(whole_blocks()))
    assert told.is_exact
    assert told.count(HowHeard.COPIED) == len(told.accounts) == len(whole_blocks())


Lie = Callable[[], bytes]
OUTSIDE: dict[str, tuple[Filmed, Lie]] = {
    "a sample too early": (PCMU, lambda: encoded(FIRST - 1, COUNT + 1)),
    "a sample too late": (PCMU, lambda: encoded(FIRST, COUNT + 1)),
    "a packet too late": (PCMU, lambda: encoded(FIRST, COUNT + 160)),
    "a sample behind the end that the tables state": (PCMU, lambda: encoded(FIRST, COUNT + 1, told=1)),
    "a packet behind the end that the tables state": (PCMU, lambda: encoded(FIRST, COUNT + 100, told=100)),
    "a block that reaches over the start": (AAC, lambda: copied([whole_blocks()[0] - 2, *whole_blocks()])),
    "a block that reaches over the end": (AAC, lambda: copied([*whole_blocks(), whole_blocks()[-1] + 2])),
}
MISSING: dict[str, tuple[Filmed, Lie]] = {
    "the first sample": (PCMU, lambda: encoded(FIRST + 1, COUNT - 1)),
    "the last sample": (PCMU, lambda: encoded(FIRST, COUNT - 1)),
    "five milliseconds in the middle": (PCMU, lambda: encoded(FIRST, COUNT, silent=range(4000, 4040))),
    "the second block": (AAC, lambda: copied([n for n in whole_blocks() if n != whole_blocks()[1]])),
    "the last two blocks": (AAC, lambda: copied(whole_blocks()[:-2])),
}
FAULTS: dict[str, tuple[Filmed, Lie, str]] = {
    "early": (PCMU, lambda: encoded(FIRST, COUNT, late_ns=-25_000_000), "-25.0 ms later"),
    "late": (PCMU, lambda: encoded(FIRST, COUNT, late_ns=25_000_000), "25.0 ms later"),
    "blocks late": (AAC, lambda: copied(whole_blocks(), late_ns=25_000_000), "25.0 ms too late"),
    "of another time": (PCMU, lambda: encoded(FIRST + 40_000, COUNT, late_ns=-5_000_000_000), "not what this camera"),
    "changed": (AAC, lambda: copied(whole_blocks(), spoiled=5), "no block that the camera sent"),
    "twice": (AAC, lambda: copied([*whole_blocks(), whole_blocks()[-1]]), "is there 2 times"),
}


@pytest.mark.parametrize("lie", OUTSIDE)
def test_sound_from_outside_is_caught(lie: str) -> None:
    """Whether or not a player would play it."""
    filmed, make = OUTSIDE[lie]
    told = judged(filmed, make())
    assert told.outside
    first, end = told.outside[0]
    assert end - first <= (162 if filmed is PCMU else 2048)


@pytest.mark.parametrize("lie", MISSING)
def test_sound_that_is_not_there_is_missed(lie: str) -> None:
    """To the sample at the borders, to 2 ms within."""
    filmed, make = MISSING[lie]
    told = judged(filmed, make())
    assert told.missing
    assert not told.outside


@pytest.mark.parametrize("lie", FAULTS)
def test_sound_that_is_not_what_it_should_be_is_a_fault(lie: str) -> None:
    """And named as what it is."""
    filmed, make, fault = FAULTS[lie]
    told = judged(filmed, make())
    assert any(fault in each for each in told.faults), told.faults


def test_a_clip_without_its_sound_misses_all_of_it() -> None:
    """If it was shared; if nobody says so, a clip without sound is as good as one of a camera without a microphone."""
    bare = cut_and_prove([PCMU], WINDOW).clip
    told = judged(PCMU, bare)
    assert told.missing == ((FIRST, FIRST + COUNT),)
    assert prove([bare], log_of(PCMU), WINDOW).is_exact


def test_sound_is_judged_only_by_a_log_that_knows_sound() -> None:
    """Else its blocks are counted."""
    clip = cut_and_prove([PCMU], WINDOW, has_sound=True).clip
    proof = prove([clip], log_of(replace(PCMU, sound=None, sounds=())), WINDOW)
    assert (proof.sound, proof.sound_blocks > 0, proof.is_exact) == (None, True, True)


def test_damaged_sound_is_a_fault_or_bad_input() -> None:
    """Bytes changed at random in the track and its tables never raise anything else."""
    drawn = random.Random(5)  # noqa: S311 - repeatable damage
    clip = cut_and_prove([PCMU], WINDOW, has_sound=True).clip
    begin, end = clip.index(b"soun") - 60, clip.index(b"mdat")
    for _ in range(40):
        damaged = bytearray(clip)
        damaged[drawn.randrange(begin, end)] ^= 1 << drawn.randrange(8)
        try:
            prove([bytes(damaged)], log_of(PCMU), WINDOW, has_sound=True)
        except BadInputError:
            continue
