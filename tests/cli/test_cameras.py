"""`transom cameras`, as a person and as a program use it, against cameras that answer on loopback."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.__main__ import main
from agent.acquire.camera import CameraStream, Login
from agent.acquire.discovery import camera_id
from agent.acquire.encoding import Encoding
from agent.acquire.identity import Known, marks_of
from agent.acquire.stream import CameraId
from agent.camera_logins import open_logins
from agent.cli.camera_check import STEPS
from agent.cli.cameras import IDENTITIES
from agent.config import load
from agent.crypto import Secret
from agent.demo.camera import CameraSettings, Ready, running_camera
from agent.demo.h264_rtp import EncoderSettings
from agent.health.vitals import encode_vitals
from agent.outside.added_cameras import FILE, AddedCameras
from agent.outside.database import Database
from agent.outside.identity_file import IdentityFile
from agent.outside.keystore import Keystore
from agent.outside.login_folder import SITE
from tests.simulators import vital_signs
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

PLANTED = 'pl@nted:"pass/wörd%20#?'
EPR = "urn:uuid:00000000-0000-0000-0000-00000000aa01"


class Site:
    """A hub's files, and the command on them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.config = folder / "hub.yaml"
        self.config.write_text(
            f"data_dir: {folder}/d\nidentity_dir: {folder}/i\nkey_dir: {folder}/k\nstatus_file: {folder}/status.json\n"
            "cameras: {interfaces: [lo]}\n"
        )
        self.data = folder / "d"
        self.logins = open_logins(load(self.config), Keystore(folder / "k"))
        self.password = folder / "password"
        self.password.write_text(PASSWORD + "\n")
        Database(self.data / "journal.db", "").close()

    def know(self, camera: CameraId, encoding: Encoding | None = None, url: str = "rtsp://10.0.0.1/1") -> None:
        """Have a camera in the book."""
        with closing(Database(self.data / "journal.db", "")) as book:
            book.put_camera(CameraStream(camera, "Front door", url, None, None, encoding=encoding))

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run `transom cameras` with the configuration; return exit code, output, errors."""
        code = main(["cameras", *words, "--config", str(self.config)])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def ask(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        """Run it with --json; return what it says, after a call that did not end with 2."""
        code, said, errors = self.run(*words, "--json")
        assert (code in {0, 1}, errors) == (True, "")
        return json.loads(said)


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    """Make a hub that was started once."""
    return Site(tmp_path, capsys)


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    """Run a camera with media2 whose password is odd."""
    encoder = EncoderSettings(width=320, height=180, gop=15)
    with running_camera(CameraSettings(login=Login("hüb", Secret(PLANTED)), has_media2=True, encoder=encoder)) as one:
        yield one[1]


def test_a_camera_is_logged_in_to_and_tried(
    site: Site, ready: Ready, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Its own login is kept sealed and used; every step has a tick; the password is nowhere, debug logging on."""
    caplog.set_level(logging.DEBUG)
    name = camera_id(ready.epr)
    site.know(name)
    (tmp_path / "planted").write_text(PLANTED)
    code, said, errors = site.run("login", name, "--user", "hüb", "--password-file", str(tmp_path / "planted"))
    assert (code, errors) == (0, "")
    (tmp_path / "planted").unlink()
    code, tried, errors = site.run("test", name, "--seconds", "5")
    assert (code, errors) == (0, ""), tried
    assert [line[0] for line in tried.splitlines()] == ["\u2713"] * len(STEPS)
    steps = site.ask("test", name, "--seconds", "5")["steps"]
    assert [step["name"] for step in steps] == list(STEPS)
    assert {step["mark"] for step in steps} == {"good"}
    listed = site.run("list")[1]
    assert "own" in listed
    everything = said + tried + json.dumps(steps) + listed + caplog.text
    everything += "".join(
        path.read_bytes().decode("latin-1")
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "password"
    )
    for form in (PLANTED, PLANTED.encode().decode("latin-1"), "pl@nted", "pl%40nted"):
        assert form not in everything
    code, said, _ = site.run("login", name, "--remove")
    assert (code, "is forgotten" in said) == (0, True)
    code, tried, _ = site.run("test", name, "--seconds", "5")
    assert code == 1
    assert "\u2717 login" in tried
    assert "login missing" in tried
    assert "-> enter the camera's ONVIF user and password" in tried


def test_the_site_login_is_for_all_without_one(site: Site) -> None:
    """Kept under no camera's name; a camera that nobody knows is asked about first."""
    code, _, errors = site.run("login", "cam-typo", "--user", USER, "--password-file", str(site.password))
    assert (code, "no camera 'cam-typo' is known" in errors) == (2, True)
    given = ("--user", USER, "--password-file", str(site.password))
    assert site.run("login", "--site", *given)[0] == 0
    assert site.run("login", "cam-new", "--even-if-unknown", *given)[0] == 0
    assert sorted(site.logins.names()) == [SITE, "cam-new"]
    assert site.run("login", *given)[0] == 2
    assert site.run("login", "--site")[0] == 2
    assert site.run("login", "--site", "--user", "x")[0] == 2  # no terminal to ask at
    assert site.run("login", "--site", "--remove")[0] == 0
    assert site.run("login", "--site", "--remove")[0] == 1


