"""Sealed part to an S3-compatible store by presigned URLs: a machine that says which request is next.

Rules of this file: the signer says what is missing, so nothing but the part itself survives a crash; a store's 200 is a
claim that the next answer of the signer and in the end the receipt must bear out; the command's token goes to the
signer only. Every retry waits, and no retry happens after `give_up`.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from agent.clock import SECOND_NS, Instant
from agent.deliver.part import SealedPart
from agent.deliver.put_message import PIECE_BYTES, PieceUrl, read_signed, write_ask
from agent.deliver.request import Event, Request, retry_at
from agent.deliver.tus_answer import Answer, Lost, is_retryable, retry_after_s
from agent.errors import BadInputError, UnavailableError

CHECKSUM: Final = "x-amz-checksum-sha256"
REFUSALS_MAX: Final = 3  # in a row, of URLs that were signed just before
SENDINGS_MAX: Final = 5  # of one piece
_STORED: Final = {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}
_ASK_ANEW: Final = {
    HTTPStatus.BAD_REQUEST,  # BadDigest, IncompleteBody, ExpiredToken
    HTTPStatus.UNAUTHORIZED,  # expired, where a store does not speak of 403
    HTTPStatus.FORBIDDEN,  # expired
    HTTPStatus.NOT_FOUND,  # NoSuchUpload
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
}


class PutStep(Enum):
    """Where an upload stands."""

    ASK = auto()  # POST to the signer: what is missing, and where does it go?
    SEND = auto()  # PUT of a piece
    FINISHED = auto()


class PutUpload:
    """One part on its way; `url` is the signer's, `hosts` are those of the trust bundle, `digests` SHA-256 by piece.

    `chance` returns a number in [0, 1) and spreads the retries of many hubs. `feed` raises BadInputError if signer or
    store lie or refuse for good, UnavailableError if a retry would come after `give_up`.
    """

    def __init__(
        self,
        part: SealedPart,
        url: str,
        hosts: Collection[str],
        digests: Sequence[bytes],
        *,
        give_up: Instant,
        chance: Callable[[], float],
    ) -> None:
        self._part = part
        self._url = url
        self._hosts = hosts
        self._sums = [base64.b64encode(digest).decode() for digest in digests]
        self._ask = write_ask(part, digests)
        self._give_up = give_up
        self._chance = chance
        self._step = PutStep.ASK
        self._missing: list[PieceUrl] = []
        self._asked_at = Instant(0)
        self._expires_at = Instant(0)
        self._sendings: Counter[int] = Counter()
        self._failures = 0  # in a row
        self._refusals = 0  # in a row
        self._not_before: Instant | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the signer says that the store has every piece; the receipt must bear it out."""
        return self._step is PutStep.FINISHED

    def deadline(self) -> Instant | None:
        """Return when the next request is due, or None if it is due now or there is none."""
        return self._not_before

    def next_effect(self, now: Instant) -> Request | None:
        """Return the request to make now, or None while waiting for the deadline and when finished."""
        if self._not_before is not None and now < self._not_before:
            return None
        if self._step is PutStep.SEND and now >= self._expires_at:
            self._step = PutStep.ASK
        match self._step:
            case PutStep.ASK:
                self._asked_at = now
                return Request("POST", self._url, {"Content-Type": "application/json"}, text=self._ask)
            case PutStep.SEND:
                piece = self._missing[0]
                offset = (piece.number - 1) * PIECE_BYTES
                length = min(PIECE_BYTES, self._part.size - offset)
                headers = {CHECKSUM: self._sums[piece.number - 1], "Content-Length": str(length)}
                return Request("PUT", piece.url, headers, offset, length, is_presigned=True)
            case PutStep.FINISHED:
                return None

    def feed(self, event: Event, now: Instant) -> None:
        """Take what became of the last request."""
        self._not_before = None
        if isinstance(event, Lost):
            self._retry(now, event.why)
            return
        if 300 <= event.status < 400:  # noqa: PLR2004 - redirection: neither token nor bytes follow one
            raise BadInputError("the store redirects uploads elsewhere", cure="sign URLs of the store itself")
        if is_retryable(event.status):
            self._retry(now, f"status {event.status}", retry_after_s(event))
            return
        match self._step:
            case PutStep.ASK:
                self._signed(event, now)
            case PutStep.SEND:
                self._sent(event, now)
            case PutStep.FINISHED:
                raise RuntimeError("no request was due")

    def _signed(self, answer: Answer, now: Instant) -> None:
        """Learn what is missing. A signer that is not done yet, as while it joins the pieces, answers 202."""
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise BadInputError("the signer does not accept the command's token", cure="send a new command")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise BadInputError(f"the signer refuses the part with status {answer.status}", cure="look at its log")
        if answer.status != HTTPStatus.OK:
            self._retry(now, f"status {answer.status}")
            return
        signed = read_signed(answer.body, len(self._sums), self._hosts)
        self._expires_at = Instant(self._asked_at + signed.expires_in_s * SECOND_NS)
        if not signed.pieces:
            self._step = PutStep.FINISHED
        elif now >= self._expires_at:
            self._retry(now, "the signer's URLs came after they had expired")
        elif any(self._sendings[piece.number] >= SENDINGS_MAX for piece in signed.pieces):
            raise BadInputError(f"the store has lost a piece that it took {SENDINGS_MAX} times")
        else:
            self._missing = list(signed.pieces)
            self._step = PutStep.SEND

    def _sent(self, answer: Answer, now: Instant) -> None:
        number = self._missing[0].number
        if answer.status in _STORED:
            if answer.headers.get(CHECKSUM, self._sums[number - 1]) != self._sums[number - 1]:
                raise BadInputError("the store has taken other bytes than it was sent")
            self._sendings[number] += 1
            self._failures = self._refusals = 0
            self._missing.pop(0)
            self._step = PutStep.SEND if self._missing else PutStep.ASK
        elif answer.status in _ASK_ANEW and self._refusals < REFUSALS_MAX:
            self._refusals += 1
            self._retry(now, f"status {answer.status}")
        elif answer.status < HTTPStatus.BAD_REQUEST:
            self._retry(now, f"status {answer.status}")
        else:
            raise BadInputError(f"the store refuses a piece with status {answer.status}", cure="look at its log")

    def _retry(self, now: Instant, why: str, asked_s: int = 0) -> None:
        """Wait, then ask what is missing before anything else is sent."""
        due = retry_at(now, self._failures, self._chance(), asked_s)
        self._failures += 1
        if due > self._give_up:
            raise UnavailableError(f"the store could not take the part in time ({why})")
        self._not_before = due
        self._step = PutStep.ASK


def forgetting(part: SealedPart, url: str) -> Request:
    """Return the request that tells the signer to abort what there is of an unfinished upload."""
    return Request("DELETE", f"{url.rstrip('/')}/{part.id}")
