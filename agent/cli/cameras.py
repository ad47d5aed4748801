"""`transom cameras`: find, list, add, try, log in to, forget and tune the site's cameras; tables for people, JSON too.

Rules of this file: a password comes from a file, standard input or a prompt, never from the command line, and goes
nowhere but to the camera and, sealed, to the hub's folder of logins; nothing on a camera is changed but by `tune`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import FoundCamera
from agent.acquire.encoding import encoding_warnings, plan_warning
from agent.acquire.identity import Known
from agent.acquire.stream import CameraId
from agent.camera_logins import logins_of_person
from agent.cli.camera_check import Mark, Step, check_camera
from agent.cli.camera_finder import camera_at, device_addresses, find_camera, is_address
from agent.cli.camera_options import Call, Options, Say, given_login
from agent.clock import Instant, WallTime
from agent.config import MIB, Config, load
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.health.vitals import VITALS_BYTES_MAX, decode_vitals
from agent.outside.added_cameras import FILE, AddedCameras
from agent.outside.camera_table import discover_table
from agent.outside.database import Database
from agent.outside.host import HostClock
from agent.outside.identity_file import IdentityFile
from agent.outside.login_folder import SITE
from agent.outside.onvif import camera_of, examine
from agent.outside.onvif_tuning import tune_encoder, tune_time
from agent.outside.shown_file import read_shown

IDENTITIES: Final = "cameras.json"  # in data_dir
_MARKS: Final = {Mark.GOOD: "\u2713", Mark.DOUBTFUL: "!", Mark.BAD: "\u2717", Mark.NOT_TRIED: "-"}


@dataclass(frozen=True, slots=True)
class ListedKnown:
    """One row of `transom cameras list`; all texts printable."""

    camera: CameraId
    name: str
    host: str
    state: str  # as in `transom status`; empty if the daemon does not run
    stream: str
    login: str  # "own", "site", "configuration" or "none": never the login itself
    notes: tuple[str, ...]


def discover(options: Options, say: Say) -> int:
    """List who answers on this network; 1 if nobody does."""
    found = discover_table(options.interface, options.seconds, given_login(options), now=_now)
    if options.json:
        say(_json(found))
    elif not found:
        say("No camera answered. Is ONVIF switched on in the cameras, and are they on this network?")
    else:
        rows = [("CAMERA", "NAME", "MODEL", "ADDRESS", "NOTE")]
        for one in found:
            model = f"{one.device.maker} {one.device.model}".strip() or one.hardware
            rows.append((one.camera, one.name, model, one.address, one.note))
        _say_table(rows, say)
    return 0 if found else 1


def list_known(options: Options, say: Say) -> int:
    """List the cameras this hub knows, how each is recorded, and what is amiss; 1 if there are none."""
    config = load(options.config)
    known, logins, states = _book(config), set(logins_of_person(config).names()), _states(config)

    def login(camera: CameraId) -> str:
        if camera in logins:
            return "own"
        return "site" if SITE in logins else "configuration" if config.cameras.login else "none"

    rows = [
        ListedKnown(
            one.camera,
            one.name,
            urlsplit(one.url).hostname or "",
            states.get(one.camera, ""),
            str(one.encoding) if one.encoding else "not asked yet",
            login(one.camera),
            encoding_warnings(one.encoding) if one.encoding else (),
        )
        for one in known
    ]
    added = [
        one for one in AddedCameras(config.data_dir / FILE).all() if one.camera not in {row.camera for row in rows}
    ]
    rows += [ListedKnown(one.camera, one.name, one.sender, "added", "", login(one.camera), ()) for one in added]
    plan = plan_warning(
        (one.encoding for one in known if one.encoding), config.ring.size_mib * MIB, config.ring.age_max_h
    )
    if options.json:
        say(_json({"cameras": rows, "plan": plan}))
    elif not rows:
        say("This hub knows no camera yet: `transom cameras discover`, or `transom cameras add ADDRESS`")
    else:
        heads = ("CAMERA", "NAME", "HOST", "STATE", "LOGIN", "STREAM")
        _say_table([heads, *((row.camera, row.name, row.host, row.state, row.login, row.stream) for row in rows)], say)
        for row in rows:
            for note in row.notes:
                say(f"! {row.camera}: {note.replace('CAMERA', row.camera)}")
        if plan:
            say(f"! {plan}")
    return 0 if rows else 1


def add(options: Options, say: Say) -> int:
    """Take a camera in that no search finds: asked once now, and at every search from then on."""
    config, given = load(options.config), given_login(options)
    logins = logins_of_person(config)
    found = camera_at(options.address, given, _now, {one.camera: one.marks for one in _identities(config)})
    stream = examine(found, given or logins.login_of(found.camera), _now)
    if given is not None:
        logins.put(found.camera, given)
    AddedCameras(config.data_dir / FILE).add(found)
    if options.json:
        say(_json({"camera": found.camera, "name": found.name, "encoding": stream.encoding}))
    else:
        say(f"{found.camera} ({found.name}) is recorded from the next search on: {stream.encoding}")
    return 0


def test(options: Options, say: Say) -> int:
    """Try a camera step by step; 1 if a step failed."""
    config = load(options.config) if options.config else None
    known = _known(config)
    found = _find(options, config)
    login = _login(options, config, found.camera)
    pin = known[found.camera].pin if found.camera in known else ""
    wanted = options.stream or (config.cameras.streams.get(found.camera, "") if config else "")
    steps = []
    for step in check_camera(found, login, HostClock(), wanted=wanted, pin=pin):
        steps.append(step)
        if not options.json:
            _say_step(step, options.camera, say)
    if options.json:
        say(_json({"camera": found.camera, "steps": steps}))
    return 1 if any(step.mark is Mark.BAD for step in steps) else 0


def log_in(options: Options, say: Say) -> int:
    """Keep the login of one camera, or of all that have none of their own; or forget it."""
    if bool(options.camera) == options.site:
        raise ConfigurationError("which login?", cure="name one camera, or give --site")
    config, camera = load(options.config), CameraId(options.camera or SITE)
    if camera and camera not in _known(config) and not options.even_if_unknown:
        raise ConfigurationError(
            f"no camera {camera!r} is known here",
            cure="`transom cameras list` and `discover` name them; --even-if-unknown keeps the login all the same",
        )
    logins, whose = logins_of_person(config), camera or "the site"
    if options.remove:
        is_gone = logins.remove(camera)
        say(f"The login of {whose} is forgotten." if is_gone else f"There was no login of {whose}.")
        return 0 if is_gone else 1
    login = given_login(options)
    if login is None:
        raise ConfigurationError("which user?", cure="give --user NAME; the password is asked for")
    logins.put(camera, login)
    say(f"The login of {whose} is kept, sealed; it is tried at the next search, once.")
    return 0


def forget(options: Options, say: Say) -> int:
    """Believe a camera's new certificate; with --all, forget its login, its address and its marks: it is new again."""
    config, camera = load(options.config), CameraId(options.camera)
    known, added = _known(config), AddedCameras(config.data_dir / FILE)
    marked = {one.camera for one in _identities(config)}
    if camera not in known and camera not in marked | {one.camera for one in added.all()}:
        names = ", ".join(sorted(known)) or "none yet"
        raise ConfigurationError(f"no camera {camera} is known here", cure=f"one of: {names}")
    with closing(Database(_journal(config), "")) as book:
        book.put_pin(camera, "")
    say(f"The next certificate that camera {camera} shows is taken for its own, within a minute.")
    if options.all:
        with closing(Database(_journal(config), "")) as book:
            book.forget_camera(camera)
        marks = IdentityFile(config.data_dir / IDENTITIES)
        gone = [logins_of_person(config).remove(camera), added.remove(camera), marks.forget_identity(camera)]
        words = ("its login", "its address", "its marks")
        told = [word for word, is_gone in zip(words, gone, strict=True) if is_gone]
        say(f"Forgotten too: {' and '.join(told) or 'nothing else was kept'}.")
    return 0