def test_known_cameras_are_listed_with_what_is_amiss(site: Site) -> None:
    """State, login, stream; key pictures too far apart, and bitrates beyond the disk plan, with what to do."""
    assert site.run("list")[0] == 1
    site.know(CameraId("front"), Encoding("H265", 3840, 2160, 25.0, 250, 8192))
    site.know(CameraId("back"))
    site.config.with_name("status.json").write_bytes(encode_vitals(vital_signs.hub(cameras=())))
    code, said, errors = site.run("list")
    assert (code, errors) == (0, "")
    assert said.splitlines()[0].split() == ["CAMERA", "NAME", "HOST", "STATE", "LOGIN", "STREAM"]
    assert "H265, 3840x2160, 25 fps, 8192 kbit/s, key picture every 10.0 s" in said
    assert "! front: its key pictures are 10.0 s apart" in said
    assert "transom cameras tune front --key-interval 2" in said
    assert "fill the ring in 4.7 h, and 72 h are planned" in said
    listed = site.ask("list")
    assert [(one["camera"], one["login"], len(one["notes"])) for one in listed["cameras"]] == [
        ("back", "none", 0),
        ("front", "none", 1),
    ]
    assert "72 h are planned" in listed["plan"]


def test_a_camera_is_added_by_address_with_its_login_and_forgotten(site: Site) -> None:
    """The daemon's next search knows it, and its login; forgetting all takes both away."""
    device = OnvifDevice(epr=EPR)
    with serve(device) as address:
        code, said, errors = site.run("add", address, "--user", USER, "--password-file", str(site.password))
    assert (code, errors) == (0, "")
    name = camera_id(EPR)
    assert f"{name} (camera at 127.0.0.1) is recorded from the next search on: H265, 3840x2160" in said
    added = AddedCameras(site.data / FILE)
    assert [one.addresses for one in added.beside([])] == [(address,)]
    login = site.logins.login_of(name)
    assert login is not None
    assert login.password.reveal() == PASSWORD.encode()
    assert [(one["camera"], one["state"], one["login"]) for one in site.ask("list")["cameras"]] == [
        (name, "added", "own")
    ]
    code, said, _ = site.run("forget", name, "--all")
    assert (code, "its login and its address" in said) == (0, True)
    assert (added.all(), site.logins.login_of(name)) == ((), None)
    assert site.run("forget", name)[0] == 2


def test_a_forgotten_camera_is_a_new_one(site: Site) -> None:
    """Its marks and its row in the book are gone too; without --all only the certificate is."""
    front = CameraId("front")
    site.know(front)
    marks = IdentityFile(site.data / IDENTITIES)
    marks.put_identity(Known(front, marks_of("", "Acme", "SN0042"), "http://10.0.0.1/onvif/device_service"))
    assert site.run("forget", front)[0] == 0
    assert list(marks.identities()) == [front]
    code, said, _ = site.run("forget", front, "--all")
    assert (code, "Forgotten too: its marks." in said) == (0, True)
    assert marks.identities() == {}
    assert site.ask("list")["cameras"] == []
    assert site.run("forget", front)[0] == 2


def test_a_camera_that_refuses_is_not_added(site: Site) -> None:
    """A wrong password is no reason to keep it, and is sent once."""
    device = OnvifDevice(epr=EPR)
    site.password.write_text("guess")
    with serve(device) as address:
        code, said, errors = site.run("add", address, "--user", USER, "--password-file", str(site.password))
    assert (code, said) == (2, "")
    assert "refuses this user or password" in errors
    assert device.refused_logins == 1
    assert AddedCameras(site.data / FILE).all() == ()
    assert list(site.logins.names()) == []


def test_a_camera_is_tuned_on_order_only(site: Site) -> None:
    """Before and after are said; without an order nothing is sent."""
    device = OnvifDevice(media=(2,), gop=250, epr=EPR)
    given = ("--user", USER, "--password-file", str(site.password))
    with serve(device) as address:
        code, _, errors = site.run("tune", address, *given)
        assert (code, "what is to be set?" in errors, device.settings) == (2, True, [])
        orders = ("--key-interval", "2", "--bitrate", "2000", "--ntp", "192.168.5.1")
        code, said, _ = site.run("tune", address, *given, *orders)
        told = site.ask("tune", address, *given, "--bitrate", "1000")
    assert code == 0
    assert "before: H265, 3840x2160, 25 fps, 4096 kbit/s, key picture every 10.0 s" in said
    assert "now:    H265, 3840x2160, 25 fps, 2000 kbit/s, key picture every 2.0 s" in said
    assert "takes its time from 192.168.5.1" in said
    assert (told["before"]["bitrate_kbps"], told["now"]["bitrate_kbps"]) == (2000, 1000)
    assert device.refused_logins == 0


def test_a_test_needs_no_hub(ready: Ready, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An installer's laptop has no configuration: an address, a user and a password do."""
    (tmp_path / "password").write_text(PLANTED)
    given = ["--user", "hüb", "--password-file", str(tmp_path / "password")]
    assert main(["cameras", "test", ready.onvif, *given]) == 0
    assert capsys.readouterr().out.count("\u2713") == len(STEPS)


def test_nobody_on_the_network_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    """What was searched for and may be switched off."""
    assert main(["cameras", "test", "cam-gone", "--interface", "lo", "--seconds", "0.1"]) == 1
    assert "cam-gone does not answer on this network" in capsys.readouterr().err
