"""The hub's configuration file: YAML in, typed settings out; an unknown key is an error that names the nearest one.

Every setting has its unit in its name, its default here, and its limits checked. `transom.example.yaml` is parsed by a
test. Nothing secret stands in it: passwords are in files of their own that only the agent can read.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml

from agent.acquire.camera import Login
from agent.acquire.given_addresses import GivenHost, given_hosts
from agent.buffer.ring import RingSettings, fitting_slab_bytes
from agent.command.words import IncidentType
from agent.consent.schedule import ZoneName, check_hours
from agent.crypto import Secret
from agent.deliver.cap import CappedHours, Caps, Kbits, Share
from agent.deliver.turns import AT_ONCE, AT_ONCE_MAX
from agent.errors import BadInputError, ConfigurationError

CONFIG_BYTES_MAX: Final = 64 * 1024
MIB: Final = 1024 * 1024
STATUS_FILE: Final = Path("/run/transom/status.json")
BUNDLE_DIR: Final = Path("/var/lib/transom-bundles")
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class CameraLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The login that the site's cameras share; the file holds the password and nothing else."""

    user: str
    password_file: Path

    def read(self) -> Login:
        """Read the password. Raises ConfigurationError if it cannot be read."""
        try:
            password = self.password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the cameras' password file {self.password_file} cannot be read",
                cure="create it with the password as its only line, mode 0600, owned by the agent's user",
            ) from error
        return Login(self.user, Secret(password))


class Cameras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how cameras are looked for."""

    login: CameraLogin | None = None
    interfaces: tuple[str, ...] | None = None  # None: every wired or wireless interface that is up
    addresses: tuple[str, ...] = ()  # cameras where multicast does not reach, one by one
    ranges: tuple[str, ...] = ()  # the same as ranges or networks; 1024 addresses at most
    search_s: Seconds = 4.0  # how long one search listens
    search_every_s: Seconds = 60.0  # pause between searches
    streams: dict[str, str] = {}  # camera to the name or token of the profile to record; else what it calls main
    sound: bool = False  # whether the cameras' sound is recorded too

    def given(self) -> tuple[GivenHost, ...]:
        """Spell out `addresses` and `ranges`. Raises ConfigurationError."""
        return given_hosts(self.addresses, self.ranges)


class RingPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and pace of the encrypted ring."""

    dir: Path | None = None  # on a disk of its own; None: `ring` in data_dir
    size_mib: Annotated[int, msgspec.Meta(ge=64, le=16 * 1024**2)] = 16 * 1024
    slab_mib: Annotated[int, msgspec.Meta(ge=8, le=1024)] | None = None  # what is destroyed at once; None: as fits
    age_max_h: Annotated[int, msgspec.Meta(ge=1, le=24 * 90)] = 72
    camera_floor_min: Annotated[int, msgspec.Meta(ge=0, le=24 * 60 * 90)] = (
        60  # each camera keeps this much, if it fits
    )
    free_mib_min: Annotated[int, msgspec.Meta(ge=0, le=1024**2)] = 256  # the disk keeps this much free
    commit_ms: Annotated[int, msgspec.Meta(ge=500, le=5000)] = 1000  # what a power cut may take
    tick_ms: Annotated[int, msgspec.Meta(ge=20, le=1000)] = 500

    def settings(self) -> RingSettings:
        """Return what the ring takes. Raises ConfigurationError if the numbers do not fit together."""
        return RingSettings(
            slab_bytes=self.slab_mib * MIB if self.slab_mib else fitting_slab_bytes(self.size_mib * MIB),
            bytes_max=self.size_mib * MIB,
            age_s_max=self.age_max_h * 3600,
            floor_s=self.camera_floor_min * 60,
            free_bytes_min=self.free_mib_min * MIB,
        )


