"""The list of cameras stays true: new, moved, silent, taken, and back after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.acquire.search_pace import FIRST_SEARCHES
from agent.cameras.confirmation import TAKEN
from agent.cameras.watch import CAMERAS_MAX, Trouble
from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from tests.simulators.eventually import eventually
from tests.simulators.searched_network import LOGIN, Network, at, named

FRONT, BACK = named("front"), named("back")


def test_a_camera_that_is_found_is_recorded_and_remembered(network: Network, book: Database) -> None:
    """Each new camera is examined once; while it records, the next search leaves it alone."""
    assert network.look(at("front", "10.0.0.1"), at("back", "10.0.0.2")) == sorted([BACK, FRONT])
    assert {stream.url for stream in network.roster.added} == {"rtsp://10.0.0.1/1", "rtsp://10.0.0.2/1"}
    assert {stream.camera for stream in book.cameras()} == {FRONT, BACK}
    assert network.look(at("front", "10.0.0.1"), at("back", "10.0.0.2")) == []


def test_a_camera_with_a_new_address_is_the_same_camera(network: Network) -> None:
    """It is examined again, and recorded from where it is now."""
    network.look(at("front", "10.0.0.1"))
    assert network.look(at("front", "10.0.0.9")) == [FRONT]
    assert network.watch.streams[FRONT].url == "rtsp://10.0.0.9/1"
    assert list(network.watch.streams) == [FRONT]


def test_a_camera_that_fell_silent_is_examined_again(network: Network) -> None:
    """Its stream may have changed, although its address has not."""
    network.look(at("front", "10.0.0.1"))
    network.roster.falls_silent(FRONT)
    assert network.look(at("front", "10.0.0.1")) == [FRONT]


def test_a_camera_that_is_not_found_is_recorded_on(network: Network) -> None:
    """An answer that was lost in the network does not end a recording."""
    network.look(at("front", "10.0.0.1"))
    network.look()
    network.is_down = True
    network.look(at("back", "10.0.0.2"))
    assert list(network.watch.streams) == [FRONT]


def test_one_cameras_trouble_costs_the_others_nothing(network: Network) -> None:
    """Its why is kept in words until it works; the others record."""
    network.refusing[FRONT] = "the password is wrong"
    network.look(at("front", "10.0.0.1"), at("back", "10.0.0.2"))
    assert list(network.watch.streams) == [BACK]
    assert network.watch.troubles == {FRONT: Trouble("http://10.0.0.1/onvif/device_service", "the password is wrong")}
    network.refusing.clear()
    assert network.look(at("front", "10.0.0.1"), at("back", "10.0.0.2")) == [FRONT]
    assert not network.watch.troubles


def test_a_camera_that_works_again_by_itself_has_no_trouble_left(network: Network) -> None:
    """It was silent, and could not be asked why; then its pictures came again without that. Another's word stays."""
    network.look(at("front", "10.0.0.1"))
    network.roster.falls_silent(FRONT)
    network.refusing[FRONT] = "no answer within 5 s"
    network.look(at("front", "10.0.0.1"))
    assert list(network.watch.troubles) == [FRONT]
    network.roster.records_again(FRONT)
    network.look(at("front", "10.0.0.1"))
    assert not network.watch.troubles
    network.look(at("front", "10.0.0.1"), at("front", "10.0.0.6"))
    network.look(at("front", "10.0.0.1"))
    assert network.watch.troubles[FRONT].address.startswith("http://10.0.0.6/")


def test_after_a_restart_known_cameras_are_recorded_at_once(
    network: Network, book: Database, identities: IdentityFile
) -> None:
    """Before the first search, with the login from the configuration: the journal has none."""
    network.look(at("front", "10.0.0.1"))
    assert b"hunter2" not in b"".join(path.read_bytes() for path in Path(book_path(book)).parent.iterdir())
    after = Network(book, identities)
    assert [(stream.url, stream.login) for stream in after.roster.added] == [("rtsp://10.0.0.1/1", LOGIN)]
    assert after.look(at("front", "10.0.0.1")) == [FRONT]  # looked at once, in case its stream has changed


