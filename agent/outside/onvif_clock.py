"""A few well-timed questions to a camera to how its clock stands beside the hub's: before a login, and each minute.

Rules of this file: blocking, bounded, for worker threads; what was measured while the hub's own clock was set is void.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lxml import etree

from agent.acquire.camera import Login
from agent.acquire.camera_clock import aged, narrowed, next_question, offset_from_second, read_camera_time
from agent.acquire.step_watch import HUB_STEP_NS_MAX
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.outside.onvif_failures import CameraFaultError
from agent.outside.onvif_services import DEVICE
from agent.outside.soap import CONTENT_TYPE, SoapClient
from agent.outside.soap_login import Refusals

CLOCK_QUESTIONS: Final = 8
CLOCK_S_MAX: Final = 2.0
CLOCK_AGAIN_S_MAX: Final = 6.0  # for all answers together
CLOCK_ERROR_ENOUGH_NS: Final = 10_000_000

GET_CLOCK: Final = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>'
    f'<GetSystemDateAndTime xmlns="{DEVICE}"/></s:Body></s:Envelope>'
)


def measure_clock(
    address: str,
    client: SoapClient,
    now: Callable[[], WallTime],
    questions: int = CLOCK_QUESTIONS,
    known: ClockOffset | None = None,
) -> ClockOffset | None:
    """Bound the camera's clock minus the hub's within 2 s; None if the camera does not tell its time.

    `client` signs logins by what was found. From what is `known` still, fewer questions lead as far; if the camera
    contradicts that, its clock was set, and it is asked as a stranger. Raises the failures of `onvif_failures` that are
    about the login or the network.
    """
    began, began_s = now(), time.monotonic()
    offsets = [known] if known else []
    client.clock = known
    for left in range(questions, 0, -1):
        wait_s = _wait_s(client.clock, now(), left) if offsets else 0.0
        if wait_s is None or time.monotonic() + wait_s > began_s + CLOCK_S_MAX:
            break
        time.sleep(wait_s)
        offset = _ask(address, client)
        if offset is None:
            break
        if known is not None and (offset.high_ns < known.low_ns or known.high_ns < offset.low_ns):
            return measure_clock(address, client, now)
        offsets.append(offset)
        client.clock = narrowed(offsets)
    passed_ns = int((time.monotonic() - began_s) * SECOND_NS)
    if abs(now() - began - passed_ns) > HUB_STEP_NS_MAX:
        client.clock = None
    if client.clock is None or offsets == [known]:
        return None
    return replace(client.clock, at=began)


def measure_again(
    address: str, login: Login | None, known: ClockOffset | None, now: Callable[[], WallTime], refusals: Refusals
) -> ClockOffset | None:
    """Measure how a camera's clock stands now, by as few questions as what is `known` allows. Else as above."""
    client = SoapClient(login, now, budget_s=CLOCK_AGAIN_S_MAX, refusals=refusals)
    if known is not None:
        known = aged(known, 0 if known.at is None else now() - known.at)
    return measure_clock(address, client, now, known=known)


def _ask(address: str, client: SoapClient) -> ClockOffset | None:
    try:
        reply = client.ask(address, etree.fromstring(GET_CLOCK), CONTENT_TYPE)
        second = read_camera_time(reply.body) if reply.body is not None else None
    except (CameraFaultError, BadInputError):
        return None  # it speaks SOAP and keeps its time to itself
    return None if second is None else offset_from_second(second, reply.answer.asked, reply.answer.answered)


def _wait_s(clock: ClockOffset | None, now: WallTime, questions_left: int) -> float | None:
    if clock is None or clock.high_ns - clock.low_ns <= 2 * CLOCK_ERROR_ENOUGH_NS:
        return None
    return (next_question(clock, now, questions_left) - now) / SECOND_NS