class Clips(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How clips are made and sent."""

    part_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 4.0  # aimed length of a part while an incident runs
    give_up_h: Annotated[float, msgspec.Meta(gt=0, le=24 * 7)] = 48.0
    outbox_mib: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 2048
    held_mib: Annotated[int, msgspec.Meta(ge=64, le=1024**2)] = 4096  # of footage kept while somebody decides


class Uploads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast and in which order parts go to the store."""

    at_once: Annotated[int, msgspec.Meta(ge=1, le=AT_ONCE_MAX)] = AT_ONCE  # uploads at once; fewer on a slow link
    kbit_s_max: Kbits | None = None  # on the wire; None: as fast as it goes
    uplink_share: Share | None = None  # of what the uplink was measured to take; None: all of it
    zone: ZoneName | None = None  # of `hours`, as IANA names it
    hours: Annotated[tuple[CappedHours, ...], msgspec.Meta(max_length=32)] = ()  # with caps of their own
    urgent_types: tuple[IncidentType, ...] = ("alarm.holdup", "alarm.panic")  # of incidents that go before others

    def caps(self) -> Caps:
        """Return how fast. Raises ConfigurationError for hours that are none, or whose zone nobody knows."""
        try:
            check_hours(self.hours, self.zone)
        except BadInputError as error:
            raise ConfigurationError(f"upload: {error}", cure="set upload.zone, such as Europe/Berlin") from error
        return Caps(kbit_s_max=self.kbit_s_max, uplink_share=self.uplink_share, hours=self.hours, zone=self.zone)


class Stamps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where checkpoints of the audit log get their time stamps (RFC 3161)."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s@]{1,500}\Z")]  # of the authority, without a login
    every_h: Annotated[float, msgspec.Meta(ge=1, le=24 * 30)] = 24.0


class OwnerPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The owner's page, for browsers in the hub's own network.

    On unless switched off: an owner who had to ask somebody for it would not see what the hub did.
    """

    is_on: bool = True
    address: str = "0.0.0.0"  # noqa: S104 - every network of the hub; only local addresses are let in
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8443  # 0: any free one, for trying things out
    names: tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.-]{1,253}\Z")], ...] = ()  # besides its addresses
    connections_max: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32
    header_kib_max: Annotated[int, msgspec.Meta(ge=4, le=64)] = 16
    body_kib_max: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 96
    request_s_max: Annotated[float, msgspec.Meta(ge=1, le=60)] = 10.0
    requests_per_minute_max: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 240  # of one address
    sessions_max: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    session_min: Annotated[float, msgspec.Meta(ge=1, le=480)] = 30.0  # unused; 8 hours in any case


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    data_dir: Path  # ring, journal, outbox, audit log
    identity_dir: Path  # made by provisioning: factory key, label secret, enrolment
    key_dir: Path  # keys when systemd gives none as credentials; never inside data_dir
    cameras: Cameras = Cameras()
    ring: RingPlace = RingPlace()
    clips: Clips = Clips()
    owner_page: OwnerPage = OwnerPage()
    upload: Uploads = Uploads()
    stamps: Stamps | None = None  # None: no time stamps; a digest an hour or a day goes to somebody else
    bridge_socket: Path | None = None  # the firmware bridge; None: no button, no hardware health
    bundle_dir: Path = BUNDLE_DIR  # where the bridge takes firmware from
    status_file: Path = STATUS_FILE  # for `transom status`; on a RAM disk, written every 5 s
    metrics_file: Path | None = None  # for node_exporter's textfile collector; on a RAM disk too, every 15 s
    snapshot_dir: Path | None = None  # each camera's newest key picture as JPEG, once a minute; on a RAM disk; None: no
    # "signed_only": what NTP says is not believed, only the server's signed time
    clock: Literal["synchronised", "signed_only", "unsafe_assume_synchronised"] = "synchronised"
    log_level: Literal["debug", "info", "warning"] = "info"


def load(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigurationError with the line to mend."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", cure="give the configuration file by --config") from error
    return parse(text, str(path))


def parse(text: bytes, name: str) -> Config:
    """Check a configuration's text; `name` is what errors call it."""
    if len(text) > CONFIG_BYTES_MAX:
        raise ConfigurationError(f"{name} has more than {CONFIG_BYTES_MAX} bytes")
    try:
        content: Any = yaml.safe_load(text)
        config = msgspec.convert(content, Config, strict=True, dec_hook=_path)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name}: {_explained(str(error))}") from error
    config.cameras.given()
    config.upload.caps()
    if config.key_dir.resolve().is_relative_to(config.data_dir.resolve()):
        raise ConfigurationError(
            f"{name}: key_dir lies inside data_dir",
            cure="keep the keys away from what they encrypt, or the disk opens itself",
        )
    return config


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ValueError(f"expected a path, got {value!r}")


def _explained(message: str) -> str:
    """Add the nearest valid key to a complaint about an unknown one."""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    if unknown is None:
        return message
    structs = (Config, Cameras, CameraLogin, RingPlace, Clips, Uploads, OwnerPage, Stamps)
    keys = [field.name for struct in structs for field in msgspec.structs.fields(struct)]
    nearest = difflib.get_close_matches(unknown[1], keys, n=1)
    return f"{message} (did you mean `{nearest[0]}`?)" if nearest else message
