"""So many cuts at once, and a good camera always finds one."""

from __future__ import annotations

import asyncio

from agent.acquire.stream import CameraId
from agent.clips.cut_slots import CutSlots
from tests.simulators.eventually import eventually


def test_cameras_that_break_what_cuts_them_leave_room_for_the_others() -> None:
    """Two of them, which may hang for minutes, share one of the two cuts at once; a good camera takes the other."""

    async def life() -> list[str]:
        slots, entered = CutSlots(), []
        for camera in ("bad-1", "bad-2"):
            slots.note(CameraId(camera), has_failed=True)

        async def cut(camera: str, *, is_long: bool) -> None:
            async with slots.slot(CameraId(camera)):
                entered.append(camera)
                await asyncio.sleep(3600 if is_long else 0)

        hanging = [asyncio.create_task(cut(camera, is_long=True)) for camera in ("bad-1", "bad-2")]
        await asyncio.wait_for(cut("good-1", is_long=False), 5)
        await asyncio.wait_for(cut("good-2", is_long=False), 5)
        slots.note(CameraId("bad-2"), has_failed=False)
        mended = asyncio.create_task(cut("bad-2", is_long=True))
        await eventually(lambda: "bad-2" in entered)
        assert slots.are_taken
        for task in (*hanging, mended):
            task.cancel()
        await asyncio.gather(*hanging, mended, return_exceptions=True)
        return entered

    assert asyncio.run(life()) == ["bad-1", "good-1", "good-2", "bad-2"]
