"""The page's server over real TLS: whole requests within limits, and nothing that anybody sends costs more."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from agent.clock import WallTime
from agent.errors import UnavailableError
from agent.outside.page_server import PageServer
from agent.page_ports import PageLimits, PageRequest, PageResponse
from tests.simulators.page_visitor import SERVER_TLS, all_of, by_hand, page_server, visitor, visitor_tls
from tests.simulators.set_clock import SetClock

LIMITS = PageLimits()
PATIENT_S = 20.0


async def echo(request: PageRequest) -> PageResponse:
    """Answer with what was understood."""
    told = f"{request.method} {request.path} {dict(request.query)} {len(request.body)} {request.peer} {request.local}"
    return PageResponse(200, {"content-type": "text/plain"}, told.encode())


def serve(
    visit: Callable[[int], Awaitable[None]],
    limits: PageLimits = LIMITS,
    respond: Callable[[PageRequest], Awaitable[PageResponse]] = echo,
    clock: SetClock | None = None,
) -> None:
    """Let somebody visit a server; both end."""

    async def life() -> None:
        async with page_server(respond, limits, clock) as port:
            await visit(port)

    asyncio.run(life())


def test_requests_are_understood_one_after_the_other() -> None:
    """Method, path, query, body and both addresses arrive; a connection serves more than one request."""

    async def visit(port: int) -> None:
        async with visitor(port) as browser:
            first = await browser.get("/a%20b?x=1&y=%C3%A9")
            assert first.text == "GET /a%20b {'x': '1', 'y': 'é'} 0 127.0.0.1 127.0.0.1"
            assert (await browser.head("/b")).content == b""
            second = await browser.post("/c", content=b"12345")
            assert second.text == "POST /c {} 5 127.0.0.1 127.0.0.1"

    serve(visit)


def test_an_answer_may_come_in_pieces() -> None:
    """A long answer is made piece by piece, as the browser takes it."""

    def pieces() -> Iterator[bytes]:
        for number in range(50):
            yield bytes([number]) * 10_000

    async def long(_: PageRequest) -> PageResponse:
        return PageResponse(200, {}, pieces=pieces())

    async def visit(port: int) -> None:
        async with visitor(port) as browser:
            assert (await browser.get("/")).content == b"".join(bytes([number]) * 10_000 for number in range(50))

    serve(visit, respond=long)


def test_an_answer_that_breaks_off_ends_its_connection_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """The disk fails in the middle of a long answer: the browser sees that it is not whole, and the log says why."""

    def pieces() -> Iterator[bytes]:
        yield b"1"
        raise UnavailableError("the disk has failed")

    async def breaking(request: PageRequest) -> PageResponse:
        return PageResponse(200, {}, pieces=pieces()) if request.path == "/long" else await echo(request)

    async def visit(port: int) -> None:
        async with visitor(port) as browser:
            with pytest.raises(httpx.RemoteProtocolError):
                await browser.get("/long")
            assert (await browser.get("/b")).status_code == 200

    serve(visit, respond=breaking)
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "an answer to 127.0.0.1 broke off: the disk has failed"
    ]


def test_too_large_a_body_is_refused_before_it_is_read() -> None:
    """The sender reads which limit it was."""

    async def visit(port: int) -> None:
        async with visitor(port) as browser:
            whole = await browser.post("/", content=bytes(100_000))
            assert (whole.status_code, whole.text) == (413, "A request may have 20000 bytes.")
            assert (await browser.post("/", content=bytes(20_000))).status_code == 200

    serve(visit, replace(LIMITS, body_bytes=20_000))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 90_000, b"411"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 3_900 + b"\r\n", b"431"),
        (b"\r\n" * 8_000, b"4"),
    ],
    ids=["chunks", "fields", "empty lines"],
)
def test_no_request_costs_much_more_time_than_its_bytes(sent: bytes, status: bytes) -> None:
    """What is made to be slow to read is refused before it is: a dozen of each take next to nothing."""

    async def visit(port: int) -> None:
        for _ in range(12):
            async with by_hand(port) as (reader, writer):
                writer.write(sent)
                assert (await reader.readline()).startswith(b"HTTP/1.1 " + status)

    began_s = time.thread_time()
    serve(visit)
    assert time.thread_time() - began_s < 3


def test_too_long_a_head_is_refused() -> None:
    """A header without end costs its limit and no more."""

    async def visit(port: int) -> None:
        async with by_hand(port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 6000)
            assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")

    serve(visit, replace(LIMITS, header_bytes=4096))


@pytest.mark.parametrize("sent", [b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 100 + b"\r\n\r\n"])
def test_what_is_no_request_is_refused(sent: bytes) -> None:
    """Noise, or a request without a host: each is told, and the connection ends."""

    async def visit(port: int) -> None:
        async with by_hand(port) as (reader, writer):
            writer.write(sent)
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")

    serve(visit)


def test_who_is_slow_is_left() -> None:
    """Whoever stops in a request is told after the limit, others are left without a word; their places are free."""

    async def visit(port: int) -> None:
        async with by_hand(port) as (slow, writer), by_hand(port) as (idle, _):
            without_tls, plain_writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            said = await asyncio.gather(all_of(slow), all_of(idle), all_of(without_tls))
            plain_writer.close()
        assert said[0].startswith(b"HTTP/1.1 408 ")
        assert said[1:] == [b"", b""]
        async with by_hand(port), by_hand(port), by_hand(port):
            pass

    serve(visit, replace(LIMITS, request_s=1, connections=3))


def test_what_is_no_tls_is_left() -> None:
    """Plain HTTP gets nothing back but the end."""

    async def visit(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in await all_of(reader)
        writer.close()

    serve(visit)


def test_there_is_room_for_so_many() -> None:
    """One more is closed at once, and comes in when somebody has left."""

    async def visit(port: int) -> None:
        async with by_hand(port) as (first, first_writer), by_hand(port):
            with pytest.raises((OSError, ssl.SSLError)):
                async with by_hand(port):
                    pass
            first_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 200 " in await all_of(first)
        async with asyncio.timeout(PATIENT_S):
            while True:
                try:
                    async with visitor(port) as browser:
                        assert (await browser.get("/")).status_code == 200
                        return
                except httpx.TransportError:  # the place is not free yet
                    await asyncio.sleep(0.01)

    serve(visit, replace(LIMITS, connections=2))


@pytest.mark.parametrize(
    ("address", "asked", "seen"),
    [("::1", "[::1]", "::1"), ("::", "[::1]", "::1"), ("::", "127.0.0.1", "127.0.0.1")],
)
def test_it_is_served_by_both_families(address: str, asked: str, seen: str) -> None:
    """At an IPv6 address, and at all of both: the ends have the names by which browsers know them."""

    async def life() -> None:
        server = PageServer(SERVER_TLS, LIMITS, echo, SetClock(WallTime(0)))
        try:
            port = await server.start(address, 0)
        except UnavailableError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        try:
            url = f"https://{asked}:{port}/"
            async with httpx.AsyncClient(verify=visitor_tls(), timeout=PATIENT_S) as browser:
                assert (await browser.get(url)).text == f"GET / {{}} 0 {seen} {seen}"
        finally:
            await server.stop()

    asyncio.run(life())


_FROM_AFAR = """
import asyncio, ssl
from tests.outside.test_page_server import LIMITS, SERVER_TLS, PageServer, echo, visitor_tls
from agent.outside.host import HostClock

