"""The bridge answers over its socket, whatever else is sent to it, and only its own group may ask."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import BadInputError, UnavailableError
from firmware_bridge.messages import REQUEST_BYTES_MAX, Installed, Led, Progress, Refused, Word, read_answer
from firmware_bridge.server import CONNECTIONS_MAX
from tests.simulators.rauc_service import Behaviour


def send(path: Path, content: bytes) -> bytes:
    """Send bytes, close our side, and return all that comes back."""
    with socket.socket(socket.AF_UNIX) as bridge:
        bridge.settimeout(10)
        bridge.connect(str(path))
        try:
            bridge.sendall(content)
            bridge.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has answered and hung up already
        with bridge.makefile("rb") as answer:
            try:
                return answer.read()
            except ConnectionResetError:
                return b""


def test_the_socket_is_for_its_group_only(socket_path: Path) -> None:
    """Owner and group may connect, nobody else."""
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o660


def test_hardware(client: BridgeClient, box: Path) -> None:
    """Health, button, alarm and LED of the box."""
    client.ping()
    assert client.health().storage[0].word is Word.OK
    assert client.pressed_s_ago() is None
    (box / "run/transom-bridge/button").write_text("pressed")
    pressed = client.pressed_s_ago()
    assert pressed is not None
    assert pressed < 5
    assert client.is_alarm_closed() is False
    client.set_led(Led.ON)
    assert (box / "sys/class/leds/status/brightness").read_text() == "255"


@pytest.mark.usefixtures("rauc")
def test_updates(client: BridgeClient, bundle: Path, behaviour: Behaviour) -> None:
    """Slots, an installation with progress, the floor, and a refused downgrade."""
    assert [slot.name for slot in client.slots()] == ["rootfs.0", "rootfs.1"]
    told: list[Progress] = []
    assert client.install(bundle, told.append) == Installed("2026.11.1", is_running=False)
    assert [progress.percent for progress in told] == [0, 40, 100]
    assert client.mark_good() == "2026.10.1"
    assert behaviour.marked == [("good", "booted")]
    behaviour.bundles[str(bundle)] = "2026.10.1"
    assert client.install(bundle, told.append) == Installed("2026.10.1", is_running=True)
    behaviour.bundles[str(bundle)] = "2026.9.1"
    assert isinstance(client.install(bundle, told.append), Refused)
    with pytest.raises(BadInputError):
        client.install(Path("/etc/passwd"), told.append)


def test_without_rauc_the_rest_still_works(client: BridgeClient) -> None:
    """No updater is a matter for the operator, not a reason to fall over."""
    with pytest.raises(UnavailableError, match=r"rauc\.service"):
        client.slots()
    client.ping()


def test_a_missing_led_is_an_answer(client: BridgeClient, box: Path) -> None:
    """A hardware failure reaches the client as one."""
    for path in (box / "sys/class/leds/status").iterdir():
        path.unlink()
    (box / "sys/class/leds/status").rmdir()
    with pytest.raises(UnavailableError, match="LED"):
        client.set_led(Led.ON)


@pytest.mark.parametrize("content", [b"junk\n", b"\n", b"", b"x" * (3 * REQUEST_BYTES_MAX), b'{"op":"ping"}\nmore\n'])
def test_strange_clients_do_not_disturb_the_next(socket_path: Path, content: bytes) -> None:
    """Each gets at most one line, and a following ping is answered."""
    assert send(socket_path, content).count(b"\n") <= 1
    BridgeClient(socket_path).ping()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=100)
    | st.dictionaries(st.text(max_size=9), st.text(max_size=9)).map(lambda x: json.dumps(x).encode())
)
def test_any_line_gets_one_refusal(socket_path: Path, line: bytes) -> None:
    """Bytes that are no request are answered with one line that says so."""
    answer = read_answer(send(socket_path, line + b"\n"))
    assert answer.__class__.__name__ == "Answer"
    assert b'"bad-input"' in send(socket_path, line + b"\n")


def test_silent_connections_do_not_use_the_bridge_up(socket_path: Path) -> None:
    """Beyond its limit of open questions the bridge hangs up on new ones, and serves again when one leaves."""
    silent = [socket.socket(socket.AF_UNIX) for _ in range(CONNECTIONS_MAX)]
    for one in silent:
        one.connect(str(socket_path))
    with pytest.raises(UnavailableError):
        BridgeClient(socket_path).ping()
    for one in silent:
        one.close()
    for _ in range(100):
        if _answers(socket_path):
            return
    pytest.fail("the bridge did not come back")


def _answers(path: Path) -> bool:
    try:
        BridgeClient(path).ping()
    except UnavailableError:
        os.sched_yield()
        return False
    return True
