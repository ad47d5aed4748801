"""Discovery messages: what is asked, and what any answer at all can do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.discovery import (
    DATAGRAM_BYTES_MAX,
    Announcement,
    ProbeKind,
    ReplyKind,
    ambiguous,
    camera_id,
    found_camera,
    name_of,
    normalise_epr,
    parse_reply,
    probe,
    rank_addresses,
)
from agent.acquire.lenient_xml import parse_xml, text_of
from agent.errors import BadInputError
from tests.simulators.discovery_replies import EPR, UNREADABLE, match, replies, reply

SENDER = "10.0.0.5"
PROBE_ID = "urn:uuid:aaaaaaaa-0000-0000-0000-000000000001"
REPLIES = replies(PROBE_ID, SENDER)
AT = f"http://{SENDER}:80/onvif/device_service"


@pytest.mark.parametrize("kind", ProbeKind)
def test_a_probe_asks_for_one_type(kind: ProbeKind) -> None:
    """Types are ANDed by the standard, so one probe names one type, with its namespace."""
    root = parse_xml(probe(kind, PROBE_ID), DATAGRAM_BYTES_MAX)
    assert text_of(root, "Types") == kind
    assert text_of(root, "MessageID") == PROBE_ID
    assert kind.partition(":")[0] in root.nsmap


@pytest.mark.parametrize("name", sorted(REPLIES))
def test_every_readable_reply_is_read(name: str) -> None:
    """Odd replies bring their device; rubbish and entity bombs are bad input."""
    if name in UNREADABLE:
        with pytest.raises(BadInputError):
            parse_reply(REPLIES[name], SENDER)
        return
    first = parse_reply(REPLIES[name], SENDER)[0]
    assert re.fullmatch(r"urn:uuid:0{8}-(0{4}-){3}0{8}aa\d\d", first.epr)
    assert first.kind is ReplyKind.MATCH
    assert first.is_onvif == (name != "printer")


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("link-local addresses first", (AT,)),
        ("factory address", (AT,)),
        ("no address", (f"http://{SENDER}/onvif/device_service",)),
        ("two devices", (AT,)),
    ],
)
def test_only_the_sender_is_ever_asked(name: str, addresses: tuple[str, ...]) -> None:
    """The sender's own address comes first; a foreign host lends its port and path only."""
    assert rank_addresses(parse_reply(REPLIES[name], SENDER)[0]) == addresses


@pytest.mark.parametrize(
    ("xaddr", "address"),
    [
        ("http://evil.example:8899/a?b=c", "http://10.0.0.5:8899/a?b=c"),
        ("https://user:pw@10.0.0.5/", "https://10.0.0.5/"),
        ("http://[::bad/", "http://10.0.0.5/onvif/device_service"),
        ("http://x:99999/", "http://10.0.0.5/onvif/device_service"),
        ("http://x/\u00e9", "http://10.0.0.5/%C3%A9"),
    ],
)
def test_an_odd_address_never_leads_elsewhere(xaddr: str, address: str) -> None:
    """Userinfo, bad ports and bad brackets are dropped, other characters are encoded."""
    announcement = Announcement(ReplyKind.MATCH, "", "x", (), (), (xaddr,), SENDER)
    assert rank_addresses(announcement) == (address,)


def test_an_ipv6_sender_is_written_in_brackets() -> None:
    """RFC 3986 brackets, with the zone a link-local address needs."""
    announcement = Announcement(ReplyKind.MATCH, "", "x", (), (), ("http://[fe80::1]:81/a",), "fe80::1%eth0")
    assert rank_addresses(announcement) == ("http://[fe80::1%eth0]:81/a",)


