"""What the broker keeps about the hub: true at every moment, and nothing that the server must not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from agent.acquire.stream import CameraId
from agent.clock import TimeSource
from agent.command.trust import open_first_bundle
from agent.consent.policy import open_policy
from agent.consent.standing import Standing
from agent.evidence.note import verifier_of
from agent.health.presence import NOTE_CHARS_MAX, CameraPresence, Presence, PresenceBoard
from agent.health.self_test import CameraTest
from agent.health.vitals import CertificateVitals
from agent.health.warnings import Changes, find_warnings
from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from agent.outside.mqtt import PACKET_BYTES_MAX
from provisioning.pairing import read_enrolment
from tests.simulators import vital_signs
from tests.simulators.export_site import EVIDENCE_KEY, HUB, STATUS_TOPIC
from tests.simulators.roster import ListedRoster
from tests.simulators.searched_network import Network, at, named
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, NOW, OWNER, trust_claims

FRONT, BACK, SHED = named("front"), named("back"), named("shed")
TRUST = open_first_bundle(AUTHORITY.trust_bundle(trust_claims()))
NOBODY = Standing(AUDIENCE, TRUST)
OWNED = Standing(AUDIENCE, TRUST, OWNER.key, open_policy(OWNER.policy(NOW, 7), OWNER.key, HUB, 0))
EVIDENCE = verifier_of(HUB, EVIDENCE_KEY)
ENROLMENT = bytes(range(32))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Make a network of two cameras that work and one that refuses the hub's login."""
    with closing(Database(tmp_path / "journal.db", STATUS_TOPIC)) as book:
        network = Network(book, IdentityFile(tmp_path / "cameras.json"))
        network.refusing[SHED] = "the password is wrong"
        network.look(at("front", "10.0.0.1"), at("back", "10.0.0.2"), at("shed", "10.0.0.3"))
        yield network


@pytest.fixture
def roster(network: Network) -> ListedRoster:
    """Return whoever records."""
    return network.roster


@pytest.fixture
def board(network: Network) -> PresenceBoard:
    """Make the board."""
    return PresenceBoard(network.watch, network.roster.health)


def read(message: bytes) -> Presence:
    """Read a presence message as the server does."""
    return msgspec.json.decode(message, type=Presence, strict=True)


def test_the_birth_message_says_who_is_there(board: PresenceBoard, roster: ListedRoster) -> None:
    """Version, owner, policy, evidence key, and each camera with what a person can do about it."""
    roster.falls_silent(BACK, "check its cable")
    presence = read(board.online(4, OWNED, EVIDENCE, ENROLMENT))
    assert (presence.state, presence.boot, presence.version) == ("online", 4, version("transom"))
    assert (presence.is_paired, presence.policy_version) == (True, 7)
    assert not presence.pairing
    assert presence.evidence_key == str(EVIDENCE)
    assert presence.cameras == (
        CameraPresence(FRONT, "Front", "recording"),
        CameraPresence(BACK, "Back", "waiting", "check its cable"),
        CameraPresence(SHED, "", "trouble", "the password is wrong"),
    )


def test_a_hub_without_owner_says_so(board: PresenceBoard) -> None:
    """Nothing is shared yet, and the owner's app learns for which enrolment it must prove to have the card."""
    presence = read(board.online(1, NOBODY, EVIDENCE, ENROLMENT))
    assert (presence.is_paired, presence.policy_version) == (False, 0)
    assert read_enrolment(presence.pairing) == ENROLMENT


def test_the_last_will_says_of_which_start_it_is(board: PresenceBoard) -> None:
    """A will of an older start is old news; it says nothing else."""
    assert board.offline(4) == b'{"state":"offline","boot":4}'


def test_neither_login_nor_address_is_in_it(board: PresenceBoard) -> None:
    """The server learns names and states, not how to reach a camera."""
    message = board.online(1, OWNED, EVIDENCE, ENROLMENT)
    for secret in (b"hunter2", b"rtsp", b"10.0.0"):
        assert secret not in message