def tune(options: Options, say: Say) -> int:
    """Set what was ordered on a camera: key pictures, bitrate, NTP."""
    if options.key_interval is None and options.bitrate is None and options.ntp is None:
        raise ConfigurationError("what is to be set?", cure="give --key-interval S, --bitrate KBPS or --ntp SERVER")
    config = load(options.config) if options.config else None
    found = _find(options, config)
    wanted = options.stream or (config.cameras.streams.get(found.camera, "") if config else "")
    camera = camera_of(found, _login(options, config, found.camera), _now)
    done: dict[str, Any] = {"camera": found.camera}
    if options.key_interval is not None or options.bitrate is not None:
        tuned = tune_encoder(
            camera, camera.main_profile(wanted), key_interval_s=options.key_interval, bitrate_kbps=options.bitrate
        )
        done |= {"before": tuned.before, "now": tuned.now}
        if not options.json:
            say(f"before: {tuned.before}\nnow:    {tuned.now}")
    if options.ntp is not None:
        tune_time(camera, options.ntp)
        done["ntp"] = options.ntp
        if not options.json:
            say(f"takes its time from {options.ntp} now; `transom cameras test` shows in a minute whether it is right")
    if options.json:
        say(_json(done))
    return 0


def _find(options: Options, config: Config | None) -> FoundCamera:
    if is_address(options.camera):
        try:
            return camera_at(options.camera, None, _now, {one.camera: one.marks for one in _identities(config)})
        except (ConfigurationError, UnavailableError):  # who it is does not matter yet: the test says what is wrong
            addresses = device_addresses(options.camera)
            host = urlsplit(addresses[0]).hostname or ""
            return FoundCamera(CameraId("cam-unknown"), "", f"camera at {host}", "", host, addresses)
    added = [*AddedCameras(config.data_dir / FILE).all()] if config else []
    for one in _identities(config):
        host = urlsplit(one.address).hostname or ""
        added.append(FoundCamera(one.camera, one.marks.epr, one.camera, "", host, (one.address,)))
    interfaces = options.interface or (config.cameras.interfaces if config else None)
    return find_camera(CameraId(options.camera), added, interfaces, options.seconds)


