"""A checkpoint as others have seen it: cosignatures of server and owner below the hub's (c2sp.org/tlog-cosignature).

Rules of this file: a cosignature says that its witness found this checkpoint to follow from every earlier one; whether
the witness is to be believed is the reader's choice, by key. Ed25519 cosignatures of version 1 only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import SECOND_NS, WallTime
from agent.evidence.note import SignatureLine, has_signed, key_id, parse_vkey, split_note, write_line, write_vkey

_COSIGNATURE: Final = b"\x04"  # signature type of an Ed25519 cosignature
_TIME_BYTES: Final = 8
_TIME_S_MAX: Final = 2**33  # some time in the year 2242: what RFC 3339 can write


@dataclass(frozen=True, slots=True)
class Witness:
    """Who may cosign: a name and an Ed25519 key; as text `name+hash+key`, of another hash than a log's own key."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in a cosignature."""
        return key_id(self.name, _COSIGNATURE, self.public)

    def __str__(self) -> str:
        return write_vkey(self.name, _COSIGNATURE, self.public)


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: by whom, and when, as the witness says."""

    witness: Witness
    at: WallTime
    line: SignatureLine


def parse_witness(text: str) -> Witness:
    """Read a witness's `name+hash+key`. Raises BadInputError."""
    return Witness(*parse_vkey(text, _COSIGNATURE))


def cosign(note: str, name: str, key: Ed25519PrivateKey, at: WallTime) -> str:
    """Add a cosignature below a checkpoint. The caller has verified the log's signature and the checkpoint's past."""
    text, _ = split_note(note)
    witness, time_s = Witness(name, key.public_key().public_bytes_raw()), at // SECOND_NS
    signature = time_s.to_bytes(_TIME_BYTES, "big") + key.sign(_message(text, time_s))
    return note + write_line(name, witness.key_id, signature)


def read_cosignatures(note: str, witnesses: Iterable[Witness]) -> list[Cosignature]:
    """Return the cosignatures that hold and are by these witnesses; others are passed over. Raises BadInputError."""
    text, lines = split_note(note)
    found = []
    for witness in witnesses:
        for line in lines:
            if not line.is_by(witness.name, witness.key_id):
                continue
            time_s = int.from_bytes(line.raw[:_TIME_BYTES], "big")
            is_signed = has_signed(witness.public, _message(text, time_s), line.raw[_TIME_BYTES:])
            if is_signed and time_s < _TIME_S_MAX:
                found.append(Cosignature(witness, WallTime(time_s * SECOND_NS), line))
                break
    return found


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode(errors="surrogatepass")
