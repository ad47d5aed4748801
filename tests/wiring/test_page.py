"""The page as the daemon serves it: by the configuration's limits, and without it where it cannot be."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from pathlib import Path

import httpx

from agent.config import OwnerPage
from agent.health.vitals import PageVitals
from agent.outside.page_certificate import fingerprint_of
from agent.wiring.page import PageParts, served_page
from tests.simulators.owner_site import CAMERAS, VITALS, Browser, OwnerSite
from tests.simulators.page_visitor import CERTIFICATE, KEK, visitor


def parts_of(site: OwnerSite, config: OwnerPage) -> PageParts:
    """Return what the daemon gives to its page."""
    return PageParts(
        config=config,
        key_encryption_key=KEK,
        clock=site.clock,
        desk=site.desk,
        journal=site.journal,
        audit=site.audit,
        answer=site.asking.take,
        vitals=lambda: VITALS,
        names=lambda: CAMERAS,
        on_policy=lambda: site.audit.append("settings", "", {"told": "the broker"}),
    )


def test_the_configuration_is_obeyed(tmp_path: Path) -> None:
    """Address, body and requests a minute are the configuration's; address, port and fingerprint are told."""

    async def life(site: OwnerSite) -> None:
        config = OwnerPage(address="127.0.0.1", port=0, body_kib_max=1, requests_per_minute_max=10)
        async with served_page(parts_of(site, config)) as shown:
            assert isinstance(shown, PageVitals)
            assert (shown.address, shown.fingerprint) == ("127.0.0.1", fingerprint_of(CERTIFICATE))
            async with visitor(shown.port) as http:
                assert (await http.post("/login", content=bytes(2000))).status_code == 413
                codes = [(await http.get("/")).status_code for _ in range(12)]
                assert codes.count(200) in {9, 10}  # whether the large one counts or not
                assert codes[-1] == 429

    with closing(OwnerSite(tmp_path)) as site:
        asyncio.run(life(site))


def test_a_policy_by_the_page_is_told_to_the_broker(tmp_path: Path) -> None:
    """The hub's state message has its version, so the server and the owner's app learn of it at once."""

    async def life(site: OwnerSite) -> None:
        async with served_page(parts_of(site, OwnerPage(address="127.0.0.1", port=0))) as shown:
            assert shown is not None
            async with visitor(shown.port) as http:
                browser = Browser(http, site)
                await browser.log_in()
                assert (await browser.post("/policy", "nonsense")).status_code == 403
                assert "settings" not in site.kinds()
                assert (await browser.post("/policy", site.policy(2, mode="sharing_off"))).status_code == 200
                assert site.kinds()[-1] == "settings"

    with closing(OwnerSite(tmp_path)) as site:
        asyncio.run(life(site))


def test_a_port_that_is_taken_costs_the_page_only(tmp_path: Path) -> None:
    """The hub goes on without it, and after the end nobody listens any more."""

    async def life(site: OwnerSite) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            config = OwnerPage(address="127.0.0.1", port=taken.getsockname()[1])
            async with served_page(parts_of(site, config)) as shown:
                assert shown is None
        async with served_page(parts_of(site, OwnerPage(address="127.0.0.1", port=0))) as shown:
            assert shown is not None
        async with visitor(shown.port) as http:
            try:
                await http.get("/")
            except httpx.ConnectError:
                return
        raise AssertionError("the page is served after its end")

    with closing(OwnerSite(tmp_path)) as site:
        asyncio.run(life(site))
