"""onvif-zeep's WSDLs and services on our own transport: one parsed WSDL per process, no matter how many cameras.

Rules of this file: nothing but files of the package is ever loaded; zeep sees an answer only after it was read
leniently and written anew; importing onvif-zeep changes nothing else in the process (it would set up the root logger).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from lxml import etree

from agent.acquire.lenient_xml import Element
from agent.errors import BadInputError, TransomError
from agent.outside.soap import CONTENT_TYPE, SoapClient

DEVICE: Final = "http://www.onvif.org/ver10/device/wsdl"
MEDIA: Final = "http://www.onvif.org/ver10/media/wsdl"
_NAME_OF_NAMESPACE: Final = {DEVICE: "devicemgmt", MEDIA: "media"}
_SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
_parsing = threading.Lock()


class Service:
    """One ONVIF service of one camera: `call` asks one question by the WSDL's operation name."""

    def __init__(self, namespace: str, url: str, client: SoapClient) -> None:
        zeep, onvif = _libraries()
        definition = onvif.SERVICES[_NAME_OF_NAMESPACE[namespace]]
        with _parsing:
            document = _document(definition["wsdl"])
        self._service = onvif.ONVIFService(
            url,
            "",  # the login is the SOAP client's business
            "",
            str(_wsdl_folder() / definition["wsdl"]),
            binding_name=f"{{{namespace}}}{definition['binding']}",
            zeep_client=zeep.Client(document, transport=_Transport(client), settings=_settings()),
        )
        self._onvif_error: type[Exception] = onvif.ONVIFError

    def call(self, operation: str, parameters: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - zeep's types are made at run time
        """Ask and return what zeep read: trust none of it to be there or to have the right type.

        Raises what `SoapClient.ask` raises, and BadInputError if the answer does not fit the WSDL.
        """
        try:
            return getattr(self._service, operation)(dict(parameters or {}))
        except self._onvif_error as error:  # onvif-zeep wraps everything in its own error
            if isinstance(error.__context__, TransomError):
                raise error.__context__ from None
            cause = type(error.__context__).__name__
            raise BadInputError(f"the camera's answer to {operation} is not what ONVIF says ({cause})") from None


@dataclass(frozen=True, slots=True)
class _ZeepResponse:
    """The part of a response that zeep looks at."""

    content: bytes
    status_code: int = 200
    encoding: str = "utf-8"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/soap+xml"})


@dataclass(frozen=True, slots=True)
class _Transport:
    """The part of a transport that zeep calls; it can reach nothing but the camera's own client."""

    client: SoapClient

    def post_xml(self, address: str, envelope: Element, headers: Mapping[str, str]) -> _ZeepResponse:
        reply = self.client.ask(address, envelope, headers.get("Content-Type", CONTENT_TYPE))
        rewritten = etree.Element(f"{{{_SOAP}}}Envelope")
        body = etree.SubElement(rewritten, f"{{{_SOAP}}}Body")
        if reply.body is not None:
            body.append(reply.body)
        return _ZeepResponse(etree.tostring(rewritten, encoding="utf-8"))

    def load(self, url: str) -> bytes:
        """Refuse: an answer has no business naming other documents."""
        raise BadInputError(f"a camera's answer refers to another document ({len(url)} characters)")


@cache
def _libraries() -> tuple[Any, Any]:
    """Import zeep and onvif-zeep when they are first needed (0.3 s), and keep the root logger as it was.

    `import onvif` calls logging.basicConfig, which does nothing while the root logger has a handler.
    """
    root, shield = logging.getLogger(), logging.NullHandler()
    root.addHandler(shield)
    try:
        import onvif  # noqa: PLC0415 - see above
        import zeep  # noqa: PLC0415 - see above
    finally:
        root.removeHandler(shield)
    logging.getLogger("zeep").setLevel(logging.CRITICAL)  # it would log a traceback for every odd word of a camera
    return zeep, onvif


def _wsdl_folder() -> Path:
    return Path(_libraries()[1].__file__).parent.parent / "wsdl"


@cache
def _settings() -> Any:  # noqa: ANN401 - a zeep.Settings
    return _libraries()[0].Settings(strict=False, xml_huge_tree=False, forbid_dtd=True, forbid_external=True)


@cache
def _document(wsdl: str) -> Any:  # noqa: ANN401 - a zeep Document; 10 MB and 0.1 s each, so one for the process
    return _libraries()[0].Client(str(_wsdl_folder() / wsdl), settings=_settings()).wsdl
