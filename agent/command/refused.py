"""How a step of the checks says no: an exception that never leaves `command/`; `verify` turns it into a Refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from agent.command.request import RefusalReason
from agent.errors import BadInputError

DETAIL_CHARACTERS_MAX: Final = 200


class RefusedError(Exception):
    """A check did not hold: its reason, and a short text for the audit log that holds no secret."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = "".join(c if c.isprintable() else "?" for c in detail[:DETAIL_CHARACTERS_MAX])


@contextmanager
def refusing(reason: RefusalReason) -> Iterator[None]:
    """Give `reason` to input that turns out to be bad inside the block."""
    try:
        yield
    except BadInputError as error:
        raise RefusedError(reason, str(error)) from error