async def try_from(address, port):
    try:
        _, writer = await asyncio.open_connection(address, port, ssl=visitor_tls(), local_addr=(address, 0))
        writer.close()
        return "in"
    except (OSError, ssl.SSLError):
        return "out"

async def life():
    server = PageServer(SERVER_TLS, LIMITS, echo, HostClock())
    port = await server.start("", 0)
    print([await try_from(address, port) for address in ("127.0.0.1", "192.168.7.7", "8.8.8.8")])
    await server.stop()

asyncio.run(life())
"""


def test_nobody_from_afar_is_let_in() -> None:
    """In a network of its own the page is asked from a local address, a neighbour's, and one of the internet."""
    addresses = 'ip link set lo up; for one in 192.168.7.7 8.8.8.8; do ip addr add $one/32 dev lo; done; exec "$@"'
    command = ["unshare", "--net", "sh", "-c", addresses, "sh", sys.executable, "-c", _FROM_AFAR]
    asked = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    if "unshare" in asked.stderr:
        pytest.skip(f"this machine lets nobody make networks: {asked.stderr.strip()}")
    assert asked.stdout == "['in', 'in', 'out']\n", asked.stderr


def test_a_flood_of_connections_is_taken_slowly() -> None:
    """While there is no room, at most a hundred a second are looked at; the rest wait in the kernel."""

    async def visit(port: int) -> None:
        async with by_hand(port):
            began = asyncio.get_running_loop().time()
            for _ in range(40):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await all_of(reader) == b""
                writer.close()
            assert asyncio.get_running_loop().time() - began >= 0.35

    serve(visit, replace(LIMITS, connections=1))


