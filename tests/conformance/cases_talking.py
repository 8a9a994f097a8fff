"""Connecting, publishing, subscribing: what goes on while the network is good."""

from dataclasses import replace
from typing import Any

import pytest

from gapless.adapters.errors import (
    Busy,
    ConnectError,
    PublishFailed,
    PublishRefused,
    SubscribeRefused,
)
from gapless.core.closing import Code
from gapless.core.errors import (
    ConfigError,
    InvalidChannel,
    InvalidState,
    MessageTooLarge,
    NotText,
)
from gapless.core.events import CaughtUp, Closed, LinkUp, Message
from gapless.core.position import Since

from .middle import reset
from .registry import case
from .world import BRISK, HUB, QUICK, World, enter, publish_batch, publish_numbers, take, take_lists


@case("connect", main=True)
async def case_both_ends_agree_on_a_session_from_its_start_to_its_end(world: World) -> None:
    """Design 11; I20: the events of a session end with its end."""
    async with world.serve() as server:
        async with world.connect(server) as session:
            assert server.sessions == [session.id]
            assert session.is_connected
            assert session.session_token
            assert server.stats().links == 1
            events = session.events()
            assert await anext(events) == LinkUp(session.id, resumed=False)
        last = await anext(events)
        assert isinstance(last, Closed)
        assert last.ending.code == Code.DONE
        assert [event async for event in events] == []
        await world.until(lambda: server.sessions == [])


@case("connect")
async def case_the_first_connection_fails_at_once_where_nobody_listens(world: World) -> None:
    """Design 9: it fails at once unless `wait=` says how long to try."""
    async with world.middle(None) as middle:
        with pytest.raises(ConnectError) as raised:
            await enter(world.connect(middle))
        assert raised.value.ending.code == Code.LOST
        assert middle.connections == 1


@case("connect")
async def case_with_wait_it_tries_until_the_server_is_there(world: World) -> None:
    """P4."""
    async with world.serve() as server, world.middle(None) as middle:

        async def arrive() -> None:
            await world.until(lambda: middle.connections >= 3)
            middle.target = server

        arriving = world.start(arrive)
        async with world.connect(middle, wait=8.0) as session:
            assert server.sessions == [session.id]
        await arriving.result()


@case("connect")
async def case_with_wait_it_gives_up_when_the_time_is_over(world: World) -> None:
    """P4: in time, and after more than one try."""
    async with world.middle(None) as middle:
        with pytest.raises(ConnectError):
            await enter(world.connect(middle, wait=0.15))
        assert middle.connections >= 2


@case("connect")
async def case_a_server_that_never_answers_is_given_up(world: World) -> None:
    """I19: `connect_timeout` bounds a connect and its handshake."""
    async with world.serve() as server, world.middle(server) as middle:
        middle.block()
        with pytest.raises(ConnectError) as raised:
            await enter(world.connect(middle, replace(QUICK, connect_timeout=0.02)))
        assert raised.value.ending.code in (Code.TIMEOUT, Code.LOST)


@case("connect")
async def case_what_cannot_be_asked_for_is_refused_before_anything_is_dialled(
    world: World,
) -> None:
    """Design 4.4: misuse raises, and nothing has happened."""
    async with world.serve() as server, world.middle(server) as middle:
        wrongs: list[dict[str, Any]] = [{"wait": -1}, {"token": 5}, {"resume": ""}, {"config": {}}]
        for wrong in wrongs:
            with pytest.raises(ConfigError):
                await enter(world.connect(middle, **wrong))
        assert middle.connections == 0


