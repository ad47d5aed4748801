"""A network with cameras on it, and a hub's watch over it: who answers a search, and what each says when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera, camera_id
from agent.acquire.identity import Known, Marks, marks_of
from agent.acquire.stream import CameraId
from agent.cameras.watch import CameraWatch, Questions
from agent.crypto import Secret
from agent.errors import UnavailableError
from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from tests.simulators.eventually import eventually
from tests.simulators.roster import ListedRoster

LOGIN = Login("transom", Secret("hunter2"))


def named(label: str) -> CameraId:
    """Return what the hub calls the camera with the endpoint reference `urn:uuid:LABEL`."""
    return camera_id(f"urn:uuid:{label}")


def at(label: str, host: str) -> FoundCamera:
    """Make the sighting of a camera at an address."""
    return FoundCamera(
        named(label), f"urn:uuid:{label}", label.title(), "", host, (f"http://{host}/onvif/device_service",)
    )


class Network:
    """The network and the watch; `at_host` says by which marks the device at an address is known beside its name."""

    def __init__(self, book: Database, identities: IdentityFile, *, has_sound: bool = False) -> None:
        self.here: list[FoundCamera] = []
        self.refusing: dict[CameraId, str] = {}
        self.examined: list[CameraId] = []
        self.is_down = False
        self.at_host: dict[str, Marks] = {}
        self.verified: list[tuple[CameraId, str, bool]] = []
        self.roster = ListedRoster()
        questions = Questions(self.search, self.examine, self.ask_marks, self.verify)
        self.watch = CameraWatch(questions, self.roster, book, identities, lambda _: LOGIN, 60, has_sound=has_sound)

    def put(self, host: str, label: str, serial: str) -> FoundCamera:
        """Put a device with a serial number on the network."""
        self.at_host[host] = marks_of(f"urn:uuid:{label}", "Acme", serial)
        return at(label, host)

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
        return CameraStream(found.camera, found.name, f"rtsp://{found.sender}/1", LOGIN, None)

    def ask_marks(self, found: FoundCamera, _stream: CameraStream) -> Marks:
        """Ask a device for its marks: those of its host, and the endpoint reference by which it was found."""
        return replace(self.at_host.get(found.sender, Marks()), epr=marks_of(found.epr).epr)

    def verify(self, known: Known, host: str, has_twin: bool) -> bool | None:  # noqa: FBT001 - as `Verify` has it
        """Say whether the camera is there."""
        self.verified.append((known.camera, host, has_twin))
        seen = self.at_host.get(host)
        return None if seen is None else seen.serial == known.marks.serial

    def look(self, *sightings: FoundCamera) -> list[CameraId]:
        """Do one search that finds these; return whom it examined."""
        self.here, self.examined = list(sightings), []
        asyncio.run(self.watch.look_once())
        return sorted(self.examined)

    def attend(self, until: Callable[[], object]) -> None:
        """Let the watch run until something is so."""

        async def run() -> None:
            task = asyncio.create_task(self.watch.run(lambda: None))
            await eventually(until)
            task.cancel()

        asyncio.run(run())

    def urls(self) -> dict[str, CameraId]:
        """Return who is recorded from where."""
        return {stream.url: camera for camera, stream in self.watch.streams.items()}
