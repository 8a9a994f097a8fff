"""Endings: drained, closed in every state, given up at every wait."""

from dataclasses import replace

import pytest

from gapless.adapters.errors import ConnectError, NotSent, PublishUnknown, SessionClosed
from gapless.core.closing import Code
from gapless.core.errors import InvalidState
from gapless.core.events import Closed, LinkDown
from gapless.testing import Recorder, replay

from .registry import case
from .world import BRISK, QUICK, World, enter, publish_batch, publish_numbers, take, take_lists


@case("drain", main=True)
async def case_leaving_serve_sends_every_reader_what_it_lacks(world: World) -> None:
    """P2: before the last word."""
    held = await world.hold(world.serve())
    server = held.value
    async with world.connect(server) as session, session.subscribe("campaign/42") as messages:
        await publish_batch(server, "campaign/42", range(1, 301))
        await held.leave()
        assert await take_lists(messages, 300) == list(range(1, 301))
        await session.close(timeout=0)


@case("drain")
async def case_a_session_is_told_that_its_server_goes_and_finds_the_next(world: World) -> None:
    """Rule 9, P4."""
    async with world.middle(None) as middle:
        first = await world.hold(world.serve())
        middle.target = first.value
        async with world.serve() as second, world.connect(middle) as session:
            events = session.events()
            await anext(events)
            await first.leave()
            told = [await anext(events)]
            while not isinstance(told[-1], LinkDown):
                told.append(await anext(events))
            assert told[-1].ending.code in (Code.GOING_AWAY, Code.LOST)
            middle.target = second
            await world.until(lambda: session.is_connected)
            assert (await session.publish("commands", b"1")).seq == 1


@case("drain")
async def case_leaving_serve_ends_its_own_readers_and_waiting_publishes(world: World) -> None:
    """I20: nobody waits for ever for a server that is gone."""
    async with world.serve() as server:
        server.configure("commands", history_messages=1, patience=60)
        commands = server.subscribe("commands")
        await commands.__aenter__()
        await server.publish("commands", b"1")
        waiting = world.start(server.publish, "commands", b"2")
        idle = server.subscribe("idle")
        await idle.__aenter__()
        reading = world.start(anext, idle)
        await world.pause(20)
    with pytest.raises(InvalidState):
        await waiting.result()
    with pytest.raises(StopAsyncIteration):
        await reading.result()
    assert [int(message.payload) async for message in commands] == [1]
    with pytest.raises(InvalidState):
        await server.publish("commands", b"3")


@case("drain", main=True)
async def case_leaving_connect_waits_until_what_was_published_is_accepted(world: World) -> None:
    """P6."""
    async with (
        world.serve() as server,
        server.subscribe("commands") as commands,
        world.middle(server) as middle,
    ):
        async with world.connect(middle) as session:
            middle.take_down()
            await world.until(lambda: not session.is_connected)
            jobs = [world.start(session.publish, "commands", b"%d" % n) for n in (1, 2, 3)]
            await world.until(lambda: session.stats().published == 3)
            middle.restore()
        assert sorted([(await job.result()).seq for job in jobs]) == [1, 2, 3]
        assert session.unsettled() == []
        assert sorted(await take(commands, 3)) == [1, 2, 3]


@case("drain")
async def case_leaving_waits_no_longer_than_its_timeout_and_says_what_is_left(
    world: World,
) -> None:
    """P6: not sent."""
    async with world.serve() as server, world.middle(server) as middle:
        async with world.connect(middle, replace(QUICK, close_timeout=0.02)) as session:
            middle.take_down()
            await world.until(lambda: not session.is_connected)
            publishing = world.start(session.publish, "commands", b"1")
            await world.until(lambda: session.stats().published == 1)
        left = [(one.first, one.last, one.outcome) for one in session.unsettled()]
        assert left == [(1, 1, "unsent")]
        with pytest.raises(NotSent):
            await publishing.result()


@case("close in every state", main=True)
async def case_closing_is_harmless_in_every_state_and_as_often_as_one_likes(
    world: World,
) -> None:
    """I20: up, down, dialling, leaving, closed; suspended."""
    async with world.serve() as server, world.middle(server) as middle:
        async with world.connect(middle) as session:
            closing = [world.start(session.close) for _ in "ab"]
            await session.close()
            for one in closing:
                await one.result()
        async with world.connect(middle) as session:
            middle.take_down()
            await world.until(lambda: not session.is_connected)
            await session.close()
        middle.restore()
        async with world.connect(middle) as session:
            middle.block()
            dialled = middle.connections
            middle.cut()
            await world.until(lambda: middle.connections > dialled)
            assert not session.is_connected
            await session.close(timeout=0)
        middle.restore()
        async with world.connect(middle) as session:
            await session.suspend()
            await session.close()
        with pytest.raises(InvalidState):
            await session.export()


