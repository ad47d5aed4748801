"""The list of cameras stays true: new, moved, silent, cloned, and back after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera, camera_id
from agent.acquire.identity import TWINS, Known, Marks, marks_of
from agent.acquire.search_pace import FIRST_SEARCHES
from agent.acquire.stream import CameraId
from agent.camera_confirmation import TAKEN
from agent.camera_watch import CAMERAS_MAX, CameraWatch, Recognition, Trouble
from agent.crypto import Secret
from agent.errors import UnavailableError
from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from tests.simulators.eventually import eventually
from tests.simulators.export_site import STATUS_TOPIC
from tests.simulators.roster import ListedRoster

FRONT, BACK = CameraId("front"), CameraId("back")
LOGIN = Login("transom", Secret("hunter2"))


def at(camera: CameraId, host: str) -> FoundCamera:
    """Make the sighting of a camera at an address."""
    return FoundCamera(camera, f"urn:uuid:{camera}", camera, "", host, (f"http://{host}/onvif/device_service",))


class Network:
    """A network with cameras on it: who answers a search, and what each says about its stream."""

    def __init__(self, book: Database, *, has_sound: bool = False) -> None:
        self.here: list[FoundCamera] = []
        self.refusing: dict[CameraId, str] = {}
        self.examined: list[CameraId] = []
        self.is_down = False
        self.roster = ListedRoster()
        self.watch = CameraWatch(self.search, self.examine, self.roster, book, lambda _: LOGIN, 60, has_sound=has_sound)

    def search(self) -> Sequence[FoundCamera]:
        """Answer a search."""
        if self.is_down:
            raise UnavailableError("the network is down")
        return tuple(self.here)

    def examine(self, found: FoundCamera) -> CameraStream:
        """Ask a camera for its stream."""
        self.examined.append(found.camera)
        if found.camera in self.refusing:
            raise UnavailableError(self.refusing[found.camera])
        return CameraStream(found.camera, found.name.title(), f"rtsp://{found.sender}/1", LOGIN, None)

    def look(self, *sightings: FoundCamera) -> list[CameraId]:
        """Do one search that finds these; return whom it examined."""
        self.here, self.examined = list(sightings), []
        asyncio.run(self.watch.look_once())
        return sorted(self.examined)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Database]:
    """Open the journal."""
    with closing(Database(tmp_path / "journal.db", STATUS_TOPIC)) as database:
        yield database


@pytest.fixture
def network(book: Database) -> Network:
    """Make a network."""
    return Network(book)


def test_a_camera_that_is_found_is_recorded_and_remembered(network: Network, book: Database) -> None:
    """Each new camera is examined once; while it records, the next search leaves it alone."""
    assert network.look(at(FRONT, "10.0.0.1"), at(BACK, "10.0.0.2")) == [BACK, FRONT]
    assert {stream.url for stream in network.roster.added} == {"rtsp://10.0.0.1/1", "rtsp://10.0.0.2/1"}
    assert {stream.camera for stream in book.cameras()} == {FRONT, BACK}
    assert network.look(at(FRONT, "10.0.0.1"), at(BACK, "10.0.0.2")) == []


def test_a_camera_with_a_new_address_is_the_same_camera(network: Network) -> None:
    """It is examined again, and recorded from where it is now."""
    network.look(at(FRONT, "10.0.0.1"))
    assert network.look(at(FRONT, "10.0.0.9")) == [FRONT]
    assert network.watch.streams[FRONT].url == "rtsp://10.0.0.9/1"
    assert list(network.watch.streams) == [FRONT]


def test_a_camera_that_fell_silent_is_examined_again(network: Network) -> None:
    """Its stream may have changed, although its address has not."""
    network.look(at(FRONT, "10.0.0.1"))
    network.roster.falls_silent(FRONT)
    assert network.look(at(FRONT, "10.0.0.1")) == [FRONT]


def test_a_camera_that_is_not_found_is_recorded_on(network: Network) -> None:
    """An answer that was lost in the network does not end a recording."""
    network.look(at(FRONT, "10.0.0.1"))
    network.look()
    network.is_down = True
    network.look(at(BACK, "10.0.0.2"))
    assert list(network.watch.streams) == [FRONT]


def test_one_cameras_trouble_costs_the_others_nothing(network: Network) -> None:
    """Its why is kept in words until it works; the others record."""
    network.refusing[FRONT] = "the password is wrong"
    network.look(at(FRONT, "10.0.0.1"), at(BACK, "10.0.0.2"))
    assert list(network.watch.streams) == [BACK]
    assert network.watch.troubles == {FRONT: Trouble("http://10.0.0.1/onvif/device_service", "the password is wrong")}
    network.refusing.clear()
    assert network.look(at(FRONT, "10.0.0.1"), at(BACK, "10.0.0.2")) == [FRONT]
    assert not network.watch.troubles


def test_two_devices_with_one_identity_are_not_guessed_between(network: Network) -> None:
    """Neither is examined; the installer is told what to do."""
    assert network.look(at(FRONT, "10.0.0.1"), at(FRONT, "10.0.0.66")) == []
    assert network.watch.troubles[FRONT].why == TWINS
    assert not network.watch.streams


def test_an_impostor_does_not_take_over_a_camera_that_records(network: Network) -> None:
    """The recording goes on from the address that was examined."""
    network.look(at(FRONT, "10.0.0.1"))
    assert network.look(at(FRONT, "10.0.0.1"), at(FRONT, "10.0.0.66")) == []
    assert network.watch.streams[FRONT].url == "rtsp://10.0.0.1/1"


def test_after_a_restart_known_cameras_are_recorded_at_once(network: Network, book: Database) -> None:
    """Before the first search, with the login from the configuration: the journal has none."""
    network.look(at(FRONT, "10.0.0.1"))
    assert b"hunter2" not in b"".join(path.read_bytes() for path in Path(book_path(book)).parent.iterdir())
    after = Network(book)
    assert [(stream.url, stream.login) for stream in after.roster.added] == [("rtsp://10.0.0.1/1", LOGIN)]
    assert after.look(at(FRONT, "10.0.0.1")) == [FRONT]  # looked at once, in case its stream has changed


def book_path(book: Database) -> str:
    """Return the database's file."""
    return str(book._connection.execute("PRAGMA database_list").fetchone()[2])


