"""A camera's media services to its profiles, its stream's address and a key picture on request.

media2 (ver20/media, Profile T) is asked with envelopes of our own, since onvif-zeep does not know it; media 1 by
onvif-zeep.

Rules of this file: trust no field to be there; nothing is written to the camera; the addresses it names are checked by
who asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from lxml import etree

from agent.acquire.discovery import printable
from agent.acquire.lenient_xml import Element, children, text_of
from agent.acquire.media_profiles import PROFILES_MAX, Profile, encoding_of, is_token, read_profiles
from agent.errors import BadInputError
from agent.outside.onvif_failures import CameraFaultError, NoStreamError
from agent.outside.onvif_services import DEVICE, MEDIA, Service
from agent.outside.soap import CONTENT_TYPE, SoapClient

MEDIA2: Final = "http://www.onvif.org/ver20/media/wsdl"
SCHEMA: Final = "http://www.onvif.org/ver10/schema"
SERVICES_MAX: Final = 64
ADDRESS_CHARACTERS_MAX: Final = 1024
_SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
_PROTOCOLS: Final = ("RTSP", "RtspUnicast")  # over TCP; some firmware knows the second word only

Field = str | Element | Mapping[str, "Field"]


class Media(Protocol):
    """One media service, whichever it is. Calls raise what `SoapClient.ask` raises, and BadInputError."""

    namespace: str
    url: str

    def profiles(self) -> tuple[Profile, ...]:
        """Return the media profiles that have a video encoder."""

    def stream_uri(self, profile: Profile) -> object:
        """Return what the camera calls the stream's address; it may be anything."""

    def snapshot_uri(self, profile: Profile) -> object:
        """Return what it calls the address of a picture of its own; it may be anything."""


def ask(client: SoapClient, url: str, namespace: str, operation: str, **fields: Field) -> Element:
    """Ask one question by an envelope of our own; nested fields are of the ONVIF schema. Raises as `SoapClient.ask`."""
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"s": _SOAP, "tt": SCHEMA})
    etree.SubElement(envelope, f"{{{_SOAP}}}Header")
    body = etree.SubElement(envelope, f"{{{_SOAP}}}Body")
    _write(etree.SubElement(body, f"{{{namespace}}}{operation}", nsmap={None: namespace}), namespace, fields)
    answer = client.ask(url, envelope, CONTENT_TYPE).body
    if answer is None:
        raise BadInputError(f"the camera's answer to {operation} is empty")
    return answer


def _write(parent: Element, namespace: str, fields: Mapping[str, Field]) -> None:
    for name, content in fields.items():
        if isinstance(content, etree._Element):  # noqa: SLF001 - lxml publishes its element type under this name only
            parent.append(content)
            continue
        child = etree.SubElement(parent, f"{{{namespace}}}{name}")
        if isinstance(content, str):
            child.text = content
        else:
            _write(child, SCHEMA, content)


def get_services(client: SoapClient, url: str) -> dict[str, str]:
    """Ask the device for its services: their addresses, as it writes them, by namespace."""
    answer = ask(client, url, DEVICE, "GetServices", IncludeCapability="false")
    told = islice(children(answer, "Service"), SERVICES_MAX)
    named = ((text_of(one, "Namespace"), text_of(one, "XAddr", characters_max=ADDRESS_CHARACTERS_MAX)) for one in told)
    return {name: xaddr for name, xaddr in named if name and xaddr}


class MediaTwo:
    """The media2 service (Profile T): H.264, H.265 and whatever comes."""

    namespace = MEDIA2

    def __init__(self, url: str, client: SoapClient) -> None:
        self.url, self._client = url, client

    def profiles(self) -> tuple[Profile, ...]:
        """Return the profiles that have a video encoder."""
        return read_profiles(ask(self._client, self.url, MEDIA2, "GetProfiles", Type="VideoEncoder"))

    def stream_uri(self, profile: Profile) -> object:
        """Return the address for RTP over RTSP's own connection, or for RTP by UDP where there is no such word."""
        for protocol in _PROTOCOLS:
            fields = {"Protocol": protocol, "ProfileToken": profile.token}
            try:
                answer = ask(self._client, self.url, MEDIA2, "GetStreamUri", **fields)
            except CameraFaultError:
                if protocol == _PROTOCOLS[-1]:
                    raise
                continue
            return text_of(answer, "Uri", characters_max=ADDRESS_CHARACTERS_MAX + 1)
        return ""

    def snapshot_uri(self, profile: Profile) -> object:
        """Return the address of a picture of the camera's own making."""
        answer = ask(self._client, self.url, MEDIA2, "GetSnapshotUri", ProfileToken=profile.token)
        return text_of(answer, "Uri", characters_max=ADDRESS_CHARACTERS_MAX + 1)


