"""When a certificate is asked for, tried, given up, written down and told, over days that a test lets pass.

The real broker and the real server are in tests/outside/test_renewal_at_the_broker.py.
"""

from __future__ import annotations

import asyncio

import pytest

from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.maintenance.certificate_watch import FIRST_S_MAX, OFFLINE_S_MAX, CertificateWatch
from provisioning.credentials import RenewalStage
from provisioning.renewal_pace import Validity
from tests.simulators.audit_log import NOW
from tests.simulators.eventually import eventually
from tests.simulators.scripted_certificate import DAY_S, Scripted, WatchedDates
from tests.simulators.set_clock import SetClock

SOON_S = 60.0


def test_nothing_is_asked_before_it_is_due() -> None:
    """The window begins after two thirds; the first look within it asks."""
    dates = WatchedDates(Scripted())
    due_s = dates.certificate.life.due_s - dates.certificate.life.begins_s
    dates.look(due_s - 100, every_s=3600)
    assert dates.certificate.asked == []
    dates.look(200)
    assert len(dates.certificate.asked) == 1


def test_tries_become_rare_and_are_written_down_once() -> None:
    """Of a server that is away for the whole rest of the life: dozens of tries, one entry, and a date to warn at."""
    dates = WatchedDates(Scripted(*[UnavailableError("nobody there")] * 1000))
    dates.look(70 * DAY_S, every_s=300)
    assert 20 <= len(dates.certificate.asked) <= 80
    assert dates.log.steps == ["asked", "not renewed"]
    vitals = dates.watch.vitals()
    assert (vitals.why, vitals.is_refused, vitals.failures) == ("nobody there", False, len(dates.certificate.asked))
    assert vitals.due < vitals.late < vitals.ends


@pytest.mark.parametrize("error", [BadInputError("a lie"), ConfigurationError("no")])
def test_a_lie_and_a_no_are_no_end(error: Exception) -> None:
    """Somebody may mend the server: it is asked again, ever more rarely."""
    dates = WatchedDates(Scripted(error, None))
    due_s = dates.certificate.life.due_s - dates.certificate.life.begins_s
    dates.look(due_s + 60, every_s=300)
    assert (dates.watch.vitals().why, dates.watch.vitals().is_refused) == (
        str(error),
        isinstance(error, ConfigurationError),
    )
    dates.look(5 * DAY_S, every_s=300)
    assert len(dates.certificate.asked) == 2
    assert dates.log.steps == ["asked", "not renewed", "received"]


def test_a_server_that_changes_its_mind_fills_no_log() -> None:
    """Every answer another reason: at most so many entries an hour."""
    errors = [UnavailableError(f"reason {number}") for number in range(500)]
    dates = WatchedDates(Scripted(*errors))
    dates.certificate.life = Validity(NOW / SECOND_NS - 600, NOW / SECOND_NS + 60, 0.0)
    dates.watch = CertificateWatch(dates.certificate, dates.line, dates.clock, dates.log)
    dates.look(600, every_s=1)
    assert len(dates.certificate.asked) > 30
    assert len(dates.log.steps) <= 40


def test_without_a_clock_what_has_passed_decides_then_the_brokers_absence() -> None:
    """Nobody vouches for the time: a hub asks once a date has passed for certain, or after ten minutes off line."""
    early = WatchedDates(Scripted(), clock=SetClock(WallTime(0), trusted=False))
    early.look(3600)
    assert early.certificate.asked == []
    early.known_ns = int(early.certificate.life.due_s * SECOND_NS)
    early.look(2)
    assert early.certificate.asked == [None]  # the time is not known to the one who checks dates either
    drawer = WatchedDates(Scripted(), clock=SetClock(WallTime(0), trusted=False))
    drawer.line.is_connected = False
    drawer.look(OFFLINE_S_MAX - 60, every_s=10)
    assert drawer.certificate.asked == []
    drawer.look(120, every_s=10)
    assert drawer.certificate.asked == [None]


def test_a_trial_is_repeated_ever_more_rarely_and_given_up() -> None:
    """Each trial breaks the connection once; after three refusals the pair is dropped and asked for anew."""
    dates = WatchedDates(Scripted())
    dates.certificate.state = RenewalStage.ON_TRIAL
    dates.look()
    dates.look(9, every_s=1)
    assert dates.line.reconnects == 1
    dates.certificate.outcome = (False, 1, 1)
    dates.look(2, every_s=1)
    assert dates.line.reconnects == 2
    dates.look(18, every_s=1)
    assert dates.line.reconnects == 2
    dates.certificate.outcome = (False, 3, 3)
    dates.look()
    assert (dates.certificate.dropped, dates.certificate.state) == (1, RenewalStage.SETTLED)
    assert "does not take" in dates.watch.vitals().why


def test_the_server_is_told_until_it_hears() -> None:
    """A confirmation that was lost is repeated; one that is refused ends the renewal, since the pair works."""
    heard = WatchedDates(Scripted(UnavailableError("away"), None))
    heard.certificate.state = RenewalStage.UNCONFIRMED
    heard.look(FIRST_S_MAX + 1800)
    assert heard.certificate.state is RenewalStage.SETTLED
    refused = WatchedDates(Scripted(ConfigurationError("not offered")))
    refused.certificate.state = RenewalStage.UNCONFIRMED
    refused.look(FIRST_S_MAX + 60)
    assert (refused.certificate.dropped, refused.log.steps) == (1, ["not confirmed"])
    assert refused.watch.vitals().is_refused  # a copy may have been faster: a person should know now


def test_a_full_log_stops_only_the_step() -> None:
    """What cannot be written down is not begun; when there is room again it goes on."""
    dates = WatchedDates(Scripted())
    dates.log.is_full = True

    async def life() -> None:
        dates.clock.go_on(70 * DAY_S)
        beside = asyncio.create_task(dates.watch.run(0.001))
        await eventually(lambda: dates.watch.vitals().why == "no room")
        assert dates.certificate.asked == []
        dates.log.is_full = False
        dates.clock.go_on(DAY_S)
        await eventually(lambda: dates.certificate.asked)
        beside.cancel()

    asyncio.run(asyncio.wait_for(life(), SOON_S))