def test_a_flood_of_answers_is_cut_off(network: Network) -> None:
    """Whoever answers for a thousand cameras does not keep the hub busy with them."""
    crowd = [at(CameraId(f"fake-{number}"), f"10.1.{number // 250}.{number % 250}") for number in range(1000)]
    assert len(network.look(*crowd[:500])) == CAMERAS_MAX
    assert network.look(*crowd[500:]) == []  # nor does a crowd that is another one each time
    assert len(network.watch.streams) == len(network.roster.added) == CAMERAS_MAX


def test_a_crowd_does_not_hide_a_camera_that_has_moved(network: Network) -> None:
    """Cameras that are known are looked at whoever else answers; the crowd's troubles are bounded."""
    network.look(at(FRONT, "10.0.0.1"))
    crowd = [at(CameraId(f"fake-{number}"), f"10.1.0.{number}") for number in range(200)]
    network.refusing = dict.fromkeys((one.camera for one in crowd), "no")
    for start in range(0, 200, 50):
        network.look(*crowd[start : start + 50], at(FRONT, f"10.0.0.{start}"))
        assert len(network.watch.troubles) <= 2 * CAMERAS_MAX
    assert network.watch.streams[FRONT].url == "rtsp://10.0.0.150/1"


def test_a_change_is_told_and_no_change_is_not(network: Network) -> None:
    """`run` searches often at first, and calls back only when something is different."""
    changes: list[int] = []
    network.here = [at(FRONT, "10.0.0.1")]

    async def run() -> None:
        task = asyncio.create_task(network.watch.run(lambda: changes.append(network.watch.searches)))
        await eventually(lambda: network.watch.searches == 2)
        task.cancel()

    asyncio.run(run())
    assert changes == [1]


