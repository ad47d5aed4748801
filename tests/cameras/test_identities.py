"""Who is who: cameras that were reset or cloned, of many channels, two addresses or no mark; told apart or refused."""

from __future__ import annotations

from dataclasses import replace

from agent.acquire.identity import TWINS, Marks, marks_of
from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from tests.simulators.searched_network import Network, at


def test_a_camera_that_was_reset_is_the_same_camera(network: Network) -> None:
    """Its endpoint reference and its address are new; its serial number is what it was, and so is its history."""
    network.look(network.put("10.0.0.1", "front", "SN0001"))
    (camera,) = network.watch.streams
    network.look(network.put("10.0.0.9", "back", "SN0001"))
    assert network.urls() == {"rtsp://10.0.0.9/1": camera}
    assert network.roster.words == [(camera, ""), (camera, "")]


def test_two_cameras_with_one_endpoint_reference_are_told_apart(
    network: Network, book: Database, identities: IdentityFile
) -> None:
    """By their serial numbers: both are recorded, each under a name that stays, in any order and after a restart."""
    one, two = network.put("10.0.0.1", "front", "SN0001"), network.put("10.0.0.2", "front", "SN0002")
    network.look(one, two)
    before = network.urls()
    assert len(set(before.values())) == 2
    assert not network.watch.troubles
    assert network.look(two, one) == []
    after = Network(book, identities)
    after.at_host = network.at_host
    after.look(two, one)
    assert after.urls() == before
    exchanged = [after.put("10.0.0.1", "front", "SN0002"), after.put("10.0.0.2", "front", "SN0001")]
    for camera in before.values():
        after.roster.falls_silent(camera)
    after.look(*exchanged)
    assert after.urls() == {
        "rtsp://10.0.0.1/1": before["rtsp://10.0.0.2/1"],
        "rtsp://10.0.0.2/1": before["rtsp://10.0.0.1/1"],
    }


def test_two_cameras_that_show_the_same_marks_are_refused_in_words(network: Network) -> None:
    """Neither is guessed at; a camera that was there first is recorded on from where it was."""
    for serial in ("", "SN0001"):
        first = network.put("10.0.0.1", "front", serial)
        network.look(first)
        network.look(first, network.put("10.0.0.66", "front", serial))
        assert list(network.urls()) == ["rtsp://10.0.0.1/1"]
        assert [trouble.why for trouble in network.watch.troubles.values()] == [TWINS]
        network.look(first)


def test_channels_of_an_encoder_stay_apart(network: Network) -> None:
    """One serial number, one address, two endpoint references: two cameras, search after search."""
    channels = [network.put("10.0.0.1", "front", "SN0001"), network.put("10.0.0.1", "back", "SN0001")]
    network.at_host["10.0.0.1"] = marks_of("", "Acme", "SN0001")
    for number, channel in enumerate(channels):
        channels[number] = replace(channel, addresses=(f"http://10.0.0.1/{number}",))
    for _ in range(2):
        network.look(*channels)
        assert set(network.watch.streams) == {channel.camera for channel in channels}


def test_a_camera_is_recorded_by_one_of_its_two_ways(network: Network) -> None:
    """It answers by IPv4 and IPv6: asked once, by IPv4, and not moved to and fro."""
    four, six = network.put("10.0.0.1", "front", "SN0001"), network.put("fd00::1", "front", "SN0001")
    assert len(network.look(six, four)) == 1
    assert list(network.urls()) == ["rtsp://10.0.0.1/1"]
    assert network.look(four, six) == []
    assert network.look(six, four) == []


def test_a_device_that_shows_no_mark_is_refused_in_words(network: Network) -> None:
    """It was knocked at and tells nothing: its address is no identity."""
    network.at_host["10.0.0.1"] = Marks()
    network.look(replace(at("front", "10.0.0.1"), epr=""))
    assert not network.watch.streams
    (trouble,) = network.watch.troubles.values()
    assert "neither an endpoint reference nor a serial number" in trouble.why


def test_a_device_without_an_endpoint_reference_is_kept_by_its_serial(network: Network) -> None:
    """It is examined once, not in each search, and followed to another address."""
    knocked = replace(network.put("10.0.0.1", "front", "SN0001"), epr="")
    network.at_host["10.0.0.1"] = network.at_host["10.0.0.9"] = marks_of("", "Acme", "SN0001")
    network.look(knocked)
    (camera,) = network.watch.streams
    assert network.look(knocked) == []
    network.look(replace(at("back", "10.0.0.9"), epr=""))
    assert network.urls() == {"rtsp://10.0.0.9/1": camera}
