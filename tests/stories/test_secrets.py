"""A whole hub with debug logging and planted secrets: nothing that leaves a process or lies on a disk shows one.

Where secrets belong is listed in `BELONGS`: everything else below the site's folder, every message, every word of every
command and the arguments and environment of every process are searched for each of them, in each spelling.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.__main__ import main
from agent.crypto import Secret, hkdf_sha256
from agent.demo.alarm import raise_alarm
from agent.demo.processes import CameraProgram
from agent.demo.site import CAMERA_USER, Site
from provisioning.secret import secret_text
from tests.simulators.onvif_device import PASSWORD as DEVICE_PASSWORD
from tests.simulators.onvif_device import USER as DEVICE_USER
from tests.simulators.onvif_device import OnvifDevice, serve
from tests.simulators.planted_secrets import Searcher, digest_keys, watched_processes
from tests.stories.acts import SCENE, judged, record_for, wait_for

SITE_PASSWORD: Final = "Gr@n:d/5%41#ö? &\"Tür'x"  # noqa: S105 - a planted one
OWN_PASSWORD: Final = "Zw€i:te@/%25 #?\"'&ß+="  # noqa: S105 - a planted one
OWN_USER: Final = "Wärter & Söhne/%@:1"
WRONG_PASSWORD: Final = "n0t:th€/one?%&'\" #@"  # noqa: S105 - a planted one
TELLING_URI: Final = "rtsp://operator:p%C3%A4%3Ass%20%22word@192.168.1.108:1/main"
"""What some cameras answer to GetStreamUri: the login stands in it. Nobody listens at that port."""
REALM: Final = "Transom camera"
BELONGS: Final = {
    "hub/camera-password": "the installer wrote it there (mode 0600)",
    "hub/keys/kek": "the key that seals the others",
    "hub/keys/evidence.key": "the key that signs",
    "hub/identity/factory.key": "who the hub is",
    "hub/identity/factory.json": "the secrets of label and card",
    "hub/identity/mtls.key": "who the hub is to its server",
    "hub/data/journal.db": "a command comes with the token that its upload needs",
}
"""Files that may hold secrets, and why."""


def planted(site: Site) -> dict[str, bytes]:
    """Name every secret of the site that the hub knows, now that it has enrolled."""
    hub = site.folder / "hub"
    secrets = {
        "site password": SITE_PASSWORD.encode(),
        "own password": OWN_PASSWORD.encode(),
        "device password": DEVICE_PASSWORD.encode(),
        "wrong password": WRONG_PASSWORD.encode(),
        "own user": OWN_USER.encode(),
        "upload token": site.upload_token.encode(),
    }
    for name, user, password in (("site", CAMERA_USER, SITE_PASSWORD), ("own", OWN_USER, OWN_PASSWORD)):
        for number, key in enumerate(digest_keys(user, REALM, password)):
            secrets[f"{name} digest key {number}"] = key
    kek = (hub / "keys/kek").read_bytes()
    secrets |= {"kek": kek, "evidence key": (hub / "keys/evidence.key").read_bytes()}
    secrets["key of the logins"] = hkdf_sha256(Secret(kek), info=b"transom camera logins v1").reveal()
    factory = site.identity.load_factory()
    for name, secret in (("label secret", factory.label_secret), ("owner secret", factory.owner_secret)):
        secrets |= {name: secret.reveal(), f"{name} in letters": secret_text(secret).encode()}
    mtls = load_pem_private_key((hub / "identity/mtls.key").read_bytes(), None)
    assert isinstance(mtls, ec.EllipticCurvePrivateKey)
    keys = {"factory key": factory.key, "mtls key": mtls}
    return secrets | {name: key.private_numbers().private_value.to_bytes(32, "big") for name, key in keys.items()}


def test_no_secret_shows_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Good and refused logins, errors of both protocols, every command, a clip: the secrets stay where they belong."""
    caplog.set_level(logging.DEBUG)
    with watched_processes() as processes, Site(tmp_path / "site", SCENE, SITE_PASSWORD) as site:
        shown = site.folder / "shown"
        shown.mkdir()
        site.start_cameras(("Front door",))
        site.start_central()
        files = {"status_file": shown / "status.json", "metrics_file": shown / "transom.prom"}
        files["snapshot_dir"] = shown / "shots"
        said = _Said(capsys)
        with second_camera(site) as second, serve(OnvifDevice(stream_uri=TELLING_URI), "127.99.7.1") as device:
            site.start_hub(log_level="debug", **{name: str(path) for name, path in files.items()})
            said.config = ["--config", str(site.config)]
            site.install()
            site.pair(uploads_per_day_max=10)
            _use(site, said, second, device, tmp_path)
        searcher = Searcher(planted(site))
        live = searcher.found_below(shown)
        names = {path.name for path in shown.rglob("*.*")}
        site.hub.stop()
        messages = b"\n".join(site.console.heard)
    assert names >= {"status.json", "transom.prom"}
    assert live == {}
    assert b"refuses this user or password" in site.hub.log.read_bytes()
    assert searcher.found_in(messages) == set()
    assert searcher.found_in("\n".join(said.all).encode() + caplog.text.encode()) == set()
    named = OWN_USER.encode()  # a user may be named in a call
    assert searcher.found_in(b"\n".join(one.replace(named, b"") for one in processes)) == set()
    found = searcher.found_below(site.folder)
    assert {name: what for name, what in found.items() if name not in BELONGS} == {}
    assert found["hub/camera-password"] == {"site password"}  # the search does find what is there
    assert found["hub/keys/kek"] == {"kek"}
    assert found["hub/identity/factory.key"] == {"factory key"}
    assert found["hub/identity/factory.json"] == {"label secret in letters", "owner secret in letters"}
    assert searcher.found_below(tmp_path / "opened") == {}


