"""Time stamps by openssl's authority: what holds, what does not, and what a hostile authority can do (nothing)."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS
from agent.errors import BadInputError, ConfigurationError
from agent.evidence.stamp import (
    RESPONSE_BYTES_MAX,
    Stamp,
    ask_stamp,
    check_stamp,
    decode_stamp,
    encode_stamp,
    take_stamp,
)
from tests.simulators.time_authority import TimeAuthority, make_authority

NOTE = "hub-1\n7\nroot\n\n\N{EM DASH} hub-1 signature\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimeAuthority:
    """Make an authority."""
    return make_authority(tmp_path_factory.mktemp("tsa") / "authority")


@pytest.fixture(scope="module")
def answered(authority: TimeAuthority) -> tuple[bytes, int]:
    """Have the note stamped; return the answer and the nonce."""
    request, nonce = ask_stamp(NOTE)
    return authority.answer(request), nonce


def test_a_stamp_says_when(authority: TimeAuthority, answered: tuple[bytes, int]) -> None:
    """By the authority's root the time is the authority's; the line on the disk comes back."""
    stamp = take_stamp(NOTE, *answered)
    assert abs(check_stamp(stamp, authority.root_pem) / SECOND_NS - time.time()) < 600
    assert decode_stamp(encode_stamp(stamp)) == stamp


def test_a_stamp_of_something_else_is_refused(authority: TimeAuthority, answered: tuple[bytes, int]) -> None:
    """Another note, another request, another authority, other certificates: each has its words."""
    response, nonce = answered
    stamp = take_stamp(NOTE, response, nonce)
    with pytest.raises(BadInputError, match="something else"):
        take_stamp(NOTE + "x", response, nonce)
    with pytest.raises(BadInputError, match="another request"):
        take_stamp(NOTE, response, nonce + 1)
    with pytest.raises(BadInputError, match="something else"):
        check_stamp(Stamp(NOTE + "x", stamp.response), authority.root_pem)
    with pytest.raises(BadInputError, match="does not hold"):
        check_stamp(stamp, make_authority(authority.folder.parent / "other").root_pem)
    with pytest.raises(ConfigurationError, match="PEM"):
        check_stamp(stamp, b"none")
    with pytest.raises(BadInputError, match="bytes"):
        take_stamp(NOTE, b"x" * (RESPONSE_BYTES_MAX + 1), nonce)


@settings(max_examples=60)
@given(st.data())
def test_a_hostile_answer_is_refused_or_is_the_true_one(
    authority: TimeAuthority, answered: tuple[bytes, int], data: st.DataObject
) -> None:
    """Whatever is changed in an answer, nothing but BadInputError comes out, and the time is never another."""
    response, nonce = answered
    true_time = check_stamp(take_stamp(NOTE, response, nonce), authority.root_pem)
    place = data.draw(st.integers(0, len(response) - 1))
    changed = response[:place] + data.draw(st.binary(max_size=4)) + response[place + 1 :]
    try:
        assert check_stamp(take_stamp(NOTE, changed, nonce), authority.root_pem) == true_time
    except BadInputError:
        return


@given(st.binary(max_size=200))
def test_noise_raises_nothing_else(noise: bytes) -> None:
    """Bytes that are no answer, and lines that are no line."""
    with pytest.raises(BadInputError):
        take_stamp(NOTE, noise, 1)
    with pytest.raises(BadInputError):
        check_stamp(Stamp(NOTE, base64.b64encode(noise).decode()), b"")
    with pytest.raises(BadInputError):
        decode_stamp(b"{" + noise)
