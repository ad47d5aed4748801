"""What pages show is read from journal and log when it is asked for, page by page, whatever their size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.evidence.audit import LOG_NAME, encode_entry, make_entry
from agent.owner_reading import ACCESSES_SHOWN, LATEST_SHOWN, LINES_SHOWN
from tests.simulators.owner_site import OwnerSite
from tests.vectors.command.scene import NOW


@pytest.fixture
def site(tmp_path: Path) -> Iterator[OwnerSite]:
    """Put up a hub without a browser."""
    with closing(OwnerSite(tmp_path)) as made:
        yield made


def ids(shown: dict[str, Any]) -> list[str]:
    """Return which commands a list shows."""
    return [one.id for one in shown["accesses"]]


def written(folder: Path, entries: Iterable[tuple[str, str, dict[str, str | int]]]) -> OwnerSite:
    """Put up a hub whose log has these entries already."""
    (folder / "audit").mkdir()
    lines = (encode_entry(make_entry(NOW, *entry)) + b"\n" for entry in entries)
    (folder / "audit" / LOG_NAME).write_bytes(b"".join(lines))
    return OwnerSite(folder)


def fifty_commands() -> Iterator[tuple[str, str, dict[str, str | int]]]:
    """Write commands with more and fewer entries between them."""
    for number in range(50):
        yield "command", f"c{number:02}", {"by": "officer:1", "agency": "pd-0042"}
        for part in range(number % 7 * 4):
            yield "sealed", f"c{number:02}", {"part": f"p{part}", "sha256": "0" * 400}
        yield "job", f"c{number:02}", {"state": "SUCCEEDED", "event": "delivered"}


def test_the_list_is_every_command_page_by_page(tmp_path: Path) -> None:
    """However many other entries lie between, each command is on exactly one page, newest first, with its outcome."""
    found: list[str] = []
    before, pages = None, 0
    with closing(written(tmp_path, fifty_commands())) as site:
        while True:
            shown: dict[str, Any] = site.reading.accesses(before)
            assert len(shown["accesses"]) <= ACCESSES_SHOWN
            assert {one.status for one in shown["accesses"]} <= {"Sent"}
            found += ids(shown)
            pages += 1
            if (before := shown["older"]) is None:
                break
    assert found == [f"c{number:02}" for number in reversed(range(50))]
    assert pages >= 3


def test_a_long_silence_in_the_log_is_crossed_in_steps(tmp_path: Path) -> None:
    """A command behind megabytes of other entries is found by asking on, and no request reads them all."""
    silence: list[tuple[str, str, dict[str, str | int]]] = [
        ("clock_step", "", {"n": n, "why": "x" * 480}) for n in range(2600)
    ]
    found: list[str] = []
    with closing(written(tmp_path, [("command", "old", {"by": "officer:1"}), *silence])) as site:
        first: dict[str, Any] = site.reading.accesses(None)
        assert first["accesses"] == []
        before = first["older"]
        assert before is not None
        while before is not None:
            shown: dict[str, Any] = site.reading.accesses(before)
            found += ids(shown)
            before = shown["older"]
    assert found == ["old"]


def test_one_command_is_shown_with_its_own_steps(site: OwnerSite) -> None:
    """Entries of others between them are left out; what is at no command's place is told."""
    digest = site.ask("c1")
    site.audit.append("job", "other", {"state": "HELD"})
    site.grant("c1")
    (one,) = (one for one in site.reading._log.page(None, 0).entries if one.entry.kind == "command")
    shown: dict[str, Any] = site.reading.access(one.place)
    assert (shown["one"].id, shown["one"].sha256) == ("c1", digest)
    assert [line.kind for line in shown["lines"]] == ["command", "job", "job"]
    with pytest.raises(BadInputError):
        site.reading.access(0)
    with pytest.raises(BadInputError):
        site.reading.access(one.place + 1)


def test_the_first_page_has_what_is_urgent_and_what_is_newest(site: OwnerSite) -> None:
    """Questions are the journal's of this moment; of the accesses only the latest."""
    for number in range(LATEST_SHOWN + 2):
        site.ask(f"c{number}")
    shown: dict[str, Any] = site.reading.overview()
    assert len(shown["questions"]) == LATEST_SHOWN + 2
    assert len(shown["accesses"]) == LATEST_SHOWN
    assert shown["accesses"][0].status == "Waits for your answer"
    site.grant("c0")
    after: dict[str, Any] = site.reading.overview()
    assert "c0" not in {one.id for one in after["questions"]}


def test_the_log_is_shown_to_its_first_entry(site: OwnerSite) -> None:
    """Each entry once, so many on a page."""
    for number in range(3 * LINES_SHOWN):
        site.audit.append("settings", "", {"n": number})
    count, before = 0, None
    while True:
        shown: dict[str, Any] = site.reading.log(before)
        assert len(shown["lines"]) <= LINES_SHOWN
        count += len(shown["lines"])
        if (before := shown["older"]) is None:
            break
    assert count == site.audit.head()[0] == shown["size"]


def test_policy_and_times_are_todays(site: OwnerSite) -> None:
    """The claims are as the owner signed them; without a policy there is nothing to change."""
    assert site.reading.times().zone == "Europe/Berlin"
    assert site.reading.policy_claims()["version"] == 1
    site.clock.set_to(WallTime(NOW + SECOND_NS))
    assert site.allow(2, mode="opt_in", zone="Asia/Tokyo")
    assert site.reading.times().zone == "Asia/Tokyo"
    assert site.reading.policy_claims()["mode"] == "opt_in"
    assert site.reading.policy()["sections"]


def test_without_a_policy_there_is_nothing_to_change(tmp_path: Path) -> None:
    """The page of a new owner explains nothing and offers no claims."""
    with closing(OwnerSite(tmp_path, owner=None)) as site:
        with pytest.raises(BadInputError):
            site.reading.policy_claims()
        assert site.reading.policy()["sections"] == []
