"""The published vectors of the store's receipts: each shows one success or one failure."""

import json
from pathlib import Path

import pytest

from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.receipt import verify_receipt
from agent.errors import BadInputError
from agent.signing import key_from_jwk

RECEIPTS = json.loads((Path(__file__).parents[1] / "vectors/receipt/receipt.json").read_text())
STATED = RECEIPTS["part"]
PART = SealedPart(STATED["part"], Path("x"), STATED["size"], STATED["sha256"], MEDIA_TYPE_CLIP)


@pytest.mark.parametrize("vector", RECEIPTS["vectors"], ids=[vector["name"] for vector in RECEIPTS["vectors"]])
def test_receipt(vector: dict[str, str]) -> None:
    """A receipt is believed, or refused for the one thing that is wrong with it."""
    key = key_from_jwk(RECEIPTS["key"])
    if vector["expect"] == "success":
        assert verify_receipt(vector["token"], [key], PART, RECEIPTS["hub"]).size == PART.size
    else:
        with pytest.raises(BadInputError):
            verify_receipt(vector["token"], [key], PART, RECEIPTS["hub"])
