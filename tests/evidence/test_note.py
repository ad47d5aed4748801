"""Signed notes and the keys that check them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BadInputError
from agent.evidence.note import open_note, parse_verifier, sign_note, verifier_of

# c2sp.org/signed-note, the specification's own example
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n\N{EM DASH} example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
HUB = verifier_of("hub-1", KEY)


def test_opens_the_specifications_example() -> None:
    """The published note opens by the published key."""
    assert open_note(EXAMPLE, parse_verifier(EXAMPLE_KEY)) == "This is an example message.\n"


def test_a_note_opens_as_it_was_signed() -> None:
    """A text comes back exactly, empty lines inside it and other people's signatures included."""
    note = sign_note("one\n\ntwo\n", "hub-1", KEY)
    assert open_note(note, HUB) == "one\n\ntwo\n"
    witness = sign_note("one\n\ntwo\n", "witness", Ed25519PrivateKey.generate()).rpartition("\n\n")[2]
    assert open_note(note + witness, HUB) == "one\n\ntwo\n"
    assert parse_verifier(str(HUB)) == HUB


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        EXAMPLE,
        sign_note("a\n", "hub-1", KEY).replace("a", "b"),
        sign_note("a\n", "hub-1", KEY)[:-1],
        sign_note("a\n", "hub-1", KEY).replace("\N{EM DASH}", "-"),
        sign_note("a\n", "hub-1", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))),
        sign_note("a\n", "hub-2", KEY),
        sign_note("a\n", "hub-1", KEY) + "junk\n",
        "a\n" + sign_note("a\n", "hub-1", KEY),
        "x" * 20_000 + sign_note("a\n", "hub-1", KEY),
        "\ud800\n\n\N{EM DASH} hub-1 AAAAAAAA\n",
    ],
)
def test_refuses_a_note_that_was_not_signed_so(note: str) -> None:
    """A change anywhere, or another signer, is refused."""
    with pytest.raises(BadInputError):
        open_note(note, HUB)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hub-1",
        str(HUB)[:-1],
        str(HUB).replace("hub-1", "hub-2"),
        "hub 1+" + str(HUB).partition("+")[2],
        "\x1b[31m+" + str(HUB).partition("+")[2],
        str(HUB) + "\n",
        "ä+00000000+" + "A" * 44,
    ],
)
def test_refuses_what_is_no_verifier_key(text: str) -> None:
    """A mistyped or mixed-up line is refused."""
    with pytest.raises(BadInputError):
        parse_verifier(text)


@pytest.mark.parametrize("text", ["", "no line break", "two\n\n"])
def test_signs_only_texts_that_can_be_read_back(text: str) -> None:
    """A text that a reader would cut elsewhere is not signed."""
    with pytest.raises(BadInputError):
        sign_note(text, "hub-1", KEY)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "ä", "x" * 129])
def test_a_name_is_plain(name: str) -> None:
    """Names are shown to people: plain ASCII only."""
    with pytest.raises(BadInputError):
        verifier_of(name, KEY)


@given(st.text() | st.text().map(lambda text: f"a\n\n\N{EM DASH} hub-1 {text}\n"))
def test_hostile_notes_raise_nothing_else(text: str) -> None:
    """No text raises anything but BadInputError, as note or as key."""
    with pytest.raises(BadInputError):
        open_note(text, HUB)
    with pytest.raises(BadInputError):
        parse_verifier(text)
