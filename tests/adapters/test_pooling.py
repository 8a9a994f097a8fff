"""What drives core's pool, on asyncio and real sockets: sessions are shared, bounded and ended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from gapless.adapters.asyncio import (
    ConnectError,
    InvalidState,
    Session,
    SessionClosed,
    connect,
    serve,
)
from gapless.adapters.pooling import Pooling
from gapless.adapters.service.hosts import Ground
from gapless.core.errors import PoolExhausted
from gapless.core.events import Closed, LinkUp, SessionEvent
from gapless.core.pool import Key, Pool

from .support import QUICK, free_port, run, until


class Rig:
    """A pool of sessions of `connect`, and what it was told.

    Attributes:
        gate: what a connect waits for first.
        waiting: connects that wait for it.
    """

    def __init__(self, *, max_connections: int = 2, idle: float = 60.0) -> None:
        self.ground = Ground()
        self.pool: Pool[Session] = Pool(max_connections=max_connections, idle=idle)
        self.pooling = Pooling(self.ground, self._connect, self.pool, self._note)
        self.events: list[tuple[Key, SessionEvent]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    @asynccontextmanager
    async def _connect(self, key: Key) -> AsyncGenerator[Session, None]:
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        async with connect(key.url, config=QUICK) as session:
            yield session

    def _note(self, key: Key, event: SessionEvent) -> None:
        self.events.append((key, event))


def test_who_asks_for_the_same_key_shares_one_session_and_it_is_kept_for_the_next() -> None:
    async def main() -> None:
        async with serve() as server:
            rig, key = Rig(), Key(server.url)
            first, second = await asyncio.gather(rig.pooling.acquire(key), rig.pooling.acquire(key))
            assert first.session is second.session
            for lease in (first, second, second):
                rig.pooling.release(lease)
            third = await rig.pooling.acquire(key)
            stats = rig.pooling.stats()
            assert (stats.opened, stats.reused, stats.active) == (1, 2, 1)
            assert server.stats().sessions == 1
            session = third.session
            await rig.pooling.close()
            await rig.pooling.close()
            assert isinstance(await rig.pooling.ended(third), InvalidState)
            assert session.core.ending is not None
            assert rig.pooling.sessions == []
            assert all(task.done() for task in rig.ground.tasks)
            kinds = [type(event) for _, event in rig.events]
            assert kinds == [LinkUp, Closed]
            with pytest.raises(InvalidState):
                rig.pooling.claim(key)

    run(main())


def test_a_session_that_nobody_uses_is_closed_in_time() -> None:
    async def main() -> None:
        async with serve() as server:
            rig = Rig(idle=0.01)
            rig.pooling.release(await rig.pooling.acquire(Key(server.url)))
            await until(lambda: not rig.pooling.stats().total)
            assert rig.pooling.sessions == []
            await until(lambda: not rig.ground.tasks)

    run(main())


def test_what_is_in_use_is_not_closed_for_another_and_what_is_idle_is() -> None:
    """P3, P4: never more connections than may be, the closing ones included."""

    async def main() -> None:
        async with serve() as server:
            rig = Rig()
            keys = [Key(server.url, number) for number in range(3)]
            leases = [await rig.pooling.acquire(key) for key in keys[:2]]
            with pytest.raises(PoolExhausted):
                await rig.pooling.acquire(keys[2])
            rig.pooling.release(leases[0])
            third = await rig.pooling.acquire(keys[2])
            assert third.is_ready
            assert leases[1].is_ready
            assert server.stats().sessions == 2
            await rig.pooling.close()

    run(main())


def test_a_connect_that_fails_fails_for_all_who_wait_and_the_next_tries_again() -> None:
    async def main() -> None:
        rig, port = Rig(), free_port()
        key = Key(f"ws://127.0.0.1:{port}/")
        tries = await asyncio.gather(
            rig.pooling.acquire(key), rig.pooling.acquire(key), return_exceptions=True
        )
        assert [type(one) for one in tries] == [ConnectError, ConnectError]
        assert rig.pooling.stats().total == 0
        async with serve(port=port):
            assert (await rig.pooling.acquire(key)).is_ready
            await rig.pooling.close()

    run(main())


def test_a_session_that_ends_under_its_leases_tells_them_why() -> None:
    async def main() -> None:
        async with serve() as server:
            rig, key = Rig(), Key(server.url)
            lease, other = await rig.pooling.acquire(key), await rig.pooling.acquire(key)
            session = lease.session
            waiting = asyncio.create_task(rig.pooling.ended(lease))
            await session.close()
            error = await waiting
            assert isinstance(error, SessionClosed)
            assert error.ending is session.core.ending
            assert other.is_over
            rig.pooling.release(lease)
            assert (await rig.pooling.acquire(key)).session is not session
            await rig.pooling.close()

    run(main())


def test_a_cancelled_acquire_takes_nothing_and_its_connect_serves_the_next() -> None:
    async def main() -> None:
        async with serve() as server:
            rig, key = Rig(), Key(server.url)
            rig.gate.clear()
            task = asyncio.create_task(rig.pooling.acquire(key))
            await until(lambda: rig.waiting == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert rig.pooling.stats().waiting == 0
            rig.gate.set()
            lease = await rig.pooling.acquire(key)
            assert lease.is_ready
            assert rig.pooling.stats().opened == 1
            await rig.pooling.close()

    run(main())


@pytest.mark.parametrize("has_begun", [False, True])
def test_an_opening_that_nobody_wants_makes_room_also_before_its_first_step(
    has_begun: bool,
) -> None:
    """Its job is cancelled, and the `Open` is answered all the same."""

    async def main() -> None:
        async with serve() as server:
            rig = Rig(max_connections=1)
            rig.gate.clear()
            unwanted = rig.pooling.claim(Key(server.url, "unwanted"))
            if has_begun:
                await until(lambda: rig.waiting == 1)
            rig.pooling.release(unwanted)
            wanted = rig.pooling.claim(Key(server.url, "wanted"))
            await until(lambda: rig.waiting == 1 and rig.pooling.stats().closing == 0)
            rig.gate.set()
            await rig.pooling.ready(wanted)
            assert server.stats().sessions == 1
            with pytest.raises(InvalidState):
                await rig.pooling.ready(unwanted)
            await rig.pooling.close()
            assert all(task.done() for task in rig.ground.tasks)

    run(main())


def test_closing_gives_up_what_is_being_opened() -> None:
    async def main() -> None:
        async with serve() as server:
            rig = Rig()
            rig.gate.clear()
            task = asyncio.create_task(rig.pooling.acquire(Key(server.url)))
            await until(lambda: rig.waiting == 1)
            await rig.pooling.close()
            with pytest.raises(InvalidState, match="closed"):
                await task
            assert all(task.done() for task in rig.ground.tasks)

    run(main())
