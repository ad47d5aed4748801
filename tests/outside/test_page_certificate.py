"""The page's certificate: one for each hub, the same after every start, and never a file."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from agent.crypto import Secret
from agent.outside.page_certificate import fingerprint_of, page_certificate, page_key, page_tls


def test_it_is_the_same_after_every_start() -> None:
    """Key, certificate and fingerprint follow from the hub's key; another hub's are others."""
    first, again = (page_certificate(page_key(Secret(bytes(32)))) for _ in range(2))
    other = page_certificate(page_key(Secret(bytes(31) + b"\1")))
    assert first.public_bytes(Encoding.DER) == again.public_bytes(Encoding.DER)
    assert fingerprint_of(first) != fingerprint_of(other)


def test_the_fingerprint_is_what_others_compute(tmp_path: Path) -> None:
    """OpenSSL says the same, believes the signature, and finds P-256 and no name of the hub."""
    certificate = page_certificate(page_key(Secret(bytes(32))))
    path = tmp_path / "page.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    shown = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-text", "-fingerprint", "-sha256"],
        capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    assert f"Fingerprint={fingerprint_of(certificate)}" in shown
    assert "prime256v1" in shown
    assert "CN = Transom hub" in shown
    assert "CA:FALSE" in shown
    checked = subprocess.run(["openssl", "verify", "-CAfile", path, path], capture_output=True, check=False, text=True)
    assert checked.returncode == 0, checked.stderr
    assert hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest().upper() == fingerprint_of(
        certificate
    ).replace(":", "")


def test_the_key_leaves_no_file_and_no_descriptor() -> None:
    """The TLS context is made from memory, which is closed again."""
    key = page_key(Secret(bytes(32)))
    certificate = page_certificate(key)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - descriptors are no files of ours
    page_tls(key, certificate)
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - likewise
