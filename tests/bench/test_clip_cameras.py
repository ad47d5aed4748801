"""A bench camera is found and examined as any other, and sends a hub to the source."""

from __future__ import annotations

import asyncio
import time

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera, camera_id
from agent.clock import WallTime
from agent.crypto import Secret
from agent.outside.onvif import examine
from tests.bench.clip_cameras import USER, BenchCamera, camera_name

PASSWORD = Secret(b"correct horse")


def test_a_hub_learns_where_its_stream_is() -> None:
    """The stream's path names the camera, so that the source can count what it was sent."""

    async def ask() -> str:
        camera = BenchCamera(3, Login(USER, PASSWORD), 8554)
        address = await camera.start()
        try:
            epr = "urn:uuid:00000000-0000-0000-0000-00000000ab03"
            found = FoundCamera(camera_id(epr), epr, "", "", "127.0.0.1", (address,))
            login = Login(USER, PASSWORD)
            stream = await asyncio.to_thread(examine, found, login, lambda: WallTime(time.time_ns()))
        finally:
            await camera.stop()
        return stream.url

    assert asyncio.run(ask()) == f"rtsp://127.0.0.1:8554/{camera_name(3)}/main"
