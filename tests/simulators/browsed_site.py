"""A hub's page on a thread of its own, and a real browser whose clock is as far from the hub's as a test says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.crypto import sha256_hex
from agent.page_ports import PageLimits
from tests.simulators.owner_site import SETTINGS, OwnerSite, opened
from tests.simulators.page_visitor import KEY
from tests.simulators.piloted_browser import PilotedBrowser, piloted_browser
from tests.vectors.command.scene import OWNER

STARTS_S = 30
LIMITS = replace(PageLimits(), requests_per_minute=10_000, handshakes_per_minute=10_000)  # the hub's clock stands
_CLOCK = """(() => {
  const Machine = Date, ahead = %d - Machine.now()
  globalThis.later = 0
  globalThis.Date = class extends Machine {
    constructor(...given) { given.length ? super(...given) : super(Machine.now() + ahead + later) }
    static now() { return Machine.now() + ahead + later }
  }
})()"""

T = TypeVar("T")


@dataclass(frozen=True)
class BrowsedSite:
    """A site, and the browser before it."""

    site: OwnerSite
    browser: PilotedBrowser
    url: str
    owner_key: Path
    _loop: asyncio.AbstractEventLoop

    def do(self, act: Callable[[OwnerSite], T]) -> T:
        """Let something happen on the hub, between two requests."""

        async def once() -> T:
            return act(self.site)

        return asyncio.run_coroutine_threadsafe(once(), self._loop).result(STARTS_S)

    def log_in(self) -> None:
        """Log in by the key's file, and let the browser remember it."""
        self.browser.open(self.url)
        self.browser.choose_file("#key", self.owner_key)
        self.browser.run("document.querySelector('[data-remember]').click()")
        self.browser.run("document.querySelector('[data-login] [type=submit]').click()")
        self.browser.wait_for("document.querySelector('.sharing')")


@contextmanager
def browsed_site(browser: str, folder: Path, ahead_s: float = 0) -> Iterator[BrowsedSite]:
    """Serve a page and open a browser whose clock is so much before the hub's."""
    folder.mkdir()
    owner_key = folder / "owner.jwk"
    owner_key.write_text(json.dumps(OWNER.key.as_dict(private=True)))
    public = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with ExitStack() as open_things:
        site, url, loop = open_things.enter_context(_served(folder))
        pin = bytes.fromhex(sha256_hex(public))
        piloted = open_things.enter_context(piloted_browser(browser, folder / "profile", pin))
        shown_ms = site.clock.now() // 1_000_000 + round(ahead_s * 1000)
        piloted.call("Page.addScriptToEvaluateOnNewDocument", source=_CLOCK % shown_ms)
        yield BrowsedSite(site, piloted, url, owner_key, loop)


@contextmanager
def _served(folder: Path) -> Iterator[tuple[OwnerSite, str, asyncio.AbstractEventLoop]]:
    """Serve in a thread: the browser is piloted by calls that block."""
    is_up: Future[tuple[OwnerSite, str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def life() -> None:
        end = asyncio.Event()
        async with opened(folder, SETTINGS, LIMITS, OWNER.key) as (site, visitor):
            is_up.set_result((site, f"{visitor.origin}/", asyncio.get_running_loop(), end))
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(life())
        except BaseException as error:
            if is_up.done():
                raise
            is_up.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        site, url, loop, end = is_up.result(STARTS_S)
        try:
            yield site, url, loop
        finally:
            loop.call_soon_threadsafe(end.set)
    finally:
        thread.join()
