"""A camera's event service over SOAP: find it, subscribe to a pull point, pull, renew, say goodbye (ONVIF Core 9).

Rules of this file: every address a camera writes down is asked for at the host that answered; what it wants echoed
(WS-Addressing reference parameters) is echoed; lengths are durations, never the camera's time. One thread each.
"""

from __future__ import annotations

import copy
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from lxml import etree

from agent.acquire.camera import Login
from agent.acquire.lenient_xml import Element, element, elements, text_of
from agent.acquire.timeline import ClockOffset
from agent.clock import WallTime
from agent.errors import BadInputError, UnavailableError
from agent.outside.onvif import REFUSALS, URL_CHARACTERS_MAX, same_host
from agent.outside.onvif_failures import CameraFaultError
from agent.outside.onvif_services import DEVICE
from agent.outside.soap import CONTENT_TYPE, SoapClient
from agent.outside.soap_login import Refusals

EVENTS: Final = "http://www.onvif.org/ver10/events/wsdl"
SERVICES_MAX: Final = 64
UNSUBSCRIBE_S_MAX: Final = 4.0
PARAMETERS_MAX: Final = 8  # of a subscription reference, echoed in every call
EVENTS_BYTES_MAX: Final = 256 * 1024  # of one answer: many times what 32 messages take
PARAMETERS_BYTES_MAX: Final = 4096
_SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
_ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
_NOTIFICATION: Final = "http://docs.oasis-open.org/wsn/b-2"
_ACTIONS: Final = {
    "CreatePullPointSubscription": f"{EVENTS}/EventPortType/CreatePullPointSubscriptionRequest",
    "PullMessages": f"{EVENTS}/PullPointSubscription/PullMessagesRequest",
    "Renew": "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest",
    "Unsubscribe": "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest",
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where to pull, and what the camera wants to see again in each call."""

    url: str
    parameters: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and between which two readings of the hub's clock it was made."""

    body: Element
    asked: WallTime
    answered: WallTime


class EventService:
    """One camera's events. Every call raises the failures of `onvif_failures`, and BadInputError for nonsense."""

    def __init__(
        self, address: str, login: Login | None, now: Callable[[], WallTime], *, refusals: Refusals = REFUSALS
    ) -> None:
        self._address = address
        self._url = ""
        self._login, self._now, self._refusals = login, now, refusals
        self._subscription: Subscription | None = None
        self._client = SoapClient(login, now, budget_s=math.inf, refusals=refusals)

    def set_clock(self, offset: ClockOffset | None) -> None:
        """Say how the camera's clock stands: logins are made in its time."""
        self._client.clock = offset

    def find(self) -> bool:
        """Ask where the event service is; say whether there is one."""
        try:
            answer = self._ask(
                self._address,
                f'<GetServices xmlns="{DEVICE}"><IncludeCapability>false</IncludeCapability></GetServices>',
            )
            services = islice(elements(answer.body, "Service"), SERVICES_MAX)
            told = [text_of(one, "XAddr") for one in services if text_of(one, "Namespace").rstrip("/") == EVENTS]
        except CameraFaultError:  # ONVIF before 2.1 has GetCapabilities only
            told = []
        if not told:
            told = self._told_by_capabilities()
        self._url = event_address(told[0], self._address) if told and told[0] else ""
        return bool(self._url)

    def subscribe(self, seconds: int) -> Told:
        """Make a pull point that lives so long."""
        told = self._ask(
            self._url,
            f'<CreatePullPointSubscription xmlns="{EVENTS}"><InitialTerminationTime>PT{seconds}S'
            "</InitialTerminationTime></CreatePullPointSubscription>",
        )
        reference = element(told.body, "SubscriptionReference")
        address = text_of(reference, "Address", characters_max=URL_CHARACTERS_MAX) if reference is not None else ""
        if reference is None or not address:
            raise BadInputError("the camera's subscription has no address")
        self._subscription = Subscription(event_address(address, self._url), _parameters(reference))
        return told

    def pull(self, seconds: int, messages: int) -> Told:
        """Wait up to so many seconds for something to be told."""
        body = (
            f'<PullMessages xmlns="{EVENTS}"><Timeout>PT{seconds}S</Timeout>'
            f"<MessageLimit>{messages}</MessageLimit></PullMessages>"
        )
        return self._ask_subscription(body)

    def renew(self, seconds: int) -> Told:
        """Let it live so long from now on."""
        body = f'<Renew xmlns="{_NOTIFICATION}"><TerminationTime>PT{seconds}S</TerminationTime></Renew>'
        return self._ask_subscription(body)

    def unsubscribe(self) -> None:
        """End it, if it is there; from any thread, with a connection and a login of its own."""
        known, self._subscription = self._subscription, None
        if known is None:
            return
        client = SoapClient(self._login, self._now, budget_s=UNSUBSCRIBE_S_MAX, refusals=self._refusals)
        client.clock = self._client.clock
        envelope = _envelope(
            etree.fromstring(f'<Unsubscribe xmlns="{_NOTIFICATION}"/>'),
            known.url,
            _ACTIONS["Unsubscribe"],
            known.parameters,
        )
        client.ask(known.url, envelope, _content_type("Unsubscribe"))

    def _told_by_capabilities(self) -> list[str]:
        try:
            body = f'<GetCapabilities xmlns="{DEVICE}"><Category>Events</Category></GetCapabilities>'
            answer = self._ask(self._address, body)
        except CameraFaultError:
            return []
        events = element(answer.body, "Events")
        return [text_of(events, "XAddr", characters_max=URL_CHARACTERS_MAX)] if events is not None else []

    def _ask_subscription(self, body: str) -> Told:
        known = self._subscription
        if known is None:
            raise UnavailableError("there is no subscription")
        return self._ask(known.url, body, known.parameters)

    def _ask(self, url: str, body: str, parameters: tuple[Element, ...] = ()) -> Told:
        operation = etree.fromstring(body)
        name = etree.QName(operation).localname
        envelope = _envelope(operation, url, _ACTIONS.get(name, ""), parameters)
        reply = self._client.ask(url, envelope, _content_type(name))
        if reply.body is None:  # never: `ask` has looked
            raise BadInputError("the camera's answer is empty")
        if len(reply.answer.body) > EVENTS_BYTES_MAX:
            raise BadInputError(f"the camera's answer about events is over {EVENTS_BYTES_MAX} bytes")
        return Told(reply.body, reply.answer.asked, reply.answer.answered)


def event_address(told: str, answered: str) -> str:
    """Keep an announced address's path and query, and ask for it at the host that answered.

    The query matters: Dahua tells subscriptions apart by it (`/onvif/Subscription?Idx=3`).
    """
    url = same_host(told, answered)
    try:
        query = urlsplit(told.strip()[:URL_CHARACTERS_MAX]).query
    except ValueError:
        return url
    is_plain = query.isascii() and query.isprintable() and " " not in query
    return f"{url}?{query}" if query and is_plain else url


def _content_type(operation: str) -> str:
    action = _ACTIONS.get(operation)
    return f'{CONTENT_TYPE}; action="{action}"' if action else CONTENT_TYPE


def _envelope(operation: Element, url: str, action: str, parameters: tuple[Element, ...]) -> Element:
    """Build a call. Addressing stands in event calls only: it breaks others on some cameras (Meari)."""
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"s": _SOAP, "wsa": _ADDRESSING} if action else {"s": _SOAP})
    header = etree.SubElement(envelope, f"{{{_SOAP}}}Header")
    if action:
        etree.SubElement(header, f"{{{_ADDRESSING}}}Action").text = action
        etree.SubElement(header, f"{{{_ADDRESSING}}}MessageID").text = f"urn:uuid:{uuid.uuid4()}"
        etree.SubElement(header, f"{{{_ADDRESSING}}}To").text = url
    for parameter in parameters:
        echoed = copy.deepcopy(parameter)
        echoed.tail = None
        echoed.set(f"{{{_ADDRESSING}}}IsReferenceParameter", "true")  # WS-Addressing SOAP Binding 4.2
        header.append(echoed)
    etree.SubElement(envelope, f"{{{_SOAP}}}Body").append(operation)
    return envelope


def _parameters(reference: Element) -> tuple[Element, ...]:
    within = element(reference, "ReferenceParameters")
    if within is None:
        return ()
    found = tuple(child for child in within if isinstance(child.tag, str))[:PARAMETERS_MAX]
    if sum(len(etree.tostring(one)) for one in found) > PARAMETERS_BYTES_MAX:
        raise BadInputError(f"the camera's subscription reference is over {PARAMETERS_BYTES_MAX} bytes")
    return found
