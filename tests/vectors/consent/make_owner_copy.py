"""Write the vectors of the owner's copy: `python -m tests.vectors.consent.make_owner_copy`. Always the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from agent.crypto import sha256_hex

WRITTEN: Final = Path(__file__).with_name("owner_copy.json")
VAULT, QUANTUM_VAULT = "age1" + "q" * 58, "age1pq1" + "q" * 1952
OWNER, QUANTUM_OWNER = "age1" + "z" * 58, "age1pq1" + "z" * 1952


def vectors() -> list[dict[str, Any]]:
    """Return what a policy's `owner_copy` and a command's recipients come to."""
    both = [OWNER, QUANTUM_OWNER]
    return [
        _vector("none", "the owner wants no copy", [], [VAULT], "", ""),
        _vector("classical", "a key of the recipients' kind", [OWNER], [VAULT], OWNER),
        _vector("post_quantum", "likewise", [QUANTUM_OWNER], [QUANTUM_VAULT], QUANTUM_OWNER),
        _vector("both_classical", "one of each kind: the recipients decide", both, [VAULT], OWNER),
        _vector("both_post_quantum", "likewise", both, [QUANTUM_VAULT], QUANTUM_OWNER),
        _vector("other_kind", "a classical key, a post-quantum command", [OWNER], [QUANTUM_VAULT], "", "other_kind"),
        _vector("other_kind_too", "the other way round", [QUANTUM_OWNER], [VAULT], "", "other_kind"),
        _vector("named_already", "the command names the owner's key itself", [VAULT], [VAULT], VAULT),
        _refused("twice", "two keys of one kind", [OWNER, VAULT]),
        _refused("three", "more keys than kinds", [OWNER, QUANTUM_OWNER, VAULT]),
        _refused("secret", "an identity where a recipient is wanted", ["AGE-SECRET-KEY-1" + "Q" * 58]),
        _refused("name", "a recipient's name in the trust bundle", ["vault-2026q4"]),
        _refused("newline", "a line break behind it", [OWNER + "\n"]),
    ]


def content() -> str:
    """Return the file."""
    about = "What a policy's owner_copy and a command's recipients (age) come to: a further recipient, and a word."
    return json.dumps({"about": about, "vectors": vectors()}, indent=1) + "\n"


def _vector(
    name: str, about: str, keys: list[str], recipients: list[str], seal_to: str, word: str | None = None
) -> dict[str, Any]:
    word = sha256_hex(seal_to.encode()) if word is None else word
    said = {"name": name, "about": about, "expect": "accepted", "owner_copy": keys, "recipients": recipients}
    return {**said, "seal_to": seal_to, "word": word}


def _refused(name: str, about: str, keys: list[str]) -> dict[str, Any]:
    return {"name": name, "about": about, "expect": "refused", "owner_copy": keys}


if __name__ == "__main__":
    WRITTEN.write_text(content())
