"""The real RAUC on a hub of files: two slots, a bootloader in shell, a keyring, a bus of its own, and a bridge process.

RAUC has a mount namespace of its own, so that whatever it mounts goes with it. `RealRauc.hold` stops an installation
where the slot is about to be written, until `let_go`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cryptography.x509.oid import ExtendedKeyUsageOID

from agent.demo.pki import Authority
from firmware_bridge.client import BridgeClient
from firmware_bridge.errors import BridgeError
from firmware_bridge.rauc import RaucUpdater
from tests.simulators.eventually import eventually
from tests.simulators.private_bus import PrivateBus

COMPATIBLE: Final = "transom-test-hub"
IMAGE_BYTES: Final = 300_000
SLOT_BYTES: Final = 1 << 20
ROOT: Final = Path(__file__).parents[2]
SLOTS: Final = {"rootfs.0": "A", "rootfs.1": "B"}
"""Bootloader names by RAUC's."""

_MANIFEST: Final = """\
[update]
compatible={compatible}
version={version}

[bundle]
format=plain

[image.rootfs]
filename=rootfs.img
"""
_SYSTEM: Final = """\
[system]
compatible={compatible}
bootloader=custom
bundle-formats=plain
mountprefix={folder}/mnt
statusfile={folder}/status

[keyring]
path={folder}/keyring.pem

[handlers]
bootloader-custom-backend={folder}/bootloader
pre-install={folder}/pause

[slot.rootfs.0]
device={folder}/rootfs.0
type=raw
bootname=A

[slot.rootfs.1]
device={folder}/rootfs.1
type=raw
bootname=B
"""
_BOOTLOADER: Final = """\
#!/bin/sh
cd '{folder}/boot' || exit 1
case "$1" in
  get-primary) cat primary ;;
  set-primary) echo "$2" >primary && echo good >"$2" ;;
  get-state) cat "$2" ;;
  set-state) echo "$3" >"$2" ;;
  *) exit 1 ;;
esac
"""
_PAUSE: Final = """\
#!/bin/sh
cd '{folder}' || exit 1
if [ -e hold ]; then touch held; fi
while [ -e hold ]; do sleep 0.05; done
"""