def test_a_device_with_ever_new_identities_is_not_followed_without_end(network: Network) -> None:
    """The cameras that are known stay; the newcomers stop at the limit, recorded or refused."""
    network.look(at(FRONT, "10.0.0.1"))
    for search in range(4):
        fakes = [at(CameraId(f"fake-{search}-{number}"), "10.0.0.66") for number in range(50)]
        network.refusing = {fake.camera: "no" for fake in fakes[25:]}
        network.look(*fakes, at(FRONT, f"10.0.0.{10 + search}"))
    assert len(network.watch.streams) <= CAMERAS_MAX
    assert len(network.watch.troubles) <= CAMERAS_MAX + 50
    assert network.watch.streams[FRONT].url == "rtsp://10.0.0.13/1"


def test_a_certificate_that_was_shown_is_kept_to_from_then_on(network: Network, book: Database) -> None:
    """It is in the book within a second, comes back after a restart, and stays through every new examination."""
    network.look(at(FRONT, "10.0.0.1"), at(BACK, "10.0.0.2"))
    network.roster.shown[FRONT] = "ab" * 32
    network.watch.note_pins()
    assert {known.camera: known.pin for known in book.cameras()} == {FRONT: "ab" * 32, BACK: ""}
    assert network.roster.added[-1] == network.watch.streams[FRONT]
    network.look(at(FRONT, "10.0.0.9"))
    network.roster.shown[FRONT] = "cd" * 32
    network.watch.note_pins()  # the recorder would not have taken it either
    assert network.watch.streams[FRONT].pin == network.roster.added[-1].pin == "ab" * 32
    assert [stream.pin for stream in Network(book).roster.added] == ["", "ab" * 32]


def test_a_certificate_that_was_forgotten_is_forgotten_everywhere(network: Network, book: Database) -> None:
    """A person takes it out of the book; the next search tells the recorder, found or not."""
    network.look(at(FRONT, "10.0.0.1"))
    network.roster.shown[FRONT] = "ab" * 32
    network.watch.note_pins()
    book.put_pin(FRONT, "")
    network.roster.shown.clear()
    network.look()
    assert network.roster.added[-1].pin == network.watch.streams[FRONT].pin == ""


def test_a_certificate_is_noted_while_the_watch_waits(network: Network, book: Database) -> None:
    """The pause between two searches is no time in which a power cut loses it."""
    network.here, network.watch.searches = [at(FRONT, "10.0.0.1")], FIRST_SEARCHES

    async def run() -> None:
        task = asyncio.create_task(network.watch.run(lambda: network.roster.shown.update({FRONT: "ab" * 32})))
        await eventually(lambda: [known.pin for known in book.cameras()] == ["ab" * 32])
        task.cancel()

    asyncio.run(run())
    assert network.watch.searches == FIRST_SEARCHES + 1


def test_sound_is_recorded_if_the_owner_wants_it(book: Database) -> None:
    """The setting reaches every stream, found or remembered."""
    network = Network(book, has_sound=True)
    network.look(at(FRONT, "10.0.0.1"))
    assert network.roster.added[-1].has_sound
    assert [stream.has_sound for stream in Network(book, has_sound=True).roster.added] == [True]
    assert [stream.has_sound for stream in Network(book).roster.added] == [False]


def test_it_says_where_cameras_can_be_asked(network: Network, book: Database) -> None:
    """Those that were found, under their newest address; one that is only remembered has none before it is found."""
    network.look(at(FRONT, "10.0.0.5"))
    network.look(at(FRONT, "10.0.0.9"))
    assert network.watch.reached == {FRONT: (network.watch.streams[FRONT], "http://10.0.0.9/onvif/device_service")}
    again = Network(book)
    assert set(again.watch.streams) == {FRONT}
    assert again.watch.reached == {}


