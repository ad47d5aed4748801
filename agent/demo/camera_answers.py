"""What a virtual camera answers to each ONVIF call of the device and media services (Core and Media 1, version 2.x).

Rules of this file: texts in, XML out; every value that is not a constant of this file is escaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from agent.demo.camera_events import EVENTS_PATH
from agent.demo.camera_soap import NAMESPACES
from agent.demo.h264_rtp import EncoderSettings

Texts = dict[str, str]  # the texts of a call by element name

OPEN_CALLS: Final = frozenset({"GetSystemDateAndTime", "GetCapabilities", "GetServices", "GetEndpointReference"})
"""What needs no login: access class PRE_AUTH, Core section 5.8.1.1."""

DEVICE_PATH: Final = "/onvif/device_service"
MEDIA_PATH: Final = "/onvif/media_service"
SNAPSHOT_PATH: Final = "/onvif/snapshot"


@dataclass(frozen=True, slots=True)
class Profile:
    """One media profile: its token is also the path of its stream."""

    token: str
    settings: EncoderSettings


@dataclass(frozen=True, slots=True)
class Identity:
    """What the camera says about itself; `http` and `rtsp` are URLs without a path."""

    name: str
    uuid: str
    http: str
    rtsp: str
    profiles: tuple[Profile, ...]
    media2_path: str = ""  # where its media2 service is (Profile T); empty: it has none
    has_events: bool = True
    given_serial: str = ""  # of its own, for a camera whose UUID is another's too

    @property
    def serial(self) -> str:
        """The serial number: the end of the camera's UUID, unless it was given one."""
        return self.given_serial or self.uuid[-12:]

    @property
    def mac(self) -> str:
        """A locally administered hardware address made of the serial number."""
        digits = hashlib.sha256(self.given_serial.encode()).hexdigest() if self.given_serial else self.serial
        return ":".join(("02", *(digits[at : at + 2] for at in range(2, 12, 2))))

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of discovery and GetScopes (Core section 7.3.2.2)."""
        own = ("type/video_encoder", "type/Network_Video_Transmitter", "Profile/Streaming", "hardware/Virtual")
        return tuple(f"onvif://www.onvif.org/{part}" for part in (*own, "location/demo", f"name/{quote(self.name)}"))


class UnknownProfileError(Exception):
    """A call named a profile that this camera does not have."""


def answer_call(identity: Identity, operation: str, texts: Texts, now_s: int) -> str | None:
    """Return the body of the answer; None if there is no such operation. Raises UnknownProfileError."""
    if operation == "GetSystemDateAndTime":
        return _date_and_time(now_s)
    answer = _ANSWERS.get(operation)
    return answer(identity, texts) if answer else None


def _date_and_time(now_s: int) -> str:
    now = datetime.fromtimestamp(now_s, UTC)
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>"
        "<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute><tt:Second>{now.second}</tt:Second>"
        f"</tt:Time><tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day>"
        "</tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def _capabilities(identity: Identity, _: Texts) -> str:
    return (
        "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"<tt:Device><tt:XAddr>{escape(identity.http)}{DEVICE_PATH}</tt:XAddr></tt:Device>"
        f"<tt:Media><tt:XAddr>{escape(identity.http)}{MEDIA_PATH}</tt:XAddr><tt:StreamingCapabilities>"
        "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP><tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP>"
        "</tt:StreamingCapabilities></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def _services(identity: Identity, _: Texts) -> str:
    paths = [("tds", DEVICE_PATH), ("trt", MEDIA_PATH)]
    paths += [("tr2", identity.media2_path)] if identity.media2_path else []
    paths += [("tev", EVENTS_PATH)] if identity.has_events else []
    services = "".join(
        f"<tds:Service><tds:Namespace>{NAMESPACES[prefix]}</tds:Namespace><tds:XAddr>{escape(identity.http)}{path}"
        "</tds:XAddr><tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
        for prefix, path in paths
    )
    return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"


def _device_information(identity: Identity, _: Texts) -> str:
    return (
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>Transom</tds:Manufacturer><tds:Model>Virtual camera"
        "</tds:Model><tds:FirmwareVersion>1.0.0</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{escape(identity.serial)}</tds:SerialNumber><tds:HardwareId>virtual-1</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def _endpoint_reference(identity: Identity, _: Texts) -> str:
    guid = f"<tds:GUID>urn:uuid:{escape(identity.uuid)}</tds:GUID>"
    return f"<tds:GetEndpointReferenceResponse>{guid}</tds:GetEndpointReferenceResponse>"


def _scopes(identity: Identity, _: Texts) -> str:
    scopes = "".join(
        f"<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef><tt:ScopeItem>{escape(scope)}</tt:ScopeItem></tds:Scopes>"
        for scope in identity.scopes
    )
    return f"<tds:GetScopesResponse>{scopes}</tds:GetScopesResponse>"


def _network_interfaces(identity: Identity, _: Texts) -> str:
    return (
        '<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled><tt:Info>'
        f"<tt:Name>eth0</tt:Name><tt:HwAddress>{escape(identity.mac)}</tt:HwAddress><tt:MTU>1500</tt:MTU></tt:Info>"
        "</tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>"
    )


def _source_configuration(identity: Identity) -> str:
    size = identity.profiles[0].settings
    return (
        '<tt:VideoSourceConfiguration token="source_config"><tt:Name>source</tt:Name><tt:UseCount>2</tt:UseCount>'
        f'<tt:SourceToken>source</tt:SourceToken><tt:Bounds x="0" y="0" width="{size.width}" height="{size.height}"/>'
        "</tt:VideoSourceConfiguration>"
    )


def _encoder_configuration(profile: Profile, element: str) -> str:
    settings = profile.settings
    return (
        f'<{element} token="{profile.token}_encoder"><tt:Name>{profile.token}</tt:Name><tt:UseCount>1</tt:UseCount>'
        f"<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{settings.width}</tt:Width>"
        f"<tt:Height>{settings.height}</tt:Height></tt:Resolution><tt:Quality>4</tt:Quality><tt:RateControl>"
        f"<tt:FrameRateLimit>{settings.fps}</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>"
        f"<tt:BitrateLimit>{settings.bitrate_bps // 1000}</tt:BitrateLimit></tt:RateControl><tt:H264>"
        f"<tt:GovLength>{settings.gop}</tt:GovLength><tt:H264Profile>Main</tt:H264Profile></tt:H264>"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
        "<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
        f"<tt:SessionTimeout>PT60S</tt:SessionTimeout></{element}>"
    )


def _profiles(identity: Identity, _: Texts) -> str:
    profiles = "".join(
        f'<trt:Profiles token="{profile.token}" fixed="true"><tt:Name>{profile.token}</tt:Name>'
        f"{_source_configuration(identity)}{_encoder_configuration(profile, 'tt:VideoEncoderConfiguration')}"
        "</trt:Profiles>"
        for profile in _shown_by_media1(identity)
    )
    return f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"


def _encoder_configurations(identity: Identity, _: Texts) -> str:
    each = "".join(_encoder_configuration(profile, "trt:Configurations") for profile in _shown_by_media1(identity))
    return f"<trt:GetVideoEncoderConfigurationsResponse>{each}</trt:GetVideoEncoderConfigurationsResponse>"


def _shown_by_media1(identity: Identity) -> list[Profile]:
    """Return the profiles whose codec media 1 has a word for."""
    return [profile for profile in identity.profiles if profile.settings.codec == "H264"]


def _synchronization_point(identity: Identity, texts: Texts) -> str:
    named_profile(identity, texts)
    return "<trt:SetSynchronizationPointResponse/>"


def _video_sources(identity: Identity, _: Texts) -> str:
    size = identity.profiles[0].settings
    return (
        f'<trt:GetVideoSourcesResponse><trt:VideoSources token="source"><tt:Framerate>{size.fps}</tt:Framerate>'
        f"<tt:Resolution><tt:Width>{size.width}</tt:Width><tt:Height>{size.height}</tt:Height></tt:Resolution>"
        "</trt:VideoSources></trt:GetVideoSourcesResponse>"
    )


def _stream_uri(identity: Identity, texts: Texts) -> str:
    return _media_uri("GetStreamUriResponse", f"{identity.rtsp}/{named_profile(identity, texts).token}")


def _snapshot_uri(identity: Identity, texts: Texts) -> str:
    named_profile(identity, texts)
    return _media_uri("GetSnapshotUriResponse", identity.http + SNAPSHOT_PATH)


def _media_uri(element: str, uri: str) -> str:
    return (
        f"<trt:{element}><trt:MediaUri><tt:Uri>{escape(uri)}</tt:Uri><tt:InvalidAfterConnect>false"
        "</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
        f"</trt:MediaUri></trt:{element}>"
    )


def named_profile(identity: Identity, texts: Texts) -> Profile:
    """Return the profile that a call names. Raises UnknownProfileError."""
    for profile in identity.profiles:
        if profile.token == texts.get("ProfileToken"):
            return profile
    raise UnknownProfileError


_ANSWERS: Final[dict[str, Callable[[Identity, Texts], str]]] = {
    "GetCapabilities": _capabilities,
    "GetServices": _services,
    "GetDeviceInformation": _device_information,
    "GetEndpointReference": _endpoint_reference,
    "GetScopes": _scopes,
    "GetNetworkInterfaces": _network_interfaces,
    "GetProfiles": _profiles,
    "GetVideoEncoderConfigurations": _encoder_configurations,
    "GetVideoSources": _video_sources,
    "SetSynchronizationPoint": _synchronization_point,
    "GetStreamUri": _stream_uri,
    "GetSnapshotUri": _snapshot_uri,
}
