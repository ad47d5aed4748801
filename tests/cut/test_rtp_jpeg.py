"""JPEG's payloads become pictures that any decoder shows."""

from __future__ import annotations

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cut.jpeg import picture_form
from agent.cut.rtp_jpeg import PICTURE_BYTES_MAX, START_OF_IMAGE, JpegPayload, scaled_tables
from agent.errors import BadInputError
from tests.simulators.h264_source import luma
from tests.simulators.jpeg_source import JpegRecipe, encode_jpeg, packetize_jpeg, quantisation, segments


def take(payloads: list[bytes], subject: JpegPayload | None = None) -> list[bytes | None]:
    """Take the payloads of one picture."""
    subject = subject or JpegPayload()
    last = len(payloads) - 1
    return [one for n, payload in enumerate(payloads) for one in subject.take(payload, is_marked=n == last)]


def pixels(picture: bytes) -> bytes:
    """Decode a picture."""
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    (frame,) = decoder.decode(av.Packet(picture))
    return luma(frame).tobytes()


@pytest.mark.parametrize("sampling", [0x211111, 0x221111])
@pytest.mark.parametrize("interval", [0, 4])
@pytest.mark.parametrize("sends_tables", [False, True])
@pytest.mark.parametrize("quality", [10, 50, 90])
def test_a_picture_comes_back_with_its_headers(
    *, sampling: int, interval: int, sends_tables: bool, quality: int
) -> None:
    """Both samplings, with and without restart markers, with tables sent and with those of the quality."""
    recipe = JpegRecipe(pictures=1, sampling=sampling, restart_interval=interval, quality=quality)
    ((_, _, (sent,)),) = encode_jpeg(recipe)
    (picture,) = take(packetize_jpeg([sent], quality=255 if sends_tables else quality))
    assert picture is not None
    assert pixels(picture) == pixels(sent)
    assert quantisation(picture) == quantisation(sent)
    assert segments(picture)[1] == segments(sent)[1]
    form = picture_form({}, picture)
    assert (form.width, form.height, form.chroma_format) == (192, 112, 1 if sampling == 0x221111 else 2)


@given(st.integers(1, 99))
def test_tables_of_a_quality_are_those_of_libjpeg(quality: int) -> None:
    """RFC 2435 appendix A scales the tables of ITU-T T.81 annex K as libjpeg does."""
    ((_, _, (sent,)),) = encode_jpeg(JpegRecipe(pictures=1, width=16, height=16, quality=quality, first_number=3))
    tables = scaled_tables(quality)
    assert tables[5:69] + tables[74:] == quantisation(sent)


def test_tables_sent_once_hold_for_their_quality() -> None:
    """A length of 0 means those that came before, but never for quality 255 (RFC 2435 3.1.8)."""
    ((_, _, (sent,)),) = encode_jpeg(JpegRecipe(pictures=1))
    for quality, is_kept in ((200, True), (255, False)):
        subject, payloads = JpegPayload(), packetize_jpeg([sent], quality=quality)
        (first,) = take(payloads, subject)
        bare = [payloads[0][:8] + b"\0\0\0\0" + payloads[0][12 + 128 :], *payloads[1:]]
        again = take(bare, subject)
        assert again == [first] if is_kept else again[-1] == START_OF_IMAGE
        assert take(bare)[-1] == START_OF_IMAGE


def test_one_table_serves_all_components() -> None:
    """Some cameras send luma's only."""
    ((_, _, (sent,)),) = encode_jpeg(JpegRecipe(pictures=1))
    payloads = packetize_jpeg([sent])
    payloads[0] = payloads[0][:10] + b"\0\x40" + payloads[0][12:76] + payloads[0][140:]
    (picture,) = take(payloads)
    assert picture is not None
    assert quantisation(picture) == quantisation(sent)[:64] * 2


def test_every_lost_packet_is_noticed() -> None:
    """Whichever is missing, only a marker comes out, and that something was lost."""
    ((_, _, (sent,)),) = encode_jpeg(JpegRecipe(pictures=1))
    payloads = packetize_jpeg([sent])
    assert len(payloads) > 3
    for missing in range(len(payloads) - 1):
        got = take(payloads[:missing] + payloads[missing + 1 :])
        assert None in got
        assert [one for one in got if one is not None] == [START_OF_IMAGE]


def test_pictures_whose_size_is_not_told_are_named() -> None:
    """RFC 2435 has no room for more than 2040 pixels: the owner learns what to change."""
    with pytest.raises(BadInputError, match="set the stream to"):
        take([b"\0\0\0\0\1\x32\0\x10" + bytes(20)])


def test_a_picture_without_an_end_is_too_long_at_some_point() -> None:
    """A camera that never sets the marker cannot fill the memory."""
    subject, size = JpegPayload(), 60_000
    payloads = [
        b"\0" + offset.to_bytes(3, "big") + bytes([1, 50, 10, 10]) + bytes(size)
        for offset in range(0, PICTURE_BYTES_MAX + size, size)
    ]
    with pytest.raises(BadInputError, match="more than"):
        take(payloads, subject)


@given(st.lists(st.tuples(st.binary(max_size=30), st.booleans()), max_size=8))
def test_hostile_payloads_raise_bad_input_only(payloads: list[tuple[bytes, bool]]) -> None:
    """Whatever the bytes are, pictures or losses come out, or BadInputError."""
    subject = JpegPayload()
    for payload, is_marked in payloads:
        try:
            for one in subject.take(b"\0" * 4 + b"\1\x32" + payload, is_marked=is_marked):
                assert one is None or one.startswith(START_OF_IMAGE)
        except BadInputError:
            return
