"""Whose signature an officer believes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.errors import ConfigurationError
from agent.evidence.known_hubs import find_known, parse_known_hubs
from agent.evidence.note import verifier_of

HUB = verifier_of("hub-1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = verifier_of("hub-2", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))


def test_reads_lines_and_comments() -> None:
    """One hub a line; comments and empty lines are for people."""
    assert parse_known_hubs(f"# ours\n\n{HUB}   # the bakery\n  {OTHER}\r\n") == (HUB, OTHER)


@pytest.mark.parametrize("text", ["nonsense", f"{HUB} {OTHER}", str(HUB)[:-2], "\0"])
def test_a_bad_line_is_named(text: str) -> None:
    """A line that is not a key is for a person to mend."""
    with pytest.raises(ConfigurationError, match="line 2"):
        parse_known_hubs(f"{OTHER}\n{text}")


def test_an_unknown_hub_is_refused_with_the_line_to_add() -> None:
    """The officer is shown the exact line, and where to ask before adding it."""
    assert find_known(HUB, (OTHER, HUB), "hubs") == HUB
    with pytest.raises(ConfigurationError) as caught:
        find_known(HUB, (OTHER,), "hubs")
    assert f"add it to hubs:\n{HUB}\n" in str(caught.value)


def test_a_hub_with_another_key_is_an_alarm() -> None:
    """A known name under a new key is not offered for adding."""
    with pytest.raises(ConfigurationError, match="another key") as caught:
        find_known(verifier_of("hub-1", Ed25519PrivateKey.generate()), (HUB,), "hubs")
    assert "add it" not in str(caught.value)


def test_a_list_without_end_is_refused() -> None:
    """The list has a limit."""
    with pytest.raises(ConfigurationError):
        parse_known_hubs("#" * (17 * 1024 * 1024))
