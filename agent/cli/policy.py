"""`transom policy`: what an owner's policy shares when, for a person who is about to sign one or wonders about one.

Rules of this file: it reads a file and says; it knows no key, so it says of no policy that it is the owner's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from agent.clock import parse_rfc3339
from agent.consent.explain import describe, explain
from agent.consent.policy import read_unsigned
from agent.deliver.age import check_usable
from agent.errors import ConfigurationError
from agent.signing import STATEMENT_BYTES_MAX


def add_policy_parsers(policy: Any, say: Callable[[str], None]) -> None:  # noqa: ANN401 - argparse names no type of it
    """Describe the commands to argparse; `call` of what it parses runs one."""
    explained = policy.add_parser("explain", help="what a policy shares in each hour of the week, in plain words")
    explained.add_argument(
        "policy", type=Path, metavar="FILE", help="its claims as JSON, or a signed policy (unchecked)"
    )
    explained.add_argument("--at", default="", metavar="TIME", help="and at this moment, in RFC 3339 UTC")
    explained.add_argument("--json", action="store_true", help="for programs")
    explained.set_defaults(call=partial(_explain, say))


def _explain(say: Callable[[str], None], options: argparse.Namespace) -> int:
    try:
        with options.policy.open("rb") as file:
            text = file.read(STATEMENT_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"{options.policy}: {error.strerror}", cure="give the file of a policy") from error
    policy = read_unsigned(text)
    for key in policy.owner_copy:
        check_usable(key)
    found = explain(policy, parse_rfc3339(options.at) if options.at else None)
    say(msgspec.json.encode(found).decode() if options.json else describe(found))
    return 0