class _Said:
    """Runs commands in this process, and keeps every word of theirs."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.config: list[str] = []
        self.all: list[str] = []
        self._capsys = capsys

    def ask(self, *words: str) -> int:
        """Run one command; return its exit code."""
        code = main([*words, *self.config])
        self.all.append(f"{words[:3]} {''.join(self._capsys.readouterr())}")
        return code

    def ask_beside(self, content: str, *words: str) -> int:
        """Run one in a process of its own, with a password on its standard input."""
        command = [sys.executable, "-m", "agent", *words, *self.config, "--password-file", "-"]
        done = subprocess.run(command, input=content, capture_output=True, text=True, check=False, timeout=60)
        self.all.append(f"{words[:3]} {done.stdout}{done.stderr}")
        return done.returncode


@contextmanager
def second_camera(site: Site) -> Iterator[str]:
    """Put up a camera with a login of its own; give its address."""
    options = ("--address", "127.98.7.1", "--gop", str(SCENE.gop), "--fps", str(SCENE.fps))
    camera = CameraProgram("Second", OWN_USER, OWN_PASSWORD, site.folder / "second.log", *options)
    try:
        yield camera.wait_ready().onvif
    finally:
        camera.stop()


def _use(site: Site, said: _Said, second: str, device: str, folder: Path) -> None:
    """Do with the hub what can be done with it."""
    refused = wait_for(lambda: _refusal(site, second), 60, "the site's login to be refused")
    assert said.ask("cameras", "test", second) == 1  # by another process: the camera refuses it once more
    own = ("--user", OWN_USER)
    assert said.ask_beside(OWN_PASSWORD, "cameras", "login", refused, *own, "--even-if-unknown") == 0
    as_user = ("--user", DEVICE_USER)
    assert said.ask_beside(WRONG_PASSWORD, "cameras", "test", device, *as_user) == 1
    assert said.ask_beside(DEVICE_PASSWORD, "cameras", "test", device, *as_user) == 1  # its stream leads nowhere
    assert said.ask_beside(DEVICE_PASSWORD, "cameras", "add", device, *as_user) == 0
    recorded = lambda: _camera(site, refused, "recording")  # noqa: E731 - asked again and again
    wait_for(recorded, 60, "the second camera to record by its own login")
    assert said.ask("cameras", "test", second) == 0
    wait_for(lambda: _camera(site, "", "waiting"), 60, "the device's stream to be tried")
    record_for(site, 1)
    alarm = raise_alarm(site, before_s=3, after_s=1)
    site.console.wait_end(alarm.id, 40)
    assert judged(site, alarm, folder / "opened")
    shot = ("-o", str(folder / "shot.jpg"))
    wait_for(lambda: said.ask("cameras", "snapshot", refused, *shot) == 0, 70, "a snapshot")
    for words in (["cameras", "list"], ["cameras", "list", "--json"], ["status"], ["status", "--json"]):
        said.ask(*words)
    assert said.ask("cameras", "forget", refused, "--all") == 0
    assert said.ask("cameras", "login", refused, "--remove", "--even-if-unknown") == 1


def _refusal(site: Site, address: str) -> str:
    """Name the camera at an address once the hub's log says that it refuses the login."""
    told = re.findall(rf"camera (\S+) at {re.escape(address)}: .*refuses", site.hub.log.read_text())
    return str(told[0]) if told else ""


def _camera(site: Site, camera: str, state: str) -> bool:
    """Whether a camera, or any, has a state."""
    hub = site.console.presence
    return any(camera in ("", one.id) and one.state == state for one in hub.cameras) if hub else False
