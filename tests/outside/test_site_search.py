"""One search by both ways at once, on loopback."""

from __future__ import annotations

import time
from threading import Event
from urllib.parse import urlsplit

import pytest

from agent.acquire.given_addresses import given_hosts
from agent.clock import WallTime
from agent.errors import ConfigurationError
from agent.outside.site_search import SiteSearch
from tests.simulators.discovery_replies import EPR, match, reply
from tests.simulators.discovery_responder import answering
from tests.simulators.onvif_device import OnvifDevice, serve


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


def test_multicast_and_given_hosts_are_searched_side_by_side() -> None:
    """One camera answers the group, one is behind a router; both are found in one search, and again in the next."""
    with (
        answering("127.0.76.1", lambda probe_id: [reply(probe_id, match(1, "http://127.0.76.1/"))]),
        serve(OnvifDevice(epr=EPR.format(2)), "127.0.76.2") as address,
    ):
        given = given_hosts([f"127.0.76.2:{urlsplit(address).port}"], [])
        site = SiteSearch(["lo"], 0.7, given, hub_now, Event())
        for _ in range(2):
            found = {one.sender: one.epr for one in site.search()}
            assert (found["127.0.76.1"], found["127.0.76.2"]) == (EPR.format(1), EPR.format(2))


def test_an_interface_that_is_not_there_does_not_hide_the_given_hosts() -> None:
    """They are found, and then the error is raised."""
    with serve(OnvifDevice(epr=EPR.format(3)), "127.0.76.3") as address:
        site = SiteSearch(["eth99"], 0.7, given_hosts([f"127.0.76.3:{urlsplit(address).port}"], []), hub_now, Event())
        search = site.search()
        assert next(search).epr == EPR.format(3)
        with pytest.raises(ConfigurationError, match="eth99"):
            next(search)
