"""What an upload machine asks of the wire, what can become of it, and when to try again: the same for every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.clock import SECOND_NS, Instant
from agent.deliver.tus_answer import Answer, Lost

BACKOFF_S: Final = 1  # first wait; doubles with each failure in a row
BACKOFF_S_MAX: Final = 60
RETRY_AFTER_S_MAX: Final = 300  # a store that asks for more gets this


@dataclass(frozen=True, slots=True)
class Request:
    """The next request; its body is `length` bytes of the part's file from `offset`, or else `text`."""

    method: str
    url: str = field(repr=False)  # a presigned URL is a permission
    headers: Mapping[str, str] = field(default_factory=dict)
    offset: int = 0
    length: int = 0
    has_checksum: bool = False  # add `Upload-Checksum: sha256 <base64>` of the body
    is_presigned: bool = False  # the command's token does not go along
    text: bytes = b""


Event = Answer | Lost


def retry_at(now: Instant, failures: int, chance: float, asked_s: int = 0) -> Instant:
    """Return when to try again after `failures` in a row; `chance` is in [0, 1), `asked_s` what the store asks for."""
    backoff_s = min(BACKOFF_S * 2 ** min(failures, 16), BACKOFF_S_MAX)
    wait_s = max((0.5 + chance / 2) * backoff_s, min(asked_s, RETRY_AFTER_S_MAX))
    return Instant(now + int(wait_s * SECOND_NS))
