"""Browsers and worse before the owner's page: whole requests by httpx, and bytes by hand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent.clock import Clock
from agent.crypto import Secret
from agent.outside.host import HostClock
from agent.outside.page_certificate import page_certificate, page_key, page_tls
from agent.outside.page_server import PageServer
from agent.page_ports import PageLimits, Respond

LIMITS = PageLimits()
KEK = Secret(bytes(32))
KEY: ec.EllipticCurvePrivateKey = page_key(KEK)
CERTIFICATE = page_certificate(KEY)
SERVER_TLS = page_tls(KEY, CERTIFICATE)


def visitor_tls() -> ssl.SSLContext:
    """Trust exactly this hub's certificate, as an owner does who has compared it; its name means nothing."""
    context = ssl.create_default_context(cadata=CERTIFICATE.public_bytes(Encoding.PEM).decode())
    context.check_hostname = False
    return context


@asynccontextmanager
async def page_server(respond: Respond, limits: PageLimits = LIMITS, clock: Clock | None = None) -> AsyncIterator[int]:
    """Serve on a port of the loopback, which is given."""
    server = PageServer(SERVER_TLS, limits, respond, clock or HostClock())
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.stop()


def visitor(port: int) -> httpx.AsyncClient:
    """Make a browser's manners: cookies, kept connections."""
    return httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=visitor_tls(), timeout=20)


@asynccontextmanager
async def by_hand(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a TLS connection to write bytes to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=visitor_tls())
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            await writer.wait_closed()


async def all_of(reader: asyncio.StreamReader, within_s: float = 20) -> bytes:
    """Read until the other side closes."""
    async with asyncio.timeout(within_s):
        try:
            return await reader.read()
        except OSError:
            return b""
