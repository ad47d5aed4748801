"""A hub whose clock is years off reaches its broker all the same, and one whose clock is known looks at dates."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.clock import WallTime
from agent.demo.pki import Authority
from agent.outside.tls_dates import follow_clock
from tests.simulators.audit_log import NOW
from tests.simulators.set_clock import SetClock


@pytest.fixture
def port_of_tomorrow(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """Serve TLS with a certificate that is valid in two days, as a hub that is days behind would see it."""
    authority = Authority(began_ago=timedelta(days=-2))
    certificate, key = authority.issue_server(tmp_path, "broker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_greet, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1], authority.pem
        listener.shutdown(socket.SHUT_RDWR)


def _greet(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(plain, server_side=True) as channel:
                channel.sendall(b"hello")
        except OSError:
            plain.close()


def greeting(port: int, context: ssl.SSLContext) -> bytes:
    """Connect and read."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as channel,
    ):
        return channel.recv(5)


def test_dates_count_while_the_machine_knows_the_time(port_of_tomorrow: tuple[int, str]) -> None:
    """The same certificate is refused, taken while nobody vouches for the clock, and refused again."""
    port, anchor = port_of_tomorrow
    context, clock = ssl.create_default_context(cadata=anchor), SetClock(WallTime(NOW))
    for is_trusted in (True, False, True):
        clock.trusted = is_trusted
        follow_clock(context, clock)
        if is_trusted:
            with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
                greeting(port, context)
        else:
            assert greeting(port, context) == b"hello"


def test_without_dates_the_chain_still_counts(port_of_tomorrow: tuple[int, str]) -> None:
    """Another authority's certificate is refused whatever the clock says."""
    context, clock = ssl.create_default_context(cadata=Authority().pem), SetClock(WallTime(NOW), trusted=False)
    follow_clock(context, clock)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get|self-signed|signature"):
        greeting(port_of_tomorrow[0], context)
