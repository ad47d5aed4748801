"""A claim opens on the hub whose label made it, once in its time, and no other text does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import base45
from provisioning.claim import CLAIM_CHARACTERS_MAX, SERVER_CHARACTERS_MAX, Claim, make_claim, open_claim
from provisioning.errors import BadInputError
from provisioning.qr_drawing import code_version
from provisioning.secret import Secret, read_secret

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "provisioning" / "claims.json").read_text()
)
LABEL = Secret(bytes(range(16)))
CLAIM = Claim("hub.example", 8443, bytes(16), bytes(32), 2_000_000_000)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vectors(vector: dict[str, Any]) -> None:
    """Each vector opens or fails for its one reason."""
    secret = read_secret(vector["label_secret"])
    if vector["is_good"]:
        claim = open_claim(vector["text"], secret, vector["now_s"])
        assert make_claim(claim, secret) == vector["text"]
    else:
        with pytest.raises(BadInputError):
            open_claim(vector["text"], secret, vector["now_s"])


def test_the_longest_claim_still_is_a_qr_code_of_version_5() -> None:
    """At the limit of the server's name the code has 37 modules, as the reading distance was measured for."""
    host = "h" * (SERVER_CHARACTERS_MAX - len(":8443"))
    text = make_claim(Claim(host, 8443, bytes(16), b"\xff" * 32, 2_000_000_000), LABEL)
    assert len(text) == CLAIM_CHARACTERS_MAX
    assert code_version(text) == 5
    assert code_version(text + "0") == 6


@pytest.mark.parametrize(
    "claim",
    [
        Claim("h" * SERVER_CHARACTERS_MAX, 443, bytes(16), bytes(32), 1),
        Claim("::1", 443, bytes(16), bytes(32), 1),
        Claim("hub.example", 0, bytes(16), bytes(32), 1),
        Claim("hub.example", 443, bytes(15), bytes(32), 1),
        Claim("hub.example", 443, bytes(16), bytes(31), 1),
        Claim("hub.example", 443, bytes(16), bytes(32), 2**32),
    ],
)
def test_a_claim_that_no_hub_could_open_is_not_made(claim: Claim) -> None:
    """The maker applies the same limits as the opener."""
    with pytest.raises(BadInputError):
        make_claim(claim, LABEL)


def test_the_code_stays_out_of_the_repr() -> None:
    """A claim can be logged by accident without giving its one-use code away."""
    assert "code" not in repr(CLAIM)


@given(st.text(max_size=200) | st.text(base45.ALPHABET, max_size=160).map("H1:".__add__))
def test_no_other_text_opens(text: str) -> None:
    """Any text from a camera's picture is refused with one kind of error."""
    with pytest.raises(BadInputError):
        open_claim(text, LABEL, 0)


@given(st.integers(0, len(make_claim(CLAIM, LABEL)) - 1), st.sampled_from(base45.ALPHABET))
def test_any_changed_character_closes_it(at: int, character: str) -> None:
    """No character of a claim can be changed, not even in the server's name."""
    text = make_claim(CLAIM, LABEL)
    changed = text[:at] + character + text[at + 1 :]
    if changed == text:
        assert open_claim(changed, LABEL, 0) == CLAIM
    else:
        with pytest.raises(BadInputError):
            open_claim(changed, LABEL, 0)
