"""A device that was examined to the camera that it is, by the marks in the hub's book; and where each camera was last.

Rules of this file: an address says where to look first, never who answers there; a camera keeps every mark that it ever
showed; what a person has forgotten is a stranger again.
"""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

from agent.acquire.discovery import FoundCamera
from agent.acquire.identity import TWINS, Known, Marks, UnrecognisedError, recognise
from agent.acquire.stream import CameraId
from agent.cameras.sightings import Sightings
from agent.ports import IdentityBook


class CameraIdentities:
    """The cameras that the hub keeps apart."""

    def __init__(self, book: IdentityBook) -> None:
        self._book = book
        self.known: dict[CameraId, Known] = dict(book.identities())
        self.addresses: dict[CameraId, str] = {}  # of the device service, as last examined since the start

    def name_of(self, seen: FoundCamera) -> CameraId:
        """Say who answered, probably: of two cameras with one endpoint reference, the one that was last there."""
        for camera, known in self.known.items():
            if known.marks.epr == seen.epr and seen.epr and known.address == seen.addresses[0]:
                return camera
        return next(
            (camera for camera, at in self.addresses.items() if not seen.epr and at in seen.addresses), seen.camera
        )

    def is_at(self, camera: CameraId, seen: FoundCamera) -> bool:
        """Say whether a camera was examined at the place of this sighting."""
        return self.addresses.get(camera) == seen.addresses[0]

    def recognised(self, seen: FoundCamera, marks: Marks, sightings: Sightings) -> CameraId:
        """Say which camera showed these marks when it was examined. Raises UnrecognisedError."""
        known = {camera: one.marks for camera, one in self.known.items()}
        shared = Counter(marks.epr for marks in known.values())  # which of them was seen where is not known
        places = {
            camera: (one.marks.epr, urlsplit(one.address).hostname or "")
            for camera, one in self.known.items()
            if shared[one.marks.epr] == 1
        }
        if seen.camera in sightings.twins() and not (marks.serial or marks.mac):
            raise UnrecognisedError(TWINS)
        return recognise(marks, known, sightings.elsewhere(seen, places))

    def keep(self, camera: CameraId, marks: Marks, address: str) -> None:
        """Remember what a camera showed, and where. Raises UnavailableError if that is not on the disk."""
        before = self.known[camera].marks if camera in self.known else Marks()
        whole = Marks(marks.epr or before.epr, marks.serial or before.serial, marks.mac or before.mac)
        self.known[camera] = Known(camera, whole, address)
        self._book.put_identity(self.known[camera])

    def forgotten(self) -> set[CameraId]:
        """Let go of the cameras that a person has taken out of the book, and return them."""
        gone = self.known.keys() - self._book.identities().keys()
        for camera in gone:
            del self.known[camera]
            self.addresses.pop(camera, None)
        return gone
