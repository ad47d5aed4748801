"""A hub's clock that is set while somebody vouches for it: what contradicts a better clock is never delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.buffer.clock_eras import ClockChange, ClockEra, ClockWord, encode_eras
from agent.clip_job import JobState
from agent.clips.dated_footage import DatedFootage
from agent.clock import SECOND_NS, TimeSource, WallTime, Window
from agent.command.request import RefusalReason
from agent.cut.plan import WHY_CLOCK_WRONG, WHY_TORN, WHY_TWICE
from agent.ports import Document
from agent.trust.clock_past import DOUBT_NS, ClockPast
from tests.simulators.clips import window_of
from tests.simulators.export_site import RECIPE, Process, Site, incident_site, record, run
from tests.simulators.h264_source import CAMERA, EPOCH, film
from tests.simulators.set_clock import SetClock

Clock = tuple["Recorder", Callable[..., ClockPast]]
RUN_WRONG, RUN_AFTER = 10, 20
FIRST_WRONG = 200  # of the pictures that were filmed under a clock that was set
RUNNING = window_of(0.5, 3.4)
DOUBT_S = DOUBT_NS / SECOND_NS
LONG_S = 3600
YEARS_S = 1000 * 24 * 3600


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site in the middle of an incident: three of the film's four seconds have passed."""
    with incident_site(tmp_path) as made:
        made.clock = SetClock(WallTime(EPOCH + 3 * SECOND_NS))
        yield made


class Recorder:
    """What a recorder tells of the hub's clock and puts into the ring, and what a process then believes of it."""

    def __init__(self, site: Site) -> None:
        self.site, self.changes = site, [ClockChange(1, 1, TimeSource.NETWORK)]

    def beside(self, process: Process, last_run: int = 0, boot: str = "") -> ClockPast:
        """Let a process cut by what is known of the clock, as the daemon builds it."""
        past = ClockPast(process.journal, self.site.clock, lambda: self.changes, boot)
        past.begin(last_run)
        process.footage.source = DatedFootage(process.footage.source, past)
        process.clock_word = past.word_for
        return past

    def set_by(self, seconds: float, next_run: int = RUN_WRONG) -> None:
        """Set the hub's clock; the recorder sees it, and begins another run."""
        site = self.site
        site.clock.set_to(WallTime(site.clock.now() + round(seconds * SECOND_NS)))
        self.changes.append(ClockChange(len(self.changes) + 1, next_run, TimeSource.NETWORK, is_step=True))

    def film(self, process: Process, begin_s: float) -> None:
        """Record four seconds under the clock that was set."""
        recipe = replace(RECIPE, first_number=FIRST_WRONG)
        record(process.ring, film(recipe, run=RUN_WRONG, start=WallTime(EPOCH + round(begin_s * SECOND_NS))))


async def sending(process: Process, window: Window = RUNNING) -> None:
    """Take an upload and wait until its first part has its receipt."""
    process.exporter.take(process.site.command("c1", window))
    await process.until(lambda: process.site.audited("receipt"))


def numbers(site: Site) -> list[int]:
    """Return the numbers of all pictures at the store."""
    return [number for part in site.delivered().values() for number in part]


@pytest.mark.parametrize("set_by_s", [-2.5, -40, LONG_S, YEARS_S])
def test_a_clock_that_is_right_again_costs_nothing(site: Site, set_by_s: float) -> None:
    """Set into the window, before it, ahead, or beyond all trust: while it is doubted nothing is cut or ended."""
    recorder = Recorder(site)

    async def life(process: Process) -> None:
        recorder.beside(process)
        await sending(process)
        recorder.set_by(set_by_s)
        recorder.film(process, 1)
        sealed = len(site.audited("sealed"))
        site.clock.go_on(4)
        assert len(site.audited("sealed")) == sealed
        recorder.set_by(-set_by_s, RUN_AFTER)
        site.clock.go_on(20)
        assert (await process.until_ended("c1")).status is JobState.SUCCEEDED
        assert len(site.audited("sealed")) > sealed

    run(site, life)
    assert numbers(site) == list(range(13, 85))


