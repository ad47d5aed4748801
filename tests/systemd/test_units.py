"""The units are what systemd accepts, as tight as promised, and start what the package installs."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
SERVICES = ["transom.service", "transom-bridge.service"]
EXPOSURE_TENTHS_MAX = 15

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")


@pytest.fixture
def startable(tmp_path: Path) -> Path:
    """Return copies of the units whose only change is a program that exists on this machine."""
    for name in SERVICES:
        original = (UNITS / name).read_text()
        copy = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", original, flags=re.MULTILINE)
        pairs = list(zip(original.splitlines(), copy.splitlines(), strict=True))
        assert [new for old, new in pairs if new != old] == ["ExecStart=/bin/true"]
        (tmp_path / name).write_text(copy)
    return tmp_path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a systemd tool."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)


@needs_systemd
def test_systemd_has_nothing_to_say_about_the_units(startable: Path) -> None:
    """No unknown setting, no missing dependency, no warning."""
    checked = run("systemd-analyze", "verify", *(startable / name for name in SERVICES))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_exposure_is_at_most_one_and_a_half(startable: Path, name: str) -> None:
    """Out of ten; what is left is the network and the sockets that the work needs."""
    judged = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_TENTHS_MAX}", startable / name
    )
    assert judged.returncode == 0, judged.stdout


@needs_systemd
def test_the_gate_can_fail(startable: Path) -> None:
    """A unit without its fences is refused by the same command."""
    loose = startable / "loose.service"
    loose.write_text("[Service]\nExecStart=/bin/true\n")
    assert run("systemd-analyze", "security", "--offline=true", "--threshold=15", loose).returncode != 0


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="no systemd on this machine")
def test_both_users_are_made(tmp_path: Path) -> None:
    """The sysusers file creates exactly the users that the units name."""
    made = run("systemd-sysusers", "--dry-run", f"--root={tmp_path}", UNITS / "transom.sysusers")
    assert made.returncode == 0, made.stderr
    assert set(re.findall(r"Creating user '([^']+)'", made.stdout + made.stderr)) == {
        value for name in SERVICES for value in settings(name, "User")
    }


def settings(name: str, key: str) -> list[str]:
    """Return every value of a setting in a unit."""
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "script"), [("transom.service", "transom"), ("transom-bridge.service", "transom-bridge")]
)
def test_the_units_start_what_the_package_installs(name: str, script: str) -> None:
    """The program is one of the project's scripts, below /opt/transom/bin, and is watched."""
    scripts = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=",))
    scripts.read_string(re.split(r"(?m)^(?=\[project\.scripts\])", (ROOT / "pyproject.toml").read_text())[1])
    assert scripts.has_option("project.scripts", script)
    assert settings(name, "ExecStart")[0].split()[0] == f"/opt/transom/bin/{script}"
    assert settings(name, "WatchdogSec") == ["30"]
    assert settings(name, "Type") == ["notify"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_unit_leaves_core_files(name: str) -> None:
    """From the first instruction on; the programs say so themselves too."""
    assert settings(name, "LimitCORE") == ["0"]


def test_the_agent_may_reach_the_bridge_and_the_bridge_no_network() -> None:
    """The socket's group is the agent's too; the bridge has UNIX sockets only."""
    assert settings("transom.service", "SupplementaryGroups") == settings("transom-bridge.service", "Group")
    assert settings("transom-bridge.service", "RestrictAddressFamilies") == ["AF_UNIX"]
    assert settings("transom-bridge.service", "PrivateNetwork") == ["yes"]


def test_tmpfiles_lines_are_well_formed() -> None:
    """Type, absolute path, mode, user, group and age; the users exist by the sysusers file."""
    users = {"root", *re.findall(r"^u (\S+)", (UNITS / "transom.sysusers").read_text(), flags=re.MULTILINE)}
    lines = [
        line.split() for line in (UNITS / "transom.tmpfiles").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert lines
    for kind, path, mode, user, group, age in lines:
        assert kind in {"d", "z"}
        assert path.startswith("/")
        assert re.fullmatch(r"0[0-7]{3}", mode)
        assert {user, group} <= users
        assert re.fullmatch(r"-|\d+d", age)


def test_the_agent_cannot_go_around_the_bridge() -> None:
    """The bus policy keeps the agent's user from talking to RAUC, or to logind, itself."""
    policy = ET.parse(UNITS / "transom.dbus.conf").getroot().find("policy")  # noqa: S314 - our own file
    assert policy is not None
    assert policy.get("user") == settings("transom.service", "User")[0]
    closed = ["de.pengutronix.rauc", "org.freedesktop.login1"]
    assert [rule.attrib for rule in policy] == [{"send_destination": name} for name in closed]
    assert {rule.tag for rule in policy} == {"deny"}


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript on this machine")
@pytest.mark.parametrize(
    ("action", "user", "answer"),
    [
        ("org.freedesktop.login1.reboot", "transom-bridge", "yes"),
        ("org.freedesktop.login1.reboot", "transom", "not handled"),
        ("org.freedesktop.login1.reboot-multiple-sessions", "transom-bridge", "not handled"),
        ("org.freedesktop.login1.reboot-ignore-inhibit", "transom-bridge", "not handled"),
        ("org.freedesktop.login1.power-off", "transom-bridge", "not handled"),
        ("org.freedesktop.systemd1.manage-units", "transom-bridge", "not handled"),
    ],
)
def test_polkit_lets_the_bridge_restart_and_nothing_else(action: str, user: str, answer: str) -> None:
    """The rule that ships, asked as polkit asks it (polkit(8)): a function of action and subject."""
    polkit = (
        'const polkit = {Result: {YES: "yes", NOT_HANDLED: "not handled"}, addRule: (rule) => { polkit.rule = rule; }};'
    )
    ask = f'console.log(polkit.rule({{id: "{action}"}}, {{user: "{user}"}}));'
    said = run("node", "-e", polkit + (UNITS / "transom.polkit.rules").read_text() + ask)
    assert (said.stdout.strip(), said.stderr) == (answer, "")
