"""A camera's list of media profiles: any bytes end in profiles within the limits, or in BadInputError."""

from __future__ import annotations

from typing import Final

from agent.acquire.encoding import CODECS, decode_encoding, encode_encoding, encoding_warnings
from agent.acquire.lenient_xml import parse_xml
from agent.acquire.media_profiles import PIXELS_MAX, PROFILES_MAX, TOKEN_CHARACTERS_MAX, choose_profile, read_profiles

BYTES_MAX: Final = 64 * 1024


def media_profiles(raw: bytes) -> None:
    """Check that what is read can be shown, stored, sent back and chosen from."""
    profiles = read_profiles(parse_xml(raw, BYTES_MAX))
    assert len(profiles) <= PROFILES_MAX
    for profile in profiles:
        assert 0 < len(profile.token) <= TOKEN_CHARACTERS_MAX
        assert (profile.token + profile.name + profile.encoder + str(profile.encoding)).isprintable()
        assert max(profile.encoding.width, profile.encoding.height) <= PIXELS_MAX
        assert decode_encoding(encode_encoding(profile.encoding)) == profile.encoding
        assert all(warning for warning in encoding_warnings(profile.encoding, 3.0))
    chosen = choose_profile(profiles)
    assert chosen is None or (chosen in profiles and chosen.encoding.codec in CODECS)
    assert (chosen is None) == (not any(profile.encoding.codec in CODECS for profile in profiles))


_ENCODER: Final = (
    b'<tr2:VideoEncoder token="e%d" GovLength="%d" Profile="Main"><tt:Name>V</tt:Name><tt:Encoding>%s</tt:Encoding>'
    b"<tt:Resolution><tt:Width>1920</tt:Width><tt:Height>1080</tt:Height></tt:Resolution><tt:RateControl>"
    b"<tt:FrameRateLimit>25</tt:FrameRateLimit><tt:BitrateLimit>4096</tt:BitrateLimit></tt:RateControl>"
    b"</tr2:VideoEncoder>"
)


def _answer(*codecs: bytes) -> bytes:
    profiles = b"".join(
        b'<tr2:Profiles token="p%d" fixed="true"><tr2:Name>main%d</tr2:Name><tr2:Configurations>%s</tr2:Configurations>'
        b"</tr2:Profiles>" % (number, number, _ENCODER % (number, 50 * number, codec))
        for number, codec in enumerate(codecs)
    )
    return (
        b'<tr2:GetProfilesResponse xmlns:tr2="http://www.onvif.org/ver20/media/wsdl"'
        b' xmlns:tt="http://www.onvif.org/ver10/schema">' + profiles + b"</tr2:GetProfilesResponse>"
    )


ANSWERS: Final = (_answer(b"H265", b"H264", b"JPEG"), _answer(b"H.265+"), _answer())
