"""What the page's script does in a real browser when people and clocks are as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.consent.policy import open_answer
from tests.simulators.browsed_site import BrowsedSite, browsed_site
from tests.simulators.owner_site import OwnerSite
from tests.simulators.piloted_browser import find_browser
from tests.vectors.command.scene import AUDIENCE, OWNER

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="Chromium is missing: apt-get install chromium")

FIRST = "document.querySelector('[data-question]')"
YES, NO = f"{FIRST}.querySelector('[data-yes]')", f"{FIRST}.querySelector('[value=no]')"
NOTICE = "document.querySelector('#notice').textContent"
WRONG = f"""(() => {{
  const fold = {FIRST}.querySelector('details'), field = {FIRST}.querySelector('[name=skip-start]')
  fold.open = true
  field.value = '99999'
  field.dispatchEvent(new Event('input', {{bubbles: true}}))
  fold.open = false
}})()"""


def said(hub: BrowsedSite, command: str) -> str:
    """Return what the owner has said to a command; empty if nothing was taken."""

    def look(site: OwnerSite) -> str:
        job = site.journal.job(command)
        if job is None or not job.answer or job.answered is None:
            return ""
        return open_answer(job.answer, OWNER.key, AUDIENCE.hub, job.answered).decision

    return hub.do(look)


def test_what_is_typed_wrong_is_told_and_keeps_no_no_back(tmp_path: Path) -> None:
    """Too many seconds in a fold that is closed again: a yes opens it and says so, a no is a no."""
    with browsed_site(str(BROWSER), tmp_path / "site") as hub:
        hub.do(lambda site: site.ask("q-1"))
        hub.log_in()
        hub.browser.run(WRONG)
        hub.browser.run(f"{YES}.click()")
        hub.browser.wait_for(f"{NOTICE}.includes('Leave out whole seconds') && {YES}.matches(':enabled')")
        assert hub.browser.run("document.activeElement.name") == "skip-start"
        assert said(hub, "q-1") == ""
        hub.browser.run(f"{FIRST}.querySelector('details').open = false")
        hub.browser.run(f"{NO}.click()")
        hub.browser.wait_for(f"!{FIRST}")
        assert said(hub, "q-1") == "no"
        assert hub.browser.complaints == []


def test_news_moves_no_question_under_a_finger(tmp_path: Path) -> None:
    """One that is more urgent is told of and shown when the page is loaded again; it takes no other one's place.

    Once no question can be answered any more, the page loads itself again.
    """
    with browsed_site(str(BROWSER), tmp_path / "site") as hub:
        hub.do(lambda site: site.ask("q-1"))
        hub.log_in()
        place = "(({x, y}) => `${x} ${y}`)(document.querySelector('[data-yes]').getBoundingClientRect())"
        before = hub.browser.run(place)
        hub.do(lambda site: (site.allow(2, answer_s_max=60), site.ask("q-0")))
        hub.browser.wait_for(f"{NOTICE}.includes('There is news')")
        assert hub.browser.run(f"{FIRST}.getAttribute('aria-labelledby')") == "q-q-1"
        assert hub.browser.run(place) == before
        hub.browser.run("globalThis.later = 24 * 3600 * 1000")
        hub.browser.wait_for("document.querySelectorAll('[data-question]').length === 2")
        assert hub.browser.run("location.pathname + location.search") == "/"  # loaded by a person, it is a use again


def test_a_wrong_clock_keeps_no_no_and_no_pause_back(tmp_path: Path) -> None:
    """Ten minutes off: logging in, a pause and a no go by the hub's clock; what gives something away waits."""
    with browsed_site(str(BROWSER), tmp_path / "site", ahead_s=600) as hub:
        hub.do(lambda site: site.ask("q-1"))
        hub.log_in()
        hub.browser.run(f"{YES}.click()")
        hub.browser.wait_for(f"{NOTICE}.includes('differ by 600 seconds') && {NO}.matches(':enabled')")
        assert said(hub, "q-1") == ""
        hub.browser.run(f"{NO}.click()")
        hub.browser.wait_for(f"!{FIRST}")
        assert said(hub, "q-1") == "no"
        hub.browser.run("document.querySelector('[data-mode=sharing_off]').click()")
        hub.browser.wait_for("document.querySelector('[data-mode=ask_first]:enabled')")
        paused = hub.do(lambda site: site.desk.standing.policy)
        assert paused is not None
        assert (paused.mode, paused.version) == ("sharing_off", 2)
        assert abs(paused.issued - hub.site.clock.now()) < 60 * 10**9
        hub.browser.run("document.querySelector('[data-mode=ask_first]').click()")
        hub.browser.wait_for(f"{NOTICE}.includes('differ by')")
        assert hub.do(lambda site: site.desk.standing.policy) == paused
