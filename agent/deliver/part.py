"""A sealed part on its way: what is known of it before, during and after its upload."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.clock import WallTime

MEDIA_TYPE_CLIP = "application/vnd.transom.clip+age"
MEDIA_TYPE_MANIFEST = "application/vnd.transom.manifest+json"


@dataclass(frozen=True, slots=True)
class SealedPart:
    """A file in the outbox, synced and never changed again."""

    id: str  # "<command id>.<camera>.<part number, 4 digits>" or "<command id>.<camera>.manifest"
    path: Path
    size: int  # bytes
    sha256: str  # hex digest of the whole file
    media_type: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The store's signed word that it holds the part; `token` is the statement itself."""

    part: str
    size: int
    sha256: str
    stored_at: WallTime
    token: str