class MediaOne:
    """The first media service (Profile S): H.264, JPEG and MPEG-4 only; it hides profiles with H.265."""

    namespace = MEDIA

    def __init__(self, url: str, client: SoapClient) -> None:
        self.url, self._client = url, client

    def profiles(self) -> tuple[Profile, ...]:
        """Return the profiles that have a video encoder."""
        answer = Service(MEDIA, self.url, self._client).call("GetProfiles")
        told = answer[:PROFILES_MAX] if isinstance(answer, list) else []
        return tuple(profile for one in told if (profile := _profile(one)) is not None)

    def stream_uri(self, profile: Profile) -> object:
        """Return the address for RTP over UDP or RTSP's own connection: it is the same."""
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        parameters = {"StreamSetup": setup, "ProfileToken": profile.token}
        return _field(Service(MEDIA, self.url, self._client).call("GetStreamUri", parameters), "Uri")

    def snapshot_uri(self, profile: Profile) -> object:
        """Return the address of a picture of the camera's own making."""
        parameters = {"ProfileToken": profile.token}
        return _field(Service(MEDIA, self.url, self._client).call("GetSnapshotUri", parameters), "Uri")


def ask_key_picture(media: Media, client: SoapClient, profile: Profile) -> bool:
    """Ask for a key picture now (SetSynchronizationPoint); False if the camera does not know how."""
    try:
        ask(client, media.url, media.namespace, "SetSynchronizationPoint", ProfileToken=profile.token)
    except (CameraFaultError, BadInputError):
        return False
    return True


def no_stream(media: Media, profiles: Sequence[Profile], wanted: str) -> NoStreamError:
    """Say why none of the profiles can be recorded."""
    others = ", ".join(sorted({profile.encoding.codec for profile in profiles})) or "no video profile"
    if wanted:
        names = ", ".join(f"`{profile.name or profile.token}`" for profile in profiles) or "none"
        return NoStreamError(f"the camera has no usable profile `{printable(wanted)}`", cure=f"choose one of: {names}")
    if media.namespace == MEDIA and not profiles:
        return NoStreamError(
            "the camera shows no video by ONVIF media 1; its streams may all be H.265, which that cannot show",
            cure="update its firmware to one with ONVIF Profile T (media2), or set its main stream to H.264",
        )
    return NoStreamError(
        f"the camera offers no stream in H.264, H.265 or JPEG (it offers {others})",
        cure="set the encoding of the main stream to H.264 or H.265 in the camera's settings",
    )


def _profile(told: object) -> Profile | None:
    encoder, token = _field(told, "VideoEncoderConfiguration"), _field(told, "token")
    codec, own = _field(encoder, "Encoding"), _field(encoder, "token")
    if not (isinstance(token, str) and isinstance(codec, str) and is_token(token)):
        return None
    name = _field(told, "Name")
    name = printable(name) if isinstance(name, str) else ""
    edges = _field(encoder, "Resolution", "Width"), _field(encoder, "Resolution", "Height")
    fps, bitrate = (_field(encoder, "RateControl", word) for word in ("FrameRateLimit", "BitrateLimit"))
    gop = _field(encoder, "H264", "GovLength")
    encoding = encoding_of(codec, edges, fps, gop, bitrate, f"{name} {_field(encoder, 'Name')}")
    return Profile(token, name, encoding, own if isinstance(own, str) and is_token(own) else "")


def _field(value: Any, *path: str) -> object:  # noqa: ANN401 - zeep's types are made at run time
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value
