"""Commands that are sent while the hub is off, or dying, wait at the broker: none is lost, none is done twice."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

from agent.clip_job import JobState
from agent.demo.alarm import Alarm
from agent.demo.console import ENDS
from agent.demo.site import CAMERA_NAMES, Site
from tests.stories.acts import (
    SCENE,
    alarm_about,
    audit_entries,
    checked_audit,
    in_store,
    record_for,
    statuses,
    wait_for,
    whole_site,
)

WINDOW_S = 1
QUEUED = 5
DEATHS = 3
END_S_MAX = 60
DONE = ENDS - {JobState.REJECTED}
"""Ends of a job: what the broker brings again after a death may be refused as a replay, and is told so."""


def test_none_is_lost_and_none_is_done_twice(tmp_path: Path) -> None:
    """The hub is stopped, then killed at random moments, while commands come; each becomes one clip with one end."""
    with whole_site(tmp_path, replace(SCENE, broker="mosquitto"), CAMERA_NAMES[:1]) as site:
        window = record_for(site, WINDOW_S)
        site.hub.stop()
        alarms = [alarm_about(site, f"queued-{number}", window) for number in range(QUEUED)]
        seed = random.randrange(1000)  # noqa: S311 - no secret
        chance = random.Random(seed)  # noqa: S311 - no secret
        for death in range(DEATHS):
            site.restart_hub()
            wait_for_a_word(site, alarms)
            alarms += [alarm_about(site, f"amid-{death}-{number}", window) for number in range(2)]
            moment = chance.uniform(0.0, 0.8)
            print(f"seed {seed}: death {death} after {moment:.3f} s")  # noqa: T201 - shown if the test fails
            time.sleep(moment)  # any moment will do: none may matter
            site.hub.kill()
            alarms.append(alarm_about(site, f"after-{death}", window))
        site.restart_hub()
        wait_for(lambda: is_all_told(site, alarms), END_S_MAX, "every command to end")
        for alarm in alarms:
            assert_done_once(site, alarm)
        verdict = checked_audit(site)
        assert verdict.is_intact, verdict.fault


def wait_for_a_word(site: Site, alarms: list[Alarm]) -> None:
    """Wait until the hub that has just started says something, unless all is said."""
    said = len(site.console.statuses)
    wait_for(lambda: len(site.console.statuses) > said or is_all_told(site, alarms), 20, "a word")


def is_all_told(site: Site, alarms: list[Alarm]) -> bool:
    """Say whether every command has come to an end."""
    ended = {status.command for _, status in site.console.statuses if status.status in DONE}
    return ended >= {alarm.id for alarm in alarms}


def assert_done_once(site: Site, alarm: Alarm) -> None:
    """One good end, told with one time; each part at the store with one content and a receipt."""
    ends = {(one.status, one.at) for one in statuses(site, alarm.id) if one.status in DONE}
    assert [status for status, _ in ends] == [JobState.SUCCEEDED], alarm.id
    contents = {
        part: digests for part, digests in site.central.store.contents.items() if part.startswith(f"{alarm.id}.")
    }
    assert len(contents) == len(in_store(site, alarm.id)) >= 2
    assert all(len(digests) == 1 for digests in contents.values())
    receipts = {entry.detail["part"] for entry in audit_entries(site, alarm.id) if entry.kind == "receipt"}
    assert receipts == contents.keys()
