"""A session over bad links on asyncio: resumed, taken over, moved, and nothing lost or doubled."""

import asyncio
from dataclasses import replace

import pytest

from gapless.adapters.asyncio import (
    Closed,
    Config,
    GaplessError,
    Goodbye,
    LinkDown,
    LinkUp,
    Session,
    connect,
    serve,
)
from gapless.core.closing import Code
from gapless.core.events import SessionEvent

from .support import (
    QUICK,
    Forwarder,
    free_port,
    has_published,
    links,
    numbers,
    publish_numbers,
    run,
    take,
    until,
)


def test_a_reader_misses_nothing_and_reads_nothing_twice_over_many_cuts() -> None:
    """P1, P2."""

    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
            session.subscribe("campaign/42") as messages,
        ):
            came: list[int] = []
            for round_ in range(10):
                await publish_numbers(server, "campaign/42", round_ * 60 + 1, round_ * 60 + 60)
                came += numbers(await take(messages, 30))
                wire.cut()
                came += numbers(await take(messages, 30))
            assert came == list(range(1, 601))
            stats = session.stats()
            assert stats.lost == 0
            assert stats.links >= 2
            assert stats.resumes == stats.links - 1

    run(main())


def test_a_publisher_settles_everything_and_each_message_is_applied_once_over_many_cuts() -> None:
    """P4, P6."""

    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
            server.subscribe("commands") as commands,
        ):

            async def send() -> None:
                async with session.publisher("commands") as out:
                    for number in range(1, 601):
                        await out.send(b"%d" % number)
                assert out.tally.accepted == 600

            sending = asyncio.create_task(send())
            came: list[int] = []
            while len(came) < 600:
                came.append(int((await anext(commands)).payload))
                if len(came) % 60 == 0:
                    wire.cut()
            await sending
            assert came == list(range(1, 601))

    run(main())


def test_events_tell_of_each_link_when_the_next_try_is_due_and_of_the_end() -> None:
    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=replace(QUICK, backoff_base=0.02)) as session:
                events = session.events()
                up = await anext(events)
                assert up == LinkUp(session.id, resumed=False)
                before = asyncio.get_running_loop().time()
                wire.cut()
                down = await anext(events)
                assert isinstance(down, LinkDown)
                assert down.ending.code == Code.LOST
                assert before <= down.retry_at <= before + 1
                assert not session.is_connected
                assert await anext(events) == LinkUp(session.id, resumed=True)
            last = await anext(events)
            assert isinstance(last, Closed)
            assert last.ending.reason == "closed by the client"
            assert [event async for event in events] == []

    run(main())


def test_events_that_nobody_took_are_merged_and_counted() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            for links in (2, 3, 4):
                wire.cut()
                await until(lambda links=links: session.stats().links == links)  # type: ignore[misc]
            counts = {type(event): event.count for event in await _pending(session, 2)}
            assert counts == {LinkUp: 4, LinkDown: 3}

    run(main())


def test_a_wait_for_events_can_be_cancelled_and_takes_nothing() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            events = session.events()
            await anext(events)
            waiting = asyncio.create_task(_pending(session, 1))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            wire.cut()
            assert isinstance(await anext(events), LinkDown)

    run(main())


def test_a_session_token_carries_a_session_on_in_another_process() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as first,
        ):
            token, number = first.session_token, first.id
            wire.take_down()  # as if the process had been killed: no last word is heard
            await until(lambda: not first.is_connected)
            async with connect(server.url, resume=token) as second:
                assert second.id == number
                assert await anext(second.events()) == LinkUp(number, resumed=True)
                assert second.session_token != token
                async with second.subscribe("@me") as messages:
                    await server.publish(number, b"still you")
                    assert (await anext(messages)).payload == b"still you"
            await first.close(timeout=0)

    run(main())


def test_the_newest_connection_takes_a_session_over_and_the_older_is_told() -> None:
    """I13."""

    async def main() -> None:
        async with serve() as server:
            # Its second try comes late: nobody takes the session back here.
            slow = Config(backoff_base=30.0, backoff_cap=30.0)
            async with connect(server.url, config=slow) as first:
                events = first.events()
                await anext(events)
                async with connect(server.url, resume=first.session_token) as second:
                    assert second.id == first.id
                    down = await anext(events)
                    assert isinstance(down, LinkDown)
                    assert down.ending.code == Code.FENCED
                    assert second.is_connected
                    assert server.sessions == [second.id]
                    await first.close(timeout=0)

    run(main())


def test_a_token_that_the_server_does_not_know_begins_a_new_session() -> None:
    """I14: unknown, expired and wrong look the same."""

    async def main() -> None:
        async with serve() as server, connect(server.url, resume="never given") as session:
            assert await anext(session.events()) == LinkUp(session.id, resumed=False)

    run(main())


