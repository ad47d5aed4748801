"""The whole conversation between the stories and the world, on one page.

Each protocol is implemented once in `outside/`; simulators and tests implement the far side of the wire, not these.
Errors: `BadInputError` (the bytes lie), `UnavailableError` (try later), anything else is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.errors import UnavailableError

if TYPE_CHECKING:  # who records loads nothing of what makes clips
    from agent.acquire.camera import CameraStream
    from agent.acquire.identity import Known
    from agent.acquire.stream import CameraId
    from agent.buffer.chunk import ChunkMeta, StoredChunk
    from agent.buffer.ring import Footage
    from agent.clip_job import Job, JobPart, Status
    from agent.clock import WallTime, Window
    from agent.command.request import RefusalReason, UploadTarget
    from agent.consent.mask import Masks
    from agent.cut.clip import ClipReport, CutOrder, WireChunk
    from agent.cut.look import Look, LookOrder, StillOrder
    from agent.deliver.part import SealedPart
    from agent.evidence.cosignature import Witness

Wire = bytes | bytearray | memoryview
_Result = TypeVar("_Result")


class ChunkSink(Protocol):
    """Where the recorder puts chunks; both calls come from the recorder's thread and never wait for a disk."""

    def append(self, meta: ChunkMeta, payload: Wire) -> None:
        """Take one chunk into the batch in memory; copies `payload`."""

    def commit(self) -> None:
        """Hand the batch to the writer thread: one write, one sync; then the index names its chunks."""


class ChunkSource(Protocol):
    """Recorded footage, in the ring or held; these calls come from any thread."""

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed for a window."""

    def read(self, chunk: StoredChunk) -> bytes:
        """Read and decrypt one chunk's payload. Raises UnavailableError if it is gone or damaged."""


class Cuts(Protocol):
    """One part of one camera's clip after the other, by a child that is kept for the next part."""

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Make one part; its MP4 bytes go to `sink` as they come. Blocking: call it in a worker thread.

        Raises BadInputError if the camera's bitstream cannot be cut, UnavailableError if the child failed.
        """

    def end(self) -> None:
        """End the child, now or as soon as the part is made that it is making. Begin no further part."""


class Cutter(Protocol):
    """The only way to libav: short-lived, confined child processes."""

    def cuts(self) -> Cuts:
        """Begin one camera's clip, or go on with it; call `end` on what this returns."""

    def read_codes(self, order: CutOrder, chunks: Iterable[WireChunk]) -> list[str]:
        """Decode the newest key picture and return the texts of the QR codes in it."""

    def look(self, order: CutOrder, asked: LookOrder, chunks: Iterable[WireChunk]) -> Look:
        """Decode the first key picture, which is in the window, and measure it. Raises as `Cuts.cut` does."""

    def redraw(self, picture: bytes, masks: Masks, asked: StillOrder) -> bytes:
        """Decode a JPEG of a camera's own making and write it anew, `masks` painted over. Raises as `Cuts.cut` does."""


class Uploader(Protocol):
    """Brings one sealed part to the store and comes back with the store's receipt."""

    async def create(self, part: SealedPart, target: UploadTarget) -> str:
        """Create the upload and return its URL, for the journal."""

    async def send(self, part: SealedPart, target: UploadTarget, location: str, may_go_on: Callable[[], bool]) -> bool:
        """Send what the store does not have yet; False as soon as `may_go_on`, asked before each piece, says no."""

    async def drop(self, part: SealedPart, target: UploadTarget, location: str) -> None:
        """Ask the store to drop an unfinished upload, within seconds; nothing is raised if it does not hear it."""

    async def receipt(self, part: SealedPart, target: UploadTarget) -> str:
        """Fetch the store's signed receipt; raises UnavailableError while there is none."""


class Opening(Enum):
    """What the journal knows about a command's id."""

    NEW = "new"  # stored just now
    STILL_OPEN = "still_open"  # the same bytes again while the job runs: the broker redelivers
    ENDED = "ended"  # the same bytes again after the end: a replay
    OTHER_BYTES = "other_bytes"  # the id is taken by another command


@dataclass(frozen=True, slots=True)
class Document:
    """A signed document that was accepted: trust bundle, owner's pairing, owner's policy."""

    version: int
    token: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for the broker, kept until it is acknowledged."""

    id: int
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from the broker as it came; `acknowledge` it once what it means is stored."""

    topic: str
    payload: bytes
    id: int
    qos: int


class BrokerLink(Protocol):
    """One durable session with the broker, reconnecting by itself. Used from the event loop only."""

    async def receive(self) -> Inbound:
        """Wait for the next message."""

    def acknowledge(self, message: Inbound) -> None:
        """Tell the broker that it may forget a message."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at least once; raises UnavailableError without the broker's acknowledgement."""


