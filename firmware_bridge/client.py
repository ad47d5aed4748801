"""The agent's side of the bridge: one blocking call per question, with a deadline, bounds and only our own errors."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from firmware_bridge.errors import BadInputError, ConfigurationError, UnavailableError
from firmware_bridge.messages import (
    ANSWER_BYTES_MAX,
    Alarm,
    Answer,
    AnyRequest,
    Button,
    GiveUp,
    Health,
    HealthReading,
    Install,
    Installed,
    Led,
    MarkGood,
    Ping,
    Progress,
    Refused,
    Restart,
    SetLed,
    Slot,
    Slots,
    read_answer,
    write_line,
)

DEADLINE_S: Final = 5.0
UPDATER_DEADLINE_S: Final = 60.0
"""For questions that RAUC answers."""
INSTALL_DEADLINE_S: Final = 50 * 60.0
"""Waiting for RAUC, its look at the bundle and the installation itself, each at its limit, and a little more."""
CONVERSATION_BYTES_MAX: Final = 1 << 20


class BridgeClient:
    """Asks the bridge at a socket. Call it in a worker thread.

    Every method raises UnavailableError if the bridge, the hardware or RAUC does not answer in time, BadInputError if
    it refuses the request as such, ConfigurationError if a person must act.
    """

    def __init__(self, socket_path: Path, *, deadline_s: float = DEADLINE_S) -> None:
        self._path = socket_path
        self._deadline_s = deadline_s

    def ping(self) -> None:
        """Return if the bridge answers."""
        self._ask(Ping())

    def health(self) -> HealthReading:
        """Return wear, temperatures and disk space, with words."""
        reading = self._ask(Health()).health
        if reading is None:
            raise BadInputError("the bridge answered without a reading")
        return reading

    def pressed_s_ago(self) -> float | None:
        """Return the seconds since the button was last pressed, None if it was not."""
        return self._ask(Button()).pressed_s_ago

    def is_alarm_closed(self) -> bool | None:
        """Return the alarm input's state, None if there is none."""
        return self._ask(Alarm()).is_closed

    def set_led(self, state: Led) -> None:
        """Show a state."""
        self._ask(SetLed(state))

    def slots(self) -> list[Slot]:
        """Return RAUC's slots."""
        return self._ask(Slots(), UPDATER_DEADLINE_S).slots or []

    def mark_good(self) -> str:
        """Keep the running firmware; return the version floor from now on, empty while there is none."""
        return self._ask(MarkGood(), UPDATER_DEADLINE_S).version or ""

    def restart(self) -> Installed | Refused:
        """Restart the machine into the firmware that waits; this process is told to end soon after."""
        answer = self._answer(Restart(), UPDATER_DEADLINE_S, lambda _: None)
        if answer.error == "refused":
            return Refused(answer.text)
        return Installed(_good(answer).version or "", is_running=False)

    def give_up(self) -> Installed | Refused:
        """Go back from a firmware on trial; this process is told to end soon after."""
        answer = self._answer(GiveUp(), UPDATER_DEADLINE_S, lambda _: None)
        if answer.error == "refused":
            return Refused(answer.text)
        return Installed(_good(answer).version or "", is_running=False)

    def install(self, bundle: Path, progress: Callable[[Progress], object]) -> Installed | Refused:
        """Install a bundle, or join its installation if it runs already."""
        answer = self._answer(Install(str(bundle)), INSTALL_DEADLINE_S, progress)
        if answer.error == "refused":
            return Refused(answer.text)
        return Installed(_good(answer).version or "", bool(answer.is_running))

    def _ask(self, request: AnyRequest, deadline_s: float | None = None) -> Answer:
        return _good(self._answer(request, deadline_s or self._deadline_s, lambda _: None))

    def _answer(self, request: AnyRequest, deadline_s: float, progress: Callable[[Progress], object]) -> Answer:
        deadline = time.monotonic() + deadline_s
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as bridge:
                bridge.settimeout(deadline_s)
                bridge.connect(str(self._path))
                bridge.sendall(write_line(request))
                for line in _lines(bridge, deadline):
                    message = read_answer(line)
                    if isinstance(message, Answer):
                        return message
                    progress(message)
        except OSError as error:
            raise UnavailableError(
                "the firmware bridge does not answer", cure="is transom-bridge.service running?"
            ) from error
        raise UnavailableError("the firmware bridge hung up", cure="is transom-bridge.service running?")


def _lines(bridge: socket.socket, deadline: float) -> Iterator[bytes]:
    """Yield whole lines until the far side closes. Raises TimeoutError (an OSError) at the deadline."""
    pending = b""
    received = 0
    while True:
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError
        bridge.settimeout(remaining_s)
        content = bridge.recv(4096)
        received += len(content)
        *lines, pending = (pending + content).split(b"\n")
        yield from lines
        if not content:
            return
        if len(pending) > ANSWER_BYTES_MAX or received > CONVERSATION_BYTES_MAX:
            raise BadInputError("the bridge's answer has no end")


def _good(answer: Answer) -> Answer:
    match answer:
        case Answer(ok=True):
            return answer
        case Answer(error="bad-input" | "refused"):
            raise BadInputError(answer.text)
        case Answer(error="configuration"):
            raise ConfigurationError(answer.text)
        case _:
            raise UnavailableError(answer.text)
