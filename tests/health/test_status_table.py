"""The table for a person: every camera, the ring, and each warning with what to do."""

from __future__ import annotations

from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console

from agent.health.status_table import status_table
from agent.health.vitals import CertificateVitals, HubVitals
from agent.health.warnings import Changes, find_warnings
from tests.simulators.vital_signs import DOOR, EVENTS, YARD, at, camera, hub, outbox


def drawn(vitals: HubVitals, width: int = 200) -> str:
    """Draw it."""
    page = StringIO()
    Console(file=page, width=width).print(status_table(vitals))
    return page.getvalue()


def test_a_hub_that_does_well() -> None:
    """One line for each camera, one for the ring."""
    page = drawn(hub())
    (door,) = [line for line in page.splitlines() if line.startswith("door")]
    for text in ("door Door", "recording", "4.00", "25.0", "2.0 s", "0.0%", "41 ms", "9.0 h"):
        assert text in door
    assert "ring: 15.0 of 16.0 GiB; self-test: the last hour of 2 of 2 cameras can be served" in page
    assert f"outbox: 3 parts (6.0 MB) wait, the oldest since {at(9 * 3600 - 20)}; uplink 10.00 Mbit/s" in page
    assert "cap 8.00 Mbit/s" in page


def test_warnings_are_told_with_what_to_do() -> None:
    """Below the table, in words; the hub's own too."""
    ill = camera(state="waiting", note="it does not answer (check its power)", key_interval_s=None, time_error_ms=None)
    warnings = find_warnings(hub(ill, is_clock_trusted=False), Changes())
    page = drawn(hub(ill, camera(YARD), warnings=warnings))
    (door,) = [line for line in page.splitlines() if line.startswith("door Door")]
    assert "waiting" in door
    assert "door: no video since" in page
    assert "check its power" in page
    assert "hub: nobody vouches for the hub's clock" in page


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("network", "time by NTP"),
        ("signed", "time signed by the server ± 125 ms"),
        ("assumed", "time by a setting"),
        ("none", "time by nobody"),
    ],
)
def test_whoever_vouches_for_the_time_is_told(source: str, told: str) -> None:
    """Signed time with its bound; of a status from before this was told, nothing."""
    error_ms = 125.0 if source == "signed" else None
    assert told in " ".join(drawn(hub(clock_source=source, clock_error_ms=error_ms)).split())
    assert "time by" not in drawn(hub())


def test_an_empty_outbox_is_told_in_two_words() -> None:
    """A link that nobody has measured or capped is left out."""
    empty = outbox(parts=0, parts_bytes=0, oldest="", uplink_bit_s=None, cap_bit_s=None)
    assert "outbox: nothing waits\n" in drawn(hub(outbox=empty)).replace(" \n", "\n")
    assert "outbox" not in drawn(hub(outbox=None))


def test_it_fits_a_small_terminal() -> None:
    """The longest names are broken, the figures are not."""
    page = drawn(hub(camera("c" * 32, name="n" * 60, state="certificate refused")), width=80)
    assert max(len(line) for line in page.splitlines()) <= 80
    assert page.count("c") >= 32
    assert page.count("n") >= 60
    for figure in ("4.00", "25.0", "2.0 s", "0.0%", "41 ms", "9.0 h"):
        assert figure in page
    assert "certificate" in page


def test_a_camera_cannot_draw() -> None:
    """What it calls itself is text, not markup."""
    page = drawn(hub(camera(DOOR, name="[red]x[/red][link=http://a]")))
    assert "[red]x[/red][link=http://a]" in page


def test_what_cameras_told_is_a_line_each() -> None:
    """What is so now, and when it was so last; a camera that told nothing has no line."""
    page = drawn(hub(camera(DOOR, events=EVENTS), camera(YARD)))
    assert f"door told: motion at {at(60)}, tamper now" in page
    assert "yard told" not in page


def test_a_hub_without_owner() -> None:
    """It says why nothing is in the ring."""
    assert "the hub has no owner yet" in drawn(hub(ring=None))


def test_a_certificate_is_told_with_its_end() -> None:
    """When it is renewed, or what has failed; nothing of a hub that has none yet."""
    good = CertificateVitals(at(100), at(66), at(83), 0, "", is_refused=False)
    assert f"certificate: until {at(100)}, renewed at {at(66)}" in drawn(hub(certificate=good))
    failing = replace(good, failures=7, why="nobody there", due="")
    page = drawn(hub(certificate=failing))
    assert "which nobody renews; 7 tries have failed, the last: nobody there" in page
    assert "certificate" not in drawn(hub())