def book_path(book: Database) -> str:
    """Return the database's file."""
    return str(book._connection.execute("PRAGMA database_list").fetchone()[2])


def test_a_flood_of_answers_is_cut_off(network: Network) -> None:
    """Whoever answers for a thousand cameras does not keep the hub busy with them."""
    crowd = [at(f"fake-{number}", f"10.1.{number // 250}.{number % 250}") for number in range(1000)]
    assert len(network.look(*crowd[:500])) == CAMERAS_MAX
    assert network.look(*crowd[500:]) == []  # nor does a crowd that is another one each time
    assert len(network.watch.streams) == len(network.roster.added) == CAMERAS_MAX


def test_a_crowd_does_not_hide_a_camera_that_has_moved(network: Network) -> None:
    """Cameras that are known are looked at whoever else answers; the crowd's troubles are bounded."""
    network.look(at("front", "10.0.0.1"))
    crowd = [at(f"fake-{number}", f"10.1.0.{number}") for number in range(200)]
    network.refusing = dict.fromkeys((one.camera for one in crowd), "no")
    for start in range(0, 200, 50):
        network.look(*crowd[start : start + 50], at("front", f"10.0.0.{start}"))
        assert len(network.watch.troubles) <= 2 * CAMERAS_MAX
    assert network.watch.streams[FRONT].url == "rtsp://10.0.0.150/1"


def test_a_change_is_told_and_no_change_is_not(network: Network) -> None:
    """`run` searches often at first, and calls back only when something is different."""
    changes: list[int] = []
    network.here = [at("front", "10.0.0.1")]

    async def run() -> None:
        task = asyncio.create_task(network.watch.run(lambda: changes.append(network.watch.searches)))
        await eventually(lambda: network.watch.searches == 2)
        task.cancel()

    asyncio.run(run())
    assert changes == [1]


def test_a_device_with_ever_new_identities_is_not_followed_without_end(network: Network) -> None:
    """The cameras that are known stay; the newcomers stop at the limit, recorded or refused."""
    network.look(at("front", "10.0.0.1"))
    for search in range(4):
        fakes = [at(f"fake-{search}-{number}", "10.0.0.66") for number in range(50)]
        network.refusing = {fake.camera: "no" for fake in fakes[25:]}
        network.look(*fakes, at("front", f"10.0.0.{10 + search}"))
    assert len(network.watch.streams) <= CAMERAS_MAX
    assert len(network.watch.troubles) <= CAMERAS_MAX + 50
    assert network.watch.streams[FRONT].url == "rtsp://10.0.0.13/1"


def test_a_certificate_that_was_shown_is_kept_to_from_then_on(
    network: Network, book: Database, identities: IdentityFile
) -> None:
    """It is in the book within a second, comes back after a restart, and stays through every new examination."""
    network.look(at("front", "10.0.0.1"), at("back", "10.0.0.2"))
    network.roster.shown[FRONT] = "ab" * 32
    network.watch.note_pins()
    assert {known.camera: known.pin for known in book.cameras()} == {FRONT: "ab" * 32, BACK: ""}
    assert network.roster.added[-1] == network.watch.streams[FRONT]
    network.look(at("front", "10.0.0.9"))
    network.roster.shown[FRONT] = "cd" * 32
    network.watch.note_pins()  # the recorder would not have taken it either
    assert network.watch.streams[FRONT].pin == network.roster.added[-1].pin == "ab" * 32
    assert {one.camera: one.pin for one in Network(book, identities).roster.added} == {FRONT: "ab" * 32, BACK: ""}


def test_a_certificate_that_was_forgotten_is_forgotten_everywhere(network: Network, book: Database) -> None:
    """A person takes it out of the book; the next search tells the recorder, found or not."""
    network.look(at("front", "10.0.0.1"))
    network.roster.shown[FRONT] = "ab" * 32
    network.watch.note_pins()
    book.put_pin(FRONT, "")
    network.roster.shown.clear()
    network.look()
    assert network.roster.added[-1].pin == network.watch.streams[FRONT].pin == ""