def test_names_are_for_people() -> None:
    """Latin-1, percent codes and raw blanks come out readable; nothing that steers a terminal does."""
    names = {name: found_camera(parse_reply(REPLIES[name], SENDER)[0]) for name in ("latin-1 name", "blank in a scope")}
    assert names["latin-1 name"].name == "Café"
    assert (names["blank in a scope"].name, names["blank in a scope"].hardware) == ("OSS Model", "X 1")
    hostile = reply("", match(1, AT, "onvif://www.onvif.org/name/%1B%5B2J%E2%80%AEevil" + "x" * 100))
    name = name_of(parse_reply(hostile, SENDER)[0])
    assert name.startswith("[2Jevil")
    assert len(name) == 64
    assert name_of(parse_reply(reply("", match(1, AT, "")), SENDER)[0]) == "camera at 10.0.0.5"


def test_hello_and_bye_are_told_apart() -> None:
    """A device that comes or goes is no match."""
    for element, kind in (("Hello", ReplyKind.HELLO), ("Bye", ReplyKind.BYE)):
        datagram = reply("", match(1, AT)).replace(b"d:ProbeMatch>", f"d:{element}>".encode())
        assert parse_reply(datagram, SENDER)[0].kind is kind


def test_a_camera_keeps_its_identity() -> None:
    """The same UUID in any spelling is the same camera for ever: this value must never change."""
    spellings = ["urn:uuid:ABCDEF00-1111-2222-3333-444444444444", "uuid:abcdef00111122223333444444444444 "]
    assert {camera_id(spelling) for spelling in spellings} == {"cam-54o4gehigh"}
    assert camera_id("http://192.168.0.3/device") != camera_id("http://192.168.0.4/device")
    assert normalise_epr("  serial-17 ") == "serial-17"


def test_cloned_identities_are_noticed() -> None:
    """Two senders with one EPR are ambiguous; one device on IPv4 and IPv6 is not."""
    one, two, six = (
        found_camera(parse_reply(reply("", match(1, AT)), sender)[0]) for sender in (SENDER, "10.0.0.6", "fd00::5")
    )
    assert ambiguous([one, two]) == {camera_id(EPR.format(1))}
    assert not ambiguous([one, six, one])


def test_a_reply_is_bounded() -> None:
    """Too long a datagram, too many devices, scopes, types and addresses are cut or refused."""
    with pytest.raises(BadInputError, match="limit 65536"):
        parse_reply(b"<a>" + b"x" * DATAGRAM_BYTES_MAX, SENDER)
    assert len(parse_reply(reply("", "".join(match(number, "") for number in range(99))), SENDER)) == 16
    greedy = parse_reply(reply("", match(1, f"{AT} " * 99, "onvif://a " * 999, types="dn:X " * 99)), SENDER)[0]
    assert (len(greedy.xaddrs), len(greedy.scopes), len(greedy.types)) == (8, 64, 16)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "utf-32"])
def test_a_dtd_does_not_hide_behind_an_encoding(encoding: str) -> None:
    """Only UTF-8 and Latin-1 are read, so a DTD cannot be smuggled past the check."""
    with pytest.raises(BadInputError):
        parse_reply(REPLIES["entity bomb"].decode().encode(encoding), SENDER)


@settings(max_examples=150)
@given(st.data())
def test_no_datagram_raises_anything_but_bad_input(data: st.DataObject) -> None:
    """Random bytes, and good replies with random damage, are read or refused, never more."""
    base = bytearray(data.draw(st.sampled_from(sorted(REPLIES.values()))))
    for position, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(base) - 1), st.integers(0, 255)), max_size=12)
    ):
        base[position] = byte
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(base)), st.integers(0, len(base)))))
    for datagram in (bytes(base), bytes(base[:start] + base[end:]), data.draw(st.binary(max_size=200))):
        try:
            announcements = parse_reply(datagram, SENDER)
        except BadInputError:
            continue
        for announcement in announcements:
            found = found_camera(announcement)
            assert re.fullmatch(r"cam-[a-z2-7]{10}", found.camera)
            assert found.name.isprintable()
            assert all(address.split("/")[2].partition(":")[0] == SENDER for address in found.addresses)
