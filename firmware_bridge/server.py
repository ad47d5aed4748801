"""The bridge's socket: one question per connection, answered within its limits, and a watchdog fed by real answers.

Rules of this file: whatever a client sends or does, it gets at most one answer and the next client is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, assert_never

from firmware_bridge.backend import Hardware
from firmware_bridge.errors import BadInputError, BridgeError, ConfigurationError, UnavailableError
from firmware_bridge.messages import (
    ANSWER_BYTES_MAX,
    REQUEST_BYTES_MAX,
    SOCKET_MODE,
    Alarm,
    Answer,
    AnyRequest,
    Button,
    GiveUp,
    Health,
    Install,
    MarkGood,
    Ping,
    Progress,
    Refused,
    Restart,
    SetLed,
    Slots,
    read_request,
    write_line,
)
from firmware_bridge.notify import notify, watchdog_interval_s
from firmware_bridge.restarts import Restarts
from firmware_bridge.updates import Updates

CONNECTIONS_MAX: Final = 16
REQUEST_S_MAX: Final = 5.0
BUTTON_POLL_S: Final = 0.25
PING_S_MAX: Final = 5.0


class BridgeServer:
    """Answers the agent. Run `serve` until `stop` is called."""

    def __init__(self, hardware: Hardware, updates: Updates, restarts: Restarts) -> None:
        self._hardware, self._updates, self._restarts = hardware, updates, restarts
        self._conversations: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `serve`; safe in a signal handler of the loop."""
        self._stopping.set()

    async def serve(self, socket_path: Path) -> None:
        """Answer until stopped. Tells systemd `READY=1` after the socket has answered its first question."""
        server = await self._listen(socket_path)
        chores = [
            asyncio.create_task(self._watch_button()),
            asyncio.create_task(_prove_life(socket_path)),
            asyncio.create_task(self._stopping.wait()),
        ]
        try:
            done, _ = await asyncio.wait(chores, return_when=asyncio.FIRST_COMPLETED)
            for chore in done:
                chore.result()  # a chore that ends is a bug: crash, systemd restarts us
        finally:
            notify("STOPPING=1")
            server.close()
            for task in (*chores, *self._conversations):
                task.cancel()
            await asyncio.gather(*chores, *self._conversations, return_exceptions=True)
            await self._updates.stop()
            await server.wait_closed()
            _remove(socket_path)

    async def _listen(self, socket_path: Path) -> asyncio.Server:
        mask = os.umask(0o777 & ~SOCKET_MODE)  # so that there is no moment in which anybody may connect
        try:
            return await asyncio.start_unix_server(self._converse, socket_path, limit=REQUEST_BYTES_MAX)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {socket_path}: {error.strerror}", cure="does its folder exist, and is it ours?"
            ) from error
        finally:
            os.umask(mask)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._conversations) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._conversations.add(task)
        try:
            answer = await self._answer_to(reader, writer)
            writer.write(write_line(answer))
            async with asyncio.timeout(REQUEST_S_MAX):
                await writer.drain()
        except (OSError, TimeoutError):
            return  # the client left; there is nobody to tell
        except asyncio.CancelledError:
            return  # we are stopping, and end what asyncio's own callback would complain about
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _answer_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        def tell(progress: Progress) -> None:
            if not writer.is_closing():
                writer.write(write_line(progress))

        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                line = await reader.readline()
        except ValueError:
            return _failed(BadInputError(f"a request of more than {REQUEST_BYTES_MAX} bytes"))
        try:
            return await self._answer(read_request(line), tell)
        except BridgeError as error:
            return _failed(error)

    async def _answer(  # noqa: C901 - one case for each question
        self, request: AnyRequest, tell: Callable[[Progress], None]
    ) -> Answer:
        answer = Answer(ok=True)
        match request:
            case Ping():
                pass
            case Health():
                answer = Answer(ok=True, health=await asyncio.to_thread(self._hardware.health))
            case Button():
                answer = Answer(ok=True, pressed_s_ago=self._hardware.pressed_s_ago(time.monotonic()))
            case Alarm():
                answer = Answer(ok=True, is_closed=self._hardware.is_alarm_closed())
            case SetLed(state):
                self._hardware.set_led(state)
            case Slots():
                answer = Answer(ok=True, slots=await self._updates.slots())
            case MarkGood():
                answer = await self._keep()
            case Install(bundle):
                answer = await self._install(bundle, tell)
            case Restart():
                answer = await self._restart(self._restarts.restart)
            case GiveUp():
                answer = await self._restart(self._restarts.give_up)
            case _:
                assert_never(request)
        return answer

    async def _install(self, bundle: str, tell: Callable[[Progress], None]) -> Answer:
        outcome = await self._updates.install(bundle, tell)
        if isinstance(outcome, Refused):
            return _refused(outcome)
        if not outcome.is_running:
            self._restarts.forget()
        return Answer(ok=True, version=outcome.version, is_running=outcome.is_running or None)

    async def _keep(self) -> Answer:
        floor = await self._updates.mark_good()
        self._restarts.forget()
        return Answer(ok=True, version=floor)

    async def _restart(self, way: Callable[[], Awaitable[str | Refused]]) -> Answer:
        if self._updates.is_installing:
            raise UnavailableError("an installation is running", cure="restart when it has ended")
        outcome = await way()
        return _refused(outcome) if isinstance(outcome, Refused) else Answer(ok=True, version=outcome)

    async def _watch_button(self) -> None:
        while True:
            self._hardware.poll_button(time.monotonic())
            await asyncio.sleep(BUTTON_POLL_S)


async def _prove_life(socket_path: Path) -> None:
    """Ask ourselves as a client would; only an answer makes us ready, and each further one keeps the watchdog quiet."""
    interval_s = watchdog_interval_s()
    await _ping(socket_path)
    notify("READY=1")
    while interval_s:
        await asyncio.sleep(interval_s)
        with contextlib.suppress(OSError, TimeoutError):
            if await _ping(socket_path):
                notify("WATCHDOG=1")
    await asyncio.Event().wait()


async def _ping(socket_path: Path) -> bool:
    async with asyncio.timeout(PING_S_MAX):
        reader, writer = await asyncio.open_unix_connection(socket_path, limit=ANSWER_BYTES_MAX)
        try:
            writer.write(write_line(Ping()))
            return await reader.readline() == write_line(Answer(ok=True))
        finally:
            writer.close()


def _refused(refusal: Refused) -> Answer:
    return Answer(ok=False, error="refused", text=refusal.text)


def _remove(socket_path: Path) -> None:
    socket_path.unlink(missing_ok=True)


def _failed(error: BridgeError) -> Answer:
    match error:
        case BadInputError():
            return Answer(ok=False, error="bad-input", text=str(error))
        case ConfigurationError():
            return Answer(ok=False, error="configuration", text=str(error))
        case _:
            return Answer(ok=False, error="unavailable", text=str(error))
