"""Cameras' own events, from virtual cameras over real sockets to what the hub keeps: good manners and bad ones."""

from __future__ import annotations

import asyncio
import logging
import socket
import time

import pytest

from agent.acquire.camera import CameraStream, Login
from agent.acquire.camera_event import EventClock
from agent.acquire.event_session import PULL_S, EventState
from agent.acquire.event_topics import EventKind
from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS
from agent.crypto import Secret
from agent.demo.camera_events import EventManners
from agent.outside.event_soap import UNSUBSCRIBE_S_MAX
from tests.simulators.event_camera import event_camera, stream, watching
from tests.simulators.eventually import until

DOOR, YARD = CameraId("door"), CameraId("yard")


@pytest.mark.parametrize("offset_s", [0, 3600, -86_400 * 3650])
def test_motion_is_dated_in_hub_time(offset_s: int) -> None:
    """It begins and ends when it did, within the stated bound, however wrong the camera's clock is."""
    with (
        event_camera(clock_offset_ms=offset_s * 1000) as (camera, ready),
        watching(("door", ready.onvif)) as (watch, heard),
    ):
        until(lambda: camera.events.subscriptions)
        for is_so in (True, False):
            before = time.time_ns()
            camera.events.motion(is_so=is_so)
            until(lambda: any(one.state is is_so for one in heard.of("door")))  # noqa: B023 - waited for here
            event = heard.of("door")[-1]
            assert (event.kind, event.state, event.is_initial) == (EventKind.MOTION, is_so, False)
            assert event.clock is EventClock.CAMERA
            assert event.at - event.error_ns <= time.time_ns()
            assert before <= event.at + event.error_ns
            assert event.error_ns < 2 * SECOND_NS
        health = watch.health()[DOOR]
        assert (health.state, health.facts[EventKind.MOTION].count, health.kept) == (EventState.SUBSCRIBED, 1, 2)
    assert camera.events.subscriptions == 0
    assert camera.events.asked.count("CreatePullPointSubscription") == 1


def test_stamps_that_cannot_be_are_not_believed() -> None:
    """A camera that stamps its messages in another time than its clock's is dated by arrival."""
    with (
        event_camera(EventManners(stamps_off_s=7200)) as (camera, ready),
        watching(("door", ready.onvif)) as (_, heard),
    ):
        until(lambda: "PullMessages" in camera.events.asked)
        before = time.time_ns()
        camera.events.motion(is_so=True)
        until(lambda: heard.of("door"))
        (event,) = heard.of("door")
    assert event.clock is EventClock.ARRIVAL
    assert abs(event.at - before) <= event.error_ns


def test_how_it_stood_before_is_known_at_once() -> None:
    """A tamper that went on while the hub was away is told when it subscribes, as what it is."""
    with event_camera() as (camera, ready):
        camera.events.happen("tns1:VideoSource/tnsaxis:Tampering", "tampering", is_so=True)
        with watching(("door", ready.onvif)) as (watch, heard):
            until(lambda: heard.of("door"))
            (event,) = heard.of("door")
            assert (event.kind, event.state, event.is_initial) == (EventKind.TAMPER, True, True)
            until(lambda: EventKind.TAMPER in watch.health()[DOOR].facts)
            assert watch.health()[DOOR].facts[EventKind.TAMPER].is_active


def test_topics_that_mean_nothing_are_left_out() -> None:
    """A camera may tell what it likes; the hub keeps its four kinds."""
    with event_camera() as (camera, ready), watching(("door", ready.onvif)) as (watch, heard):
        until(lambda: camera.events.subscriptions)
        camera.events.happen("tns1:Monitoring/ProcessorUsage", "Value", is_so=True)
        camera.events.happen("tns1:Device/Trigger/tnshik:AlarmIn", "State", is_so=True, source="AlarmIn_1")
        until(lambda: heard.of("door"))
        assert [(one.kind, one.source) for one in heard.of("door")] == [(EventKind.INPUT, "AlarmIn_1")]
        until(lambda: EventKind.INPUT in watch.health()[DOOR].facts)
        assert set(watch.health()[DOOR].facts) == {EventKind.INPUT}


def test_a_lost_subscription_comes_back() -> None:
    """A camera that forgets its subscriptions is subscribed to anew after a wait, and what stands is told again."""
    with (
        event_camera(EventManners(loses_after_pulls=1)) as (camera, ready),
        watching(("door", ready.onvif)) as (watch, heard),
    ):
        until(lambda: camera.events.subscriptions)
        camera.events.motion(is_so=True)
        until(lambda: watch.health()[DOOR].state is EventState.WAITING)
        assert "expired" in watch.health()[DOOR].why
        assert "127.0.0.1" not in watch.health()[DOOR].why
        camera.events.manners.loses_after_pulls = 0
        until(lambda: len(heard.of("door")) == 2)
        assert [one.is_initial for one in heard.of("door")] == [False, True]
        assert camera.events.asked.count("CreatePullPointSubscription") == 2


