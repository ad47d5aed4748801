"""A hub whose certificate lasts some seconds: renewed by itself, again and again, and nobody who needs it notices."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from pathlib import Path

from agent.clip_job import JobState
from agent.clock import parse_rfc3339
from agent.demo.alarm import Alarm
from agent.demo.console import ENDS
from agent.demo.site import CAMERA_NAMES, Site
from agent.evidence.kinds import Kind
from provisioning.credentials import RenewalStage
from provisioning.reissue import HubKeys
from provisioning.renewal_pace import Validity
from tests.stories.acts import (
    SCENE,
    alarm_about,
    audit_entries,
    checked_audit,
    in_store,
    record_for,
    statuses,
    wait_for,
)

LIFE_S = 16
TOLD_S_MAX = 60.0


def steps(site: Site) -> list[str]:
    """Return what the audit log says of renewals."""
    return [str(entry.detail["step"]) for entry in audit_entries(site) if entry.kind == Kind.CERTIFICATE]


def assert_done_once(site: Site, alarm: Alarm) -> None:
    """One good end, and every part at the store with one content."""
    ends = {(one.status, one.at) for one in statuses(site, alarm.id) if one.status in ENDS}
    assert [status for status, _ in ends] == [JobState.SUCCEEDED], alarm.id
    parts = in_store(site, alarm.id)
    assert len(parts) >= 2
    assert all(len(site.central.store.contents[f"{alarm.id}.{part}"]) == 1 for part in parts)


def test_a_hub_outlives_its_certificate(tmp_path: Path) -> None:
    """Alarms come all through a renewal: each is one clip. Killed in the next one, the hub goes on with it.

    A broker that starts anew lets only the newest pair in.
    """
    with Site(tmp_path / "site", replace(SCENE, broker="mosquitto")) as site:
        site.start_cameras(CAMERA_NAMES[:1])
        site.start_central()
        site.central.hub_life = dt.timedelta(seconds=LIFE_S)
        site.start_hub()
        site.install()
        first = Validity.of(site.identity.credentials.present_leaf())
        site.pair(uploads_per_day_max=1000)
        window, alarms = record_for(site, 1), list[Alarm]()
        while not alarms or "in force" not in steps(site):
            assert time.time() < first.ends_s + TOLD_S_MAX, steps(site)
            alarms.append(alarm_about(site, f"amid-{len(alarms)}", window))
            site.console.wait_end(alarms[-1].id, TOLD_S_MAX)
        assert steps(site)[:3] == ["asked", "received", "in force"]
        for alarm in alarms:
            assert_done_once(site, alarm)

        wait_for(lambda: steps(site).count("received") > 1, TOLD_S_MAX, "the next renewal")
        site.hub.kill()  # with a pair that was never tried
        site.restart_hub()
        wait_for(lambda: steps(site).count("in force") > 1, TOLD_S_MAX, "the pair to be in force all the same")
        wait_for(lambda: time.time() > first.ends_s, TOLD_S_MAX, "the first certificate to end")
        site.broker.stop()
        site.console.presence = None
        site.broker.start()
        site.console.wait_presence(lambda hub: hub.state == "online", TOLD_S_MAX, "the console to be back")
        late = alarm_about(site, "late", window)
        site.console.wait_end(late.id, TOLD_S_MAX)
        assert_done_once(site, late)

        wait_for(
            lambda: site.identity.credentials.stage() is RenewalStage.SETTLED, TOLD_S_MAX, "the server to know of it"
        )
        present, offered = site.central.enrolments.keys[site.factory.hub_id]
        assert (present, offered) != HubKeys(site.identity.enrolment_pin())
        told = site.console.wait_presence(lambda hub: bool(hub.certificate_ends), TOLD_S_MAX, "the date in the state")
        assert parse_rfc3339(told.certificate_ends) / 1e9 > first.ends_s
        assert checked_audit(site).is_intact