def _login(options: Options, config: Config | None, camera: CameraId) -> Login | None:
    given = given_login(options)
    return given if given is not None or config is None else logins_of_person(config).login_of(camera)


def _journal(config: Config) -> Path:
    journal = config.data_dir / "journal.db"
    if not journal.exists():
        raise ConfigurationError(f"there is no {journal}", cure="start the agent once; it makes it for its own user")
    return journal


def _book(config: Config) -> tuple[CameraStream, ...]:
    with closing(Database(_journal(config), "")) as book:
        return book.cameras()


def _known(config: Config | None) -> dict[CameraId, CameraStream]:
    return {one.camera: one for one in _book(config)} if config else {}


def _identities(config: Config | None) -> tuple[Known, ...]:
    return tuple(IdentityFile(config.data_dir / IDENTITIES).identities().values()) if config else ()


def _states(config: Config) -> dict[CameraId, str]:
    try:
        vitals = decode_vitals(read_shown(config.status_file, VITALS_BYTES_MAX), Instant(time.monotonic_ns()))
    except (UnavailableError, BadInputError):
        return {}
    return {one.id: one.state for one in vitals.cameras}


def _say_step(step: Step, camera: str, say: Say) -> None:
    told = replace(step, cure=step.cure.replace("CAMERA", camera))
    say(f"{_MARKS[told.mark]} {told.name:18}{told.said or told.mark}")
    if told.cure:
        say(f"{'':20}-> {told.cure}")


def _say_table(rows: Sequence[Sequence[str]], say: Say) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        say("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip())


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()


def _now() -> WallTime:
    return WallTime(time.time_ns())


CALLS: Final[dict[str, Call]] = {
    "discover": discover,
    "list": list_known,
    "add": add,
    "test": test,
    "login": log_in,
    "forget": forget,
    "tune": tune,
}
"""The commands by their words; each takes what was called for and where to say it, and returns the exit code."""
