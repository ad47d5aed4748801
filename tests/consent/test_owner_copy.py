"""Which of the owner's keys a clip is sealed to: one of the recipients' kind, or none, and then it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.command.request import Recipient
from agent.consent.owner_copy import NO_COPY, OwnerCopy, owner_copy
from agent.consent.policy import open_policy
from agent.errors import BadInputError
from tests.vectors.command.scene import AUDIENCE, NOW, OWNER
from tests.vectors.consent.make_owner_copy import content

FILE = Path(__file__).parents[1] / "vectors/consent/owner_copy.json"


def test_the_vectors_are_made_by_the_code_here() -> None:
    """Nobody has edited them."""
    assert FILE.read_text() == content()


@pytest.mark.parametrize("vector", json.loads(FILE.read_text())["vectors"], ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """The policy is refused as a whole, or the clip's recipients and the word in the manifest follow."""
    token = OWNER.policy(NOW, 1, owner_copy=vector["owner_copy"])
    if vector["expect"] == "refused":
        with pytest.raises(BadInputError):
            open_policy(token, OWNER.key, AUDIENCE.hub, 0)
        return
    policy = open_policy(token, OWNER.key, AUDIENCE.hub, 0)
    recipients = [Recipient(f"r{number}", age) for number, age in enumerate(vector["recipients"])]
    assert owner_copy(policy, recipients) == OwnerCopy(vector["seal_to"], vector["word"])


def test_without_a_policy_there_is_no_copy() -> None:
    """Nor is there a clip."""
    assert owner_copy(None, [Recipient("vault", "age1")]) == NO_COPY
