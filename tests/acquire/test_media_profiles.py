"""A camera's profiles are read whatever it sends, and one of them is chosen."""

from __future__ import annotations

import random
import time

import pytest

from agent.acquire.encoding import Encoding
from agent.acquire.lenient_xml import parse_xml
from agent.acquire.media_profiles import PROFILES_MAX, Profile, choose_profile, encoding_of, read_profiles
from agent.errors import BadInputError

ANSWER = """
<tr2:GetProfilesResponse xmlns:tr2="http://www.onvif.org/ver20/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema">
 <tr2:Profiles token="P1" fixed="true"><tr2:Name>Main &lt;b&gt;</tr2:Name><tr2:Configurations>
  <tr2:VideoSource token="s"><tt:Name>source</tt:Name></tr2:VideoSource>
  <tr2:VideoEncoder token="E1" GovLength="40" Profile="Main"><tt:Name>enc</tt:Name><tt:Encoding>H265</tt:Encoding>
   <tt:Resolution><tt:Width>2560</tt:Width><tt:Height>1440</tt:Height></tt:Resolution>
   <tt:RateControl ConstantBitRate="true"><tt:FrameRateLimit>20.5</tt:FrameRateLimit>
   <tt:BitrateLimit>3000</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>
 <tr2:Profiles token="P2"><tr2:Name>only sound</tr2:Name><tr2:Configurations/></tr2:Profiles>
 <tr2:Profiles><tr2:Configurations><tr2:VideoEncoder/></tr2:Configurations></tr2:Profiles>
</tr2:GetProfilesResponse>
"""


def profile(name: str, codec: str = "H264", width: int = 640, key: str = "t") -> Profile:
    """Make a profile."""
    return Profile(key, name, Encoding(codec, width, width))


def test_media2_profiles_are_read() -> None:
    """Token, name, codec, size, rate, distance of key pictures, bitrate; what has no video or no token is left out."""
    profiles = read_profiles(parse_xml(ANSWER.encode(), 10_000))
    assert profiles == (Profile("P1", "Main <b>", Encoding("H265", 2560, 1440, 20.5, 40, 3000), "E1"),)


def test_numbers_that_make_no_sense_are_not_known() -> None:
    """A rate of infinity is no rate, and neither is a word."""
    none = Encoding("H264")
    assert encoding_of("h.264", (-1, "x"), "inf", "1e400", "nan") == none
    assert encoding_of("H264", (1 << 20, None), 1e9, [], "9" * 400) == none
    assert encoding_of("HEVC", (1, 1), 1, 1, 1).codec == "H265"
    assert encoding_of("H264", (1, 1), 1, 1, 1, "H.264+").is_smart
    assert encoding_of("H264", (1, 1), 1, 1, 1, "Smart Codec").is_smart


def test_profiles_without_end_are_cut_off() -> None:
    """A camera has 64 profiles at most."""
    one = '<Profiles token="a"><VideoEncoder><Encoding>H264</Encoding></VideoEncoder></Profiles>'
    assert len(read_profiles(parse_xml(f"<r>{one * 500}</r>".encode(), 1 << 20))) == PROFILES_MAX


@pytest.mark.parametrize(
    ("profiles", "wanted", "chosen"),
    [
        ([profile("a"), profile("b", width=1920)], "", "b"),
        ([profile("a"), profile("b", width=1920), profile("c", width=1920)], "", "b"),
        ([profile("mainStream"), profile("b", width=1920)], "", "mainStream"),
        ([profile("MediaProfile_Channel1_MainStream"), profile("x_SubStream1", width=1920)], "", "MediaProfile_C"),
        ([profile("H264 Main Profile"), profile("b", width=1920)], "", "b"),
        ([profile("sub", width=1920), profile("b")], "", "b"),
        ([profile("main", "JPEG", 1920), profile("b", "H265")], "", "b"),
        ([profile("a", "JPEG"), profile("b", "JPEG", 1280)], "", "b"),
        ([profile("a", "MPEG4"), profile("b", "VP8")], "", None),
        ([profile("a"), profile("b", width=1920)], "A", "a"),
        ([profile("a", key="T1"), profile("b", width=1920)], "t1", "a"),
        ([profile("a")], "z", None),
        ([], "", None),
    ],
)
def test_the_stream_is_chosen(profiles: list[Profile], wanted: str, chosen: str | None) -> None:
    """What is wanted, else video before pictures, main before sub, more pixels before fewer, first before later."""
    found = choose_profile(profiles, wanted)
    assert (found is None) == (chosen is None)
    assert found is None or found.name.startswith(chosen or "")


def test_profiles_nested_in_profiles_cost_no_time() -> None:
    """Of 60 lists in each other, around 100,000 elements, the outermost counts: half a second at most."""
    nested = '<Profiles token="a">' * 60 + "<x/>" * 100_000 + "</Profiles>" * 60
    root = parse_xml(f"<r>{nested}</r>".encode(), 1 << 20)
    began_s = time.process_time()
    assert read_profiles(root) == ()
    assert time.process_time() - began_s < 0.5


def test_damaged_answers_raise_nothing_else() -> None:
    """1,000 answers with a few bytes changed end in profiles or in BadInputError."""
    chance, whole = random.Random(5), ANSWER.encode()  # noqa: S311 - a reproducible test
    read = 0
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            read += len(read_profiles(parse_xml(bytes(damaged), 10_000)))
        except BadInputError:
            continue
    assert read > 500
