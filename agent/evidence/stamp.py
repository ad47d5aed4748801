"""A checkpoint's time, said by somebody who is neither hub nor server: RFC 3161 time stamps over the whole signed note.

Rules of this file: a stamp counts only for exactly the note that it is stored with, and only by certificates that the
reader chose. Needs the extra `stamps`; the hub makes none unless it is told where.
"""

from __future__ import annotations

import base64
import datetime as dt
from typing import Annotated, Any, Final

import msgspec
from cryptography import x509

from agent.clock import SECOND_NS, WallTime
from agent.crypto import canonical_json
from agent.errors import BadInputError, ConfigurationError
from agent.evidence.note import NOTE_CHARS_MAX

STAMPS_NAME: Final = "stamps"  # beside the log
STAMPS_BYTES_MAX: Final = 1024 * 1024  # some 300 stamps
RESPONSE_BYTES_MAX: Final = 32 * 1024
ROOTS_MAX: Final = 16
_CURE: Final = "pip install 'transom[stamps]'"


class Stamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the file `stamps`: a checkpoint, and what the time stamping authority answered about it (DER)."""

    note: Annotated[str, msgspec.Meta(max_length=NOTE_CHARS_MAX)]
    response: Annotated[str, msgspec.Meta(max_length=2 * RESPONSE_BYTES_MAX)]  # base64


def ask_stamp(note: str) -> tuple[bytes, int]:
    """Write the request for a note, in DER, and the nonce that the answer must repeat.

    Raises ConfigurationError without the extra.
    """
    library = _library()
    builder = library.TimestampRequestBuilder().data(note.encode())
    request = builder.hash_algorithm(library.HashAlgorithm.SHA256).cert_request(cert_request=True).build()
    return bytes(request.as_bytes()), int(request.nonce)


def take_stamp(note: str, response: bytes, nonce: int) -> Stamp:
    """Take an answer if it is about this request; who signed it is for the reader to judge. Raises BadInputError."""
    parsed = _parse(response)
    if parsed.tst_info.nonce != nonce:
        raise BadInputError("the time stamp answers another request")
    _check_imprint(parsed, note)
    return Stamp(note, base64.b64encode(response).decode())


def check_stamp(stamp: Stamp, roots_pem: bytes) -> WallTime:
    """Return when a stamp says that its note was there, if it holds by one of these certificates.

    Raises BadInputError if it does not, ConfigurationError if they are none.
    """
    library, response = _library(), _parse(_unbase64(stamp.response))
    builder = library.VerifierBuilder()
    for root in _roots(roots_pem):
        builder = builder.add_root_certificate(root)
    _check_imprint(response, stamp.note)
    try:
        builder.build().verify_message(response, stamp.note.encode())
        moment: dt.datetime = response.tst_info.gen_time
    except (library.VerificationError, ValueError) as error:
        raise BadInputError(f"a time stamp that does not hold by these certificates ({_short(error)})") from error
    return WallTime(int(moment.timestamp() * 1000) * (SECOND_NS // 1000))


def encode_stamp(stamp: Stamp) -> bytes:
    """Write a stamp as its line, without line break."""
    return canonical_json(msgspec.to_builtins(stamp))


def decode_stamp(line: bytes) -> Stamp:
    """Read a line. Raises BadInputError."""
    try:
        return msgspec.json.decode(line, type=Stamp)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadInputError("not a time stamp's line") from None


def _library() -> Any:  # noqa: ANN401 - a module
    try:
        import rfc3161_client  # noqa: PLC0415 - in an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError("time stamps need a package that is not installed", cure=_CURE) from error
    return rfc3161_client


def _parse(response: bytes) -> Any:  # noqa: ANN401 - the library's answer
    if len(response) > RESPONSE_BYTES_MAX:
        raise BadInputError(f"a time stamp of {len(response)} bytes (limit {RESPONSE_BYTES_MAX})")
    library = _library()
    try:
        parsed = library.decode_timestamp_response(response)
        if library.PKIStatus(parsed.status) is not library.PKIStatus.GRANTED:
            raise BadInputError("the time stamping authority refused")
        parsed.tst_info  # noqa: B018 - it is parsed when it is asked for
    except ValueError as error:
        raise BadInputError("not a time stamp") from error
    return parsed


def _check_imprint(response: Any, note: str) -> None:  # noqa: ANN401 - the library's answer
    """Refuse a stamp of something else, whoever signed it."""
    digests = {_digest(note, name) for name in ("sha256", "sha384", "sha512")}
    if bytes(response.tst_info.message_imprint.message) not in digests:
        raise BadInputError("a time stamp of something else")


def _digest(note: str, name: str) -> bytes:
    import hashlib  # noqa: PLC0415 - see crypto.py: who only records does not load it

    return hashlib.new(name, note.encode()).digest()


def _roots(pem: bytes) -> list[x509.Certificate]:
    try:
        roots = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigurationError("no PEM certificates", cure="give the authority's root certificate") from error
    if len(roots) > ROOTS_MAX:
        raise ConfigurationError(
            f"{len(roots)} certificates (limit {ROOTS_MAX})", cure="give the authority's root only"
        )
    return list(dict.fromkeys(roots))


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadInputError("not a time stamp: not base64") from None


def _short(error: Exception) -> str:
    return "".join(char if char.isprintable() else "?" for char in str(error)[:200])
