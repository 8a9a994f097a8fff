"""Bounds: gaps and losses that are told, resets, slow readers, backpressure."""

from dataclasses import replace

import pytest

from gapless.adapters.errors import MessagesLost, PublishUnknown, StreamReset
from gapless.adapters.ledger import Receipt
from gapless.adapters.reading import Reading
from gapless.core.events import CaughtUp, Lost, Message, Reset
from gapless.core.position import Position

from .registry import case
from .world import BRISK, HUB, QUICK, Job, World, publish_batch, publish_numbers, take

FORGETFUL = replace(HUB, history_messages=4, patience=0.0)
"""A hub that keeps four messages a channel, whoever reads."""

NARROW = replace(QUICK, history_messages=2)
"""A client whose outbox takes two messages."""


async def all_told(messages: Reading, last: int) -> list[int]:
    """Read up to message `last`; every number, whether it was delivered or said to be lost.

    Raises:
        AssertionError: one came after a higher one, or twice (P1, P2).
    """
    told: list[int] = []
    events = messages.events()
    while not told or told[-1] < last:
        event = await anext(events)
        if isinstance(event, Message):
            assert int(event.payload) == event.seq
            told.append(event.seq)
        elif isinstance(event, Lost):
            told += range(event.first, event.last + 1)
        else:
            assert isinstance(event, CaughtUp), event
    return told


@case("gap", main=True)
async def case_a_gap_is_raised_where_it_is_and_reading_goes_on_behind_it(world: World) -> None:
    """P2: exactly the missing range, before what follows it."""
    async with world.serve(FORGETFUL) as server, world.connect(server) as session:
        first = await server.publish("campaign/42", b"1")
        await publish_numbers(server, "campaign/42", range(2, 11))
        for end in (session, server):
            async with end.subscribe("campaign/42", first) as messages:
                with pytest.raises(MessagesLost) as raised:
                    await anext(messages)
                loss = raised.value
                assert (loss.channel, loss.first, loss.last) == ("campaign/42", 2, 6)
                assert loss.reason == "rotated"
                assert await take(messages, 4) == [7, 8, 9, 10]


@case("gap")
async def case_on_lost_is_told_instead_and_the_iteration_never_stops(world: World) -> None:
    """P2."""
    async with world.serve(FORGETFUL) as server, world.connect(server) as session:
        first = await server.publish("campaign/42", b"1")
        await publish_numbers(server, "campaign/42", range(2, 11))
        told: list[Lost | Reset] = []
        async with session.subscribe("campaign/42", first, on_lost=told.append) as messages:
            assert await take(messages, 4) == [7, 8, 9, 10]
        assert told == [Lost("campaign/42", first.epoch, 2, 6, "rotated")]
        assert session.stats().lost == 5


@case("gap")
async def case_what_rotates_while_a_link_is_down_is_told_at_its_return(world: World) -> None:
    """P2: in the answer to subscribe."""
    async with (
        world.serve(FORGETFUL) as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
        session.subscribe("campaign/42") as messages,
    ):
        await server.publish("campaign/42", b"1")
        assert await take(messages, 1) == [1]
        middle.take_down()
        await world.until(lambda: not session.is_connected)
        await publish_numbers(server, "campaign/42", range(2, 31))
        middle.restore()
        with pytest.raises(MessagesLost) as raised:
            await anext(messages)
        assert (raised.value.first, raised.value.last) == (2, 26)
        assert await take(messages, 4) == [27, 28, 29, 30]


@case("gap")
async def case_on_lost_may_use_what_it_belongs_to(world: World) -> None:
    """I20: a callback that re-enters can't corrupt a session."""

    def look(loss: Lost | Reset) -> None:
        assert isinstance(loss, Lost)
        session.network_back()
        seen.append((loss.last, session.stats().lost, session.is_connected, server.port))
        places.append(messages.position)

    seen: list[tuple[int, int, bool, int]] = []
    places: list[Position | None] = []
    async with world.serve(FORGETFUL) as server, world.connect(server) as session:
        first = await server.publish("campaign/42", b"1")
        await publish_numbers(server, "campaign/42", range(2, 11))
        async with session.subscribe("campaign/42", first, on_lost=look) as messages:
            assert await take(messages, 4) == [7, 8, 9, 10]
        assert seen == [(6, 5, True, server.port)]
        assert places == [Position(first.epoch, 6)]


