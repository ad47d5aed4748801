"""Which camera a device is: by what it shows of itself, whatever its address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.discovery import camera_id
from agent.acquire.identity import Marks, UnrecognisedError, contradicts, marks_of, recognise
from agent.acquire.stream import CameraId

ONE, TWO = "urn:uuid:00000000-0000-0000-0000-000000000001", "urn:uuid:00000000-0000-0000-0000-000000000002"
DOOR = CameraId("door")
WHOLE = marks_of(ONE, "Acme", "SN0042", "02:00:00:00:00:42")


@pytest.mark.parametrize(
    ("seen", "is_same"),
    [
        (WHOLE, True),
        (marks_of(ONE), True),
        (marks_of(ONE, "Acme", "SN0042"), True),
        (marks_of(TWO, "Acme", "SN0042", "02:00:00:00:00:42"), True),  # its endpoint reference is new: factory reset
        (marks_of(TWO, "Acme", "SN0042"), True),
        (marks_of("", "Acme", "SN0042"), True),  # behind a router it was asked without discovery
        (marks_of("", "", "", "02-00-00-00-00-42"), True),
        (marks_of(ONE, "Acme", "SN0042", "02:00:00:00:00:43"), True),  # by wire now, by radio before
        (marks_of(ONE, "Acme", "SN0043", "02:00:00:00:00:42"), True),  # new firmware counts otherwise
        (marks_of(ONE, "Acme", "SN0043"), False),  # a cloned endpoint reference
        (marks_of(ONE, "Acme", "SN0043", "02:00:00:00:00:43"), False),
        (marks_of(ONE, "", "", "02:00:00:00:00:43"), False),
        (marks_of(ONE, "Other", "SN0042", "02:00:00:00:00:43"), False),  # makers count alike
        (marks_of(TWO, "Acme", "SN0042", "02:00:00:00:00:43"), False),
        (marks_of(TWO, "", "", "02:00:00:00:00:42"), False),  # the next channel of one encoder
        (marks_of(TWO), False),
    ],
)
def test_marks_say_whether_it_is_the_camera(seen: Marks, *, is_same: bool) -> None:
    """What the maker built in outweighs what can be written; each disagreement has one outcome."""
    assert (recognise(seen, {DOOR: WHOLE}) == DOOR) is is_same
    assert contradicts(WHOLE, seen) is not is_same


def test_nothing_in_common_contradicts_nothing() -> None:
    """A device that shows no mark that is known may be the camera: there is no evidence against it."""
    assert not contradicts(marks_of(ONE), marks_of("", "Acme", "SN0042"))
    assert recognise(marks_of("", "Acme", "SN0042"), {DOOR: marks_of(ONE)}) != DOOR


def test_a_new_camera_is_named_by_its_endpoint_reference_else_by_its_serial() -> None:
    """The name stays the same wherever and whenever it is made."""
    assert recognise(WHOLE, {}) == camera_id(ONE)
    by_serial = recognise(marks_of("", "Acme", "SN0042"), {})
    assert by_serial == recognise(marks_of("", "ACME", "sn0042"), {}) != camera_id(ONE)


def test_a_clone_gets_a_name_of_its_own_for_ever() -> None:
    """Of two devices with one endpoint reference the first keeps the name, and each is known again."""
    clone = marks_of(ONE, "Acme", "SN0043", "02:00:00:00:00:43")
    first = recognise(WHOLE, {})
    second = recognise(clone, {first: WHOLE})
    known = {first: WHOLE, second: clone}
    assert second != first
    assert (recognise(WHOLE, known, {second}), recognise(clone, known, {first})) == (first, second)


def test_devices_that_cannot_be_told_apart_are_refused() -> None:
    """The camera is elsewhere at this moment, and this one shows the same marks: in words for a person."""
    with pytest.raises(UnrecognisedError, match="two devices answer with this identity"):
        recognise(marks_of(ONE), {DOOR: WHOLE}, {DOOR})


def test_channels_of_one_encoder_are_cameras_of_their_own() -> None:
    """One serial and one MAC, two endpoint references, both answering now."""
    channel = marks_of(TWO, "Acme", "SN0042", "02:00:00:00:00:42")
    assert recognise(channel, {DOOR: WHOLE}, {DOOR}) == camera_id(TWO)


def test_a_device_that_shows_nothing_is_refused() -> None:
    """Its address would be all there is, and an address is no identity."""
    with pytest.raises(UnrecognisedError, match="serial number"):
        recognise(marks_of(), {DOOR: WHOLE})


@pytest.mark.parametrize("serial", ["", "0", "0000000000", "123456", "XX", "\x1b[31m", "----------"])
def test_a_placeholder_is_no_serial(serial: str) -> None:
    """What a whole production run has in common joins no two cameras."""
    assert marks_of("", "Acme", serial).is_empty


@pytest.mark.parametrize(
    "mac", ["", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "02:00:00", "x" * 99]
)
def test_a_placeholder_is_no_mac(mac: str) -> None:
    """Neither is what no interface can have."""
    assert marks_of("", "", "", mac).is_empty


@given(st.text(), st.text(), st.text(), st.text())
def test_any_words_make_marks_that_can_be_shown(epr: str, maker: str, serial: str, mac: str) -> None:
    """Whatever a device says, its marks are short, and recognising never fails but by its own word."""
    marks = marks_of(epr, maker, serial, mac)
    assert (marks.serial + marks.mac).isprintable()
    assert len(marks.serial) < 150
    try:
        assert recognise(marks, {DOOR: WHOLE})
    except UnrecognisedError:
        assert marks.is_empty
