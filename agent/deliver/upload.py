"""Sealed part to store, resumably: the tus 1.0 client as a machine that says which request is next (tus.io/protocols).

Rules of this file: what the store says about offsets is checked, never believed - it cannot make the hub skip bytes, go
back behind what it acknowledged, or send to another origin. Every retry waits, and no retry happens after `give_up`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from agent.clock import SECOND_NS, Instant
from agent.deliver.part import SealedPart
from agent.deliver.request import Event, Request, retry_at
from agent.deliver.tus_answer import (
    Answer,
    Lost,
    is_retryable,
    is_same_origin,
    read_location,
    read_offset,
    read_time_left_s,
    retry_after_s,
)
from agent.errors import BadInputError, UnavailableError

TUS_VERSION: Final = "1.0.0"
PATCH_BYTES_MAX: Final = 4 * 1024 * 1024
CREATIONS_MAX: Final = 3  # a store that keeps forgetting the upload is broken
_CHECKSUM_MISMATCH: Final = 460  # tus 1.0.0, checksum extension


class Step(Enum):
    """Where an upload stands."""

    DISCOVER = auto()  # OPTIONS: does the store check sums?
    CREATE = auto()  # POST
    LOCATE = auto()  # HEAD: how much does it have?
    SEND = auto()  # PATCH
    FINISHED = auto()


class TusUpload:
    """One part on its way to `url` (where uploads are created), or further to `location` where it was created before.

    `chance` returns a number in [0, 1) and spreads the retries of many hubs. `feed` raises BadInputError if the store
    lies or refuses for good, UnavailableError if a retry would come after `give_up`.
    """

    def __init__(
        self, part: SealedPart, url: str, *, give_up: Instant, chance: Callable[[], float], location: str | None = None
    ) -> None:
        if location is not None:
            _check_origin(url, location)
        self._part = part
        self.patch_bytes_max = PATCH_BYTES_MAX  # may be lowered for a slow link, at any time
        self._patch_bytes = PATCH_BYTES_MAX  # of the last PATCH, unless it was the last one of all
        self._url = url
        self._give_up = give_up
        self._chance = chance
        self._location = location
        self._step = Step.DISCOVER
        self._has_checksums = False
        self._acknowledged = 0
        self._expires_at: Instant | None = None
        self._creations = 0
        self._failures = 0  # in a row
        self._not_before: Instant | None = None

    @property
    def location(self) -> str | None:
        """The upload's URL, once the store has named it."""
        return self._location

    @property
    def is_finished(self) -> bool:
        """Whether the store has acknowledged every byte."""
        return self._step is Step.FINISHED

    @property
    def acknowledged(self) -> int:
        """How many bytes the store has acknowledged."""
        return self._acknowledged

    def deadline(self) -> Instant | None:
        """Return when the next request is due, or None if it is due now or there is none."""
        return self._not_before

    def next_effect(self, now: Instant) -> Request | None:
        """Return the request to make now, or None while waiting for the deadline and when finished."""
        if self._not_before is not None and now < self._not_before:
            return None
        tus = {"Tus-Resumable": TUS_VERSION}
        if self._step is Step.SEND and self._expires_at is not None and now >= self._expires_at:
            self._step = Step.LOCATE  # rather than send 4 MiB to where nothing is any more
        match self._step:
            case Step.DISCOVER:
                return Request("OPTIONS", self._url)
            case Step.CREATE:
                upload = {"Upload-Length": str(self._part.size), "Upload-Metadata": _metadata(self._part)}
                return Request("POST", self._url, tus | upload)
            case Step.LOCATE:
                return Request("HEAD", self._address, tus)
            case Step.SEND:
                offset = self._acknowledged
                span = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
                self._patch_bytes = self.patch_bytes_max
                length = min(self._patch_bytes, self._part.size - offset)
                return Request("PATCH", self._address, tus | span, offset, length, self._has_checksums)
            case Step.FINISHED:
                return None

    def feed(self, event: Event, now: Instant) -> None:
        """Take what became of the last request."""
        self._not_before = None
        if isinstance(event, Lost):
            self._retry(now, event.why)
            return
        if 300 <= event.status < 400:  # noqa: PLR2004 - redirection: a token never follows one
            raise BadInputError("the store redirects uploads elsewhere", cure="the command must name the store itself")
        if is_retryable(event.status):
            self._retry(now, f"status {event.status}", retry_after_s(event))
            return
        match self._step:
            case Step.DISCOVER:
                self._discovered(event)
            case Step.CREATE:
                self._created(event, now)
            case Step.LOCATE:
                self._located(event, now)
            case Step.SEND:
                self._sent(event, now)
            case Step.FINISHED:
                raise RuntimeError("no request was due")

    @property
    def _address(self) -> str:
        if self._location is None:
            raise RuntimeError("an upload without an address cannot be in this step")
        return self._location

    def _discovered(self, answer: Answer) -> None:
        """Learn the store's extensions; a store that does not answer OPTIONS has none."""
        if answer.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            sums = answer.words("tus-checksum-algorithm") if "checksum" in answer.words("tus-extension") else ()
            self._has_checksums = "sha256" in sums
        self._step = Step.LOCATE if self._location else Step.CREATE

    def _created(self, answer: Answer, now: Instant) -> None:
        if answer.status != HTTPStatus.CREATED:
            self._unexpected(answer, now)
            return
        self._location = read_location(answer, self._url)
        self._acknowledged = 0
        self._expires_at = None
        self._note_expiry(answer, now)
        self._step = Step.SEND if self._part.size else Step.FINISHED  # what is new has nothing yet; else 409 says so

    def _located(self, answer: Answer, now: Instant) -> None:
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            self._unexpected(answer, now)
            return
        if answer.headers.get("upload-length", str(self._part.size)) != str(self._part.size):
            raise BadInputError("the store holds an upload of another length under this address")
        if self._expires_at is not None and now >= self._expires_at:
            self._expires_at = None  # it answers for it all the same
        if self._note_expiry(answer, now):
            self._begin_anew(now)
            return
        # failures count until bytes move: a store that answers HEAD well and PATCH badly still meets the backoff
        self._acknowledge(read_offset(answer), self._part.size)
        self._step = Step.FINISHED if self._acknowledged == self._part.size else Step.SEND

    def _sent(self, answer: Answer, now: Instant) -> None:
        if answer.status != HTTPStatus.NO_CONTENT:
            self._unexpected(answer, now)
            return
        self._note_expiry(answer, now)
        expected = min(self._acknowledged + self._patch_bytes, self._part.size)
        self._acknowledge(read_offset(answer), expected)
        if self._acknowledged < expected:
            self._retry(now, "the store kept only a piece of what it was sent")
        else:
            self._step = Step.FINISHED if expected == self._part.size else Step.SEND

    def _note_expiry(self, answer: Answer, now: Instant) -> bool:
        """Learn until when the store keeps the unfinished upload (tus 1.0.0, expiration extension); True if it is over.

        Stores need not say it in every answer.
        """
        left_s = read_time_left_s(answer)
        if left_s is not None:
            self._expires_at = Instant(now + left_s * SECOND_NS)
        return left_s is not None and left_s <= 0

    def _acknowledge(self, offset: int, possible: int) -> None:
        if offset < self._acknowledged:
            raise BadInputError(f"the store went back from byte {self._acknowledged} to {offset}")
        if offset > possible:
            raise BadInputError(f"the store claims {offset} bytes where it can have {possible} at most")
        if offset > self._acknowledged:
            self._failures = 0
        self._acknowledged = offset

    def _unexpected(self, answer: Answer, now: Instant) -> None:
        """Handle what is neither success nor a plain retry."""
        status = answer.status
        if self._location and status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            self._begin_anew(now)
        elif status in (HTTPStatus.CONFLICT, _CHECKSUM_MISMATCH) or status < HTTPStatus.BAD_REQUEST:
            self._retry(now, f"status {status}")  # 1xx and 2xx out of place: ask again what the store has
        else:
            self._refused(status)

    def _refused(self, status: int) -> None:
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise BadInputError(f"the part of {self._part.size} bytes is larger than the store takes")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise BadInputError("the store does not accept the command's token", cure="send a new command")
        raise BadInputError(f"the store refuses the part with status {status}", cure="look at the store's log")

    def _begin_anew(self, now: Instant) -> None:
        self._creations += 1
        if self._creations > CREATIONS_MAX:
            raise UnavailableError(f"the store forgot the upload {self._creations} times")
        self._location = None
        self._acknowledged = 0
        self._retry(now, "the store has forgotten the upload")

    def _retry(self, now: Instant, why: str, asked_s: int = 0) -> None:
        """Wait, then find out where the upload stands before anything else is sent."""
        due = retry_at(now, self._failures, self._chance(), asked_s)
        self._failures += 1
        if due > self._give_up:
            raise UnavailableError(f"the store could not take the part in time ({why})")
        self._not_before = due
        if self._step is not Step.DISCOVER:
            self._step = Step.LOCATE if self._location else Step.CREATE


def termination(url: str, location: str) -> Request:
    """Return the request that ends an unfinished upload (tus 1.0.0, termination extension). Raises BadInputError."""
    _check_origin(url, location)
    return Request("DELETE", location, {"Tus-Resumable": TUS_VERSION})


def offers_termination(answer: Answer) -> bool:
    """Say whether the answer to `OPTIONS` offers that."""
    return "termination" in answer.words("tus-extension")


def _check_origin(url: str, location: str) -> None:
    if not is_same_origin(url, location):
        raise BadInputError("the upload's address is not on the store that the command names")


def _metadata(part: SealedPart) -> str:
    """Write `Upload-Metadata`: comma-separated names with base64 values (tus 1.0.0, creation extension)."""
    named = {"part": part.id, "media_type": part.media_type, "sha256": part.sha256}
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in named.items())