def test_what_was_done_is_not_forgotten_by_a_clock_that_was_set(site: Site) -> None:
    """A job ends while the clock is days ahead: when it is right again, no command can be done a second time."""
    recorder = Recorder(site)
    site.clock.go_on(20)
    envelope = site.command("c1", window_of(0.5, 1.9))

    async def life(process: Process) -> None:
        recorder.beside(process)
        process.exporter.take(envelope)
        await process.until_ended("c1")
        site.receipts.withheld = True
        process.exporter.take(site.command("c2", window_of(0.5, 1.9)))
        await process.until(lambda: "c2.cam-1.0000" in site.receipts.asked)
        recorder.set_by(YEARS_S)
        site.allow(mode="sharing_off")
        await process.until_ended("c2")
        await process.until(lambda: not process.exporter._tasks)
        recorder.set_by(-YEARS_S, RUN_AFTER)
        process.exporter.take(envelope)
        assert process.statuses("c1")[-1].reason is RefusalReason.REPLAYED

    run(site, life)


@pytest.mark.parametrize("is_restarted", [False, True], ids=["it goes on", "it restarts"])
def test_a_clock_that_stays_set_ends_what_was_asked_by_the_old_one(site: Site, *, is_restarted: bool) -> None:
    """Nobody can say whether the pictures before it or those since are of the window: neither are delivered."""
    recorder = Recorder(site)

    async def life(process: Process) -> None:
        recorder.beside(process)
        await sending(process)
        recorder.set_by(-40)
        recorder.film(process, 1)
        process.exporter._clock_word(site.clock.now())  # the daemon looks every second
        if not is_restarted:
            await rest(process)

    async def next_life(process: Process) -> None:
        recorder.beside(process, RUN_WRONG)
        process.exporter.resume()
        await rest(process)

    async def rest(process: Process) -> None:
        site.clock.go_on(DOUBT_S + 1)
        end = await process.until_ended("c1")
        assert end.status is JobState.PARTIAL
        assert {gap.why for gap in end.gaps} == {WHY_TORN}

    run(site, life, *([next_life] if is_restarted else []))
    delivered = numbers(site)
    assert delivered == list(range(13, 13 + len(delivered)))
    assert delivered[-1] < 85


def test_pictures_of_a_clock_that_was_proved_wrong_before_the_command_are_a_gap(site: Site) -> None:
    """They claim moments of the window; the clock that is right again says that they are of other ones."""
    recorder = Recorder(site)

    async def life(process: Process) -> None:
        past = recorder.beside(process)
        recorder.set_by(-40)
        recorder.film(process, 5)
        past.look()
        site.clock.go_on(30)
        recorder.set_by(40, RUN_AFTER)
        past.look()
        site.clock.go_on(10)
        process.exporter.take(site.command("c1", window_of(3, 7)))
        end = await process.until_ended("c1")
        assert end.status is JobState.PARTIAL
        assert [gap.why.partition("; ")[0] for gap in end.gaps] == [WHY_CLOCK_WRONG]

    run(site, life)
    assert numbers(site) == list(range(75, 100))


def test_of_two_recordings_of_the_same_moments_neither_is_delivered_there(site: Site) -> None:
    """The hub was off while its clock was set back: it cannot know which is right, and says so."""
    recorder = Recorder(site)
    site.clock.set_to(WallTime(EPOCH + 60 * SECOND_NS))

    async def life(process: Process) -> None:
        recorder.beside(process).look()

    async def next_life(process: Process) -> None:
        site.clock.set_to(WallTime(EPOCH + 2 * SECOND_NS))
        recorder.beside(process, 1)
        recorder.film(process, 2)
        site.clock.go_on(DOUBT_S + 1)
        process.exporter.take(site.command("c1", window_of(0.5, 5)))
        end = await process.until_ended("c1")
        assert end.status is JobState.PARTIAL
        assert WHY_TWICE in end.gaps[0].why

    run(site, life, next_life)
    delivered = numbers(site)
    assert delivered
    assert all(number < 50 for number in delivered if number < FIRST_WRONG)  # before 2 s
    assert all(number >= FIRST_WRONG + 50 for number in delivered if number >= FIRST_WRONG)  # behind 4 s


def test_a_camera_that_sends_its_last_seconds_again_is_no_contradiction(site: Site) -> None:
    """By one clock two runs may share some seconds, as they always could."""
    recorder = Recorder(site)

    async def life(process: Process) -> None:
        recorder.beside(process)
        recorder.film(process, 2)
        footage = process.footage.source.footage(CAMERA, window_of(0.5, 5))
        assert {chunk.meta.run for chunk in footage.chunks} == {1, RUN_WRONG}
        assert not footage.left_out

    run(site, life)


