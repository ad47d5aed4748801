"""`./bench command`: how long the hub thinks about a good command, from the broker's bytes to the owner's policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.table import Table

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime
from agent.command import grants
from agent.command.envelope import verify
from agent.command.request import Refusal, VerifiedCommand
from agent.command.trust import TrustBundle
from agent.consent.decide import decide
from agent.consent.history import SPANS_MAX, Held, History
from agent.consent.policy import Policy, open_policy
from agent.consent.terms import OwnersWord
from agent.crypto import sha256_hex
from agent.demo.authority import command_of, pack_envelope, sharing_claims
from agent.errors import ConfigurationError
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, NOW, OWNER, fixed_key, message, trust_claims

if TYPE_CHECKING:
    import argparse

SUMMARY: Final = "the decision about a good command, in-process: chain, signatures, recipients, consent"
BAR_MS: Final = 10.0
HELD_NS: Final = 12 * 3600 * SECOND_NS
CAMERAS: Final = [CameraId("front"), CameraId("back")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the number of decisions."""
    parser.add_argument("--decisions", type=int, default=5000, metavar="N", help="of each kind (default 5000)")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Decide the same good messages over and over, and print how long it took."""
    trust = msgspec.convert(trust_claims(), TrustBundle)
    token = OWNER.policy(NOW, 1, **sharing_claims(AUTHORITY, CAMERAS))
    policy, digest = open_policy(token, OWNER.key, AUDIENCE.hub, 0), sha256_hex(token.encode())
    word = OwnersWord(policy, digest, History(_past(policy, token)))
    plain = message()
    approval = AUTHORITY.approval(NOW, AUDIENCE, command_of(plain), by=fixed_key("second officer"))
    approved = pack_envelope(command_of(plain), AUTHORITY.chain(NOW), approvals=[approval])

    def decision(raw: bytes) -> Callable[[], None]:
        def once() -> None:
            command = verify(raw, trust, AUDIENCE, NOW, is_clock_trusted=True)
            if not isinstance(command, VerifiedCommand):
                raise ConfigurationError("the bench's command is refused")
            if isinstance(decide(command, word, CAMERAS, NOW, 0), Refusal):
                raise ConfigurationError("the bench's policy refuses")

        return once

    def forgetful(decide_once: Callable[[], None]) -> Callable[[], None]:
        def once() -> None:
            grants._read.cache_clear()
            decide_once()

        return once

    plain_once, approved_once = decision(plain), decision(approved)
    kinds = {
        "one officer": plain_once,
        "and a second officer": approved_once,
        "one officer, whose grants are new": forgetful(plain_once),
        "and a second officer, all grants new": forgetful(approved_once),
    }
    table = Table("a good clip.upload", "p50 ms", "p99 ms", "most ms", f"p99 under {BAR_MS:.0f} ms")
    for name, once in kinds.items():
        took = sorted(_timed(once) for _ in range(max(100, arguments.decisions)))
        p99 = took[len(took) * 99 // 100]
        cells = (f"{took[len(took) // 2]:.2f}", f"{p99:.2f}", f"{took[-1]:.2f}", "yes" if p99 < BAR_MS else "no")
        table.add_row(name, *cells)
    console.print(table)


def _past(policy: Policy, token: str) -> tuple[Held, ...]:
    """Make up a busy month: as many policies as are kept, each for half a day."""
    ends = [WallTime(NOW - number * HELD_NS) for number in range(SPANS_MAX)]
    return tuple(Held(policy, token, WallTime(end - HELD_NS), end) for end in reversed(ends))


def _timed(once: Callable[[], None]) -> float:
    began = time.perf_counter()
    once()
    return (time.perf_counter() - began) * 1000
