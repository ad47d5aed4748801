"""The command `transom`: its words, its exit codes, and errors that a person can act on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.__main__ import main
from agent.evidence.audit import LOG_NAME
from agent.evidence.note import verifier_of
from agent.health.vitals import HealthWarning, PageVitals, encode_vitals
from agent.outside.audit_file import AuditFile
from agent.outside.keystore import Keystore
from provisioning.factory import make_identity
from provisioning.store import IdentityStore
from tests.simulators import vital_signs
from tests.simulators.export_site import NOW
from tests.simulators.peer_process import looked_into, ordinary
from tests.simulators.set_clock import SetClock

ROOT = Path(__file__).parents[1]
KEY = Ed25519PrivateKey.generate()
VKEY = str(verifier_of("hub-1", KEY))


def transom(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    own = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, check=False, text=True, timeout=60)


def write_log(folder: Path, key: Ed25519PrivateKey = KEY, origin: str = "hub-1") -> Path:
    """Write an audit log of three signed entries."""
    log = AuditFile(folder / LOG_NAME, origin, key, SetClock(NOW))
    for number in range(3):
        log.append("job", str(number), {})
    log.checkpoint()
    log.close()
    return folder


def test_nobody_looks_into_the_running_program(tmp_path: Path) -> None:
    """Whatever it is asked: here it reads what it was told to open, and has opened nothing yet."""
    waits = tmp_path / "transom.yaml"
    os.mkfifo(waits)
    with subprocess.Popen(
        ordinary("-m", "agent", "run", "--config", str(waits)), cwd=ROOT, stderr=subprocess.DEVNULL
    ) as program:
        descriptor = os.open(waits, os.O_WRONLY)  # the program has begun to read now
        try:
            assert looked_into(program.pid) == set()
        finally:
            os.close(descriptor)
        assert program.wait(20) == 2


def test_a_snapshot_is_copied_to_a_file(tmp_path: Path) -> None:
    """What a camera shows; without the setting, the person is told what to set."""
    config, shots = tmp_path / "transom.yaml", tmp_path / "shots"
    paths = f"data_dir: {tmp_path / 'd'}\nidentity_dir: {tmp_path / 'i'}\nkey_dir: {tmp_path / 'k'}\n"
    config.write_text(paths)
    order = ("cameras", "snapshot", "cam-door", "--config", str(config), "-o", str(tmp_path / "door.jpg"))
    assert main(list(order)) == 2
    shots.mkdir()
    (shots / "cam-door.jpg").write_bytes(b"\xff\xd8picture\xff\xd9")
    config.write_text(f"{paths}snapshot_dir: {shots}\n")
    assert main(list(order)) == 0
    assert (tmp_path / "door.jpg").read_bytes() == b"\xff\xd8picture\xff\xd9"
    assert main([*order[:-1], str(tmp_path / "nowhere" / "door.jpg")]) == 2
    assert main(["cameras", "snapshot", "../x", *order[3:]]) == 1


def test_help_names_every_command() -> None:
    """Somebody who knows nothing finds everything; without a command the call is wrong."""
    done = transom("--help")
    assert done.returncode == 0
    for command in ("run", "status", "owner", "cameras", "clip", "audit", "demo"):
        assert command in done.stdout
    assert transom("--version").stdout.startswith("transom ")
    assert transom().returncode == 2
    assert transom("frobnicate").returncode == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data_dri: /d\nidentity_dir: /i\nkey_dir: /k\n", "did you mean `data_dir`?"),
        ("data_dir: /d\nidentity_dir: /i\nkey_dir: /d/keys\n", "key_dir lies inside data_dir"),
        ("ring: [", "hub.yaml: "),
    ],
)
def test_a_bad_configuration_is_exit_code_2_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """A person must mend it: they are told what, not where in our code."""
    (tmp_path / "hub.yaml").write_text(text)
    assert main(["run", "--config", str(tmp_path / "hub.yaml")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("transom: ")
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_configuration_that_is_not_there_is_exit_code_2(tmp_path: Path) -> None:
    """The file is named."""
    done = transom("run", "--config", tmp_path / "none.yaml")
    assert done.returncode == 2
    assert "none.yaml" in done.stderr


def test_a_hub_that_never_left_the_factory_says_what_is_missing(tmp_path: Path) -> None:
    """The daemon starts, finds no identity, and ends with code 2 and one sentence, not with a stack."""
    (tmp_path / "hub.yaml").write_text(
        f"data_dir: {tmp_path}/d\nidentity_dir: {tmp_path}/i\nkey_dir: {tmp_path}/k\ncameras: {{interfaces: [lo]}}\n"
    )
    done = transom("run", "--config", tmp_path / "hub.yaml")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("transom: ")


def write_status(tmp_path: Path, age_s: float, **changes: object) -> str:
    """Write what a daemon shows, and a configuration that names the file; return its path."""
    instant_ns = time.monotonic_ns() - round(age_s * 1e9)
    (tmp_path / "status.json").write_bytes(encode_vitals(vital_signs.hub(instant_ns=instant_ns, **changes)))
    (tmp_path / "hub.yaml").write_text(
        f"data_dir: {tmp_path}/d\nidentity_dir: {tmp_path}/i\nkey_dir: {tmp_path}/k\n"
        f"status_file: {tmp_path}/status.json\n"
    )
    return str(tmp_path / "hub.yaml")


def test_status_says_how_the_hub_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All is well: 0; warnings: 1, with what to do; as JSON the same for programs."""
    assert main(["status", "--config", write_status(tmp_path, 3)]) == 0
    page = capsys.readouterr().out
    assert "door" in page
    assert "recording" in page
    warned = HealthWarning("disk_failing", "it fails", "replace it", since="2026-11-22T13:46:00.000Z")
    config = write_status(tmp_path, 3, warnings=(warned,))
    assert main(["status", "--config", config]) == 1
    assert "hub: it fails (replace it), since 2026-11-22T13:46:00.000Z" in capsys.readouterr().out
    assert main(["status", "--config", config, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["warnings"][0]["code"] == "disk_failing"


def test_owner_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each address of the hub, and the fingerprint in two lines; a hub without a page says what to look at."""
    page = PageVitals("fd00::1", 8443, ":".join(["AB"] * 32))
    assert main(["owner", "--config", write_status(tmp_path, 3, page=page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"urls": ["https://[fd00::1]:8443/"], "sha256": page.fingerprint}
    everywhere = PageVitals("0.0.0.0", 443, page.fingerprint)  # noqa: S104 - as the configuration says it
    assert main(["owner", "--config", write_status(tmp_path, 3, page=everywhere)]) == 0
    told = capsys.readouterr().out
    assert ":443/" in told
    assert everywhere.address not in told
    assert main(["owner", "--config", write_status(tmp_path, 3)]) == 2
    assert "owner_page" in capsys.readouterr().err


def test_status_of_a_hub_that_does_not_run_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it showed is old, gone, or no status: each with where to look."""
    for left, said in [(None, "has said nothing since"), ("{", "not a hub's status"), ("", "cannot be read")]:
        config = write_status(tmp_path, 60)
        if left is not None:
            (tmp_path / "status.json").write_text(left)
        if left == "":
            (tmp_path / "status.json").unlink()
        assert main(["status", "--config", config]) == 2
        told = capsys.readouterr()
        assert said in told.err
        assert "systemctl status transom" in told.err
        assert told.out == ""


def test_an_audit_log_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Intact is 0; changed is 1, with the fault; JSON says the same."""
    folder = write_log(tmp_path / "audit")
    assert main(["audit", "verify", str(folder), "--key", VKEY]) == 0
    assert "is intact: 3 entries, 3 signed" in capsys.readouterr().out
    assert main(["audit", "verify", str(folder), "--key", VKEY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 3
    log = folder / LOG_NAME
    log.write_bytes(log.read_bytes().replace(b'"ref":"1"', b'"ref":"9"'))
    assert main(["audit", "verify", str(folder), "--key", VKEY]) == 1
    assert "NOT intact" in capsys.readouterr().out
    assert main(["audit", "verify", str(folder), "--key", VKEY, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["fault"]


def test_an_audit_check_needs_a_log_and_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A half call is told how the whole one looks."""
    for arguments in ([], [str(tmp_path)], [str(tmp_path), "--key", "nonsense"], [str(tmp_path), "--key", VKEY]):
        assert main(["audit", "verify", *arguments]) == 2
        assert "transom: " in capsys.readouterr().err


def test_on_the_hub_the_configuration_is_enough(tmp_path: Path) -> None:
    """Folder and key are the hub's own; a key that is not there is not made by asking."""
    config = tmp_path / "hub.yaml"
    config.write_text(f"data_dir: {tmp_path}/d\nidentity_dir: {tmp_path}/i\nkey_dir: {tmp_path}/k\n")
    identity = make_identity("hub.example", 1_795_354_560_000)
    IdentityStore(tmp_path / "i").save_factory(identity)
    done = transom("audit", "verify", "--config", config)
    assert done.returncode == 2
    assert not (tmp_path / "k").exists()
    write_log(tmp_path / "d" / "audit", Keystore(tmp_path / "k").evidence_key(), identity.hub_id)
    done = transom("audit", "verify", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert identity.hub_id in done.stdout


def test_an_interface_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A search that cannot begin is not an empty result."""
    assert main(["cameras", "discover", "--interface", "no-such-interface", "--seconds", "0.1", "--json"]) in {1, 2}
    told = capsys.readouterr()
    assert told.err.startswith("transom: ")
    assert told.out == ""