# --------------------------------------------------------------------- what a clock is worth


@pytest.fixture
def clock_of(site: Site) -> Iterator[Clock]:
    """Return a recorder, and what is believed of its clock."""
    recorder = Recorder(site)
    with closing(site.journal()) as journal:

        def begun(boot: str = "", last_run: int = 0) -> ClockPast:
            past = ClockPast(journal, site.clock, lambda: recorder.changes, boot)
            past.begin(last_run)
            return past

        yield recorder, begun


def test_a_step_is_doubted_before_the_recorder_tells_of_it(site: Site, clock_of: Clock) -> None:
    """Whoever asks reads both clocks first."""
    _, begun = clock_of
    past = begun()
    site.clock.set_to(WallTime(site.clock.now() - 5 * SECOND_NS))
    assert past.word_for(site.clock.now()) is ClockWord.DOUBTED


def test_a_clock_that_stands_is_believed_for_what_comes_then(site: Site, clock_of: Clock) -> None:
    """What was received before the step is torn, what comes after it is not; what was recorded before it is wrong."""
    recorder, begun = clock_of
    past = begun()
    before = site.clock.now()
    recorder.set_by(-40)
    assert past.word_for(before) is ClockWord.DOUBTED
    site.clock.go_on(DOUBT_S)
    assert past.word_for(before) is ClockWord.TORN
    assert past.word_for(site.clock.now()) is ClockWord.GOOD
    assert (past.error_of(1), past.error_of(RUN_WRONG)) == (None, 0)


def test_a_small_step_is_a_bound_of_what_went_before(clock_of: Clock) -> None:
    """As of any clock that was wrong by little; where both claim the same moments, neither is used."""
    recorder, begun = clock_of
    past = begun()
    recorder.set_by(-3)
    past.look()
    assert (past.error_of(1), past.error_of(RUN_WRONG)) == (3 * SECOND_NS, 0)


def test_what_was_set_and_set_right_between_two_looks_dates_nothing(site: Site, clock_of: Clock) -> None:
    """Nobody has read that clock."""
    recorder, begun = clock_of
    past = begun()
    recorder.set_by(-3)
    recorder.set_by(3, RUN_AFTER)
    assert past.word_for(site.clock.now()) is ClockWord.GOOD
    assert [past.error_of(each) for each in (1, RUN_WRONG, RUN_AFTER)] == [0, None, 0]


def test_a_wrong_time_that_comes_back_is_as_doubted_as_before(site: Site, clock_of: Clock) -> None:
    """That it was shown once confirms nothing."""
    recorder, begun = clock_of
    past = begun()
    words = []
    for place, seconds in enumerate((-40, 40, -40, 40)):
        recorder.set_by(seconds, RUN_WRONG + place)
        words.append(past.word_for(site.clock.now()))
        site.clock.go_on(1)
    assert words == [ClockWord.DOUBTED, ClockWord.GOOD, ClockWord.DOUBTED, ClockWord.GOOD]


def test_signed_time_contradicts_no_clock_that_ntp_vouched_for(site: Site, clock_of: Clock) -> None:
    """A time key that lies hides nothing that was recorded by NTP."""
    recorder, begun = clock_of
    past = begun()
    site.clock.trusted = False
    recorder.changes.append(ClockChange(2, RUN_WRONG, TimeSource.SIGNED))
    site.clock.set_to(WallTime(site.clock.now() + LONG_S * SECOND_NS))
    past.look()
    assert past.error_of(1) == 0


def test_days_without_ntp_are_no_lie_of_ntps(site: Site, clock_of: Clock) -> None:
    """Two crystals go apart: that the clock is 10 s off after a day says nothing about what was right before."""
    recorder, begun = clock_of
    past = begun()
    past.look()
    site.clock.trusted = False
    recorder.changes.append(ClockChange(2, RUN_WRONG, TimeSource.NONE))
    past.look()
    site.clock.go_on(24 * 3600)
    past.look()
    site.clock.set_to(WallTime(site.clock.now() + 10 * SECOND_NS))
    site.clock.trusted = True
    recorder.changes.append(ClockChange(3, RUN_AFTER, TimeSource.NETWORK))
    assert past.word_for(site.clock.now()) is ClockWord.GOOD
    assert past.error_of(1) == 0


