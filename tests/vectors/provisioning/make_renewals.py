"""Write the renewal vectors: `python -m tests.vectors.provisioning.make_renewals`. Same bytes every run.

The messages are written here from `provisioning/FORMAT.md` section 6 with `cryptography` alone, not by the code under
test; keys come from names, and ECDSA is deterministic (RFC 6979).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

FILE: Final = Path(__file__).parent / "renewals.json"
HUB: Final = "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"
OTHER: Final = "01JD3Q7Z8X5M2K9P4R6T8V0W1Z"
BEGAN: Final = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
ENDS: Final = BEGAN + dt.timedelta(days=90)
NOW_S: Final = int((BEGAN + dt.timedelta(days=62)).timestamp())
DAY_S: Final = 86400
LAST_S: Final = int(ENDS.timestamp()) + 90 * DAY_S
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key that belongs to a name."""
    number = int.from_bytes(hashlib.sha256(b"transom renewal vector " + name.encode()).digest()) % (ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def spki(name: str) -> bytes:
    """Write its public half."""
    return key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pin(name: str) -> str:
    """Name it by its hash."""
    return hashlib.sha256(spki(name)).hexdigest()


def certificate(subject: str = HUB, of: str = "present", by: str = "authority") -> x509.Certificate:
    """Issue a certificate; the authority's own is by itself."""
    is_authority = of == by
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hub CA" if is_authority else subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hub CA")]))
        .public_key(key(of).public_key())
        .serial_number(1 + len(of))
        .not_valid_before(BEGAN)
        .not_valid_after(BEGAN + dt.timedelta(days=3650) if is_authority else ENDS)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(key(by), hashes.SHA256(), ecdsa_deterministic=True)
    )


def csr(of: str = "next", subject: str = HUB) -> bytes:
    """Ask for a certificate."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key(of), hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def signed(by: str, label: bytes, *parts: bytes) -> str:
    """Sign the hashes of some parts behind a label."""
    content = label + b"\0" + b"".join(hashlib.sha256(part).digest() for part in parts)
    return text64(key(by).sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))


def text64(content: bytes) -> str:
    """Write standard base64."""
    return base64.b64encode(content).decode()


def asked(
    *,
    hub: str = HUB,
    shown: x509.Certificate | None = None,
    wanted: bytes = b"",
    factory: str = "factory",
    by: str = "present",
    label: bytes = b"transom/renew/v1",
    **more: object,
) -> dict[str, Any]:
    """Write a request."""
    wanted = wanted or csr()
    der = (shown or certificate()).public_bytes(Encoding.DER)
    return {
        "hub_id": hub,
        "csr": text64(wanted),
        "certificate": text64(der),
        "factory_key": text64(spki(factory)),
        "signature": signed(by, label, wanted, der),
        "factory_signature": signed(factory, label, wanted, der),
        **more,
    }


def cases() -> list[tuple[str, str, dict[str, Any], dict[str, Any], str]]:
    """Return name, why, request, what is different at the server, and what must come of it."""
    there: dict[str, Any] = {}
    return [
        ("good", "at two thirds of its life", asked(), there, "GOOD"),
        (
            "good-offered",
            "by the pair that was offered last",
            asked(),
            {"keys": [pin("older"), pin("present")]},
            "GOOD",
        ),
        ("good-again", "the answer was lost", asked(), {"keys": [pin("present"), pin("next")]}, "GOOD"),
        ("good-drawer", "the last second of its grace", asked(), {"now_s": LAST_S}, "GOOD"),
        ("past-its-grace", "a second later", asked(), {"now_s": LAST_S + 1}, "certificate has ended"),
        ("not-begun", "from the future", asked(), {"now_s": int(BEGAN.timestamp()) - 301}, "certificate has ended"),
        ("withdrawn", "not on the operator's list", asked(), {"factory_pin": None}, "not a hub of this operator"),
        ("superseded", "a copy of an older pair", asked(), {"keys": [pin("newer"), None]}, "has a successor"),
        ("other-hub", "another hub's certificate", asked(shown=certificate(OTHER)), there, "another hub's"),
        (
            "other-authority",
            "a certificate by somebody else",
            asked(shown=certificate(by="stranger")),
            there,
            "not a certificate of this authority",
        ),
        ("other-factory-key", "a stolen pair", asked(factory="thief"), there, "not the hub with that id"),
        ("other-key-signed", "a certificate without its key", asked(by="thief"), there, "signature of the message"),
        (
            "factory-did-not-sign",
            "a signature of the wrong key",
            asked(factory_signature=signed("present", b"transom/renew/v1", csr(), b"")),
            there,
            "signature of the message",
        ),
        (
            "swapped-request",
            "another key was put in",
            asked(csr=text64(csr("thief"))),
            there,
            "signature of the message",
        ),
        ("other-label", "a signature for another purpose", asked(label=b"transom/enrol/v1"), there, "signature of the"),
        ("other-name", "a request for another name", asked(wanted=csr(subject=OTHER)), there, "not this hub's own"),
        ("same-key", "the key in force", asked(wanted=csr("present")), there, "a key of its own"),
        ("factory-key", "the factory key as the next", asked(wanted=csr("factory")), there, "a key of its own"),
        ("unknown-member", "a member nobody knows", asked(version=2), there, "not a message about a renewal"),
        ("bad-id", "a name that is none", asked(hub="hub-1"), there, "not a hub id"),
        ("bad-base64", "not base64", asked(csr="?"), there, "not base64"),
    ]


def vectors() -> list[dict[str, Any]]:
    """Return all of them; each shows one good case or one failure."""
    server = {"now_s": NOW_S, "factory_pin": pin("factory"), "keys": [pin("present"), None]}
    authority = certificate(of="authority").public_bytes(Encoding.PEM).decode()
    return [
        {
            "name": name,
            "why": why,
            "server": server | different,
            "authority": authority,
            "request": said,
            "outcome": end,
        }
        for name, why, said, different, end in cases()
    ]


def text() -> str:
    """Return the file."""
    return json.dumps(vectors(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
