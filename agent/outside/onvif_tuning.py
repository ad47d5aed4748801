"""A person's order to a camera's settings: distance of key pictures, bitrate, NTP server. Nothing else writes there.

Rules of this file: a configuration goes back as it came, but for what was ordered; afterwards the camera is asked what
it took, since some accept an order and keep what they had.
"""

from __future__ import annotations

import copy
import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from agent.acquire.encoding import Encoding
from agent.acquire.lenient_xml import Element, element, elements, text_of
from agent.acquire.media_profiles import Profile, read_encoder
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.onvif import OnvifCamera
from agent.outside.onvif_media import MEDIA2, Field, Media, ask
from agent.outside.onvif_services import DEVICE

KEY_INTERVAL_S: Final = (0.2, 10.0)
BITRATE_KBPS: Final = (32, 100_000)
_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62}\.?)+")


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was set before, and what is now."""

    before: Encoding
    now: Encoding


def tune_encoder(
    camera: OnvifCamera, profile: Profile, *, key_interval_s: float | None = None, bitrate_kbps: int | None = None
) -> Tuned:
    """Set the distance of key pictures (0.2-10 s) and the bitrate limit (32-100,000 kbit/s) of a profile's encoder.

    Raises ConfigurationError for a number beyond that or a codec without key pictures, UnavailableError if the camera
    keeps what it had, and the failures of `onvif.examine`.
    """
    _check(profile, key_interval_s, bitrate_kbps)
    media = camera.media()
    found = _encoder(camera, media, profile)
    before, order = read_encoder(found), _order(found, media)
    if key_interval_s is not None:
        rate = before.fps or profile.encoding.fps
        if not rate:
            raise ConfigurationError("the camera does not tell its picture rate", cure="set it on the camera's page")
        _set_gop(order, media, max(1, round(key_interval_s * rate)))
    if bitrate_kbps is not None:
        _set_text(order, "BitrateLimit", str(bitrate_kbps))
    persist: dict[str, Field] = {} if media.namespace == MEDIA2 else {"ForcePersistence": "true"}
    ask(camera.client, media.url, media.namespace, "SetVideoEncoderConfiguration", Configuration=order, **persist)
    now = read_encoder(_encoder(camera, media, profile))
    _check_taken(now, order, bitrate_kbps)
    return Tuned(before, now)


def tune_time(camera: OnvifCamera, server: str) -> None:
    """Have the camera take its time from an NTP server (an IP address or a name). Raises as `tune_encoder`."""
    ask(camera.client, camera.address, DEVICE, "SetNTP", FromDHCP="false", NTPManual=_ntp(server))
    told = ask(camera.client, camera.address, DEVICE, "GetSystemDateAndTime")
    zone = text_of(told, "TZ")
    ask(
        camera.client,
        camera.address,
        DEVICE,
        "SetSystemDateAndTime",
        DateTimeType="NTP",
        DaylightSavings=text_of(told, "DaylightSavings") or "false",
        **({"TimeZone": {"TZ": zone}} if zone else {}),
    )


def _ntp(server: str) -> Field:
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        if not _HOST_NAME.fullmatch(server):
            raise ConfigurationError("this is no NTP server", cure="give an IP address or a name") from None
        return {"Type": "DNS", "DNSname": server}
    return {"Type": f"IPv{address.version}", f"IPv{address.version}Address": str(address)}


def _check(profile: Profile, key_interval_s: float | None, bitrate_kbps: int | None) -> None:
    if key_interval_s is not None and not KEY_INTERVAL_S[0] <= key_interval_s <= KEY_INTERVAL_S[1]:
        raise ConfigurationError(f"key pictures {key_interval_s:g} s apart", cure="0.2 to 10 s are possible, 2 is good")
    if bitrate_kbps is not None and not BITRATE_KBPS[0] <= bitrate_kbps <= BITRATE_KBPS[1]:
        raise ConfigurationError(f"a bitrate of {bitrate_kbps} kbit/s", cure="32 to 100000 kbit/s are possible")
    if key_interval_s is not None and profile.encoding.codec == "JPEG":
        raise ConfigurationError("every picture of a JPEG stream is a key picture", cure="set H.264 or H.265")


def _encoder(camera: OnvifCamera, media: Media, profile: Profile) -> Element:
    fields: dict[str, Field] = {"ConfigurationToken": profile.encoder} if media.namespace == MEDIA2 else {}
    answer = ask(camera.client, media.url, media.namespace, "GetVideoEncoderConfigurations", **fields)
    own = (one for one in elements(answer, "Configurations") if one.get("token") == profile.encoder)
    found = next(own, None)
    if found is None:
        raise UnavailableError("the camera does not show the encoder's settings", cure="set them on the camera's page")
    return found


def _order(found: Element, media: Media) -> Element:
    order = etree.Element(f"{{{media.namespace}}}Configuration", dict(found.attrib))
    order.extend(copy.deepcopy(child) for child in found)
    return order


def _set_gop(order: Element, media: Media, pictures: int) -> None:
    if media.namespace == MEDIA2:
        order.set("GovLength", str(pictures))
    else:
        _set_text(order, "GovLength", str(pictures))


def _set_text(order: Element, name: str, text: str) -> None:
    found = element(order, name)
    if found is None:
        raise UnavailableError(f"the camera shows no {name} that could be set", cure="set it on the camera's page")
    found.text = text


def _check_taken(now: Encoding, order: Element, bitrate_kbps: int | None) -> None:
    wanted = read_encoder(order)
    if now.gop != wanted.gop or (bitrate_kbps is not None and now.bitrate_kbps != bitrate_kbps):
        raise UnavailableError(
            f"the camera accepted the order and has: {now}", cure="order what it can, or set it on the camera's page"
        )