def test_a_camera_that_hangs_holds_up_nobody() -> None:
    """Beside one whose pulls are never answered and one that accepts and is silent, the third tells as ever."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        event_camera(EventManners(hangs=True)) as (hanging, first),
        event_camera() as (camera, ready),
    ):
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}/onvif/device_service"
        with watching(("hanging", first.onvif), ("silent", dead), ("door", ready.onvif)) as (_, heard):
            until(lambda: hanging.events.subscriptions and camera.events.subscriptions)
            for is_so in (True, False):
                before = time.monotonic()
                camera.events.motion(is_so=is_so)
                until(lambda: any(one.state is is_so for one in heard.of("door")))  # noqa: B023 - waited for here
                assert time.monotonic() - before < PULL_S  # what one of the others takes of its thread's time
            before = time.monotonic()
        assert time.monotonic() - before < UNSUBSCRIBE_S_MAX
        assert hanging.events.subscriptions == 0


def test_a_goodbye_that_is_never_answered_is_not_waited_for() -> None:
    """The hub stops in time, whatever its cameras do."""
    with event_camera(EventManners(does_answer_unsubscribe=False)) as (camera, ready):
        with watching(("door", ready.onvif)):
            until(lambda: camera.events.subscriptions)
            before = time.monotonic()
        assert time.monotonic() - before < UNSUBSCRIBE_S_MAX


def test_a_camera_without_events_is_a_quiet_fact(caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log, no warning, and no further question for an hour."""
    caplog.set_level(logging.INFO)
    with event_camera(EventManners(has_events=False)) as (_, ready), watching(("door", ready.onvif)) as (watch, _heard):
        until(lambda: watch.health()[DOOR].state is EventState.ABSENT)
    assert [record.levelname for record in caplog.records if "door" in record.message] == ["INFO"]


def test_a_wrong_login_is_sent_once() -> None:
    """Cameras lock accounts: after one refusal it waits, and says so."""
    wrong = Login("hub", Secret("no"))
    with event_camera() as (_, ready), watching(("door", ready.onvif), login=wrong) as (watch, _heard):
        until(lambda: watch.health()[DOOR].state is EventState.REFUSED)
        assert "refuses this user or password" in watch.health()[DOOR].why


def test_a_camera_that_moves_is_followed() -> None:
    """At a new address there is a new subscription, and none is left behind; one that is gone is left."""
    with (
        event_camera() as (old, first),
        event_camera() as (new, second),
        watching(("door", first.onvif)) as (watch, heard),
    ):
        until(lambda: old.events.subscriptions)
        watch.follow({DOOR: (stream(), first.onvif)})
        assert old.events.asked.count("CreatePullPointSubscription") == 1
        watch.follow({DOOR: (stream(), second.onvif), YARD: (stream("yard"), first.onvif)})
        until(lambda: new.events.subscriptions == 1 and old.events.asked.count("Unsubscribe") == 1)
        new.events.motion(is_so=True)
        until(lambda: heard.of("door"))
        watch.follow({})
        until(lambda: not new.events.subscriptions and not old.events.subscriptions)
        assert watch.health() == {}


def test_it_follows_whoever_knows_the_cameras() -> None:
    """Run in an event loop, it subscribes to a camera that is found later."""

    async def follow() -> None:
        cameras: dict[CameraId, tuple[CameraStream, str]] = {}
        with event_camera() as (camera, ready), watching() as (watch, _):
            running = asyncio.create_task(watch.run(lambda: cameras))
            await asyncio.sleep(0)
            cameras[DOOR] = (stream(), ready.onvif)
            await asyncio.to_thread(until, lambda: camera.events.subscriptions)
            running.cancel()

    asyncio.run(follow())


def test_several_cameras_are_listened_to_at_once() -> None:
    """Every one's motion arrives once, under its own name."""
    with event_camera() as (camera, ready):
        names = [f"c{number}" for number in range(8)]  # a camera has room for so many subscriptions
        with watching(*((name, ready.onvif) for name in names)) as (_, told):
            until(lambda: camera.events.subscriptions == len(names))
            camera.events.motion(is_so=True)
            until(lambda: all(told.of(name) for name in names))
            assert {len(told.of(name)) for name in names} == {1}
        assert camera.events.subscriptions == 0
