"""Cosignatures: the published example, and what does not count as one."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError
from agent.evidence.audit import Checkpoint, sign_checkpoint
from agent.evidence.cosignature import Witness, cosign, parse_witness, read_cosignatures
from agent.evidence.note import open_note, verifier_of
from tests.simulators.audit_log import HUB, KEY, NOW, SERVER_KEY, server

NOTE = sign_checkpoint(Checkpoint("hub-1", 7, bytes(32)), KEY)
SERVER = server().public
COSIGNED = cosign(NOTE, SERVER.name, SERVER_KEY, NOW)


def test_a_cosignature_is_what_the_standard_says() -> None:
    """Built by hand from c2sp.org/tlog-cosignature: key id, time and the three-line message under one Ed25519 key."""
    public = SERVER_KEY.public_key().public_bytes_raw()
    key_id = hashlib.sha256(b"server.example/witness\n\x04" + public).digest()[:4]
    text = NOTE.partition("\n\n")[0] + "\n"
    signature = SERVER_KEY.sign(b"cosignature/v1\ntime 1795000000\n" + text.encode())
    raw = key_id + (1_795_000_000).to_bytes(8, "big") + signature
    line = f"\N{EM DASH} server.example/witness {base64.b64encode(raw).decode()}\n"
    assert NOTE + line == COSIGNED


def test_the_published_example_has_the_parts_that_we_read() -> None:
    """The example of c2sp.org/tlog-cosignature splits into its log's line and a cosignature of 2023."""
    line = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    raw = base64.b64decode(line)
    assert len(raw) == 4 + 8 + 64
    assert int.from_bytes(raw[4:12], "big") == 1679315147


def test_a_cosignature_tells_who_and_when() -> None:
    """The hub's own signature still opens, and the witness's is found by its key."""
    assert open_note(COSIGNED, HUB) == open_note(NOTE, HUB)
    (found,) = read_cosignatures(COSIGNED, [SERVER])
    assert (found.witness, found.at) == (SERVER, NOW)
    assert read_cosignatures(NOTE, [SERVER]) == []


def test_a_witness_is_written_as_one_line() -> None:
    """The line of a witness comes back, and that of a log's own key is not one."""
    assert parse_witness(str(SERVER)) == SERVER
    for line in (str(HUB), str(SERVER)[:-4], str(SERVER).replace("server", "Server"), ""):
        with pytest.raises(BadInputError, match="verifier key"):
            parse_witness(line)


@pytest.mark.parametrize(
    "note",
    [
        COSIGNED.replace("hub-1\n7\n", "hub-1\n8\n"),
        COSIGNED.replace("\N{EM DASH} server", "\N{EM DASH} Server"),
        cosign(NOTE, SERVER.name, Ed25519PrivateKey.generate(), NOW),
        cosign(NOTE, SERVER.name, SERVER_KEY, WallTime(2**40 * SECOND_NS)),
        NOTE.replace("hub-1 ", "server.example/witness "),
        cosign(NOTE, "other", SERVER_KEY, NOW),
    ],
    ids=["other-text", "other-name", "other-key", "year-36812", "the-logs-own", "other-witness"],
)
def test_anything_else_is_passed_over(note: str) -> None:
    """Other text, name, key or an impossible time: no cosignature, and no error, since others may have signed too."""
    assert read_cosignatures(note, [SERVER]) == []


def test_the_hubs_own_key_cannot_cosign_in_a_witnesss_name() -> None:
    """A log's signature and a cosignature are of different kinds, also by one key."""
    own = Witness("hub-1", verifier_of("hub-1", KEY).public)
    assert read_cosignatures(NOTE, [own]) == []


@given(st.text(max_size=300))
def test_hostile_notes_raise_nothing_else(text: str) -> None:
    """No text raises anything but BadInputError."""
    for note in (text, COSIGNED + text, text + COSIGNED):
        try:
            read_cosignatures(note, [SERVER])
        except BadInputError:
            continue
