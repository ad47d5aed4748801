"""The line before the door: who waits gets their turn, who may not go leaves it, and a turn always ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.clips.upload_turns import UploadTurns
from agent.clock import SECOND_NS, WallTime
from agent.deliver.turns import AWAY_AFTER, Freight, Urgency
from agent.outside.host import HostClock

CLOCK = HostClock()
SOON_S = 20.0


def freight(name: str, *, age_s: float = 86_400, job: str = "job", size: int = 10) -> Freight:
    """Make a part that has waited for so long."""
    asked = WallTime(CLOCK.now() - round(age_s * SECOND_NS))
    return Freight(name, job, "store", 0, asked, size, Urgency(asked, asked))


def yes() -> bool:
    """Allow everything."""
    return True


def run(life: Callable[[UploadTurns], Awaitable[None]], at_once: int = 1) -> None:
    """Run a life of a line with so many places."""

    async def live() -> None:
        async with asyncio.timeout(SOON_S):
            await life(UploadTurns(CLOCK, at_once))

    asyncio.run(live())


def test_turns_come_in_order_whoever_came_first() -> None:
    """What joins in the same moment is looked at together: the oldest goes first."""
    order: list[str] = []

    async def life(turns: UploadTurns) -> None:
        async def take(one: Freight) -> None:
            async with turns.turn(one, yes) as turn:
                assert turn.is_given
                order.append(one.part)
                turns.note(turn, has_answered=True)

        async with asyncio.TaskGroup() as tasks:
            for age_s in (1_000, 3_000, 2_000, 4_000):
                tasks.create_task(take(freight(f"{age_s}", age_s=age_s)))

    run(life)
    assert order == ["4000", "3000", "2000", "1000"]


def test_never_more_than_there_are_places() -> None:
    """And nobody waits while one is free; what fails in a turn gives its place back."""
    inside, most = 0, 0

    async def life(turns: UploadTurns) -> None:
        async def take(number: int) -> None:
            nonlocal inside, most
            async with turns.turn(freight(f"p{number}", age_s=60), yes):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.01)
                inside -= 1
                if number % 3 == 0:
                    raise ValueError

        await asyncio.gather(*(take(number) for number in range(12)), return_exceptions=True)
        assert turns.line().parts == 0

    run(life, at_once=4)
    assert most == 3  # the last place is kept for pictures of now


async def until(is_so: Callable[[], bool]) -> None:
    """Let the others go on until something holds."""
    while not is_so():  # noqa: ASYNC110 - no event is sent for it
        await asyncio.sleep(0)


async def _hold(turns: UploadTurns, one: Freight, begun: asyncio.Event) -> None:
    with turns.in_line(one):
        async with turns.turn(one, yes):
            begun.set()
            await asyncio.Event().wait()


def test_those_that_may_not_go_any_more_leave_the_line() -> None:
    """Of one job only; who has their turn is not touched."""

    async def life(turns: UploadTurns) -> None:
        begun, seen = asyncio.Event(), dict[str, bool]()
        holding = asyncio.create_task(_hold(turns, freight("first", job="a"), begun))
        await begun.wait()

        async def take(one: Freight) -> None:
            async with turns.turn(one, yes) as turn:
                seen[one.part] = turn.is_given

        waiting = [asyncio.create_task(take(freight(f"{job}2", job=job))) for job in ("a", "b")]
        await until(lambda: turns.waits("a") and turns.waits("b"))
        turns.dismiss("a")
        await waiting[0]
        assert seen == {"a2": False}
        assert turns.waits("b")
        assert not holding.done()
        holding.cancel()
        await waiting[1]
        assert seen == {"a2": False, "b2": True}

    run(life)


def test_who_is_cancelled_while_waiting_is_forgotten() -> None:
    """A job that a failing disk stops leaves nothing behind."""

    async def life(turns: UploadTurns) -> None:
        begun = asyncio.Event()
        holding = asyncio.create_task(_hold(turns, freight("first"), begun))
        await begun.wait()
        waiting = asyncio.create_task(_hold(turns, freight("second"), asyncio.Event()))
        await until(lambda: turns.waits("job"))
        for task in (waiting, holding):
            task.cancel()
        await asyncio.gather(waiting, holding, return_exceptions=True)
        assert turns.line().parts == 0
        async with turns.turn(freight("third"), yes) as turn:
            assert turn.is_given

    run(life)


def test_the_line_is_told_as_it_is() -> None:
    """What waits and what is being sent, in bytes, and since when."""

    async def life(turns: UploadTurns) -> None:
        assert turns.line().oldest is None
        begun, old = asyncio.Event(), freight("old", age_s=5_000, size=100)
        holding = asyncio.create_task(_hold(turns, old, begun))
        await begun.wait()
        waiting = asyncio.create_task(_hold(turns, freight("new", age_s=10, size=7), asyncio.Event()))
        await until(lambda: turns.waits("job"))
        line = turns.line()
        assert (line.parts, line.bytes, line.sending, line.oldest) == (2, 107, 1, old.ready)
        assert not line.is_store_away
        assert (turns.has_ahead(), turns.is_ahead("old"), turns.is_ahead("new")) == (False, False, False)
        for task in (waiting, holding):
            task.cancel()
        await asyncio.gather(waiting, holding, return_exceptions=True)
        new = freight("new", age_s=10)
        async with turns.turn(new, lambda: False):
            assert (turns.has_ahead(), turns.is_ahead("new")) == (True, True)
            assert not turns.may_go_on("new")
        assert turns.may_go_on("new")  # nobody says no

    run(life)


def test_a_store_that_is_away_is_tried_again_by_itself() -> None:
    """Nothing else happens meanwhile, and the line goes on when the pause is over."""
    tries: list[str] = []

    async def life(turns: UploadTurns) -> None:
        async def take(name: str) -> None:
            for _ in range(3):
                async with turns.turn(freight(name), yes) as turn:
                    tries.append(name)
                    turns.note(turn, has_answered=len(tries) > AWAY_AFTER)

        await asyncio.gather(take("a"), take("b"))
        assert not turns.line().is_store_away

    run(life)
    assert sorted(tries) == ["a"] * 3 + ["b"] * 3