@case("gap")
async def case_an_exception_of_on_lost_reaches_the_reader_once(world: World) -> None:
    """I20: a callback that raises can't corrupt a session."""

    def fail(_: Lost | Reset) -> None:
        raise ZeroDivisionError

    async with world.serve(FORGETFUL) as server, world.connect(server) as session:
        first = await server.publish("campaign/42", b"1")
        await publish_numbers(server, "campaign/42", range(2, 11))
        async with session.subscribe("campaign/42", first, on_lost=fail) as messages:
            with pytest.raises(ZeroDivisionError):
                await anext(messages)
            assert await take(messages, 4) == [7, 8, 9, 10]


@case("loss and rotation", main=True)
async def case_delivered_and_lost_together_are_all_that_was_published(world: World) -> None:
    """P1, P2: of a channel that rotates under its reader."""
    narrow = replace(QUICK, window=1024)
    async with world.serve(FORGETFUL) as server, world.connect(server, narrow) as session:
        for channel, end in (("theirs", session), ("ours", server)):
            server.configure(channel, overflow="rotate")
            async with end.subscribe(channel) as messages:
                for first in range(1, 201, 4):
                    await publish_batch(server, channel, range(first, first + 4))
                reading = world.start(all_told, messages, 400)
                for first in range(201, 401, 4):
                    await publish_batch(server, channel, range(first, first + 4))
                assert await reading.result() == list(range(1, 401))
        assert session.stats().lost > 0


@case("loss and rotation")
async def case_a_pin_lapses_after_its_patience_and_what_goes_then_is_told(world: World) -> None:
    """Design 7, P2: a reader that takes nothing holds back rotation for `patience` only."""
    async with world.serve() as server, world.connect(server) as session:
        server.configure("campaign/42", history_messages=4, patience=0.03)
        async with session.subscribe("campaign/42") as messages:
            await publish_numbers(server, "campaign/42", range(1, 21))
            assert await all_told(messages, 20) == list(range(1, 21))


@case("loss and rotation")
async def case_a_channel_that_rotates_does_so_under_a_pin_too(world: World) -> None:
    """Design 7, P2: `overflow="rotate"` waits for nobody, and says what it took away."""
    async with world.serve() as server:
        server.configure("campaign/42", history_messages=4, overflow="rotate", patience=60)
        async with server.subscribe("campaign/42") as messages:
            await publish_numbers(server, "campaign/42", range(1, 11))
            with pytest.raises(MessagesLost) as raised:
                await anext(messages)
            assert (raised.value.first, raised.value.reason) == (1, "rotated")
            first = raised.value.last + 1
            assert await take(messages, 11 - first) == list(range(first, 11))


@case("loss and rotation")
async def case_what_is_older_than_its_age_is_told(world: World) -> None:
    """P2: expired."""
    async with world.serve() as server, world.connect(server) as session:
        server.configure("campaign/42", history_age=0.01)
        first = await server.publish("campaign/42", b"1")
        await publish_numbers(server, "campaign/42", [2])
        await world.until(lambda: server.stats().messages == 0)
        await publish_numbers(server, "campaign/42", [3])
        async with session.subscribe("campaign/42", first) as messages:
            with pytest.raises(MessagesLost) as raised:
                await anext(messages)
            assert raised.value.first == 2


@case("reset", main=True)
async def case_a_channel_that_began_anew_is_a_reset_and_reading_goes_on(world: World) -> None:
    """P2, I15: epoch and number move as a pair."""
    async with world.middle(None) as middle:
        first = await world.hold(world.serve(BRISK))
        middle.target = first.value
        async with (
            world.serve() as second,
            world.connect(middle) as session,
            session.subscribe("campaign/42", "earliest") as messages,
        ):
            await publish_numbers(first.value, "campaign/42", [1, 2])
            assert await take(messages, 2) == [1, 2]
            middle.target = None
            await first.leave()
            fresh = await second.publish("campaign/42", b"7")
            middle.target = second
            with pytest.raises(StreamReset) as raised:
                await anext(messages)
            assert raised.value.position == Position(fresh.epoch, 0)
            message = await anext(messages)
            assert (message.payload, message.position) == (b"7", fresh)


