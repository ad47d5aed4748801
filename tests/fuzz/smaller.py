"""A long input that breaks a target to a short one that breaks it the same way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SECONDS_MAX: Final = 20.0  # an input that is still long then is stored as it is

Failure = tuple[type[BaseException], str]


def failure_of(check: Callable[[bytes], object], raw: bytes) -> Failure | None:
    """Say how `check` fails: the error's type and the line it came from; None if it does not."""
    try:
        check(raw)
    except Exception as error:  # noqa: BLE001 - any error at all is what is looked for
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
        return type(error), place
    return None


def smaller(check: Callable[[bytes], object], raw: bytes) -> bytes:
    """Take out pieces, half of it first and single bytes last, as long as the failure stays the same one."""
    wanted, until_s = failure_of(check, raw), time.monotonic() + SECONDS_MAX
    size = max(1, len(raw) // 2)
    while size and time.monotonic() < until_s:
        at, is_changed = 0, False
        while at < len(raw) and time.monotonic() < until_s:
            tried = raw[:at] + raw[at + size :]
            if failure_of(check, tried) == wanted:
                raw, is_changed = tried, True
            else:
                at += size
        size = size if is_changed and size == 1 else size // 2
    return raw
