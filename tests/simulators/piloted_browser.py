"""A real Chromium that a test pilots by the DevTools protocol, over two pipes: nobody else can.

It knows the page's certificate by its key alone, as an owner does who has compared the fingerprint.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.simulators.browser import FLAGS

ANSWER_S: Final = 60
POLL_S: Final = 0.05
_AS_3_AND_4: Final = """
import fcntl, os, sys
there, back = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(there, 3), os.dup2(back, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads the protocol from descriptor 3 and answers on 4."""

PHONE: Final = (390, 844)
DESKTOP: Final = (1200, 900)


def find_browser() -> str | None:
    """Name the Chromium of this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class PilotedBrowser:
    """One tab. What its page logs as an error, and what it refuses to load, is in `complaints`."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._write_to, self._read_from = to_browser, from_browser
        self._number, self._session, self._rest = 0, "", b""
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write_to, json.dumps(message).encode() + b"\0")
        while True:
            said = self._hear()
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                return dict(said["result"])

    def open(self, url: str) -> None:
        """Load a page."""
        failed = self.call("Page.navigate", url=url).get("errorText", "")
        assert not failed, failed
        self.wait_for("true")

    def run(self, script: str) -> Any:  # noqa: ANN401 - any JSON value
        """Evaluate JavaScript in the page."""
        given = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        told = self.call("Runtime.evaluate", **given)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait_for(self, condition: str, within_s: float = 30) -> None:
        """Wait until an expression is true, also across the loading of another page."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                if self.run(f"document.readyState === 'complete' && Boolean({condition})"):  # its script has run
                    return
            except AssertionError:  # between two pages
                pass
            assert time.monotonic() < deadline, f"waited for {condition}; the page says: {self.text()}"
            time.sleep(POLL_S)

    def text(self) -> str:
        """Return what a person reads."""
        return str(self.run("document.body.innerText"))

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file, as a person does in the dialogue."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def look(self, path: Path, size: tuple[int, int], *, is_dark: bool = False) -> None:
        """Take a picture of the whole page as it is drawn at a size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.resize(size)
        whole = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size[0], "height": max(size[1], whole["height"]), "scale": 1}
        drawn = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(drawn["data"]))

    def resize(self, size: tuple[int, int]) -> None:
        """Be a phone or a desktop."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def _hear(self) -> dict[str, Any]:
        deadline = time.monotonic() + ANSWER_S
        while b"\0" not in self._rest:
            assert select.select([self._read_from], [], [], max(0.0, deadline - time.monotonic()))[0], "no answer"
            octets = os.read(self._read_from, 1 << 16)
            assert octets, "the browser has ended"
            self._rest += octets
        message, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(message)
        if said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
            self.complaints.append(said["params"]["entry"]["text"])
        if said.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(said["params"]["exceptionDetails"]))
        return said


@contextmanager
def piloted_browser(browser: str, folder: Path, spki_sha256: bytes) -> Iterator[PilotedBrowser]:
    """Start it with an empty profile; it believes any certificate with this public key, and no other bad one."""
    pin = base64.b64encode(spki_sha256).decode()
    there, to_browser = os.pipe()
    from_browser, back = os.pipe()
    flags = [*FLAGS, "--remote-debugging-pipe", f"--ignore-certificate-errors-spki-list={pin}"]
    command = [sys.executable, "-c", _AS_3_AND_4, str(there), str(back), browser, *flags, f"--user-data-dir={folder}"]
    with (folder.parent / "browser.log").open("ab") as log:
        process = subprocess.Popen(command, pass_fds=(there, back), stdout=log, stderr=log)
    os.close(there)
    os.close(back)
    try:
        yield PilotedBrowser(to_browser, from_browser)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        process.terminate()
        process.wait(20)