@cache
def why_not_here() -> str:
    """Say what this machine lacks to run RAUC, nothing if it can."""
    missing = [name for name in ("rauc", "mksquashfs", "dbus-daemon", "unshare") if shutil.which(name) is None]
    if missing:
        return f"not installed: {' '.join(missing)}"
    if os.geteuid() != 0:
        return "RAUC mounts bundles, which takes root"
    script = (
        "d=$(mktemp -d) && trap 'rm -r $d' EXIT && mkdir $d/in $d/on &&"
        " mksquashfs $d/in $d/image -quiet -no-progress && unshare --mount mount -o loop,ro $d/image $d/on"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    return f"no loop mounts of squashfs here: {done.stderr.strip()[-200:]}" if done.returncode else ""


def image_of(version: str) -> bytes:
    """Make a system image that says which one it is, to its last byte."""
    line = f"{version} of {COMPATIBLE}\n".encode()
    return (line * (IMAGE_BYTES // len(line) + 1))[:IMAGE_BYTES]


class BundleMaker:
    """Signs bundles as the maker of hubs does, or as a stranger."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.authority = folder, Authority()
        self._certificate, self._key = self.authority.issue(folder, "signer", ExtendedKeyUsageOID.EMAIL_PROTECTION)

    def make(self, path: Path, version: str, *, compatible: str = COMPATIBLE) -> Path:
        """Build a bundle with RAUC's own tool."""
        content = self._folder / f"content-{version}-{compatible}"
        content.mkdir()
        (content / "rootfs.img").write_bytes(image_of(version))
        (content / "manifest.raucm").write_text(_MANIFEST.format(compatible=compatible, version=version))
        build = ["rauc", f"--cert={self._certificate}", f"--key={self._key}", "bundle", str(content), str(path)]
        done = subprocess.run(build, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return path


class RealRauc:
    """A hub of files with RAUC's service; use as a context manager."""

    def __init__(self, folder: Path, maker: BundleMaker, running: str) -> None:
        self.folder, self._booted = folder, "A"
        (folder / "boot").mkdir(parents=True)
        (folder / "mnt").mkdir()
        (folder / "keyring.pem").write_text(maker.authority.pem)
        for path, text, mode in (
            ("system.conf", _SYSTEM, 0o644),
            ("bootloader", _BOOTLOADER, 0o755),
            ("pause", _PAUSE, 0o755),
        ):
            (folder / path).write_text(text.format(folder=folder, compatible=COMPATIBLE))
            (folder / path).chmod(mode)
        for name, text in (("primary", "A"), ("A", "good"), ("B", "good")):
            (folder / "boot" / name).write_text(f"{text}\n")
        for slot in SLOTS:
            (folder / slot).write_bytes(image_of(running).ljust(SLOT_BYTES, b"\0"))
        self._log = folder / "rauc.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._bus = PrivateBus()
        self._bus.__enter__()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        self.kill()
        self._bus.__exit__(kind, error, trace)

    @property
    def address(self) -> str:
        """RAUC's bus."""
        return self._bus.address

    def start(self) -> None:
        """Start the service, and wait until it answers."""
        command = ["unshare", "--mount", "rauc", f"--conf={self.folder}/system.conf"]
        command += [f"--override-boot-slot={self._booted}", "service"]
        environment = {**os.environ, "DBUS_STARTER_BUS_TYPE": "session", "DBUS_SESSION_BUS_ADDRESS": self.address}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        asyncio.run(self._until_it_answers())

    async def _until_it_answers(self) -> None:
        async with asyncio.timeout(20):
            while True:
                with suppress(BridgeError):
                    await RaucUpdater(self.address).slots()
                    return
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def boot(self) -> None:
        """Start again from the slot that the bootloader holds for the first one."""
        self.kill()
        self._booted = self.primary
        self.start()

    def fall_back(self) -> None:
        """Start again from the slot that ran, as a bootloader does that has given the other one up."""
        self.kill()
        self.start()

    @property
    def primary(self) -> str:
        """The bootloader's name of the slot that starts next."""
        return (self.folder / "boot/primary").read_text().strip()

    def holds(self, slot: str, version: str) -> bool:
        """Say whether a slot begins with a version's image, every byte of it."""
        return (self.folder / slot).read_bytes()[:IMAGE_BYTES] == image_of(version)

    def hold(self) -> None:
        """Stop the next installation before the slot is written."""
        (self.folder / "hold").touch()

    @property
    def is_held(self) -> bool:
        """Whether an installation has come there."""
        return (self.folder / "held").exists()

    def let_go(self) -> None:
        """Let it go on."""
        for name in ("hold", "held"):
            (self.folder / name).unlink(missing_ok=True)


class BridgeProcess:
    """The real bridge; use as a context manager."""

    def __init__(self, folder: Path, bundles: Path, address: str) -> None:
        self._folder, self.socket, self.boot = folder, folder / "bridge.sock", "boot-1"
        folder.mkdir()
        places = {"--socket": self.socket, "--tree": folder, "--disk": folder, "--state": folder, "--bundles": bundles}
        options = [text for option, path in places.items() for text in (option, str(path))]
        self._command = [sys.executable, "-m", "firmware_bridge", *options, "--dbus", address]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def client(self) -> BridgeClient:
        """The agent's side of it."""
        return BridgeClient(self.socket)

    @property
    def conversations(self) -> int:
        """How many it holds now, with those whose client has died (proc_net(5), state SS_CONNECTED)."""
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        return sum(row[5] == "03" and row[-1] == str(self.socket) for row in rows)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "bridge.log").open("ab") as log:
            environment = {**os.environ, "TRANSOM_BOOT": self.boot}
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=ROOT, env=environment)
        asyncio.run(eventually(self._answers))

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            self.client.ping()
        except BridgeError:
            return False
        return True


@contextmanager
def bundle_host(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve the files of a folder over TLS; give the URL and the authority."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue_server(folder / "host", "127.0.0.1"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", authority.pem
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
