"""An MQTT 5 broker on a free port: the system's mosquitto if there is one, else rumqttd from iotcore's wheel.

mosquitto demands client certificates and keeps each hub to its own topics and its own session (by name alone anybody
with a certificate could end another's, and take or drop what waits there). The rumqttd in iotcore 0.4.0 is built
without client certificate checks: it speaks TLS, and the hub presents its certificate, but nobody looks at it. The demo
says which of the two ran; Transom does not trust either.
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Protocol

from agent.demo.pki import LOOPBACK, Authority
from agent.errors import ConfigurationError, UnavailableError

START_S_MAX: Final = 10.0
PACKET_BYTES_MAX: Final = 131_072

_MOSQUITTO: Final = """\
user {user}
listener {port} {address}
cafile {ca}
certfile {certificate}
keyfile {key}
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {acl}
max_packet_size {packet}
max_queued_messages 200
persistence true
persistence_location {folder}/
log_dest file {log}
"""
_ACL: Final = """\
user {commander}
topic readwrite hub/v1/#

pattern read hub/v1/%u/trust
pattern read hub/v1/%u/cmd
pattern read hub/v1/%u/policy
pattern read hub/v1/%u/pair
pattern read hub/v1/%u/answer
pattern read hub/v1/%u/witness
pattern read hub/v1/%u/time
pattern write hub/v1/%u/state
pattern write hub/v1/%u/evt/#
"""
_RUMQTTD: Final = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[v5.1]
name = "tls"
listen = "{address}:{port}"
next_connection_delay_ms = 1
  [v5.1.tls]
  capath = "{ca}"
  certpath = "{certificate}"
  keypath = "{key}"
  [v5.1.connections]
  connection_timeout_ms = 60000
  max_payload_size = {packet}
  max_inflight_count = 100
  dynamic_filters = true
"""


class Broker(Protocol):
    """A running broker."""

    kind: str
    port: int
    checks_client_certificates: bool

    def start(self) -> None:
        """Start it again on the same port after `stop`; mosquitto has kept sessions and retained messages."""

    def stop(self) -> None:
        """End it."""

    def kill(self) -> None:
        """End it as a power cut would, if it can be; else as `stop` does."""


def free_port(address: str = LOOPBACK) -> int:
    """Find a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def start_broker(folder: Path, authority: Authority, commander: str, *, kind: str = "") -> Broker:
    """Start `mosquitto` or `iotcore`, whichever is there (mosquitto first) or the one named by `kind`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, key = authority.issue_server(folder, "broker")
    ca = folder / "ca.crt"
    ca.write_text(authority.pem)
    program = _mosquitto_program()
    address, port = authority.address, free_port(authority.address)
    facts = {
        "address": address,
        "port": port,
        "ca": ca,
        "certificate": certificate,
        "key": key,
        "packet": PACKET_BYTES_MAX,
    }
    if program and kind in {"", "mosquitto"}:
        (folder / "acl").write_text(_ACL.format(commander=commander))
        config = _MOSQUITTO.format(
            **facts, user=getpass.getuser(), folder=folder, acl=folder / "acl", log=folder / "mosquitto.log"
        )
        (folder / "mosquitto.conf").write_text(config)
        return _Mosquitto(program, folder / "mosquitto.conf", (address, port))
    if kind == "mosquitto":
        raise ConfigurationError("mosquitto is not installed", cure="apt-get install mosquitto, or use iotcore")
    (folder / "rumqttd.toml").write_text(_RUMQTTD.format(**facts))
    return _Iotcore(folder / "rumqttd.toml", port)


def _mosquitto_program() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class _Mosquitto:
    kind = "mosquitto"
    checks_client_certificates = True

    def __init__(self, program: str, config: Path, place: tuple[str, int]) -> None:
        self.port, self._place, self._program, self._config = place[1], place, program, config
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the program found on PATH with our own file
            [self._program, "-c", str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S_MAX
        while not _listens(self._place):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                log = self._config.with_name("mosquitto.log")
                raise UnavailableError("mosquitto did not start", cure=f"see {log}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class _Iotcore:
    kind = "iotcore"
    checks_client_certificates = False

    def __init__(self, config: Path, port: int) -> None:
        self.port, self._config = port, config
        self.start()

    def start(self) -> None:
        import iotcore  # noqa: PLC0415 - in the demo extra only

        self._broker = iotcore.Broker(config_path=str(self._config))
        self._broker.start(timeout=START_S_MAX)

    def stop(self) -> None:
        self._broker.stop()

    def kill(self) -> None:
        self.stop()


def _listens(place: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(place, timeout=0.2):
        return True
    return False