def test_a_session_token_of_another_principal_is_no_use() -> None:
    """I14, P7: with the right session token and the wrong credentials nobody gets in."""

    async def main() -> None:
        async with serve(token="right") as server, connect(server.url, token="right") as session:
            refused = 0
            try:
                async with connect(server.url, token="wrong", resume=session.session_token):
                    raise AssertionError("connected")
            except Exception as error:
                refused += "credentials were refused" in str(error)
            assert refused == 1
            assert session.is_connected
            assert (await session.publish("commands", b"1")).seq == 1

    run(main())


def test_a_peer_that_says_nothing_is_found_out_and_the_session_goes_on_elsewhere() -> None:
    """I19: a half-open connection ends within heartbeat + timeout, and nothing is lost."""

    async def main() -> None:
        impatient = replace(QUICK, heartbeat=0.05, heartbeat_timeout=0.05)
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=impatient) as session,
            session.subscribe("campaign/42") as messages,
        ):
            events = session.events()
            await anext(events)
            wire.block()
            await publish_numbers(server, "campaign/42", 1, 3)
            down = await anext(events)
            assert isinstance(down, LinkDown)
            assert down.ending.code == Code.SILENT
            wire.restore()
            assert numbers(await take(messages, 3)) == [1, 2, 3]

    run(main())


def test_the_server_finds_out_a_client_that_says_nothing() -> None:
    """I19, at the other end; the session waits for its lease."""

    async def main() -> None:
        config = replace(Config.production("hub"), heartbeat=0.05, heartbeat_timeout=0.05)
        async with (
            serve(config=config) as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            wire.block()
            await until(lambda: links(server) == 0)
            assert server.sessions == [session.id]
            wire.cut()
            wire.restore()
            await until(lambda: session.stats().resumes == 1)

    run(main())


def test_a_session_without_a_link_is_forgotten_after_its_lease() -> None:
    async def main() -> None:
        config = replace(Config.production("hub"), lease=0.05)
        async with (
            serve(config=config) as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            number = session.id
            wire.take_down()
            await until(lambda: server.sessions == [])
            wire.restore()
            await until(lambda: session.stats().links == 2)
            assert session.id != number
            assert session.stats().resumes == 0

    run(main())


def test_a_server_that_goes_away_says_so_and_the_client_finds_the_next_one() -> None:
    async def main() -> None:
        port = free_port()
        async with serve(port=port) as server:
            block = connect(server.url, config=QUICK)
            session = await block.__aenter__()
            events = session.events()
            await anext(events)
        told = [await anext(events)]
        while not isinstance(told[-1], LinkDown):
            told.append(await anext(events))
        assert isinstance(told[0], Goodbye | LinkDown)
        assert told[-1].ending.code in (Code.GOING_AWAY, Code.LOST)
        async with serve(port=port):
            await until(lambda: session.is_connected)
            assert (await session.publish("commands", b"1")).seq == 1
            await block.__aexit__(None, None, None)

    run(main())


def test_a_session_reads_and_publishes_many_channels_over_a_cut() -> None:
    """P7: one channel never disturbs another."""

    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):

            async def echo(channel: str) -> list[int]:
                async with session.subscribe(channel) as messages:
                    async with session.publisher(channel) as out:
                        for number in range(1, 41):
                            await out.send(b"%d" % number)
                            if number == 20 and channel == "c3":
                                wire.cut()
                    return numbers(await take(messages, 40))

            read = await asyncio.gather(*(echo(f"c{n}") for n in range(20)))
            assert read == [list(range(1, 41))] * 20

    run(main())


async def _pending(session: Session, count: int) -> list[SessionEvent]:
    events = session.events()
    return [await anext(events) for _ in range(count)]


def test_a_session_that_is_suspended_is_carried_on_by_its_token() -> None:
    """Leaving the block would end it; what it holds back is kept for the lease."""

    async def main() -> None:
        async with serve() as server:
            server.configure("news", history_messages=2, patience=60)
            async with connect(server.url) as first:
                session, token = first.id, first.session_token
                async with first.subscribe("news", since="earliest") as news:
                    await server.publish("news", b"1")
                    assert (await anext(news)).payload == b"1"
                    position = news.position
                    await first.suspend()
                    await first.suspend()
            assert server.sessions == [session]
            await server.publish("news", b"2")
            assert position is not None
            async with connect(server.url, resume=token) as second:
                assert second.id == session
                async with second.subscribe("news", since=position) as news:
                    assert (await anext(news)).payload == b"2"
            assert server.sessions == []

    run(main())


def test_what_a_suspended_session_had_not_settled_is_said() -> None:
    """P6."""

    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url) as session:
                wire.block()
                publishing = asyncio.create_task(session.publish("commands", b"1"))
                await until(has_published(session, 1))
                await session.suspend()
                with pytest.raises(GaplessError):
                    await publishing
                assert [settled.last for settled in session.unsettled()] == [1]
            wire.restore()

    run(main())
