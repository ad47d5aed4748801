"""A virtual camera takes so many connections and leaves none open."""

from __future__ import annotations

import asyncio
import contextlib

from agent.demo.camera_listener import Listener


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    await reader.read()


def test_connections_are_served_bounded_and_closed() -> None:
    """Two are served, the third is cut off at once, and stopping ends the two that still listen."""

    async def talk() -> None:
        listener = Listener(_echo, 2)
        port = await listener.start("127.0.0.1", 0)
        served = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in served:
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        await listener.stop()
        for reader, writer in served:
            assert await reader.read() == b""
            writer.close()

    asyncio.run(asyncio.wait_for(talk(), 10))