@case("reset")
async def case_a_position_of_another_epoch_is_a_reset_for_whoever_asks(world: World) -> None:
    """I15: never mixed."""
    async with world.serve() as server, world.connect(server) as session:
        await publish_numbers(server, "campaign/42", [1, 2])
        for end in (session, server):
            told: list[Lost | Reset] = []
            since = Position("another", 1)
            async with end.subscribe("campaign/42", since, on_lost=told.append) as messages:
                assert await take(messages, 2) == [1, 2]
            assert [type(one) for one in told] == [Reset]


@case("reset")
async def case_a_position_beyond_the_head_is_a_reset_for_that_reader_alone(world: World) -> None:
    """Rule 10."""
    async with world.serve() as server, world.connect(server) as session:
        last = await server.publish("campaign/42", b"1")
        ahead = Position(last.epoch, 9)
        async with (
            session.subscribe("campaign/42", ahead) as messages,
            server.subscribe("campaign/42", last) as others,
        ):
            with pytest.raises(StreamReset) as raised:
                await anext(messages)
            assert raised.value.reason == "ahead"
            await server.publish("campaign/42", b"2")
            assert (await take(messages, 1), await take(others, 1)) == ([2], [2])


@case("slow reader", main=True)
async def case_one_that_takes_nothing_stalls_nobody_and_holds_no_more_than_its_window(
    world: World,
) -> None:
    """P3, P7: credit bounds its inbox; later it gets everything or is told."""
    slow = replace(QUICK, window=4096)
    async with (
        world.serve() as server,
        world.connect(server, slow) as session,
        world.connect(server) as other,
        session.subscribe("campaign/42") as messages,
        session.subscribe("news") as news,
        other.subscribe("campaign/42") as theirs,
    ):
        server.configure("campaign/42", history_messages=50, patience=0.03)
        reading = world.start(all_told, theirs, 200)
        for first in range(1, 201, 20):
            batch = [b"%0200d" % number for number in range(first, first + 20)]
            await server.publish_many("campaign/42", batch)
        assert await reading.result() == list(range(1, 201))
        await server.publish("news", b"1")
        assert await take(news, 1) == [1]
        assert session.memory().held <= 4096 + 64 * 1024 + 32 * 1024
        assert await all_told(messages, 200) == list(range(1, 201))


@case("slow reader")
async def case_a_hub_holds_no_more_than_its_limit(world: World) -> None:
    """P3: whatever its readers don't take; they are told what had to go (P2)."""
    limited = replace(HUB, max_message=16 * 1024, memory_limit=300 * 1024, history_bytes=256 * 1024)
    async with (
        world.serve(limited) as server,
        world.connect(server, replace(QUICK, window=4096)) as session,
        session.subscribe("a") as one,
        session.subscribe("b") as two,
    ):
        for channel in ("a", "b"):
            server.configure(channel, patience=0.0)
            for number in range(1, 61):
                await server.publish(channel, b"%04000d" % number)
                assert server.memory().held <= limited.memory_limit
        for messages in (one, two):
            assert await all_told(messages, 60) == list(range(1, 61))
        assert session.stats().lost > 0


@case("slow reader")
async def case_a_reader_that_stops_for_a_while_gets_all_it_pins(world: World) -> None:
    """I3: without rotation nothing is lost, whatever the window."""
    narrow = replace(QUICK, window=1024)
    async with (
        world.serve() as server,
        world.connect(server, narrow) as session,
        session.subscribe("campaign/42") as messages,
    ):
        server.configure("campaign/42", history_messages=20, patience=60)
        publishing = world.start(publish_numbers, server, "campaign/42", range(1, 61))
        await world.until(lambda: session.stats().received > 0)
        await world.pause(20)
        assert not publishing.is_done
        assert await take(messages, 60) == list(range(1, 61))
        await publishing.result()