def test_warnings_and_minutes_are_in_it(board: PresenceBoard, roster: ListedRoster) -> None:
    """By their codes, the first in words where there is no other note; never a bit rate, which tells who moves."""
    test = CameraTest(FRONT, can_serve=True, covered_s=3599.0)
    ill = vital_signs.camera(FRONT, events=vital_signs.EVENTS, loss_share=0.05, footage_s=5460.0, self_test=test)
    back = vital_signs.camera(BACK, state="waiting", footage_s=59.0, self_test=None)
    vitals = vital_signs.hub(ill, back, ring=vital_signs.ring(last_error="Input/output error"))
    vitals = replace(vitals, warnings=find_warnings(vitals, Changes()))
    roster.falls_silent(BACK, "check its cable")
    told = PresenceBoard(board._watch, roster.health, lambda: vitals).online(4, OWNED, EVIDENCE, ENROLMENT)
    presence = read(told)
    words = "5.0% of its packets were lost in the last minute (check cable, switch and Wi-Fi, or lower its bit rate)"
    assert presence.cameras == (
        CameraPresence(FRONT, "Front", "recording", words, ("packets_lost", "tampered"), 91, 59, "subscribed"),
        CameraPresence(BACK, "Back", "waiting", "check its cable", ("no_video",)),
        CameraPresence(SHED, "", "trouble", "the password is wrong"),
    )
    assert (presence.warnings, "Input/output error" in presence.note) == (("disk_failing",), True)
    assert b"500000" not in told
    assert b"4000" not in told
    assert b"motion" not in told


def test_whoever_vouches_for_the_time_is_in_it(roster: ListedRoster, board: PresenceBoard) -> None:
    """NTP needs no word; signed time and none at all have one."""
    assert "clock" not in msgspec.json.decode(board.online(3, OWNED, EVIDENCE, ENROLMENT))
    for source in (TimeSource.SIGNED, TimeSource.NONE):
        other = PresenceBoard(board._watch, roster.health, clock_source=lambda word=source: word)
        assert msgspec.json.decode(other.online(3, OWNED, EVIDENCE, ENROLMENT), type=Presence).clock == source.value


def test_the_message_of_a_large_hub_fits(board: PresenceBoard, roster: ListedRoster) -> None:
    """Words are cut off, so that 64 cameras in trouble need less than half of a broker's packet."""
    roster.falls_silent(BACK, "x" * 10_000)
    (_, back, _) = read(board.online(4, OWNED, EVIDENCE, ENROLMENT)).cameras
    assert len(back.note) == NOTE_CHARS_MAX
    codes = ("no_video", "packets_lost", "clock_wrong", "footage_short", "self_test_failed")
    assert 64 * len(msgspec.json.encode(replace(back, name="n" * 64, warnings=codes))) < PACKET_BYTES_MAX / 2


def test_commands_can_name_the_cameras_that_work(board: PresenceBoard) -> None:
    """One in trouble has no footage; an unknown one has no name."""
    assert board.cameras == {FRONT, BACK}
    assert board.camera_name(FRONT) == "Front"
    assert board.camera_name(CameraId("nobody")) == ""


def test_a_change_is_passed_on(board: PresenceBoard) -> None:
    """Before somebody listens nothing happens."""
    heard: list[int] = []
    board.changed()
    board.on_change = lambda: heard.append(1)
    board.changed()
    assert heard == [1]


def test_what_is_to_come_is_in_it(board: PresenceBoard, roster: ListedRoster) -> None:
    """The end of the hub's certificate, and the firmware that it will restart into; without one, nothing of it."""
    assert {"certificate_ends", "restart"} & set(
        msgspec.json.decode(board.online(4, OWNED, EVIDENCE, ENROLMENT))
    ) == set()
    ends = vital_signs.at(90 * 86400)
    certificate = CertificateVitals(
        ends, vital_signs.at(60 * 86400), vital_signs.at(75 * 86400), 0, "", is_refused=False
    )
    later = PresenceBoard(board._watch, roster.health, lambda: vital_signs.hub(certificate=certificate))
    later.restart = lambda: "2026.12.1"
    presence = read(later.online(4, OWNED, EVIDENCE, ENROLMENT))
    assert (presence.certificate_ends, presence.restart) == (ends, "2026.12.1")
