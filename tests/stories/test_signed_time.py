"""A hub that NTP does not reach, an hour behind its server: closed, until the server signs what time it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState, Status
from agent.clock import SECOND_NS
from agent.command.request import RefusalReason
from agent.cut.plan import WHY_UNDATED
from agent.demo.alarm import order_clip, raise_alarm
from agent.demo.site import CAMERA_NAMES, Site
from agent.evidence.kinds import Kind
from tests.simulators.dated_clip import ROUNDING_NS, dated_pictures, opened
from tests.stories.acts import SCENE, audit_entries, checked_audit, in_store, record_for

AHEAD_S = 3600
TOLD_S_MAX = 30


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site whose server is an hour ahead of the hub's machine, and at first lists nobody who signs times."""
    with Site(tmp_path_factory.mktemp("signed-time") / "site", SCENE) as site:
        site.start_cameras(CAMERA_NAMES[:1])
        site.start_central()
        site.central.ahead_ns, site.central.signs_time = AHEAD_S * SECOND_NS, False
        site.start_hub(clock="signed_only")
        site.install()
        site.pair(uploads_per_day_max=1000)
        yield site


def ended(site: Site, command: str) -> Status:
    """Ask for two seconds of the near past by the server's time, and wait for the end."""
    alarm = raise_alarm(site, command, before_s=4, after_s=-2)
    return site.console.wait_end(alarm.id, 30)[1]


def tell_who_signs_times(site: Site) -> None:
    """Publish the trust bundle that lists the server's clock, and wait until the hub goes by it."""
    site.central.signs_time = True
    site.console.publish("trust", site.central.trust_bundle(site.central.now(), version=2), retain=True)
    site.console.wait_presence(lambda hub: hub.clock == "signed", TOLD_S_MAX, "the server's time to count")


def test_signed_time_opens_the_hub(site: Site, tmp_path: Path) -> None:
    """Refused for the clock; once a listed key told the time, the same order succeeds, dated by that time.

    What was recorded an hour off before that does not leave the hub under times that are not its own.
    """
    undated = record_for(site, 2)
    refused = ended(site, "too-early")
    assert (refused.status, refused.reason) == (JobState.REJECTED, RefusalReason.CLOCK_UNTRUSTED)
    assert site.console.presence is not None
    assert site.console.presence.clock == "none"

    tell_who_signs_times(site)
    record_for(site, 4)
    alarm = raise_alarm(site, "in-time", before_s=4, after_s=-2)
    assert site.console.wait_end(alarm.id, 30)[1].status is JobState.SUCCEEDED

    entries = audit_entries(site)
    accepted = next(entry for entry in entries if entry.kind == Kind.TIME_ACCEPTED)
    within_ms = int(accepted.detail["within_ms"])
    assert abs(int(accepted.detail["by_ms"]) - AHEAD_S * 1000) <= within_ms + 1
    dated = dated_pictures(site, alarm, tmp_path / "clip.mp4")
    assert abs(len(dated.pictures) - 2 * site.scene.fps) <= 1
    hub_clock = opened(site, alarm, tmp_path / "again.mp4").manifest.hub_clock
    assert hub_clock is not None
    assert hub_clock.source == "signed"
    cadence = site.cameras[0].ready.cadence
    for stated, ticks in dated.pictures:
        by_the_server = cadence.hub_time(ticks) + AHEAD_S * SECOND_NS
        assert abs(stated - by_the_server) <= dated.bound_ns + ROUNDING_NS
        assert stated in alarm.window

    early = order_clip(site, "undated", undated)
    end = site.console.wait_end(early.id, 30)[1]
    assert (end.status, {gap.why for gap in end.gaps}) == (JobState.PARTIAL, {WHY_UNDATED})
    assert {part for part in in_store(site, early.id) if not part.endswith("manifest")} == set()


def test_a_restart_knows_the_time(site: Site) -> None:
    """Killed, and started again while the server is silent: it goes by what it was told, and says so."""
    if not site.central.signs_time:
        tell_who_signs_times(site)
    assert site.console.presence is not None
    boot = site.console.presence.boot
    site.console.tell_time = None
    site.hub.kill()
    site.restart_hub()
    again = site.console.wait_presence(lambda hub: hub.boot > boot and hub.state == "online", 30, "the hub again")
    assert again.clock == "signed"
    kinds = [(entry.kind, entry.detail.get("source")) for entry in audit_entries(site)]
    assert kinds.count((Kind.CLOCK_SOURCE, "none")) == 1  # at the first start only
    assert checked_audit(site).is_intact