@case("connect", main=True)
async def case_strangers_that_go_or_say_nonsense_leave_nothing_behind(world: World) -> None:
    """I21, P7: reset or closed before a word, in the middle of one, or after nonsense."""
    async with world.serve() as server, world.connect(server) as session:
        for words in (b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\xff" * 100):
            for is_reset in (False, True):
                stranger = await world.stranger(server)
                stranger.sendall(words)
                if is_reset:
                    reset(stranger)
                stranger.close()
        await world.until(lambda: server.stats().links == 1)
        assert server.sessions == [session.id]
        assert (await session.publish("commands", b"1")).seq == 1


@case("publish", main=True)
async def case_a_receipt_says_where_a_message_stands(world: World) -> None:
    """P1, P6: applied once, in order, in the publisher's own numbering."""
    async with (
        world.serve() as server,
        world.connect(server) as session,
        server.subscribe("commands") as commands,
    ):
        first = await session.publish("commands", b"start")
        second = await session.publish("commands", "wörter")
        large = await session.publish("commands", b"x" * 600_000)
        assert [first.seq, second.seq, large.seq] == [1, 2, 3]
        assert first.epoch == second.epoch
        came = [await anext(commands) for _ in range(3)]
        assert [(one.seq, one.publisher) for one in came] == [(n, session.id) for n in (1, 2, 3)]
        assert (came[0].payload, came[1].text, len(came[2].payload)) == (
            b"start",
            "wörter",
            600_000,
        )
        assert session.unsettled() == []


@case("publish", main=True)
async def case_a_publisher_settles_at_its_exit(world: World) -> None:
    """P6."""
    async with (
        world.serve() as server,
        world.connect(server, replace(QUICK, history_messages=20)) as session,
        server.subscribe("commands") as commands,
    ):

        async def send() -> None:
            async with session.publisher("commands") as out:
                for number in range(1, 61):
                    await out.send(b"%d" % number)
            assert (out.tally.sent, out.tally.accepted, out.tally.failed) == (60, 60, [])

        sending = world.start(send)
        assert await take(commands, 60) == list(range(1, 61))
        await sending.result()


@case("publish")
async def case_the_server_publishes_one_by_one_in_lists_and_pipelined(world: World) -> None:
    """P1: one numbering, whichever way."""
    async with (
        world.serve() as server,
        world.connect(server) as session,
        session.subscribe("campaign/42") as messages,
    ):
        one = await server.publish("campaign/42", b"1")
        last = await server.publish_many("campaign/42", [b"2", b"3"])
        async with server.publisher("campaign/42") as out:
            for number in range(4, 41):
                await out.send(b"%d" % number)
        assert (one.seq, last.seq, out.tally.accepted) == (1, 3, 37)
        assert await take(messages, 40) == list(range(1, 41))
        with pytest.raises(InvalidState):
            await out.send(b"late")


@case("publish")
async def case_a_refusal_is_raised_with_its_code_and_nothing_was_applied(world: World) -> None:
    """P6, design 7: a channel that rejects says so to a client, and to the server's own."""
    async with world.serve() as server, world.connect(server) as session:
        server.configure("strict", history_messages=1, overflow="reject", patience=60)
        async with server.subscribe("strict") as strict:
            await session.publish("strict", b"1")
            with pytest.raises(PublishRefused) as raised:
                await session.publish("strict", b"2")
            assert (raised.value.channel, raised.value.code) == ("strict", "full")
            with pytest.raises(PublishRefused):
                await server.publish("strict", b"3")
            with pytest.raises(PublishFailed) as failed:
                async with session.publisher("strict") as out:
                    await out.send(b"4")
            told = [(one.first, one.last, one.outcome) for one in failed.value.failed]
            assert told == [(1, 1, "refused")]
            assert await take(strict, 1) == [1]
            await session.publish("strict", b"5")
            assert await take(strict, 1) == [5]


@case("publish")
async def case_what_cannot_be_published_is_refused_at_once_and_changes_nothing(
    world: World,
) -> None:
    """Design 4.4."""
    async with world.serve() as server, world.connect(server) as session:
        for end in (session, server):
            with pytest.raises(MessageTooLarge):
                await end.publish("commands", b"x" * (QUICK.max_message + 1))
            with pytest.raises(NotText):
                await end.publish("commands", "\ud800")
            with pytest.raises(InvalidChannel):
                await end.publish("a\nb", b"x")
        with pytest.raises(InvalidState):
            await session.publisher("commands").send(b"outside")
        assert (await session.publish("commands", b"1")).seq == 1


@case("subscribe", main=True)
async def case_a_reader_begins_where_it_says_and_reads_what_comes(world: World) -> None:
    """P1: earliest, latest, and behind a position; text stays text."""
    async with world.serve() as server, world.connect(server) as session:
        await publish_numbers(server, "campaign/42", range(1, 4))
        async with session.subscribe("campaign/42", "earliest") as messages:
            assert await take(messages, 2) == [1, 2]
            second = messages.position
            assert second is not None
            assert second.seq == 2
        async with session.subscribe("campaign/42", second) as messages:
            assert await take(messages, 1) == [3]
        async with session.subscribe("campaign/42") as messages:
            await server.publish("campaign/42", "fünf")
            message = await anext(messages)
            assert (message.text, message.seq, message.channel) == ("fünf", 4, "campaign/42")
            assert message.position == messages.position
        assert [message async for message in messages] == []


@case("subscribe")
async def case_lists_and_events_carry_the_same_messages(world: World) -> None:
    """P1, P2."""
    async with world.serve() as server, world.connect(server) as session:
        for channel, end in (("theirs", session), ("ours", server)):
            await publish_batch(server, channel, range(1, 301))
            async with end.subscribe(channel, "earliest") as messages:
                assert await take_lists(messages, 300) == list(range(1, 301))
                events = messages.events()
                assert isinstance(await anext(events), CaughtUp)
                await server.publish(channel, b"301")
                event = await anext(events)
                assert isinstance(event, Message)
                assert event.seq == 301


@case("subscribe")
async def case_leaving_and_entering_again_at_once_reads_on_where_it_left(world: World) -> None:
    """P1, rule 2: what is on the way for the one that was left reaches nobody."""
    async with world.serve() as server, world.connect(server) as session:
        await publish_batch(server, "campaign/42", range(1, 31))
        since: Since = "earliest"
        for first in range(1, 31, 6):
            async with session.subscribe("campaign/42", since) as messages:
                assert await take(messages, 6) == list(range(first, first + 6))
            assert messages.position is not None
            since = messages.position
        assert session.stats().duplicates == 0


@case("subscribe")
async def case_a_second_reader_is_busy_and_does_not_disturb_the_first(world: World) -> None:
    """P1."""
    async with (
        world.serve() as server,
        world.connect(server) as session,
        session.subscribe("campaign/42") as theirs,
        server.subscribe("campaign/42") as ours,
    ):
        first = [world.start(anext, messages) for messages in (theirs, ours)]
        await world.pause(20)
        for messages in (theirs, ours):
            with pytest.raises(Busy):
                await anext(messages)
        await server.publish("campaign/42", b"1")
        assert [(await one.result()).payload for one in first] == [b"1", b"1"]


@case("subscribe")
async def case_a_subscription_is_entered_once_and_read_inside(world: World) -> None:
    """Design 4.4."""
    async with world.serve() as server, world.connect(server) as session:
        messages = session.subscribe("campaign/42")
        with pytest.raises(InvalidState):
            await anext(messages)
        async with messages:
            with pytest.raises(InvalidState):
                await enter(messages)
            with pytest.raises(InvalidState):
                await enter(session.subscribe("campaign/42"))
        with pytest.raises(InvalidChannel):
            await enter(session.subscribe("@other"))
        assert [message async for message in messages] == []


@case("subscribe")
async def case_a_subscription_the_server_refuses_says_why(world: World) -> None:
    """P2: nothing is silent. The server that came back lets a session read fewer channels."""
    async with world.middle(None) as middle:
        first = await world.hold(world.serve(BRISK))
        middle.target = first.value
        async with (
            world.serve(replace(HUB, max_channels=1)) as second,
            world.connect(middle) as session,
            session.subscribe("campaign/42"),
        ):
            middle.target = None
            await first.leave()
            await world.until(lambda: not session.is_connected)
            entering = world.start(enter, session.subscribe("campaign/43"))
            await world.pause()
            middle.target = second
            with pytest.raises(SubscribeRefused) as raised:
                await entering.result()
            told = (raised.value.channel, raised.value.code)
            assert told == ("campaign/43", "too many channels")


@case("subscribe")
async def case_a_subscribe_waits_until_a_full_server_has_a_place(world: World) -> None:
    """P4."""
    config = replace(HUB, max_hub_channels=1, history_age=0.05)
    async with world.serve(config) as server, world.connect(server) as session:
        await server.publish("campaign/42", b"1")
        async with session.subscribe("campaign/43") as messages:
            await server.publish("campaign/43", b"2")
            assert await take(messages, 1) == [2]


@case("subscribe")
async def case_leaving_a_subscription_ends_the_wait_of_its_reader(world: World) -> None:
    """I20: nobody waits for ever."""
    async with world.serve() as server, world.connect(server) as session:
        for end in (session, server):
            async with end.subscribe("campaign/42") as messages:
                reading = world.start(anext, messages)
                await world.pause(20)
                assert not reading.is_done
            with pytest.raises(StopAsyncIteration):
                await reading.result()


@case("isolation")
async def case_a_session_id_is_a_channel_that_its_client_alone_reads(world: World) -> None:
    """P7."""
    async with (
        world.serve() as server,
        world.connect(server) as one,
        world.connect(server) as two,
        one.subscribe("@me") as to_one,
        two.subscribe("@me") as to_two,
    ):
        await server.publish(one.id, b"1")
        await server.publish(two.id, b"2")
        assert (await take(to_one, 1), await take(to_two, 1)) == ([1], [2])
        with pytest.raises(InvalidChannel):
            await enter(one.subscribe(two.id))


@case("isolation")
async def case_many_sessions_talk_at_once_and_each_gets_its_own(world: World) -> None:
    """P7, P1."""

    async def talk(number: int) -> None:
        async with (
            world.connect(server) as session,
            session.subscribe(f"room/{number}") as messages,
        ):
            for value in range(5):
                await session.publish(f"room/{number}", b"%d" % (10 * number + value))
            assert await take(messages, 5) == [10 * number + value for value in range(5)]

    async with world.serve() as server:
        talks = [world.start(talk, number) for number in range(8)]
        for one in talks:
            await one.result()
        await world.until(lambda: server.sessions == [])
