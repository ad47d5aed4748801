"""The operator's commands about the hub itself: trust bundle, a few settings, firmware; never footage or consent.

Rules of this file:
- A command decides nothing here that its content is not entitled to: the roots' signatures decide about a bundle, RAUC
  and the bridge about firmware, the list in `command/claims.py` about settings.
- Each of them can be done twice with the same end, so that one that was cut off by a crash is simply done again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from agent.clip_job import Job, JobEvent, JobState
from agent.clips.teller import Teller
from agent.command.claims import ConfigSetParams, FirmwareInstallParams, TrustUpdateParams
from agent.command.orders import VerifiedUpkeep
from agent.command.request import Refusal, RefusalReason
from agent.errors import BadInputError, UnavailableError
from agent.ports import Audit, Document, Documents

SETTINGS: Final = "settings"
TOLD_EVERY_PERCENT: Final = 10
END_PERCENT: Final = 100
"""RAUC says it of a failure too, so it is left to the last word."""


class Firmware(Protocol):
    """The way of a new firmware into the hub: fetched here, checked and installed by the bridge and RAUC."""

    async def fetch(self, url: str, sha256: str, size: int) -> Path:
        """Fetch a bundle to where the bridge takes it from; what is there already is not fetched again.

        Raises BadInputError if it is not what it should be, UnavailableError if it cannot be had now.
        """

    async def install(self, bundle: Path, progress: Callable[[int], object]) -> tuple[bool, str]:
        """Hand it to the bridge; return whether it was installed, and what follows, or why it was refused.

        The same bundle may be handed over again after a crash. Raises UnavailableError if the bridge does not answer.
        """

    async def discard(self, bundle: Path) -> None:
        """Remove a bundle whose job has ended."""


class Upkeep:
    """Follows `trust.update`, `config.set` and `firmware.install`."""

    def __init__(
        self,
        documents: Documents,
        audit: Audit,
        take_trust: Callable[[bytes], bool],
        apply: Callable[[ConfigSetParams], None],
        firmware: Firmware | None,
    ) -> None:
        self._documents, self._audit = documents, audit
        self._take_trust, self._apply, self._firmware = take_trust, apply, firmware

    def settings(self) -> ConfigSetParams:
        """Return what `config.set` has set so far; what it has not is None."""
        stored = self._documents.document(SETTINGS)
        try:
            return msgspec.json.decode(stored.token, type=ConfigSetParams) if stored else ConfigSetParams()
        except msgspec.MsgspecError:  # of a version with other limits: the file's settings count
            return ConfigSetParams()

    async def run(self, job: Job, command: VerifiedUpkeep, teller: Teller) -> None:
        """Follow one command to its end."""
        match command.params:
            case TrustUpdateParams(bundle=bundle):
                self._update_trust(job, bundle, teller)
            case ConfigSetParams() as wanted:
                self._set(job, wanted, teller)
            case FirmwareInstallParams() as firmware:
                await self._install(job, firmware, teller)

    def _update_trust(self, job: Job, bundle: str, teller: Teller) -> None:
        if self._take_trust(bundle.encode()):
            teller.move(job, JobEvent.DONE)
        else:
            why = "not the successor of the bundle in force, signed by its roots"
            teller.end_refused(job, Refusal(RefusalReason.TRUST_REFUSED, why, job.id))

    def _set(self, job: Job, wanted: ConfigSetParams, teller: Teller) -> None:
        named = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        settings = msgspec.structs.replace(self.settings(), **named)
        stored = self._documents.document(SETTINGS)
        self._audit.append("settings", job.id, {name: str(value) for name, value in named.items()})
        token = msgspec.json.encode(settings).decode()
        self._documents.put_document(SETTINGS, Document(stored.version + 1 if stored else 1, token))
        self._apply(settings)
        teller.move(job, JobEvent.DONE)

    async def _install(self, job: Job, wanted: FirmwareInstallParams, teller: Teller) -> None:
        if self._firmware is None:
            teller.end_refused(job, Refusal(RefusalReason.UNSUPPORTED, "this hub has no firmware bridge", job.id))
            return
        if job.state is JobState.RECEIVED:
            self._audit.append("firmware", job.id, {"sha256": wanted.sha256, "url": wanted.url})
            job = teller.move(job, JobEvent.BEGUN)
        loop, told = asyncio.get_running_loop(), 0

        def note(percent: int) -> None:
            nonlocal told
            if told + TOLD_EVERY_PERCENT <= percent < END_PERCENT:
                told = percent
                with contextlib.suppress(UnavailableError):  # a full disk: the end is what counts
                    teller.tell(job, percent)

        def tell(percent: int) -> None:
            loop.call_soon_threadsafe(note, percent)

        bundle: Path | None = None
        try:
            bundle = await self._firmware.fetch(wanted.url, wanted.sha256, wanted.size)
            is_installed, text = await self._firmware.install(bundle, tell)
        except BadInputError as error:
            is_installed, text = False, str(error)
        except UnavailableError as error:  # what was fetched stays for the next order of it
            is_installed, text, bundle = False, str(error), None
        told = END_PERCENT  # what the bridge said before its last word is not told behind it
        if is_installed:
            teller.move(job, JobEvent.DONE, detail=text)
        else:
            teller.move(job, JobEvent.GAVE_UP, RefusalReason.FIRMWARE_REFUSED, text)
        if bundle is not None:
            await self._firmware.discard(bundle)
