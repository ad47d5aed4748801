"""The owner's page of a demo that keeps running: a question waits on it, and a person is told how to get there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from agent.clock import Instant
from agent.demo.alarm import Alarm, raise_alarm
from agent.demo.site import FOUND_S_MAX, Site
from agent.errors import BadInputError, UnavailableError
from agent.health.vitals import VITALS_BYTES_MAX, PageVitals, decode_vitals
from agent.outside.shown_file import read_shown

RECORDED_S: Final = 5.0
ASKED_S: Final = 4.0
POLL_S: Final = 0.2


def ask_owner(site: Site, command: str = "alarm-2", *, after_boot: int = 0) -> Alarm:
    """Let the owner want to be asked, and raise an alarm: its question waits until it is answered, or for long enough.

    `after_boot` is the hub's start before the one that is waited for.
    """
    hub = site.console.wait_presence(
        lambda hub: (
            hub.boot > after_boot and hub.state == "online" and all(one.state == "recording" for one in site.own(hub))
        ),
        FOUND_S_MAX,
        "the hub to record",
    )
    site.allow(hub.policy_version + 1, [camera.id for camera in site.own(hub)], mode="ask_first")
    time.sleep(RECORDED_S)
    return raise_alarm(site, command, before_s=ASKED_S, after_s=-1)


def owner_page(site: Site, within_s: float = FOUND_S_MAX) -> PageVitals:
    """Wait until the hub says where its page is. Raises UnavailableError."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            content = read_shown(site.folder / "hub" / "status.json", VITALS_BYTES_MAX)
            page = decode_vitals(content, Instant(time.monotonic_ns())).page
        except (UnavailableError, BadInputError, msgspec.MsgspecError):
            page = None
        if page is not None:
            return page
        if time.monotonic() > deadline:
            raise UnavailableError("the hub does not say where its owner's page is", cure=f"see {site.logs}/hub.log")
        time.sleep(POLL_S)


def print_owner_page(console: Console, page: PageVitals, key_file: Path) -> None:
    """Say where the page is, by which fingerprint it is known, and how the demo's owner logs in."""
    for line in (
        f"\nThe owner's page: https://{page.address}:{page.port}/ (a question waits there)",
        f"  certificate SHA-256: {page.fingerprint}",
        f"  log in with the key file {key_file}",
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)
