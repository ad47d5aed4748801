"""Cameras that a hub finds and logs in to, whose pictures all come from one source that costs little.

    python -m tests.bench.clip_cameras COUNT RTSP_PORT

The password is the first line of standard input; a line on standard output says that they can be found. Ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from contextlib import AsyncExitStack
from typing import Final

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.demo.camera_answers import DEVICE_PATH, Identity, Profile
from agent.demo.camera_cadence import CameraClock
from agent.demo.camera_discovery import DiscoveryResponder
from agent.demo.camera_login import DigestGate
from agent.demo.camera_onvif import OnvifServer
from agent.demo.camera_soap import TokenGate
from agent.demo.h264_rtp import EncoderSettings
from tests.bench.loop import PICTURES_PER_S

USER: Final = "hub"
GOP_PICTURES: Final = 100
ADDRESS: Final = "127.0.0.1"
_FILM: Final = EncoderSettings(1920, 1080, PICTURES_PER_S, GOP_PICTURES, 0, 4_000_000)


def camera_name(number: int) -> str:
    """Name a camera, from 0; the first part of its stream's path is the same."""
    return f"bench-{number}"


class BenchCamera:
    """One camera's ONVIF side; its stream is `source`'s."""

    def __init__(self, number: int, login: Login, rtsp_port: int) -> None:
        clock = CameraClock()
        gate = DigestGate(login, "Transom bench", ("SHA-256", "MD5"))
        self._name = camera_name(number)
        self._rtsp = f"rtsp://{ADDRESS}:{rtsp_port}/{self._name}"
        self._server = OnvifServer(clock, gate, TokenGate(login, clock), lambda: b"")
        self._responder: DiscoveryResponder | None = None

    async def start(self) -> str:
        """Answer; returns the address of its device service."""
        http = f"http://{ADDRESS}:{await self._server.start(ADDRESS, 0)}"
        profiles = (Profile("main", _FILM),)
        identity = Identity(self._name, str(uuid.uuid4()), http, self._rtsp, profiles, has_events=False)
        self._server.identity = identity
        self._responder = DiscoveryResponder(identity, "lo", ADDRESS)
        self._responder.start()
        return http + DEVICE_PATH

    async def stop(self) -> None:
        """Say goodbye."""
        if self._responder is not None:
            self._responder.stop()
        await self._server.stop()


async def _serve(count: int, rtsp_port: int) -> None:
    login = Login(USER, Secret(sys.stdin.buffer.readline().rstrip(b"\n")))
    async with AsyncExitStack() as stack:
        for number in range(count):
            camera = BenchCamera(number, login, rtsp_port)
            stack.push_async_callback(camera.stop)
            await camera.start()
        print("ready", flush=True)  # noqa: T201 - for the bench
        await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
