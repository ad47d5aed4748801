"""Power that goes between any two steps: the real adapters, each of whose effects may be the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from agent.clip_job import JobPart
from agent.command.request import UploadTarget
from agent.deliver.part import SealedPart
from agent.outside.audit_file import AuditFile
from agent.outside.database import Database
from agent.outside.https import HttpsUploader
from agent.outside.outbox_files import OutboxFiles

_Result = TypeVar("_Result")


class PowerCutError(BaseException):
    """The lights are out: nothing that follows happens, and nobody handles it."""


class Fuse:
    """Burns through after `steps_left` steps; None is a fuse that holds."""

    def __init__(self, steps_left: int | None = None) -> None:
        self.steps_left = steps_left

    def step(self) -> None:
        """Take one step, or be cut off before it."""
        if self.steps_left is None:
            return
        if self.steps_left == 0:
            raise PowerCutError
        self.steps_left -= 1


class FusedDatabase(Database):
    """The journal; power may go before and after each part is stored."""

    fuse = Fuse()

    def put_part(self, part: JobPart) -> None:
        """Store a part."""
        self.fuse.step()
        super().put_part(part)
        self.fuse.step()


class FusedOutbox(OutboxFiles):
    """The outbox; power may go before and after each file is written or removed."""

    fuse = Fuse()

    def write(self, name: str, fill: Callable[[Callable[[bytes], object]], _Result], spare_bytes: int = 0) -> _Result:
        """Make a file."""
        self.fuse.step()
        result = super().write(name, fill, spare_bytes)
        self.fuse.step()
        return result

    def discard(self, name: str) -> None:
        """Remove a file."""
        self.fuse.step()
        super().discard(name)
        self.fuse.step()


class FusedAudit(AuditFile):
    """The audit log; power may go before and after each entry."""

    fuse = Fuse()

    def append(self, kind: str, ref: str, detail: Mapping[str, str | int]) -> None:
        """Write one entry."""
        self.fuse.step()
        super().append(kind, ref, detail)
        self.fuse.step()


class FusedUploader(HttpsUploader):
    """The way to the store; power may go before and after each conversation with it."""

    fuse = Fuse()

    async def create(self, part: SealedPart, target: UploadTarget) -> str:
        """Create an upload."""
        self.fuse.step()
        location = await super().create(part, target)
        self.fuse.step()
        return location

    async def send(
        self, part: SealedPart, target: UploadTarget, location: str, may_go_on: Callable[[], bool] = lambda: True
    ) -> bool:
        """Send the bytes."""
        self.fuse.step()
        is_sent = await super().send(part, target, location, may_go_on)
        self.fuse.step()
        return is_sent

    async def receipt(self, part: SealedPart, target: UploadTarget) -> str:
        """Fetch the receipt."""
        self.fuse.step()
        token = await super().receipt(part, target)
        self.fuse.step()
        return token
