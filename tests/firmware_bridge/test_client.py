"""The client has a deadline and bounds, whatever sits at the other end of the socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import BadInputError, BridgeError, ConfigurationError, UnavailableError
from firmware_bridge.messages import ANSWER_BYTES_MAX


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a listening socket where the bridge should be."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "bridge.sock"))
        listener.listen()
        yield listener


def ask(impostor: socket.socket, tmp_path: Path, answer: bytes) -> None:
    """Ping while the other end answers some bytes and hangs up."""

    def serve() -> None:
        connection, _ = impostor.accept()
        with connection:
            connection.recv(100)
            try:
                connection.sendall(answer)
            except OSError:
                return  # the client has had enough

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        BridgeClient(tmp_path / "bridge.sock", deadline_s=5).ping()
    finally:
        thread.join()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", UnavailableError),
        (b'{"ok":true}', UnavailableError),
        (b"junk\n", BadInputError),
        (b'{"ok":true,"extra":1}\n', BadInputError),
        (b"x" * (ANSWER_BYTES_MAX + 5000), BadInputError),
        (b'{"percent":1,"step":""}\n' * 50_000, BadInputError),
        (b'{"ok":false,"error":"configuration","text":"mend it"}\n', ConfigurationError),
        (b'{"ok":false,"error":"bad-input"}\n', BadInputError),
        (b'{"ok":false}\n', UnavailableError),
    ],
    ids=[
        "nothing",
        "half-a-line",
        "junk",
        "unknown-member",
        "endless-line",
        "endless-progress",
        "configuration",
        "bad",
        "no",
    ],
)
def test_answers_become_errors(
    impostor: socket.socket, tmp_path: Path, answer: bytes, error: type[BridgeError]
) -> None:
    """Every answer but a good one is an error of ours."""
    with pytest.raises(error):
        ask(impostor, tmp_path, answer)


def test_a_good_answer_may_be_followed_by_anything(impostor: socket.socket, tmp_path: Path) -> None:
    """The first answer ends the conversation."""
    ask(impostor, tmp_path, b'{"ok":true}\njunk\n')


@pytest.mark.usefixtures("impostor")
def test_a_silent_bridge_is_left_at_the_deadline(tmp_path: Path) -> None:
    """Nobody waits for ever."""
    with pytest.raises(UnavailableError):
        BridgeClient(tmp_path / "bridge.sock", deadline_s=0.1).ping()


def test_no_bridge_at_all(tmp_path: Path) -> None:
    """The error names the service to look at."""
    with pytest.raises(UnavailableError, match=r"transom-bridge\.service"):
        BridgeClient(tmp_path / "bridge.sock").ping()
