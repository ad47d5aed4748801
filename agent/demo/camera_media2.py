"""What a virtual camera answers to each call of the media2 service (ONVIF ver20/media, Profile T).

Rules of this file: as in `camera_answers`: texts in, XML out; every value that is not a constant of this file is
escaped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from agent.demo.camera_answers import SNAPSHOT_PATH, Identity, Profile, Texts, named_profile

MEDIA2_PATH: Final = "/onvif/media2_service"


def answer_media2(identity: Identity, operation: str, texts: Texts) -> str | None:
    """Return the body of the answer; None if there is no such operation. Raises UnknownProfileError."""
    answer = _ANSWERS.get(operation)
    return None if answer is None else f"<tr2:{operation}Response>{answer(identity, texts)}</tr2:{operation}Response>"


def _encoder(profile: Profile, element: str) -> str:
    settings = profile.settings
    return (
        f"<{element} token={quoteattr(profile.token + '_encoder')} GovLength={quoteattr(str(settings.gop))}"
        f' Profile="Main"><tt:Name>{escape(profile.token)}</tt:Name><tt:UseCount>1</tt:UseCount>'
        f"<tt:Encoding>{escape(settings.codec)}</tt:Encoding><tt:Resolution><tt:Width>{settings.width}</tt:Width>"
        f'<tt:Height>{settings.height}</tt:Height></tt:Resolution><tt:RateControl ConstantBitRate="true">'
        f"<tt:FrameRateLimit>{settings.fps}</tt:FrameRateLimit>"
        f"<tt:BitrateLimit>{settings.bitrate_bps // 1000}</tt:BitrateLimit></tt:RateControl>"
        f"<tt:Quality>4</tt:Quality></{element}>"
    )


def _profiles(identity: Identity, _: Texts) -> str:
    return "".join(
        f'<tr2:Profiles token={quoteattr(profile.token)} fixed="true"><tr2:Name>{escape(profile.token)}</tr2:Name>'
        f"<tr2:Configurations>{_encoder(profile, 'tr2:VideoEncoder')}</tr2:Configurations></tr2:Profiles>"
        for profile in identity.profiles
    )


def _encoder_configurations(identity: Identity, texts: Texts) -> str:
    wanted = texts.get("ConfigurationToken", "")
    chosen = [profile for profile in identity.profiles if wanted in ("", f"{profile.token}_encoder")]
    return "".join(_encoder(profile, "tr2:Configurations") for profile in chosen)


def _stream_uri(identity: Identity, texts: Texts) -> str:
    return f"<tr2:Uri>{escape(identity.rtsp)}/{named_profile(identity, texts).token}</tr2:Uri>"


def _snapshot_uri(identity: Identity, texts: Texts) -> str:
    named_profile(identity, texts)
    return f"<tr2:Uri>{escape(identity.http)}{SNAPSHOT_PATH}</tr2:Uri>"


def _synchronization_point(identity: Identity, texts: Texts) -> str:
    named_profile(identity, texts)
    return ""


_ANSWERS: Final[dict[str, Callable[[Identity, Texts], str]]] = {
    "GetProfiles": _profiles,
    "GetVideoEncoderConfigurations": _encoder_configurations,
    "GetStreamUri": _stream_uri,
    "GetSnapshotUri": _snapshot_uri,
    "SetSynchronizationPoint": _synchronization_point,
}
