"""The virtual camera's event service, asked by raw HTTP as a client that keeps to the standard, and by its orders."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from agent.acquire.lenient_xml import Element, element, elements, parse_xml, text_of
from agent.demo.camera import Ready
from agent.demo.camera_events import SUBSCRIPTIONS_MAX, WAITING_MAX, EventManners
from agent.demo.camera_soap import NAMESPACES
from tests.demo.test_camera_onvif import wsse
from tests.simulators.event_camera import event_camera, service
from tests.simulators.eventually import until

OFFSET_MS = 3_600_000  # as `wsse` has it
SUBSCRIBE = "<tev:CreatePullPointSubscription/>"
PULL = "<tev:PullMessages><tev:Timeout>PT1S</tev:Timeout><tev:MessageLimit>{}</tev:MessageLimit></tev:PullMessages>"


def call(ready: Ready, target: str, body: str, login: str | None = None) -> tuple[int, Element]:
    """Post one call; return the status and what came."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    header = wsse() if login is None else login
    text = f"<s:Envelope {spaces}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    connection = http.client.HTTPConnection(urlsplit(ready.onvif).netloc, timeout=10)
    connection.request("POST", target, text.encode())
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, parse_xml(content or b"<nothing/>", 1 << 20)


def subscribe(ready: Ready) -> str:
    """Make a pull point; return its path and query."""
    status, answer = call(ready, "/onvif/event_service", SUBSCRIBE)
    assert status == 200
    address = urlsplit(text_of(answer, "SubscriptionReference", "Address"))
    return f"{address.path}?{address.query}"


def test_an_independent_client_is_told() -> None:
    """Messages wait until they are pulled, so many at a time, oldest first, with the camera's own times."""
    with event_camera(clock_offset_ms=OFFSET_MS) as (camera, ready):
        pull_point = subscribe(ready)
        for is_so in (True, False, True):
            camera.events.motion(is_so=is_so)
        _, first = call(ready, pull_point, PULL.format(2))
        _, second = call(ready, pull_point, PULL.format(2))
        told = [item.get("Value") for answer in (first, second) for item in elements(answer, "SimpleItem")]
        assert [value for value in told if value != "source"] == ["true", "false", "true"]
        assert text_of(second, "CurrentTime") < text_of(second, "TerminationTime")
        _, third = call(ready, pull_point, PULL.format(2))
        assert element(third, "NotificationMessage") is None


def test_strangers_hear_nothing() -> None:
    """Without a login there is no subscription, and none of another can be pulled; nor with rubbish."""
    with event_camera(clock_offset_ms=OFFSET_MS) as (camera, ready):
        assert call(ready, "/onvif/event_service", SUBSCRIBE, login="")[0] == 401
        assert call(ready, "/onvif/pull_point?Idx=99", PULL.format(1))[0] == 400
        assert call(ready, "/onvif/pull_point?Idx=x", PULL.format(1))[0] == 400
        assert call(ready, "/onvif/pull_point", "")[0] == 400
        assert call(ready, subscribe(ready), "<tev:Dance/>")[0] == 400
        assert camera.events.subscriptions == 1


def test_there_is_room_for_few_subscriptions() -> None:
    """As on real cameras: the next one is refused until one has ended."""
    with event_camera(clock_offset_ms=OFFSET_MS) as (_, ready):
        points = [subscribe(ready) for _ in range(SUBSCRIPTIONS_MAX)]
        assert call(ready, "/onvif/event_service", SUBSCRIBE)[0] == 400
        assert call(ready, points[0], "<wsnt:Unsubscribe/>")[0] == 200
        subscribe(ready)


def test_what_waits_is_bounded() -> None:
    """A client that never pulls costs no memory: the oldest messages go."""
    with event_camera(clock_offset_ms=OFFSET_MS) as (camera, ready):
        pull_point = subscribe(ready)
        for number in range(WAITING_MAX + 20):
            camera.events.motion(is_so=number % 2 == 0)
        _, answer = call(ready, pull_point, PULL.format(5000))
        assert len(list(elements(answer, "NotificationMessage"))) == WAITING_MAX


@pytest.mark.parametrize(
    ("manners", "operation", "status"),
    [
        (EventManners(has_events=False), SUBSCRIBE, 404),
        (EventManners(does_renew=False), "<wsnt:Renew/>", 400),
        (EventManners(loses_after_pulls=1), PULL.format(1), 400),
    ],
)
def test_bad_manners(manners: EventManners, operation: str, status: int) -> None:
    """Each switch does what it says."""
    with event_camera(manners, clock_offset_ms=OFFSET_MS) as (_, ready):
        if not manners.has_events:
            assert call(ready, "/onvif/event_service", operation)[0] == status
            return
        pull_point = subscribe(ready)
        call(ready, pull_point, PULL.format(1))
        assert call(ready, pull_point, operation)[0] == status


def test_a_short_life_is_told() -> None:
    """A camera that grants less than was asked for says so in its times."""
    with event_camera(EventManners(lives_s=7), clock_offset_ms=OFFSET_MS) as (camera, ready):
        subscribe(ready)
        assert camera.events.subscriptions == 1
        client = service(ready.onvif)
        assert client.find()


def test_motion_on_order() -> None:
    """A line on stdin lets something move before a camera that runs as a program of its own."""
    arguments = [
        "--user",
        "hub",
        "--password-stdin",
        "--interface",
        "",
        "--width",
        "160",
        "--height",
        "88",
        "--fps",
        "1",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "agent.demo.camera", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as camera:
        assert camera.stdin is not None
        assert camera.stdout is not None
        camera.stdin.write("pw\n")
        camera.stdin.flush()
        client = service(json.loads(camera.stdout.readline())["onvif"])
        client.find()
        client.subscribe(60)
        camera.stdin.write('{"motion": true}\n')
        camera.stdin.flush()
        found: list[Element] = []
        until(lambda: found.extend(elements(client.pull(5, 8).body, "SimpleItem")) or found)  # type: ignore[func-returns-value] # for its effect
        assert ("IsMotion", "true") in [(item.get("Name"), item.get("Value")) for item in found]
        camera.stdin.write('{"quit": true}\n')