@case("backpressure", main=True)
async def case_a_publish_waits_for_the_reader_that_pins_and_goes_on(world: World) -> None:
    """Design 7, I3: waiting is the default at a bound."""
    async with world.serve() as server, world.connect(server, NARROW) as session:
        server.configure("commands", history_messages=2, patience=60)
        async with server.subscribe("commands") as commands:

            async def send() -> None:
                async with session.publisher("commands") as out:
                    for number in range(1, 31):
                        await out.send(b"%d" % number)

            sending = world.start(send)
            assert await take(commands, 30) == list(range(1, 31))
            await sending.result()
            publishing = world.start(publish_numbers, server, "commands", range(31, 51))
            assert await take(commands, 20) == list(range(31, 51))
            await publishing.result()


@case("backpressure", main=True)
async def case_a_publish_given_up_while_it_waits_for_room_is_not_sent(world: World) -> None:
    """Design 11, P6: at both ends."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle, NARROW) as session,
        server.subscribe("commands") as commands,
    ):
        middle.block()
        held = [world.start(session.publish, "commands", b"%d" % number) for number in (1, 2)]
        await world.until(lambda: session.stats().published == 2)
        await world.give_up(lambda: session.publish("commands", b"3"))
        middle.restore()
        assert {(await one.result()).seq for one in held} == {1, 2}
        assert (await session.publish("commands", b"4")).seq == 3
        assert sorted(await take(commands, 2)) == [1, 2]
        assert await take(commands, 1) == [4]
        server.configure("commands", history_messages=1, patience=60)
        await server.publish("commands", b"5")
        await world.give_up(lambda: server.publish("commands", b"6"))
        assert await take(commands, 1) == [5]
        await server.publish("commands", b"7")
        assert await take(commands, 1) == [7]


@case("backpressure")
async def case_a_publish_given_up_later_is_sent_and_its_receipt_dropped(world: World) -> None:
    """Design 11, P6."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
        server.subscribe("commands") as commands,
    ):
        middle.block()
        await world.give_up(
            lambda: session.publish("commands", b"1"), lambda: session.stats().published == 1
        )
        middle.restore()
        assert (await session.publish("commands", b"2")).seq == 2
        assert await take(commands, 2) == [1, 2]


@case("backpressure")
async def case_a_full_outbox_gives_room_to_those_who_wait_in_their_order(world: World) -> None:
    """P4: none waits for ever."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle, NARROW) as session,
    ):
        middle.block()
        waiting: list[Job[Receipt]] = []
        for number in range(1, 7):
            waiting.append(world.start(session.publish, "commands", b"%d" % number))
            await world.pause(2)
        await world.until(lambda: session.stats().published == 2)
        await world.pause(10)
        assert not any(one.is_done for one in waiting)
        middle.restore()
        assert sorted([(await one.result()).seq for one in waiting]) == [1, 2, 3, 4, 5, 6]


@case("server restart", main=True)
async def case_a_reader_and_a_publisher_go_on_with_the_next_server(world: World) -> None:
    """P4: without a word from the old one's memory."""
    async with world.middle(None) as middle:
        first = await world.hold(world.serve(BRISK))
        middle.target = first.value
        async with (
            world.serve() as second,
            second.subscribe("commands") as commands,
            world.connect(middle) as session,
        ):
            assert (await session.publish("commands", b"1")).seq == 1
            middle.target = None
            await first.leave()
            await world.until(lambda: not session.is_connected)
            middle.target = second
            assert (await session.publish("commands", b"2")).seq == 1
            assert await take(commands, 1) == [2]
            assert second.sessions == [session.id]
            assert session.stats().resumes == 0


@case("server restart")
async def case_what_a_new_server_cannot_know_of_is_unknown_and_never_sent_again(
    world: World,
) -> None:
    """P6."""
    async with world.middle(None) as middle:
        first = await world.hold(world.serve(BRISK))
        middle.target = first.value
        async with (
            world.serve() as second,
            second.subscribe("commands") as anew,
            world.connect(middle) as session,
        ):
            async with first.value.subscribe("commands") as commands:
                await session.publish("commands", b"1")
                middle.block("to client")
                publishing = world.start(session.publish, "commands", b"2")
                assert await take(commands, 2) == [1, 2]
            middle.take_down()
            await first.leave()
            middle.target = second
            middle.restore()
            with pytest.raises(PublishUnknown):
                await publishing.result()
            assert (await session.publish("commands", b"3")).seq == 1
            assert await take(anew, 1) == [3]
