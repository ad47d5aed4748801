"""The virtual camera's event service: pull points that tell what happened (ONVIF Core 9), bad manners on request.

Rules of this file: one event loop, but for `happen`, which any thread may call; what waits for a client is bounded.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from agent.clock import SECOND_NS
from agent.demo.camera_cadence import CameraClock
from agent.demo.camera_soap import Call

EVENTS_PATH: Final = "/onvif/event_service"
PULL_POINT_PATH: Final = "/onvif/pull_point"
SUBSCRIPTIONS_MAX: Final = 8
WAITING_MAX: Final = 256  # messages for one client
PULL_S_MAX: Final = 8.0
LIVES_S_MAX: Final = 3600
MOTION: Final = "tns1:RuleEngine/CellMotionDetector/Motion"
MOTION_ITEM: Final = "IsMotion"
_SECONDS: Final = re.compile(r"PT(\d{1,4})S")
_NUMBER: Final = re.compile(rb"SubscriptionId[^>]{0,300}>(\d{1,9})<")


@dataclass(slots=True)
class EventManners:
    """How the camera behaves; may be changed while it runs."""

    has_events: bool = True
    has_reference_parameters: bool = False  # it tells subscriptions apart by a header that must be echoed
    lives_s: int = 0  # what a subscription is given whatever was asked for; 0: what was asked for
    does_renew: bool = True
    does_answer_unsubscribe: bool = True
    loses_after_pulls: int = 0  # a subscription is forgotten after so many pulls; 0: never
    hangs: bool = False  # pulls are never answered
    needs_lifetime: bool = False  # a subscription for which no time was asked is refused
    breaks_pulls_s: int = 0  # a pull that would wait longer is cut off after so long; 0: never
    has_odd_stamps: bool = False  # a blank for the T, and no Z
    stamps_off_s: int = 0  # how far the stamps of its messages are from its own clock
    motion_topic: str = MOTION
    motion_item: str = MOTION_ITEM


class EventRefusedError(Exception):
    """A call that the camera refuses: the SOAP subcode and the reason."""


@dataclass(slots=True)
class _PullPoint:
    number: int
    ends_ns: int  # by the camera's clock
    pulls: int = 0
    waiting: deque[str] = field(default_factory=lambda: deque(maxlen=WAITING_MAX))
    has_news: asyncio.Event = field(default_factory=asyncio.Event)


class EventService:
    """The pull points of one camera."""

    def __init__(self, clock: CameraClock, manners: EventManners) -> None:
        self.manners = manners
        self.asked: list[str] = []  # operations, in order
        self.pulls_s: list[int] = []  # how long clients asked to wait
        self._clock = clock
        self._points: dict[int, _PullPoint] = {}
        self._last = 0
        self._states: dict[tuple[str, str, str], bool] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def subscriptions(self) -> int:
        """How many there are now."""
        now_ns = self._clock.now_ns()
        return sum(point.ends_ns > now_ns for point in tuple(self._points.values()))

    def start(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def happen(self, topic: str, item: str, *, is_so: bool, source: str = "source") -> None:
        """Let something be so, or no longer; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell, topic, item, source, is_so)

    def motion(self, *, is_so: bool) -> None:
        """Let something move, or no longer."""
        self.happen(self.manners.motion_topic, self.manners.motion_item, is_so=is_so)

    async def answer(self, call: Call, uri: str, body: bytes, http: str) -> str:
        """Answer one call; the SOAP body's content. Raises EventRefusedError."""
        self.asked.append(call.operation)
        if call.operation == "CreatePullPointSubscription":
            return self._subscribe(call, http)
        point = self._point(uri, body)
        match call.operation:
            case "PullMessages":
                return await self._pull(point, call)
            case "Renew" if self.manners.does_renew:
                point.ends_ns = self._end_ns(call.texts.get("TerminationTime", ""))
                return f"<wsnt:RenewResponse>{self._times(point, 'wsnt')}</wsnt:RenewResponse>"
            case "Unsubscribe":
                if not self.manners.does_answer_unsubscribe:
                    await asyncio.sleep(PULL_S_MAX)
                del self._points[point.number]
                point.has_news.set()
                return "<wsnt:UnsubscribeResponse/>"
        raise EventRefusedError("ActionNotSupported", "Optional action not implemented")

    def _subscribe(self, call: Call, http: str) -> str:
        now_ns = self._clock.now_ns()
        self._points = {number: point for number, point in self._points.items() if point.ends_ns > now_ns}
        if len(self._points) >= SUBSCRIPTIONS_MAX:
            raise EventRefusedError("MaxPullPoints", "No room for another pull point")
        if self.manners.needs_lifetime and not _SECONDS.fullmatch(call.texts.get("InitialTerminationTime", "")):
            raise EventRefusedError("InvalidArgVal", "InitialTerminationTime is missing")
        self._last += 1
        point = _PullPoint(self._last, self._end_ns(call.texts.get("InitialTerminationTime", "")))
        self._points[point.number] = point
        for (topic, item, source), is_so in self._states.items():
            point.waiting.append(self._message(topic, item, source, "Initialized", is_so=is_so))
        parameters, query = "", f"?Idx={point.number}"
        if self.manners.has_reference_parameters:
            number = f'<dom:SubscriptionId xmlns:dom="urn:transom:camera">{point.number}</dom:SubscriptionId>'
            parameters, query = f"<wsa:ReferenceParameters>{number}</wsa:ReferenceParameters>", ""
        return (
            "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>"
            f"<wsa:Address>{escape(http)}{PULL_POINT_PATH}{query}</wsa:Address>{parameters}"
            f"</tev:SubscriptionReference>{self._times(point, 'wsnt')}</tev:CreatePullPointSubscriptionResponse>"
        )

    def _point(self, uri: str, body: bytes) -> _PullPoint:
        echoed = _NUMBER.search(body) if self.manners.has_reference_parameters else None
        number = echoed[1].decode() if echoed else uri.rpartition("Idx=")[2]
        point = self._points.get(int(number)) if number.isascii() and number.isdigit() else None
        if point is None or point.ends_ns <= self._clock.now_ns():
            raise EventRefusedError("InvalidArgVal", "The subscription is unknown or has expired")
        return point

    async def _pull(self, point: _PullPoint, call: Call) -> str:
        if self.manners.hangs:
            await asyncio.sleep(3600)  # longer than any connection lives
        point.pulls += 1
        if 0 < self.manners.loses_after_pulls < point.pulls:
            self._points.pop(point.number, None)
            raise EventRefusedError("InvalidArgVal", "The subscription is unknown or has expired")
        wait_s = _seconds(call.texts.get("Timeout", ""), 1)
        self.pulls_s.append(wait_s)
        if 0 < self.manners.breaks_pulls_s < wait_s:
            await asyncio.sleep(self.manners.breaks_pulls_s)
            raise ConnectionResetError  # it just hangs up
        if not point.waiting:
            point.has_news.clear()
            try:
                async with asyncio.timeout(min(wait_s, PULL_S_MAX)):
                    await point.has_news.wait()
            except TimeoutError:
                pass
        limit = call.texts.get("MessageLimit", "")
        count = min(len(point.waiting), int(limit) if limit.isascii() and limit.isdigit() else WAITING_MAX)
        messages = "".join(point.waiting.popleft() for _ in range(count))
        return f"<tev:PullMessagesResponse>{self._times(point, 'tev')}{messages}</tev:PullMessagesResponse>"

    def _tell(self, topic: str, item: str, source: str, is_so: bool) -> None:  # noqa: FBT001 - for the loop's call
        self._states[topic, item, source] = is_so
        for point in self._points.values():
            point.waiting.append(self._message(topic, item, source, "Changed", is_so=is_so))
            point.has_news.set()

    def _message(self, topic: str, item: str, source: str, operation: str, *, is_so: bool) -> str:
        stamp = _stamp(self._clock.now_ns() + self.manners.stamps_off_s * SECOND_NS)
        stamp = stamp.replace("T", " ").removesuffix("Z") if self.manners.has_odd_stamps else stamp
        return (
            '<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
            f'{escape(topic)}</wsnt:Topic><wsnt:Message><tt:Message UtcTime="{stamp}" PropertyOperation="{operation}">'
            f'<tt:Source><tt:SimpleItem Name="VideoSourceConfigurationToken" Value={quoteattr(source)}/></tt:Source>'
            f'<tt:Data><tt:SimpleItem Name={quoteattr(item)} Value="{"true" if is_so else "false"}"/></tt:Data>'
            "</tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        )

    def _end_ns(self, asked: str) -> int:
        lives_s = self.manners.lives_s or min(_seconds(asked, 60), LIVES_S_MAX)
        return self._clock.now_ns() + lives_s * SECOND_NS

    def _times(self, point: _PullPoint, prefix: str) -> str:
        now, end = _stamp(self._clock.now_ns()), _stamp(point.ends_ns)
        return (
            f"<{prefix}:CurrentTime>{now}</{prefix}:CurrentTime>"
            f"<{prefix}:TerminationTime>{end}</{prefix}:TerminationTime>"
        )


def _seconds(duration: str, otherwise: int) -> int:
    match = _SECONDS.fullmatch(duration)
    return int(match[1]) if match else otherwise


def _stamp(moment_ns: int) -> str:
    moment = datetime.fromtimestamp(moment_ns // SECOND_NS, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment_ns % SECOND_NS // 1_000_000:03d}Z"