@pytest.mark.parametrize("set_by_s", [-2.5, LONG_S])
def test_a_clock_that_is_set_while_the_software_is_off_is_found_out(
    site: Site, clock_of: Clock, set_by_s: float
) -> None:
    """In the same start of the machine its own clock tells; once it is right again, only what was wrong is lost."""
    _, begun = clock_of
    begun("boot-1")
    before = site.clock.now()
    site.clock.go_on(5)
    site.clock.set_to(WallTime(site.clock.now() + round(set_by_s * SECOND_NS)))
    wrong = begun("boot-1", 1)
    assert wrong.word_for(before) is ClockWord.DOUBTED
    site.clock.go_on(5)
    wrong.look()
    site.clock.set_to(WallTime(site.clock.now() - round(set_by_s * SECOND_NS)))
    right = begun("boot-1", RUN_WRONG)
    assert right.word_for(before) is ClockWord.GOOD
    assert [right.error_of(each) for each in (1, RUN_WRONG, RUN_AFTER)] == [0, None, 0]


def test_a_restart_makes_no_doubted_clock_better(site: Site, clock_of: Clock) -> None:
    """It stays the same clock, and is doubted from the restart on as long as before; then what it was is kept."""
    recorder, begun = clock_of
    past = begun("boot-1")
    before = site.clock.now()
    recorder.set_by(-40)
    past.look()
    site.clock.go_on(DOUBT_S - 1)
    again = begun("boot-1", RUN_WRONG)
    assert again.word_for(before) is ClockWord.DOUBTED
    site.clock.go_on(DOUBT_S)
    assert again.word_for(before) is ClockWord.TORN
    assert again.eras == past.eras


def test_a_restart_of_the_machine_says_nothing_of_what_was_before(site: Site, clock_of: Clock) -> None:
    """Its clock begins anew; only a time that lies behind what was known is a sign that it was set."""
    _, begun = clock_of
    begun("boot-1")
    before = site.clock.now()
    site.clock.set_to(WallTime(before + LONG_S * SECOND_NS))
    assert begun("boot-2", 1).word_for(before) is ClockWord.GOOD
    site.clock.set_to(WallTime(before - 40 * SECOND_NS))
    assert begun("boot-3", 1).word_for(before) is ClockWord.DOUBTED


def test_a_clock_that_is_lost_for_a_moment_is_waited_for(site: Site, clock_of: Clock) -> None:
    """What is recorded meanwhile is dated when NTP is there again; a gap would be for good. The wait has an end."""
    recorder, begun = clock_of
    past = begun()
    past.look()
    for seconds, word in ((5, ClockWord.DOUBTED), (DOUBT_S, ClockWord.GOOD)):
        site.clock.trusted = False
        recorder.changes.append(ClockChange(len(recorder.changes) + 1, RUN_WRONG, TimeSource.NONE))
        past.look()
        site.clock.go_on(seconds)
        assert past.word_for(site.clock.now()) is word
        site.clock.trusted = True
        recorder.changes.append(ClockChange(len(recorder.changes) + 1, RUN_AFTER, TimeSource.NETWORK))
        assert past.word_for(site.clock.now()) is ClockWord.GOOD


@pytest.mark.parametrize(
    ("sources", "kept"),
    [
        ((TimeSource.SIGNED, TimeSource.NETWORK), {RUN_WRONG}),
        ((TimeSource.NETWORK, TimeSource.SIGNED), {1}),
        ((TimeSource.NETWORK, TimeSource.NETWORK), set()),
    ],
)
def test_of_two_clocks_the_better_one_has_the_moments_that_both_claim(
    site: Site, sources: tuple[TimeSource, TimeSource], kept: set[int]
) -> None:
    """Of two that are equally good neither has."""
    recorder = Recorder(site)

    async def life(process: Process) -> None:
        eras = (ClockEra(1, sources[0]), ClockEra(RUN_WRONG, sources[1], is_doubted=True))
        process.journal.put_document("clock past", Document(1, encode_eras(eras)))
        recorder.film(process, 0.5)
        footage = DatedFootage(process.footage.source, ClockPast(process.journal, site.clock, lambda: ()))
        claimed = window_of(1.5, 3)
        found = footage.footage(CAMERA, claimed)
        inside = [one for one in found.chunks if one.meta.first_picture >= claimed.start]
        assert {one.meta.run for one in inside if one.meta.last_picture < claimed.end} == kept
        assert [one.why for one in found.left_out] == [WHY_TWICE]

    run(site, life)
