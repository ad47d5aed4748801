"""Who waits for a word gets it from the one question that is under way."""

from __future__ import annotations

import asyncio
import threading

from agent.acquire.camera import CameraStream
from agent.acquire.identity import Known, marks_of
from agent.acquire.stream import CameraId
from agent.cameras.confirmation import TAKEN, CameraConfirmation
from tests.simulators.eventually import eventually
from tests.simulators.roster import ListedRoster

DOOR, YARD = CameraId("door"), CameraId("yard")


def stream(camera: CameraId) -> CameraStream:
    """Make a camera's stream."""
    return CameraStream(camera, camera, "rtsp://10.0.0.1:554/1", None, None)


def test_a_camera_is_asked_about_once_at_a_time_and_each_gets_its_word() -> None:
    """While the answer is on its way nothing more is asked; one that hangs keeps nobody from another's word."""
    roster, may_answer, asked = ListedRoster(), threading.Event(), list[tuple[CameraId, str]]()
    streams = {camera: stream(camera) for camera in (DOOR, YARD)}
    known = {camera: Known(camera, marks_of("", "Acme", f"SN-{camera}"), "") for camera in streams}

    def verify(one: Known, host: str, _has_twin: bool) -> bool | None:  # noqa: FBT001 - as `Verify` has it
        asked.append((one.camera, host))
        return one.camera != YARD if one.camera == YARD else may_answer.wait(10)

    async def run() -> None:
        confirmation = CameraConfirmation(roster, verify)
        for camera, each in streams.items():
            roster.add(each)
            roster.waits_for_a_word(camera)
        for _ in range(3):
            confirmation.look(streams, known)
        await eventually(lambda: roster.words == [(YARD, TAKEN)])
        confirmation.look({DOOR: streams[DOOR]}, known)
        assert sorted(asked) == [(DOOR, "10.0.0.1"), (YARD, "10.0.0.1")]
        may_answer.set()
        await eventually(lambda: (DOOR, "") in roster.words)

    asyncio.run(run())


def test_a_camera_without_marks_is_taken_at_its_word() -> None:
    """It was recorded before hubs kept marks: its next examination notes them."""
    roster = ListedRoster()

    async def run() -> None:
        roster.add(stream(DOOR))
        roster.waits_for_a_word(DOOR)
        CameraConfirmation(roster, lambda *_: False).look({DOOR: stream(DOOR)}, {})
        await eventually(lambda: roster.words == [(DOOR, "")])

    asyncio.run(run())