@case("close in every state")
async def case_after_its_end_a_session_takes_nothing_new_and_says_so(world: World) -> None:
    """I20: terminal means terminal."""
    async with world.serve() as server:
        async with (
            world.connect(server) as session,
            session.subscribe("campaign/42") as messages,
        ):
            reading = world.start(anext, messages)
            await world.pause(20)
            await session.close()
            with pytest.raises(StopAsyncIteration):
                await reading.result()
        with pytest.raises(SessionClosed):
            await session.publish("commands", b"1")
        with pytest.raises(SessionClosed):
            await enter(session.subscribe("campaign/42"))
        with pytest.raises(SessionClosed):
            await enter(session.publisher("commands"))
        seen = [event async for event in session.events()]
        assert isinstance(seen[-1], Closed)
        assert [alert async for alert in session.alerts()] == []
        assert not session.is_connected
        session.network_back()


@case("close in every state")
async def case_an_exception_in_the_block_passes_on_at_once(world: World) -> None:
    """P6: what was out is in `unsettled`."""
    async with world.serve() as server, world.middle(server) as middle:
        block = world.connect(middle)
        session = await block.__aenter__()
        middle.block()
        publishing = world.start(session.publish, "commands", b"1")
        await world.until(lambda: session.stats().published == 1)
        await world.pause()
        error = ZeroDivisionError()
        assert not await block.__aexit__(type(error), error, None)
        with pytest.raises((PublishUnknown, NotSent)):
            await publishing.result()
        assert [one.last for one in session.unsettled()] == [1]
        middle.restore()
    with pytest.raises(ZeroDivisionError):
        async with world.serve():
            raise ZeroDivisionError


@case("close in every state")
async def case_a_verdict_ends_a_session_and_everybody_is_told(world: World) -> None:
    """I18, I20: no reconnect after a verdict; nobody waits for ever."""
    async with world.middle(None) as middle:
        first = await world.hold(world.serve(BRISK))
        middle.target = first.value
        async with (
            world.serve(token="another") as second,
            world.connect(middle) as session,
            session.subscribe("campaign/42") as messages,
        ):
            middle.target = None
            await first.leave()
            middle.target = second
            with pytest.raises(SessionClosed) as raised:
                await anext(messages)
            assert raised.value.ending is not None
            assert raised.value.ending.code == Code.UNAUTHORIZED
            with pytest.raises(SessionClosed):
                await enter(session.subscribe("campaign/43"))


@case("close in every state")
async def case_a_server_closes_with_and_without_clients_and_more_than_once(world: World) -> None:
    """I20, I12."""
    async with world.serve() as server:
        await server.close()
        await server.close()
        with pytest.raises(InvalidState):
            await server.publish("campaign/42", b"1")
    async with world.serve() as server, world.middle(server) as middle:
        async with world.connect(middle) as session, session.subscribe("campaign/42"):
            await server.close(timeout=0.05)
            middle.target = None
            await world.until(lambda: not session.is_connected)
            await session.close(timeout=0)
        assert server.stats().links == 0
        assert [alert async for alert in server.alerts()] == []


@case("cancellation at each await", main=True)
async def case_a_wait_that_is_given_up_takes_nothing(world: World) -> None:
    """P1: a message, a list, an event; the next wait gets it."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
        session.subscribe("campaign/42") as theirs,
        server.subscribe("campaign/42") as ours,
    ):
        events = session.events()
        await anext(events)
        await world.give_up(lambda: anext(events))
        for messages in (theirs, ours):
            await world.give_up(lambda messages=messages: anext(messages))  # type: ignore[misc]
            lists = messages.batches()
            await world.give_up(lambda lists=lists: anext(lists))  # type: ignore[misc]
        await server.publish("campaign/42", b"1")
        assert (await take(theirs, 1), await take(ours, 1)) == ([1], [1])
        middle.cut()
        assert isinstance(await anext(events), LinkDown)


@case("cancellation at each await")
async def case_connecting_that_is_given_up_leaves_nothing(world: World) -> None:
    """Held by the suite: no task, no thread, no descriptor is left."""
    async with world.serve() as server, world.middle(server) as middle:
        middle.block()
        await world.give_up(lambda: enter(world.connect(middle)), lambda: middle.connections == 1)
        middle.restore()
        middle.take_down()
        await world.give_up(
            lambda: enter(world.connect(middle, wait=30.0)), lambda: middle.connections >= 3
        )


@case("cancellation at each await")
async def case_entering_that_is_given_up_can_be_done_again(world: World) -> None:
    """Rule 2: a newer subscribe replaces the older."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
    ):
        middle.block("to client")
        await world.give_up(lambda: enter(session.subscribe("campaign/42")))
        middle.restore()
        async with session.subscribe("campaign/42") as messages:
            await server.publish("campaign/42", b"1")
            assert await take(messages, 1) == [1]


