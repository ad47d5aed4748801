"""One line asks, one line answers, over a UNIX socket; an installation tells its progress in lines between the two.

Rules of this file: every line is one JSON object with a limit; unknown members are errors. Specified in FORMAT.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from firmware_bridge.errors import BadInputError

REQUEST_BYTES_MAX: Final = 4 * 1024
ANSWER_BYTES_MAX: Final = 64 * 1024
SOCKET_MODE: Final = 0o660


class Word(StrEnum):
    """A verdict on a reading, the same three words everywhere."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


class Led(StrEnum):
    """What the status LED can say."""

    OFF = "off"
    ON = "on"
    BLINK = "blink"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """What the agent may ask for; the class name is the operation."""


class Ping(Request, frozen=True, tag="ping"):
    """Ask whether the bridge answers at all."""


class Health(Request, frozen=True, tag="health"):
    """Ask how worn the storage, how hot the box and how full the disk is."""


class Button(Request, frozen=True, tag="button"):
    """Ask when the button was last pressed."""


class Alarm(Request, frozen=True, tag="alarm"):
    """Ask whether the alarm input is closed."""


class SetLed(Request, frozen=True, tag="led"):
    """Show a state."""

    state: Led


class Slots(Request, frozen=True, tag="slots"):
    """Ask which firmware is where."""


class Install(Request, frozen=True, tag="install"):
    """Install a bundle into the slot that is not running."""

    bundle: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class MarkGood(Request, frozen=True, tag="mark_good"):
    """The running firmware works: keep it, and never go back below it."""


class Restart(Request, frozen=True, tag="restart"):
    """Restart the machine into the firmware that was installed and waits."""


class GiveUp(Request, frozen=True, tag="give_up"):
    """The firmware that was restarted into does not do its work: go back to the one before."""


AnyRequest = Ping | Health | Button | Alarm | SetLed | Slots | Install | MarkGood | Restart | GiveUp


class StorageReading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The wear of one storage device."""

    device: str
    used_percent_max: int | None
    """Upper end of the device's own estimate; None if it gives none. Above 100: older than it was made for."""
    word: Word


class TemperatureReading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thermal zone."""

    zone: str
    celsius: float
    word: Word


class DiskReading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file system that holds the agent's state."""

    free_bytes: int
    total_bytes: int
    word: Word


class HealthReading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to `health`: `word` is the worst of all."""

    word: Word
    storage: list[StorageReading]
    temperatures: list[TemperatureReading]
    disk: DiskReading | None


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place for firmware, as RAUC reports it."""

    name: str
    state: str
    """`booted`, `active` or `inactive`."""
    boot_status: str | None
    """`good` or `bad`."""
    version: str | None
    """Of the bundle it was installed from."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The last line of every conversation. Exactly one of the members for the operation is set when `ok`."""

    ok: bool
    health: HealthReading | None = None
    pressed_s_ago: float | None = None
    """For `button`; missing if it was not pressed since the start."""
    is_closed: bool | None = None
    """For `alarm`; missing if there is no such input."""
    slots: list[Slot] | None = None
    version: str | None = None
    """For `install` what was asked for, `mark_good` the new floor, `restart` what starts, `give_up` what is left."""
    is_running: bool | None = None
    """For `install`: the booted slot holds this version already, nothing was written."""
    error: Literal["bad-input", "unavailable", "configuration", "refused"] | None = None
    text: str = ""
    """What went wrong, and what a person can do."""


class Installed(NamedTuple):
    """The good end of an installation."""

    version: str
    is_running: bool
    """It was in the booted slot before: nothing was written. Else it starts with the next boot."""


class Refused(NamedTuple):
    """The bridge's own no, with its reason: an answer, not a failure."""

    text: str


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line between request and answer of an installation."""

    percent: Annotated[int, msgspec.Meta(ge=0, le=100)]
    step: str


def read_request(line: bytes) -> AnyRequest:
    """Parse one request line. Raises BadInputError."""
    if len(line) > REQUEST_BYTES_MAX:
        raise BadInputError(f"a request of more than {REQUEST_BYTES_MAX} bytes")
    try:
        request: AnyRequest = msgspec.json.decode(line, type=AnyRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("not a request to the bridge", cure="see FORMAT.md") from error
    return request


def write_line(message: AnyRequest | Answer | Progress) -> bytes:
    """Write one message as one line."""
    return msgspec.json.encode(message) + b"\n"


def read_answer(line: bytes) -> Answer | Progress:
    """Parse one line of the bridge. Raises BadInputError."""
    try:
        lookup = msgspec.json.decode(line)
        if isinstance(lookup, dict) and "percent" in lookup:
            return msgspec.convert(lookup, Progress)
        return msgspec.convert(lookup, Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("not an answer of the bridge") from error
