"""The real systemd-logind and the real polkitd, in a mount namespace with a bus, a `/run` and users of their own.

Nothing is restarted: logind would ask systemd to start `reboot.target`, and who answers to systemd's name on this bus
is a stand-in that only notes it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

POLKITD: Final = Path("/usr/lib/polkit-1/polkitd")
LOGIND: Final = Path("/lib/systemd/systemd-logind")
BRIDGE_UID: Final = 4242
NOBODY_UID: Final = 65534
START_S_MAX: Final = 20.0

_BUS: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
_SCRIPT: Final = """\
cd '{folder}' || exit 1
pids=
trap 'kill $pids; wait; exit' TERM
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user /run/dbus || exit 1
for name in passwd group; do
  (cat /etc/$name; cat $name.more) >$name && mount --bind $name /etc/$name || exit 1
done
mount --bind rules /etc/polkit-1/rules.d || exit 1
dbus-daemon --config-file=bus.conf --nofork &
pids="$pids $!"
while [ ! -S bus ]; do sleep 0.02; done
ln -s '{folder}/bus' /run/dbus/system_bus_socket
export DBUS_SYSTEM_BUS_ADDRESS='unix:path={folder}/bus'
{polkitd} --no-debug &
pids="$pids $!"
while [ ! -e go ]; do sleep 0.02; done
{logind} &
pids="$pids $!"
wait
"""
_Answer = TypeVar("_Answer")


@cache
def why_not_here() -> str:
    """Say what this machine lacks, nothing if it has all."""
    missing = [name for name in ("dbus-daemon", "unshare", "systemd-inhibit") if shutil.which(name) is None]
    missing += [str(path) for path in (POLKITD, LOGIND, Path("/etc/polkit-1/rules.d")) if not path.exists()]
    if missing:
        return f"not installed: {' '.join(missing)}"
    if os.geteuid() != 0:
        return "users and mounts of its own take root"
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/run"], capture_output=True, check=False
    )
    return "no mounts of its own here" if done.returncode else ""


class RealLogind:
    """Both services; use as a context manager. `rules` are polkit's, besides the distribution's own."""

    def __init__(self, rules: Path | None) -> None:
        self._rules = rules
        self.started: list[str] = []
        """Units that logind had systemd start."""
        self._ready = threading.Event()
        self._systemd = threading.Thread(target=lambda: asyncio.run(self._be_systemd()))

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="logind-"))
        self._folder.chmod(0o755)
        rules = self._folder / "rules"
        rules.mkdir(mode=0o755)
        if self._rules:
            shutil.copy(self._rules, rules / "50-transom.rules")
        user = f"transom-bridge:x:{BRIDGE_UID}:"
        (self._folder / "passwd.more").write_text(f"{user}{BRIDGE_UID}::/nonexistent:/usr/sbin/nologin\n")
        (self._folder / "group.more").write_text(f"{user}\n")
        (self._folder / "bus.conf").write_text(_BUS.format(folder=self._folder))
        script = _SCRIPT.format(folder=self._folder, polkitd=POLKITD, logind=LOGIND)
        self._log = self._folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=log, stderr=log)
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def _wait_until_ready(self) -> None:
        self._wait_for("org.freedesktop.DBus")
        self._systemd.start()
        assert self._ready.wait(START_S_MAX)
        (self._folder / "go").touch()
        for name in ("org.freedesktop.PolicyKit1", "org.freedesktop.login1"):
            self._wait_for(name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._ready.is_set():
            self._loop.call_soon_threadsafe(self._done.set)
            self._systemd.join()
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._folder)

    @property
    def address(self) -> str:
        """Their bus."""
        return f"unix:path={self._folder}/bus"

    @contextmanager
    def inhibited(self) -> Iterator[None]:
        """Hold a lock against shutting down, as an administrator's program does."""
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        command = ["systemd-inhibit", "--what=shutdown", "--mode=block", "--who=test", "sh", "-c", "echo held; cat"]
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdin is not None
            assert holder.stdout.readline() == b"held\n"
            yield
            holder.stdin.close()

    def _wait_for(self, name: str) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not asyncio.run(self._is_there(name)):
            assert time.monotonic() < deadline, f"{name} did not come: {self._log.read_text()[-1000:]}"
            assert self._process.poll() is None, self._log.read_text()[-1000:]
            time.sleep(0.02)

    async def _is_there(self, name: str) -> bool:
        try:
            bus = await MessageBus(self.address).connect()
        except (OSError, EOFError, DBusFastError):  # it does not listen yet
            return False
        message = Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member="NameHasOwner",
            signature="s",
            body=[name],
        )
        reply = await bus.call(message)
        bus.disconnect()
        return reply.body == [True]

    async def _be_systemd(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        bus = await MessageBus(self.address).connect()

        def answer(message: Message) -> Message | None:
            if message.message_type is not MessageType.METHOD_CALL:
                return None
            match message.member, message.body:
                case "StartUnit", [unit, *_]:
                    self.started.append(unit)
                    return Message.new_method_return(message, "o", ["/org/freedesktop/systemd1/job/1"])
                case "Get", [_, "LoadState"]:
                    return Message.new_method_return(message, "v", [Variant("s", "loaded")])
                case "Subscribe", _:
                    return Message.new_method_return(message)
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "a stand-in")

        bus.add_message_handler(answer)
        await bus.request_name("org.freedesktop.systemd1")
        self._ready.set()
        await self._done.wait()
        bus.disconnect()


def as_user(uid: int, call: Callable[[], _Answer]) -> _Answer:
    """Call as another user of the machine: the whole process is that meanwhile."""
    os.setresuid(uid, uid, 0)
    try:
        return call()
    finally:
        os.setresuid(0, 0, 0)