@case("cancellation at each await")
async def case_leaving_that_is_given_up_drops_the_rest(world: World) -> None:
    """P6, I20: a publisher's exit, a session's close, a server's."""
    async with world.serve() as server, world.middle(server) as middle:
        async with world.connect(middle) as session:
            middle.block()
            out = session.publisher("commands")
            await out.__aenter__()
            await out.send(b"1")
            await world.give_up(lambda: out.__aexit__(None, None, None))
            await world.give_up(session.close)
            assert [one.last for one in session.unsettled()] == [1]
            with pytest.raises(SessionClosed):
                await session.publish("commands", b"2")
        middle.cut()
        middle.restore()
        async with world.connect(middle) as session, session.subscribe("campaign/42"):
            middle.block()
            for _ in range(4):  # more than its window: it can't be sent what it lacks
                await server.publish("campaign/42", b"x" * 150_000)
            await world.give_up(server.close)
            assert server.stats().links == 0
            await session.close(timeout=0)


@case("cancellation at each await")
async def case_a_talk_given_up_at_any_of_its_waits_leaves_both_ends_whole(world: World) -> None:
    """P1, P6, I20: nothing is applied twice or out of order, and nothing is left behind."""
    async with world.serve() as server, server.subscribe("commands") as commands:
        at = 0

        async def talk() -> None:
            async with (
                world.connect(server) as session,
                session.subscribe("campaign/42", "earliest") as messages,
            ):
                await session.publish("commands", b"%d" % at)
                await server.publish("campaign/42", b"%d" % at)
                await anext(messages)

        is_cut = True
        while is_cut:
            at += 1
            is_cut = await world.runtime.give_up_at(at, talk)
        async with world.connect(server) as session:
            await session.publish("commands", b"%d" % (at + 1))
        came: list[int] = []
        while not came or came[-1] <= at:
            came += await take(commands, 1)
        assert came == sorted(set(came))
        assert at in came
        await world.until(lambda: server.stats().links == 0)


@case("figures and recording")
async def case_both_ends_say_what_they_hold_and_how_things_stand(world: World) -> None:
    """P3, I22: plain data, and the figures are what happened."""
    async with (
        world.serve() as server,
        world.connect(server) as session,
        session.subscribe("campaign/42") as messages,
    ):
        await publish_numbers(server, "campaign/42", range(1, 11))
        assert await take(messages, 10) == list(range(1, 11))
        await session.publish("commands", b"1")
        stats = session.stats()
        assert (stats.received, stats.taken, stats.published, stats.accepted) == (10, 10, 1, 1)
        assert (stats.duplicates, stats.lost, stats.gaps) == (0, 0, 0)
        figures = server.stats()
        assert (figures.sessions, figures.links, figures.channels) == (1, 1, 2)
        assert (figures.received, figures.sent, figures.errors) == (1, 10, 0)
        for end in (session, server):
            assert end.memory().held > 0
            assert end.health().status == "healthy"
            assert end.metrics().errors == 0


@case("figures and recording")
async def case_what_was_recorded_replays_to_the_same(world: World) -> None:
    """P8."""
    theirs: list[str] = []
    ours: list[str] = []
    async with (
        world.serve(recorder=Recorder(ours.append)) as server,
        world.middle(server) as middle,
        world.connect(middle, recorder=Recorder(theirs.append)) as session,
        session.subscribe("campaign/42") as messages,
    ):
        await publish_numbers(server, "campaign/42", range(1, 21))
        assert await take(messages, 10) == list(range(1, 11))
        middle.cut()
        assert await take(messages, 10) == list(range(11, 21))
        await session.publish("commands", b"1")
    for log in (theirs, ours):
        assert replay(log).difference is None


@case("connect")
async def case_nobody_gets_in_without_what_is_asked_for(world: World) -> None:
    """P7."""
    async with world.serve(token="right") as server:
        with pytest.raises(ConnectError):
            await enter(world.connect(server, token="wrong"))
        async with world.connect(server, token="right") as session:
            assert session.is_connected
