"""One search: what counts as an answer, and that nobody can fill it or stop it."""

from __future__ import annotations

from agent.acquire.discovery import ProbeKind
from agent.acquire.search import DATAGRAMS_PER_SENDER_MAX, SENDERS_MAX, Search
from tests.simulators.discovery_replies import NOT_CAMERAS, UNREADABLE, match, replies, reply

IDS = {
    ProbeKind.VIDEO_TRANSMITTER: "urn:uuid:aaaaaaaa-0000-0000-0000-000000000001",
    ProbeKind.DEVICE: "urn:uuid:aaaaaaaa-0000-0000-0000-000000000002",
}
AT = "http://10.0.0.5/onvif/device_service"


def test_probes_are_spread_over_the_first_second() -> None:
    """Six datagrams in order of time, the first at once, none before its turn."""
    for share in (0.0, 0.5, 0.999):
        times = [at_s for at_s, _ in Search(IDS).probes([share] * 6)]
        assert len(times) == 6
        assert times == sorted(times)
        assert times[0] <= 0.05
        assert times[-1] <= 1.05


def test_every_usable_camera_is_found_among_the_rubbish() -> None:
    """All kinds of answers at once: each camera is found once, the rest is counted by what was wrong."""
    search = Search(IDS)
    answers = replies(IDS[ProbeKind.DEVICE], "10.0.0.5")
    for datagram in [*answers.values(), *answers.values()]:
        search.take(datagram, "10.0.0.5")
    cameras = len(answers) - len(NOT_CAMERAS) + 1  # one answer brings two devices
    assert len(search.found) == cameras
    assert search.counts.bad == 2 * len(UNREADABLE)
    assert search.counts.foreign == 2 * (len(NOT_CAMERAS) - len(UNREADABLE))
    assert search.counts.repeated == cameras
    assert search.counts.received == 2 * len(answers)


def test_cloned_cameras_stay_two() -> None:
    """One EPR from two senders is two cameras to ask, not one."""
    search = Search(IDS)
    clone = reply("", match(1, AT))
    assert len(search.take(clone, "10.0.0.5") + search.take(clone, "10.0.0.6")) == 2


def test_one_sender_cannot_fill_the_search() -> None:
    """A flood of invented devices leaves room for everybody else, and is not even read for long."""
    search = Search(IDS)
    for number in range(DATAGRAMS_PER_SENDER_MAX + 50):
        search.take(reply("", match(number, AT).replace("aa", f"{number:04x}")), "10.0.0.66")
    assert len(search.found) == 16
    assert len(search.take(reply("", match(1, AT)), "10.0.0.5")) == 1
    assert search.counts.bad == 0
    assert search.counts.over_limit == DATAGRAMS_PER_SENDER_MAX + 50 - 16


def test_many_senders_cannot_fill_memory() -> None:
    """Senders are bounded, and cameras: one of each sender, and 64 more."""
    search = Search(IDS)
    for number in range(1200):
        search.take(reply("", match(1, AT)), f"10.1.{number // 256}.{number % 256}")
    assert len(search.found) == len(search._datagrams) == SENDERS_MAX
    for number in range(10_000):
        search.take(reply("", match(number % 90, AT)), f"10.1.0.{number % 200}")
    assert len(search.found) == SENDERS_MAX


def test_a_crowd_hides_nobody() -> None:
    """Senders that announce as many cameras as they may leave room for whoever announces one."""
    search = Search(IDS)
    for number in range(64 * 16):
        search.take(reply("", match(number % 16, AT)), f"10.1.1.{number // 16}")
    assert len(search.found) == 64 + 60
    assert len(search.take(reply("", match(77, AT)), "10.0.0.5")) == 1
