"""The broker or the store goes away in the middle of a job: the hub records on, works on, and tells when it can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.demo.alarm import raise_alarm
from agent.demo.site import Site
from tests.stories.acts import SCENE, in_store, judged, record_for, statuses, wait_for, wait_until, whole_site

BEFORE_S = 4
BACK_S_MAX = 40


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site with a broker that keeps its sessions on disk, which has recorded for a while."""
    with whole_site(tmp_path_factory.mktemp("outage"), replace(SCENE, broker="mosquitto")) as site:
        record_for(site, BEFORE_S)
        yield site


def has_both_manifests(site: Site, command: str) -> bool:
    """Say whether all that a job has to send is at the store."""
    return sum(part.endswith("manifest") for part in in_store(site, command)) == len(site.cameras)


def test_job_goes_on_without_the_broker(site: Site, tmp_path: Path) -> None:
    """A job that was heard is done while the broker is dead, footage of that time included; statuses come later."""
    alarm = raise_alarm(site, "deaf-1", before_s=BEFORE_S, after_s=4)
    wait_for(lambda: statuses(site, alarm.id), 10, "the command to be received")
    site.broker.stop()
    wait_for(lambda: has_both_manifests(site, alarm.id), 20, "the clips to be at the store")
    assert JobState.SUCCEEDED not in {status.status for status in statuses(site, alarm.id)}
    site.broker.start()
    _, end = site.console.wait_end(alarm.id, BACK_S_MAX)
    assert end.status is JobState.SUCCEEDED
    assert [clip.is_exact for clip in judged(site, alarm, tmp_path)] == [True, True]
    told = Counter((status.status, status.at) for status in statuses(site, alarm.id))
    assert max(told.values()) <= 2, "a status may come twice, not again and again"
    site.wait_cameras()


def test_commands_are_taken_again_from_a_broker_that_forgot(site: Site, tmp_path: Path) -> None:
    """The hub subscribes anew and says who it is at a broker that lost everything; the recording went on meanwhile."""
    site.broker.stop()
    (site.folder / "central/broker/mosquitto.db").unlink()
    site.console.presence = None
    site.broker.start()
    site.wait_cameras()
    alarm = raise_alarm(site, "heard-1", before_s=BEFORE_S, after_s=-2.5)
    _, end = site.console.wait_end(alarm.id, 20)
    assert end.status is JobState.SUCCEEDED
    assert [clip.is_exact for clip in judged(site, alarm, tmp_path)] == [True, True]


def test_job_waits_for_the_store(site: Site, tmp_path: Path) -> None:
    """A store that is down when the first part is ready, and comes back later, gets all of the clip."""
    site.wait_cameras()
    site.central.stop()
    alarm = raise_alarm(site, "no-store-1", before_s=BEFORE_S, after_s=1)
    wait_for(lambda: statuses(site, alarm.id)[1:], 10, "the job to be in progress")
    sealed = site.folder / "hub/data/outbox"
    wait_for(lambda: len(list(sealed.glob(f"{alarm.id}.*.age"))) >= 2, 15, "the parts to be sealed")
    wait_until(alarm.window.end)
    assert in_store(site, alarm.id) == set()
    site.central.start()
    _, end = site.console.wait_end(alarm.id, BACK_S_MAX)
    assert end.status is JobState.SUCCEEDED
    assert [clip.is_exact for clip in judged(site, alarm, tmp_path)] == [True, True]