def test_a_certificate_is_noted_while_the_watch_waits(network: Network, book: Database) -> None:
    """The pause between two searches is no time in which a power cut loses it."""
    network.here, network.watch.searches = [at("front", "10.0.0.1")], FIRST_SEARCHES

    async def run() -> None:
        task = asyncio.create_task(network.watch.run(lambda: network.roster.shown.update({FRONT: "ab" * 32})))
        await eventually(lambda: [known.pin for known in book.cameras()] == ["ab" * 32])
        task.cancel()

    asyncio.run(run())
    assert network.watch.searches == FIRST_SEARCHES + 1


def test_sound_is_recorded_if_the_owner_wants_it(book: Database, identities: IdentityFile) -> None:
    """The setting reaches every stream, found or remembered."""
    network = Network(book, identities, has_sound=True)
    network.look(at("front", "10.0.0.1"))
    assert network.roster.added[-1].has_sound
    assert [stream.has_sound for stream in Network(book, identities, has_sound=True).roster.added] == [True]
    assert [stream.has_sound for stream in Network(book, identities).roster.added] == [False]


def test_it_says_where_cameras_can_be_asked(network: Network, book: Database, identities: IdentityFile) -> None:
    """Those that were found, under their newest address; one that is only remembered has none before it is found."""
    network.look(at("front", "10.0.0.5"))
    network.look(at("front", "10.0.0.9"))
    assert network.watch.reached == {FRONT: (network.watch.streams[FRONT], "http://10.0.0.9/onvif/device_service")}
    again = Network(book, identities)
    assert set(again.watch.streams) == {FRONT}
    assert again.watch.reached == {}


def test_another_device_at_a_cameras_address_is_refused(network: Network) -> None:
    """The recorder asks before it stores a picture, and hears no; the camera itself hears yes, silence is no word."""
    network.look(network.put("10.0.0.1", "front", "SN0001"))
    (camera,) = network.watch.streams
    network.put("10.0.0.1", "back", "SN0077")
    network.here = []
    network.roster.waits_for_a_word(camera)
    network.attend(lambda: (camera, TAKEN) in network.roster.words)
    assert network.verified[-1] == (camera, "10.0.0.1", False)
    del network.at_host["10.0.0.1"]
    words, asked = len(network.roster.words), len(network.verified)
    network.attend(lambda: len(network.verified) > asked)
    assert len(network.roster.words) == words
    network.put("10.0.0.1", "front", "SN0001")
    network.attend(lambda: network.roster.words[-1] == (camera, ""))


def test_a_failed_stream_starts_a_search_at_once(network: Network) -> None:
    """A calm hub searches once a minute; it does not wait for that."""
    seen = network.put("10.0.0.1", "front", "SN0001")
    network.look(seen)
    (camera,) = network.watch.streams
    network.watch.searches, network.here = FIRST_SEARCHES, []

    async def run() -> None:
        task = asyncio.create_task(network.watch.run(lambda: None))
        await eventually(lambda: network.watch._pace.due_s > asyncio.get_running_loop().time() + 30)
        network.here = [network.put("10.0.0.9", "front", "SN0001")]
        network.roster.falls_silent(camera)
        await eventually(lambda: "rtsp://10.0.0.9/1" in network.urls())
        task.cancel()

    asyncio.run(run())


def test_a_hello_brings_a_search(network: Network) -> None:
    """So that a camera that is plugged in does not wait for the minute to end."""
    network.watch.searches = FIRST_SEARCHES

    async def run() -> None:
        task = asyncio.create_task(network.watch.run(lambda: None))
        await eventually(lambda: network.watch._pace.due_s > asyncio.get_running_loop().time() + 30)
        network.here = [network.put("10.0.0.1", "front", "SN0001")]
        network.watch.heard()
        await eventually(lambda: network.watch.streams)
        task.cancel()

    asyncio.run(run())