# ---------------------------------------------------------------------------------------- who is who
class MarkedNetwork(Network):
    """A network whose devices show marks; `at_host` says which device answers at an address."""

    def __init__(self, book: Database, identities: IdentityFile) -> None:
        self.at_host: dict[str, Marks] = {}
        self.asked: list[tuple[CameraId, str, bool]] = []
        super().__init__(book)
        self.watch = CameraWatch(
            self.search,
            self.examine,
            self.roster,
            book,
            lambda _: LOGIN,
            60,
            recognition=Recognition(identities, lambda found, _: self.at_host[found.sender], self.verify),
        )

    def verify(self, known: Known, host: str, has_twin: bool) -> bool | None:  # noqa: FBT001 - as `Verify` has it
        """Say whether the camera is there."""
        self.asked.append((known.camera, host, has_twin))
        seen = self.at_host.get(host)
        return None if seen is None else seen.serial == known.marks.serial

    def put(self, host: str, epr: CameraId, serial: str) -> FoundCamera:
        """Put a device on the network."""
        self.at_host[host] = marks_of(f"urn:uuid:{epr}", "Acme", serial)
        return replace(at(epr, host), camera=camera_id(f"urn:uuid:{epr}"))

    def attend(self, until: Callable[[], object]) -> None:
        """Let the watch run until something is so."""

        async def run() -> None:
            task = asyncio.create_task(self.watch.run(lambda: None))
            await eventually(until)
            task.cancel()

        asyncio.run(run())


@pytest.fixture
def marked(book: Database, tmp_path: Path) -> MarkedNetwork:
    """Make such a network."""
    return MarkedNetwork(book, IdentityFile(tmp_path / "cameras.json"))


def urls(network: Network) -> dict[str, CameraId]:
    """Return who is recorded from where."""
    return {stream.url: camera for camera, stream in network.watch.streams.items()}


def test_a_camera_that_was_reset_is_the_same_camera(marked: MarkedNetwork) -> None:
    """Its endpoint reference and its address are new; its serial number is what it was, and so is its history."""
    marked.look(marked.put("10.0.0.1", FRONT, "SN0001"))
    (camera,) = marked.watch.streams
    marked.look(marked.put("10.0.0.9", BACK, "SN0001"))
    assert urls(marked) == {"rtsp://10.0.0.9/1": camera}
    assert marked.roster.words == [(camera, ""), (camera, "")]


def test_two_cameras_with_one_endpoint_reference_are_told_apart(
    marked: MarkedNetwork, book: Database, tmp_path: Path
) -> None:
    """By their serial numbers: both are recorded, each under a name that stays, in any order and after a restart."""
    one, two = marked.put("10.0.0.1", FRONT, "SN0001"), marked.put("10.0.0.2", FRONT, "SN0002")
    marked.look(one, two)
    before = urls(marked)
    assert len(set(before.values())) == 2
    assert not marked.watch.troubles
    assert marked.look(two, one) == []
    after = MarkedNetwork(book, IdentityFile(tmp_path / "cameras.json"))
    after.at_host = marked.at_host
    after.look(two, one)
    assert urls(after) == before
    exchanged = [after.put("10.0.0.1", FRONT, "SN0002"), after.put("10.0.0.2", FRONT, "SN0001")]
    for camera in before.values():
        after.roster.falls_silent(camera)
    after.look(*exchanged)
    assert urls(after) == {
        "rtsp://10.0.0.1/1": before["rtsp://10.0.0.2/1"],
        "rtsp://10.0.0.2/1": before["rtsp://10.0.0.1/1"],
    }


def test_two_cameras_that_show_the_same_marks_are_refused_in_words(marked: MarkedNetwork) -> None:
    """Neither is guessed at; a camera that was there first is recorded on from where it was."""
    for serial in ("", "SN0001"):
        first = marked.put("10.0.0.1", FRONT, serial)
        marked.look(first)
        marked.look(first, marked.put("10.0.0.66", FRONT, serial))
        assert list(urls(marked)) == ["rtsp://10.0.0.1/1"]
        assert [trouble.why for trouble in marked.watch.troubles.values()] == [TWINS]
        marked.look(first)


def test_channels_of_an_encoder_stay_apart(marked: MarkedNetwork) -> None:
    """One serial number, one address, two endpoint references: two cameras, search after search."""
    channels = [marked.put("10.0.0.1", FRONT, "SN0001"), marked.put("10.0.0.1", BACK, "SN0001")]
    marked.at_host["10.0.0.1"] = marks_of("", "Acme", "SN0001")
    for number, channel in enumerate(channels):
        channels[number] = replace(channel, addresses=(f"http://10.0.0.1/{number}",))
    watch = marked.watch
    assert watch._recognition is not None
    watch._recognition = replace(watch._recognition, ask_marks=lambda found, _: marks_of(found.epr, "Acme", "SN0001"))
    for _ in range(2):
        marked.look(*channels)
        assert set(watch.streams) == {channel.camera for channel in channels}


