"""Every sort of sound beside pictures cut at every kind of border, each block of it proven against the camera's log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.clock import WallTime, Window
from agent.cut.sound_gaps import WHY_SOUND_LOST
from agent.demo.clip_proof import prove
from agent.demo.clip_sound import AAC, HowHeard, SoundProof
from tests.simulators.logged_sound import MICROPHONES, film_and_hear, sound_windows
from tests.simulators.logged_streams import Filmed, Sort, log_of
from tests.simulators.proven_cuts import Cut, cut_and_prove, windows

RecordProperty = Callable[[str, object], None]
B_FRAMES = ("none", "pyramid")
SAMPLED = {"none": 2, "pyramid": 4}  # an ordinary run cuts every second or fourth cell, others for each microphone
WITHOUT_SOUND = {"between two pictures", "beside the footage"}
"""Windows in which no picture was taken: no file, so no sound either."""
SCARCELY_ANY = {"one picture", "shorter than a sample"}
PAST_THE_FILM = {"longer than the ring", "key to key"}
TO_THE_SAMPLE = ("PCMU", "PCMA", "G.726")
STARTS_S = 0.02
CELLS_MIN = 270


def sort_of(b_frames: str) -> Sort:
    """Name a stream of pictures."""
    return Sort(gops_s=(2.0,), seconds=4.0, b_frames=b_frames)


def all_windows(filmed: Filmed) -> dict[str, Window]:
    """Return windows by the pictures and windows by the sound."""
    return windows(filmed) | sound_windows(filmed)


def sound_of(done: Cut) -> SoundProof:
    """Return what is proven of the sound, which was judged."""
    assert done.proof.sound is not None
    return done.proof.sound


@pytest.mark.parametrize("b_frames", B_FRAMES)
@pytest.mark.parametrize("name", MICROPHONES)
def test_sound_is_cut_exactly_beside_every_sort_of_picture(
    name: str, b_frames: str, record_property: RecordProperty, pytestconfig: pytest.Config
) -> None:
    """None from outside, none missing but what FORMAT.md says is lost at edges, in step within 20 ms.

    Of G.711 and G.726 the first and the last sample, as counted from the clip alone, are those of the window.
    """
    mic = MICROPHONES[name]
    filmed = film_and_hear(sort_of(b_frames), mic)
    cells = all_windows(filmed)
    if not pytestconfig.getoption("--all-cells"):
        every = SAMPLED[b_frames]
        cells = dict(list(cells.items())[list(MICROPHONES).index(name) % every :: every])
    for border, window in cells.items():
        done = cut_and_prove([filmed], window, has_sound=True)
        assert (border, done.proof.outside, done.proof.missing, done.proof.faults) == (border, (), (), ())
        if border in WITHOUT_SOUND:
            assert done.clip == b""
            continue
        told = sound_of(done)
        assert (border, told.outside, told.missing, told.faults) == (border, (), (), ())
        assert abs(told.late_ns) <= (100_000 if done.report.sound and done.report.sound.codec else 0)
        how = HowHeard.COPIED if mic.encoding == AAC else HowHeard.REENCODED
        assert told.count(how) == len(told.accounts)
        assert bool(told.accounts) == (done.report.sound is not None and bool(done.report.sound.codec))
        if border not in SCARCELY_ANY and mic.encoding != AAC and window.seconds > 0.1:
            assert told.accounts
        if name.startswith(TO_THE_SAMPLE) and border not in SCARCELY_ANY | PAST_THE_FILM:
            assert_every_sample(filmed, window, told, 1000 if "block" in border else 0)
    record_property("cut_cells", len(cells))


def assert_every_sample(filmed: Filmed, window: Window, told: SoundProof, edge_ns: int) -> None:
    """Check the first and the last sample; a border on a sample may be `edge_ns` beside it."""
    log, accounts = log_of(filmed), told.accounts
    first, end = accounts[0].first or 0, (accounts[-1].first or 0) + accounts[-1].samples
    assert log.heard_at(first - 1) - edge_ns < window.start <= log.heard_at(first) + edge_ns
    assert log.heard_at(end - 1) - edge_ns < window.end <= log.heard_at(end) + edge_ns + 1
    assert sum(one.samples for one in accounts) == end - first


@pytest.mark.parametrize("name", MICROPHONES)
def test_the_sound_of_parts_is_the_sound_of_the_whole(name: str, record_property: RecordProperty) -> None:
    """Inner borders cost no sample and no block, and none is there twice: both parts are judged as one clip."""
    filmed = film_and_hear(sort_of("none"), MICROPHONES[name])
    whole = all_windows(filmed)["on pictures"]
    inner = WallTime(filmed.key_times[1])
    parts = [Window(whole.start, inner), Window(inner, whole.end)]
    clips = [cut_and_prove([filmed], part, granted=whole, has_sound=True).clip for part in parts]
    proof = prove(clips, log_of(filmed), whole, has_sound=True)
    assert (proof.outside, proof.missing, proof.faults, proof.is_exact) == ((), (), (), True)
    assert not prove(clips[:1], log_of(filmed), whole, has_sound=True).is_exact
    assert not prove([clips[0], *clips], log_of(filmed), whole, has_sound=True).is_exact
    record_property("cut_cells", 1)


@pytest.mark.parametrize("name", MICROPHONES)
def test_lost_packets_of_sound_are_silence_and_missing(name: str, record_property: RecordProperty) -> None:
    """What never came is missing, and only that; the report has it as a gap; what follows is in its place."""
    whole = film_and_hear(sort_of("none"), MICROPHONES[name])
    log, window = log_of(whole), all_windows(whole)["on pictures"]
    middle = next(n for n, one in enumerate(whole.sounds) if log.heard_at(one.first) > whole.times[50])
    per_packet = MICROPHONES[name].packet if name == "AAC 8 kHz" else 1
    if name == "AAC 48 kHz":
        return  # a block is many packets: what is lost with one of them is not a packet's number
    packets = frozenset(range(middle // per_packet, middle // per_packet + (4 if per_packet == 1 else 1)))
    filmed = film_and_hear(sort_of("none"), replace(MICROPHONES[name], lost=packets))
    done = cut_and_prove([filmed], window, has_sound=True)
    told = sound_of(done)
    lost = [one for number, one in enumerate(whole.sounds) if number // per_packet in packets]
    assert (told.outside, told.faults) == ((), ())
    assert told.missing
    slack = 48 if MICROPHONES[name].encoding != "OPUS" else 960
    assert min(first for first, _ in told.missing) >= lost[0].first - slack
    assert max(end for _, end in told.missing) <= lost[-1].first + lost[-1].samples + slack
    assert sum(end - first for first, end in told.missing) >= 0.9 * (lost[-1].first - lost[0].first)
    assert done.report.sound is not None
    assert WHY_SOUND_LOST in {gap.why for gap in done.report.sound.gaps}
    record_property("cut_cells", 1)


@pytest.mark.parametrize("name", MICROPHONES)
def test_over_two_runs_the_sound_of_both_is_there(name: str, record_property: RecordProperty) -> None:
    """The camera came back after some seconds: between them there is silence, and each is in its place."""
    mic = MICROPHONES[name]
    runs = film_and_hear(sort_of("none"), mic), film_and_hear(sort_of("none"), mic, 2, 6)
    first, second = (all_windows(run)["on pictures"] for run in runs)
    window = Window(first.start, second.end)
    done = cut_and_prove(runs, window, has_sound=True)
    assert (done.proof.outside, done.proof.missing, done.proof.faults) == ((), (), ())
    told = sound_of(done)
    assert (told.outside, told.faults) == ((), ())
    began = next(one.first for one in runs[1].sounds)  # decoders of G.726 and Opus begin with nothing, and adapt
    assert all(0 <= first - began <= end - began <= STARTS_S * mic.rate_hz for first, end in told.missing)
    assert not (told.missing and mic.encoding in ("PCMU", "PCMA", AAC))
    assert told.count(HowHeard.SILENCE) > 5
    record_property("cut_cells", 1)


@pytest.mark.parametrize("name", [name for name in MICROPHONES if name.startswith("AAC")])
def test_no_block_tells_of_sound_outside_however_a_camera_stamps_it(name: str, record_property: RecordProperty) -> None:
    """By its first sample or by the one 1024 later: what it codes lies within. It may be played as late as stamped."""
    filmed = film_and_hear(sort_of("none"), replace(MICROPHONES[name], stamped_late=1024))
    cells = all_windows(filmed)
    for border, window in cells.items():
        done = cut_and_prove([filmed], window, has_sound=True)
        assert (border, done.proof.outside, done.proof.missing, done.proof.faults) == (border, (), (), ())
        if border not in WITHOUT_SOUND:
            told = sound_of(done)
            assert (border, told.outside, told.missing) == (border, (), ())
            assert {fault for fault in told.faults if "too late" not in fault and "later than" not in fault} == set()
    record_property("cut_cells", len(cells))


@pytest.mark.parametrize("name", MICROPHONES)
def test_without_a_grant_there_is_no_sound(name: str) -> None:
    """Not one block; and the judge who is told that there must be none says so of a clip with sound."""
    filmed = film_and_hear(sort_of("none"), MICROPHONES[name])
    window = all_windows(filmed)["on pictures"]
    bare = cut_and_prove([filmed], window)
    assert (bare.proof.is_exact, bare.proof.sound_blocks) == (True, 0)
    heard = cut_and_prove([filmed], window, has_sound=True).clip
    assert not prove([heard], log_of(filmed), window, has_sound=False).is_exact


def test_the_matrix_of_sound_is_as_large_as_it_says() -> None:
    """Whoever takes microphones or windows away must say so here."""
    filmed = film_and_hear(sort_of("none"), MICROPHONES["PCMU"])
    assert len(MICROPHONES) * len(B_FRAMES) * len(all_windows(filmed)) >= CELLS_MIN