class Mailbox(Protocol):
    """Messages for the broker, kept until it has them."""

    def outgoing(self, after: int, limit: int) -> tuple[Outgoing, ...]:
        """Return the oldest messages with an id above `after`."""

    def sent(self, message: int) -> None:
        """Forget a message that the broker has acknowledged."""


class Journal(Protocol):
    """What survives a power cut: when a call returns, its change is on the disk."""

    def open_job(self, job: Job, sha256: str, expires: WallTime) -> tuple[Opening, Job]:
        """Store a new job, or return the one known under its id."""

    def open_jobs(self) -> tuple[Job, ...]:
        """Return the jobs to go on with after a restart, oldest first."""

    def job(self, job: str) -> Job | None:
        """Return one job as it is now."""

    def job_of(self, sha256: str) -> Job | None:
        """Return the open job of the command with this digest."""

    def move(self, job: Job, status: Status, *, granted: WallTime | None = None) -> None:
        """Store the job's new state (not its answer) and queue the status that tells of it, in one transaction."""

    def stop_job(self, job: str, by: str) -> None:
        """Store that an order ends an open job; the first one counts."""

    def withdraw_job(self, job: str, reason: RefusalReason) -> None:
        """Store why what was granted to an open job may not go on; the first reason stays."""

    def extend_job(self, job: str, end: WallTime, by: str, policy: tuple[int, str] | None = None) -> None:
        """Store a later end of an open job's window, the order that moved it, and the policy that allowed it."""

    def put_answer(self, job: str, token: str, answered: WallTime) -> None:
        """Store the owner's answer to a job."""

    def forget_before(self, now: WallTime, replay_margin_ns: int) -> None:
        """Drop ended jobs that nobody can replay any more; only while the clock is trusted."""

    def grants_since(self, moment: WallTime) -> int:
        """Count the commands granted after `moment`."""

    def parts(self, job: str) -> tuple[JobPart, ...]:
        """Return the sealed files of a job, by camera and number, the manifest last."""

    def put_part(self, part: JobPart) -> None:
        """Store a part as it is now."""

    def say(self, status: Status) -> None:
        """Queue a status that changes no state."""


class Documents(Protocol):
    """Signed documents that were accepted, kept by name."""

    def document(self, name: str) -> Document | None:
        """Return a document, or None."""

    def put_document(self, name: str, document: Document) -> None:
        """Replace a document; the caller has checked that its version rises."""


class CameraBook(Protocol):
    """The cameras this hub knows, also while they are away."""

    def cameras(self) -> tuple[CameraStream, ...]:
        """Return them all, without logins."""

    def put_camera(self, stream: CameraStream) -> None:
        """Remember one; its login stays out, and its pin is left as it is."""

    def put_pin(self, camera: CameraId, pin: str) -> None:
        """Remember the TLS certificate of a camera that is known, as SHA-256 in hex; empty: forget it."""


class IdentityBook(Protocol):
    """By which marks each camera is recognised."""

    def identities(self) -> dict[CameraId, Known]:
        """Return them all."""

    def put_identity(self, known: Known) -> None:
        """Store one; it is on the disk when this returns. Raises UnavailableError."""


class Audit(Protocol):
    """The append-only log that the owner can read."""

    def append(self, kind: str, ref: str, detail: dict[str, str | int]) -> None:
        """Write one entry; it is on the disk when this returns."""

    def head(self) -> tuple[int, str]:
        """Return the number of entries and the tree's root as hex."""


class WitnessedLog(Protocol):
    """The same log towards those who cosign it."""

    def keep_cosigned(self, note: str, witnesses: Sequence[Witness]) -> int:
        """Keep what is new in a cosigned checkpoint of this log; return by how many of the witnesses."""

    def witness_requests(self, witnesses: Sequence[Witness]) -> list[tuple[Witness, str]]:
        """Write for each witness the way from what it has cosigned to the newest checkpoint; for a worker thread."""


class OutboxFullError(UnavailableError):
    """There is no room for another sealed file until the store has taken some."""


class Outbox(Protocol):
    """Sealed files on their way: each is written once, synced, and never changed."""

    def write(self, name: str, fill: Callable[[Callable[[bytes], object]], _Result], spare_bytes: int = 0) -> _Result:
        """Make a file from what `fill` appends: whole and synced when this returns, or not there at all.

        Raises OutboxFullError when the outbox or its disk is full; `spare_bytes` may go beyond that.
        """

    def room(self, *, is_live: bool) -> int:
        """Say how many bytes it can take; some of it is kept for what is happening now."""

    def path(self, name: str) -> Path:
        """Say where a finished file lies."""

    def discard(self, name: str) -> None:
        """Remove a file."""

    def names(self) -> frozenset[str]:
        """Name all finished files."""