def test_one_address_asks_so_often_in_a_minute() -> None:
    """Then it is told to wait, and served again in the next minute."""
    clock = SetClock(WallTime(0))

    async def visit(port: int) -> None:
        async with visitor(port) as browser:
            assert [(await browser.get("/")).status_code for _ in range(4)] == [200, 200, 200, 429]
            clock.go_on(60)
            assert (await browser.get("/")).status_code == 200

    serve(visit, replace(LIMITS, requests_per_minute=3), clock=clock)


def test_a_browser_that_takes_nothing_is_left() -> None:
    """An answer that nobody reads ends after the limit, and does not fill memory."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(64 * 1024)

    async def long(_: PageRequest) -> PageResponse:
        return PageResponse(200, {}, pieces=endless())

    async def visit(port: int) -> None:
        async with by_hand(port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.read(1000)
            before = -1
            async with asyncio.timeout(PATIENT_S):
                while before != taken:
                    before = taken
                    await asyncio.sleep(1.2)  # longer than a stuck piece may wait
        assert taken < 400

    serve(visit, replace(LIMITS, request_s=1), respond=long)


def test_a_bug_in_a_page_ends_that_request_only(caplog: pytest.LogCaptureFixture) -> None:
    """The browser is told without particulars, the log has them, and the next request is served."""

    async def broken(request: PageRequest) -> PageResponse:
        if request.path == "/bad":
            raise ZeroDivisionError("secret detail")
        return await echo(request)

    async def visit(port: int) -> None:
        async with visitor(port) as browser:
            bad = await browser.get("/bad")
            assert bad.status_code == 500
            assert "secret" not in bad.text
            assert (await browser.get("/good")).status_code == 200

    with caplog.at_level(logging.ERROR):
        serve(visit, respond=broken)
    assert "secret detail" in caplog.text


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")  # that is why the page refuses it
def test_old_tls_is_refused() -> None:
    """Below TLS 1.2 there is no connection."""

    async def visit(port: int) -> None:
        context = visitor_tls()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.options &= ~ssl.OP_NO_TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((OSError, ssl.SSLError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)

    serve(visit)


def test_a_port_that_is_taken_is_told() -> None:
    """The hub says what to change, and can go on without its page."""

    async def life() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            server = PageServer(SERVER_TLS, LIMITS, echo, SetClock(WallTime(0)))
            with pytest.raises(UnavailableError, match=r"owner_page\.port"):
                await server.start("127.0.0.1", taken.getsockname()[1])
            await server.stop()

    asyncio.run(life())
