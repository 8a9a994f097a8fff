"""Who waits: for an event all at once, for room in turn, and nobody for ever."""

import asyncio
from functools import partial

import pytest

from gapless.adapters.asyncio.tasks import Signal
from gapless.adapters.waiting import CHANGE, Turns, Waiting

from .support import run


class Room:
    """Places that can be taken, as an outbox has them."""

    def __init__(self) -> None:
        self.places = 0
        self.asked = 0
        self.taken: list[str] = []

    def take(self, who: str) -> str | None:
        self.asked += 1
        if not self.places:
            return None
        self.places -= 1
        self.taken.append(who)
        return who


async def queue(room: Room, turns: Turns[str], names: str) -> list[asyncio.Task[str]]:
    """Let some begin to wait, one after the other."""
    tasks: list[asyncio.Task[str]] = []
    for name in names:
        tasks.append(asyncio.create_task(turns.take("room", partial(room.take, name))))
        await asyncio.sleep(0)
    return tasks


def test_room_is_given_in_turn_and_a_crowd_is_not_asked_at_every_change() -> None:
    async def main() -> None:
        room, turns = Room(), Turns[str](Signal)
        tasks = await queue(room, turns, "abcdefgh")
        for _ in range(5):
            turns.wake("room")  # a false alarm
            await asyncio.sleep(0)
        assert room.asked == 5, "the first alone"
        room.places = 8
        turns.wake("room")
        assert await asyncio.gather(*tasks) == list("abcdefgh")
        assert room.taken == list("abcdefgh")
        assert room.asked == 13

    run(main())


def test_whose_turn_is_cancelled_passes_it_on() -> None:
    async def main() -> None:
        room, turns = Room(), Turns[str](Signal)
        first, second = await queue(room, turns, "ab")
        room.places = 1
        turns.wake("room")
        first.cancel()
        assert await second == "b"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert room.taken == ["b"]

    run(main())


def test_whose_turn_fails_passes_it_on() -> None:
    """A session that is over says so to all who wait, not only to the first."""

    async def main() -> None:
        turns = Turns[str](Signal)

        def fail() -> str | None:
            raise ValueError("over")

        tasks = [asyncio.create_task(turns.take("room", fail)) for _ in range(3)]
        await asyncio.sleep(0)
        turns.wake_all()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["over"] * 3

    run(main())


def test_an_event_ends_all_waits_for_it_and_no_name_is_the_key_of_another() -> None:
    async def main() -> None:
        waiting: Waiting[object] = Waiting(Signal)
        tasks = [asyncio.create_task(waiting.wait(key)) for key in ("a", "a", "change", CHANGE)]
        await asyncio.sleep(0)
        waiting.wake("a")
        waiting.wake(CHANGE)
        await asyncio.sleep(0)
        assert [task.done() for task in tasks] == [True, True, False, True]
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        waiting.wake_all()

    run(main())


def test_who_comes_while_others_wait_comes_behind_them() -> None:
    async def main() -> None:
        room, turns = Room(), Turns[str](Signal)
        assert "room" not in turns.awaited
        tasks = await queue(room, turns, "ab")
        assert "room" in turns.awaited
        room.places = 3
        late = (await queue(room, turns, "c"))[0]
        turns.wake("room")
        await asyncio.gather(*tasks, late)
        assert room.taken == ["a", "b", "c"]
        assert "room" not in turns.awaited

    run(main())
