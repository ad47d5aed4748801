"""TLS over a camera's connection, a step at a time, so that no handshake ever holds up another camera.

Cameras have certificates that nobody signed, for names that nobody asked for: none is believed for its own sake. The
recorder compares its digest with the one it saw first (`certificate`) before it sends anything else.

Rules of this file: no call waits; what is read and decrypted in one call is bounded; nothing is written before the
handshake is over, so a login cannot leave before the certificate is known.
"""

from __future__ import annotations

import ssl
from typing import Final

from agent.cameras.link import CameraLink
from agent.crypto import sha256_hex
from agent.errors import UnavailableError

CIPHERTEXT_BYTES: Final = 64 * 1024
HANDSHAKE_READS_MAX: Final = 8  # per call; OpenSSL refuses a chain of certificates over 100 KiB
# Old cameras have RSA of 1024 bits and SHA-1. Keys are agreed on in the one group that everybody has (RFC 8446 section
# 9.1), without finite-field Diffie-Hellman: the camera would choose how long the hub computes (ffdhe8192: 140 ms).
CIPHERS: Final = "DEFAULT:!DH:@SECLEVEL=1"
CURVE: Final = "prime256v1"


class CameraTls:
    """Begins TLS with cameras; one thread uses it and all its links."""

    def __init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE  # pinned on first use instead
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_ciphers(CIPHERS)
        self._context.set_ecdh_curve(CURVE)
        self._context.options |= ssl.OP_NO_RENEGOTIATION
        self._ciphertext = memoryview(bytearray(CIPHERTEXT_BYTES))

    def begin(self, link: CameraLink) -> TlsLink:
        """Speak TLS over a connection that may still be on its way; the new link owns it."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return TlsLink(link, self._context.wrap_bio(incoming, outgoing), incoming, outgoing, self._ciphertext)


class TlsLink:
    """One connection with TLS; implements `CameraLink`."""

    def __init__(
        self,
        link: CameraLink,
        tls: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        ciphertext: memoryview,
    ) -> None:
        self._link, self._tls, self._incoming, self._outgoing = link, tls, incoming, outgoing
        self._ciphertext = ciphertext
        self._certificate = ""

    @property
    def certificate(self) -> str:
        """SHA-256 of the camera's certificate in hex; empty before the handshake is over."""
        return self._certificate

    @property
    def window_bytes(self) -> int:
        """What the connection below has."""
        return self._link.window_bytes

    def is_open(self) -> bool:
        """Take the handshake as far as it goes now; say whether it is over. Raises UnavailableError."""
        if self._certificate:
            return True
        if not self._link.is_open():
            return False
        for _ in range(HANDSHAKE_READS_MAX):
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._push()
                if not self._pull():
                    return False
            except ssl.SSLError as error:
                raise _failed(error) from error
            else:
                self._push()
                self._certificate = sha256_hex(self._tls.getpeercert(binary_form=True) or b"")
                return True
        return False

    def send(self, octets: bytes) -> None:
        """Encrypt and queue bytes."""
        if not self._certificate:
            raise UnavailableError("the camera's TLS connection is not open")
        try:
            self._tls.write(octets)
        except ssl.SSLError as error:
            raise _failed(error) from error
        self._push()

    def receive_into(self, room: memoryview) -> int:
        """Read and decrypt what is there into `room`; 0 if there is nothing. Raises UnavailableError at the end."""
        count = pulled = 0
        while count < len(room):
            try:
                more: int = self._tls.read(len(room) - count, room[count:])  # type: ignore[assignment]  # a count here
            except ssl.SSLWantReadError:
                if pulled > len(room):  # records without content
                    break
                more_ciphertext = self._pull_after(count)
                if not more_ciphertext:
                    break
                pulled += more_ciphertext
            except ssl.SSLError as error:
                if count:
                    break  # the error comes again with the next call
                raise _failed(error) from error
            else:
                count += more
        self._push()
        return count

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _pull_after(self, count: int) -> int:
        """Read ciphertext; the connection's end is told with the next call if this one has brought something."""
        try:
            return self._pull()
        except UnavailableError:
            if count:
                return 0
            raise

    def _pull(self) -> int:
        count = self._link.receive_into(self._ciphertext)
        if count:
            self._incoming.write(self._ciphertext[:count])
        return count

    def _push(self) -> None:
        if self._outgoing.pending:
            self._link.send(self._outgoing.read())


def _failed(error: ssl.SSLError) -> UnavailableError:
    if isinstance(error, ssl.SSLZeroReturnError):
        return UnavailableError("the camera closed the connection")
    return UnavailableError(
        f"the camera's TLS connection failed: {(error.reason or 'unknown reason').replace('_', ' ').lower()}",
        cure="update the camera's firmware: it must speak TLS 1.2 or newer",
    )
