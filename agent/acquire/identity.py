"""What a device says of itself to which camera it is: by endpoint reference, serial number and MAC, never by address.

Rules of this file: an address is no mark. What the maker put into the device (serial number, MAC) outweighs what can be
written or cloned (endpoint reference); a serial that many devices share is no mark at all. Where two devices cannot be
told apart, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from agent.acquire.discovery import camera_id, normalise_epr, printable
from agent.acquire.stream import CameraId
from agent.errors import ConfigurationError

SERIAL_CHARACTERS_MIN: Final = 4
SERIAL_CHARACTERS_MAX: Final = 64
TWINS: Final = "two devices answer with this identity: give one of them another (factory reset), or remove it"
_SERIALS_OF_MANY: Final = frozenset({"0123456789", "123456", "1234567890", "12345678", "123456789", "SERIALNUMBER"})
_MULTICAST_BIT: Final = 1


@dataclass(frozen=True, slots=True)
class Marks:
    """What tells a device from others; an empty text is a mark that it did not show. Written by `marks_of` only."""

    epr: str = ""  # normalised
    serial: str = ""  # `MAKER SERIAL`, upper case
    mac: str = ""  # 12 lower-case hexadecimal digits

    @property
    def is_empty(self) -> bool:
        """Whether nothing tells it from another."""
        return not (self.epr or self.serial or self.mac)


@dataclass(frozen=True, slots=True)
class Known:
    """A camera that the hub keeps, and where it was last; `address` is its device service's URL."""

    camera: CameraId
    marks: Marks
    address: str


class UnrecognisedError(ConfigurationError):
    """Which camera this is cannot be said, so it is not recorded."""


def recognise(seen: Marks, known: Mapping[CameraId, Marks], elsewhere: Collection[CameraId] = ()) -> CameraId:
    """Say which camera shows these marks; a new name if it is none of those that are known.

    `elsewhere` are cameras that are at another place at this moment, recorded or answering from there: a device that
    cannot be told from one of them is refused. Raises UnrecognisedError.
    """
    if seen.is_empty:
        raise UnrecognisedError(
            "it tells neither an endpoint reference nor a serial number nor a hardware address",
            cure="enter the login that lets the hub read its serial number, or update its firmware",
        )
    likeness = {camera: _likeness(marks, seen) for camera, marks in known.items()}
    for camera in sorted(likeness, key=lambda camera: likeness[camera], reverse=True):
        if likeness[camera] <= 0:
            break
        if camera not in elsewhere:
            return camera
        if known[camera].epr == seen.epr and seen.epr:  # with another one it is the next channel of one device
            raise UnrecognisedError(TWINS)
    name = camera_id(seen.epr or _device_name(seen))
    return name if name not in known else camera_id(_device_name(seen))  # a cloned endpoint reference, another device


def _device_name(seen: Marks) -> str:
    return f"urn:transom:device:{seen.serial or seen.mac}"


def contradicts(known: Marks, seen: Marks) -> bool:
    """Say whether a device that shows the marks `seen` is certainly not the camera that is known by the others."""
    shown = (seen.epr and known.epr) or (seen.serial and known.serial) or (seen.mac and known.mac)
    return bool(shown) and _likeness(known, seen) <= 0


def _likeness(known: Marks, seen: Marks) -> int:
    """Above 0: it is the camera. Serials weigh more than either other mark, less than both together."""
    return 2 * _vote(known.epr, seen.epr) + 3 * _vote(known.serial, seen.serial) + 2 * _vote(known.mac, seen.mac)


def _vote(one: str, other: str) -> int:
    return 0 if not (one and other) else 1 if one == other else -1


def marks_of(epr: str = "", maker: str = "", serial: str = "", mac: str = "") -> Marks:
    """Write a stranger's words about itself as marks; what cannot be one (a factory's placeholder) is left out."""
    digits = re.sub(r"[^0-9a-f]", "", mac.lower())
    is_mac = len(digits) == 12 and not int(digits[:2], 16) & _MULTICAST_BIT and int(digits, 16) != 0  # noqa: PLR2004 - six octets
    plain = printable(serial)[:SERIAL_CHARACTERS_MAX].upper()
    letters = re.sub(r"[^0-9A-Z]", "", plain)
    is_serial = len(letters) >= SERIAL_CHARACTERS_MIN and len(set(letters)) > 1 and letters not in _SERIALS_OF_MANY
    return Marks(
        epr=normalise_epr(epr),
        serial=f"{printable(maker).upper()} {plain}" if is_serial else "",
        mac=digits if is_mac else "",
    )