def test_a_camera_is_recorded_by_one_of_its_two_ways(marked: MarkedNetwork) -> None:
    """It answers by IPv4 and IPv6: asked once, by IPv4, and not moved to and fro."""
    four, six = marked.put("10.0.0.1", FRONT, "SN0001"), marked.put("fd00::1", FRONT, "SN0001")
    assert len(marked.look(six, four)) == 1
    assert list(urls(marked)) == ["rtsp://10.0.0.1/1"]
    assert marked.look(four, six) == []
    assert marked.look(six, four) == []


def test_a_device_that_shows_no_mark_is_refused_in_words(marked: MarkedNetwork) -> None:
    """It was knocked at and tells nothing: its address is no identity."""
    marked.at_host["10.0.0.1"] = Marks()
    marked.look(replace(at(FRONT, "10.0.0.1"), epr=""))
    assert not marked.watch.streams
    (trouble,) = marked.watch.troubles.values()
    assert "neither an endpoint reference nor a serial number" in trouble.why


def test_a_device_without_an_endpoint_reference_is_kept_by_its_serial(marked: MarkedNetwork) -> None:
    """It is examined once, not in each search, and followed to another address."""
    knocked = replace(marked.put("10.0.0.1", FRONT, "SN0001"), epr="")
    marked.at_host["10.0.0.1"] = marked.at_host["10.0.0.9"] = marks_of("", "Acme", "SN0001")
    marked.look(knocked)
    (camera,) = marked.watch.streams
    assert marked.look(knocked) == []
    marked.look(replace(at(BACK, "10.0.0.9"), epr=""))
    assert urls(marked) == {"rtsp://10.0.0.9/1": camera}


def test_another_device_at_a_cameras_address_is_refused(marked: MarkedNetwork) -> None:
    """The recorder asks before it stores a picture, and hears no; the camera itself hears yes, silence is no word."""
    marked.look(marked.put("10.0.0.1", FRONT, "SN0001"))
    (camera,) = marked.watch.streams
    marked.put("10.0.0.1", BACK, "SN0077")
    marked.here = []
    marked.roster.waits_for_a_word(camera)
    marked.attend(lambda: (camera, TAKEN) in marked.roster.words)
    assert marked.asked[-1] == (camera, "10.0.0.1", False)
    del marked.at_host["10.0.0.1"]
    words, asked = len(marked.roster.words), len(marked.asked)
    marked.attend(lambda: len(marked.asked) > asked)
    assert len(marked.roster.words) == words
    marked.put("10.0.0.1", FRONT, "SN0001")
    marked.attend(lambda: marked.roster.words[-1] == (camera, ""))


def test_a_failed_stream_starts_a_search_at_once(marked: MarkedNetwork) -> None:
    """A calm hub searches once a minute; it does not wait for that."""
    seen = marked.put("10.0.0.1", FRONT, "SN0001")
    marked.look(seen)
    (camera,) = marked.watch.streams
    marked.watch.searches, marked.here = FIRST_SEARCHES, []

    async def run() -> None:
        task = asyncio.create_task(marked.watch.run(lambda: None))
        await eventually(lambda: marked.watch._pace.due_s > asyncio.get_running_loop().time() + 30)
        marked.here = [marked.put("10.0.0.9", FRONT, "SN0001")]
        marked.roster.falls_silent(camera)
        await eventually(lambda: "rtsp://10.0.0.9/1" in urls(marked))
        task.cancel()

    asyncio.run(run())


def test_a_hello_brings_a_search(marked: MarkedNetwork) -> None:
    """So that a camera that is plugged in does not wait for the minute to end."""
    marked.watch.searches = FIRST_SEARCHES

    async def run() -> None:
        task = asyncio.create_task(marked.watch.run(lambda: None))
        await eventually(lambda: marked.watch._pace.due_s > asyncio.get_running_loop().time() + 30)
        marked.here = [marked.put("10.0.0.1", FRONT, "SN0001")]
        marked.watch.heard()
        await eventually(lambda: marked.watch.streams)
        task.cancel()

    asyncio.run(run())
