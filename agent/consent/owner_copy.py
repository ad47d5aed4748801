"""Whether the owner can open a clip too: which of their keys it is sealed to, beside the recipients of the command.

Rules of this file: a file is sealed to keys of one kind (`deliver/age.py`), and the command's recipients decide which;
an owner who has no key of it gets no copy, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.command.request import Recipient
from agent.command.trust import is_post_quantum
from agent.consent.policy import Policy
from agent.crypto import sha256_hex

OTHER_KIND: Final = "other_kind"


@dataclass(frozen=True, slots=True)
class OwnerCopy:
    """What comes of an owner's wish for a copy: the age recipient to seal to too, or none, and the word for it."""

    recipient: str = ""
    word: str = ""  # the recipient's SHA-256 in hex, or `OTHER_KIND`; empty: the owner wants no copy


NO_COPY: Final = OwnerCopy()


def owner_copy(policy: Policy | None, recipients: Sequence[Recipient]) -> OwnerCopy:
    """Choose the owner's key of the recipients' kind, by the policy of now."""
    if policy is None or not policy.owner_copy:
        return NO_COPY
    kinds = {is_post_quantum(one.age) for one in recipients}
    fitting = [key for key in policy.owner_copy if {is_post_quantum(key)} == kinds]
    return OwnerCopy(fitting[0], sha256_hex(fitting[0].encode())) if fitting else OwnerCopy(word=OTHER_KIND)
