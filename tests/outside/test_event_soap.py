"""The event service's client against the virtual camera and raw sockets: what is asked, echoed, and never followed."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.acquire.camera import Login
from agent.acquire.event_message import read_lives_s
from agent.acquire.lenient_xml import elements
from agent.crypto import Secret
from agent.demo.camera_events import EventManners
from agent.errors import BadInputError, TransomError
from agent.outside.event_soap import event_address
from agent.outside.onvif_failures import CameraFaultError, CameraUnreachableError, LoginNeededError, LoginRefusedError
from tests.simulators.event_camera import event_camera, service
from tests.simulators.eventually import until

ENVELOPE = '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>{}</e:Body></e:Envelope>'


@pytest.mark.parametrize("has_parameters", [False, True])
def test_a_subscription_from_find_to_goodbye(*, has_parameters: bool) -> None:
    """Found, subscribed, told, renewed, ended; with the subscription in the address's query or in a header."""
    with event_camera(EventManners(has_reference_parameters=has_parameters)) as (camera, ready):
        client = service(ready.onvif)
        assert client.find()
        assert read_lives_s(client.subscribe(60).body) in {59, 60}  # the camera may read its clock twice
        camera.events.motion(is_so=True)
        told = client.pull(5, 10)
        assert [one.text for one in elements(told.body, "Topic")] == [camera.events.manners.motion_topic]
        assert read_lives_s(client.renew(30).body) in {29, 30}
        assert camera.events.subscriptions == 1
        client.unsubscribe()
        client.unsubscribe()
        assert camera.events.subscriptions == 0
        assert camera.events.asked.count("Unsubscribe") == 1
        with pytest.raises(TransomError):
            client.pull(1, 1)


def test_a_goodbye_need_not_wait_for_a_pull() -> None:
    """While one thread waits five seconds for something to be told, another ends the subscription."""
    with event_camera() as (camera, ready):
        client = service(ready.onvif)
        client.find()
        client.subscribe(60)
        ended: list[float] = []

        def pull() -> None:
            with suppress(TransomError):  # a camera may end the pull with a fault or without
                client.pull(5, 1)
            ended.append(time.monotonic())

        thread = threading.Thread(target=pull)
        thread.start()
        until(lambda: "PullMessages" in camera.events.asked)
        began = time.monotonic()
        client.unsubscribe()
        assert time.monotonic() - began < 4
        assert camera.events.subscriptions == 0
        thread.join(10)
        assert ended


def test_a_camera_without_events_says_so() -> None:
    """Neither its services nor its capabilities name any."""
    with event_camera(EventManners(has_events=False)) as (_, ready):
        assert not service(ready.onvif).find()


def test_a_lost_subscription_is_no_refused_login() -> None:
    """`The subscription has expired` sounds like an expired login, which is neither sent again nor remembered."""
    with event_camera(EventManners(loses_after_pulls=1)) as (camera, ready):
        client = service(ready.onvif)
        client.find()
        client.subscribe(60)
        camera.events.motion(is_so=True)
        client.pull(1, 1)
        with pytest.raises(CameraFaultError, match="expired"):
            client.pull(1, 1)


def test_logins_are_told_apart() -> None:
    """No login and a wrong one are different things to do for an installer."""
    with event_camera() as (_, ready):
        wanting = service(ready.onvif, None)
        assert wanting.find()
        with pytest.raises(LoginNeededError):
            wanting.subscribe(60)
        wrong = service(ready.onvif, Login("hub", Secret("no")))
        assert wrong.find()
        with pytest.raises(LoginRefusedError):
            wrong.subscribe(60)


def test_addresses_never_leave_the_host_that_answered() -> None:
    """Path and query are kept; the host never."""
    at = "http://10.0.0.5:8000/onvif/event_service"
    assert event_address("http://192.168.1.108/onvif/sub?Idx=3", at) == "http://10.0.0.5:8000/onvif/sub?Idx=3"
    assert event_address("http://evil.example:81/x?a=b#c", at) == "http://10.0.0.5:8000/x?a=b"
    assert event_address("http://x/y?a b", at) == "http://10.0.0.5:8000/y"
    assert event_address("http://[", at) == at


TOO_LONG = f"<ReferenceParameters><Id>{'1' * 5000}</Id></ReferenceParameters>"


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "<SubscriptionReference/>",
        "<SubscriptionReference><Address/></SubscriptionReference>",
        f"<SubscriptionReference><Address>http://x/</Address>{TOO_LONG}</SubscriptionReference>",
    ],
)
def test_a_subscription_without_a_usable_address_is_none(reference: str) -> None:
    """No reference, no address, or more to echo than a camera may ask for."""
    with _device(
        lambda operation: (
            _found(operation)
            or f"<CreatePullPointSubscriptionResponse>{reference}</CreatePullPointSubscriptionResponse>"
        )
    ) as address:
        client = service(address)
        assert client.find()
        with pytest.raises(BadInputError):
            client.subscribe(60)


def test_an_answer_without_end_is_refused() -> None:
    """A third of a megabyte is not what 32 messages take."""
    with _device(lambda operation: _found(operation) or "<a/>" * 80_000) as address:
        client = service(address)
        assert client.find()
        with pytest.raises(BadInputError, match="over 262144 bytes"):
            client.subscribe(60)


def test_a_camera_that_never_answers_is_left_in_time() -> None:
    """A pull that hangs ends by its own deadline, not by the camera's leave."""
    with event_camera(EventManners(hangs=True)) as (_, ready):
        client = service(ready.onvif)
        client.find()
        client.subscribe(60)
        began = time.monotonic()
        with pytest.raises(CameraUnreachableError):
            client.pull(5, 1)
        assert time.monotonic() - began < 9


@given(body=st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_any_answer_is_ours_to_refuse(body: str) -> None:
    """Whatever stands in the answers, only errors of ours are raised."""
    with _device(lambda _: body) as address, suppress(TransomError):
        client = service(address)
        client.find()
        client.subscribe(60)
        client.pull(1, 1)


def _found(operation: str) -> str:
    if operation != "GetServices":
        return ""
    return (
        "<GetServicesResponse><Service><Namespace>http://www.onvif.org/ver10/events/wsdl</Namespace>"
        "<XAddr>http://192.168.1.108/onvif/events</XAddr></Service></GetServicesResponse>"
    )


@contextmanager
def _device(answer: Callable[[str], str]) -> Iterator[str]:
    class Device(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            operation = next((name for name in ("GetServices", "GetCapabilities") if name in asked), "other")
            body = ENVELOPE.format(answer(operation)).encode("utf-8", "replace")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Device) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/onvif/device_service"
        finally:
            server.shutdown()
            thread.join()
