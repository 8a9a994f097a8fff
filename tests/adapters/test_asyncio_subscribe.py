"""Reading on asyncio: every message once, in order, or the exact loss (P1, P2); one reader."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest

from gapless.adapters.asyncio import (
    Busy,
    CaughtUp,
    Config,
    InvalidChannel,
    InvalidState,
    Lost,
    Message,
    MessagesLost,
    Position,
    Reset,
    SessionClosed,
    StreamReset,
    SubscribeRefused,
    Subscription,
    connect,
    serve,
)

from .support import QUICK, Forwarder, free_port, numbers, publish_numbers, run, take, until

FORGETFUL = replace(Config.production("hub"), history_messages=4)


def test_earliest_reads_what_is_held_and_then_what_comes_in_order_and_once() -> None:
    """P1."""

    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            await publish_numbers(server, "campaign/42", 1, 3)
            async with session.subscribe("campaign/42", since="earliest") as messages:
                held = await take(messages, 3)
                await publish_numbers(server, "campaign/42", 4, 300)
                came = await take(messages, 297)

        assert numbers(held + came) == list(range(1, 301))
        assert [message.seq for message in held + came] == list(range(1, 301))
        assert {message.channel for message in held} == {"campaign/42"}

    run(main())


def test_latest_reads_only_what_is_published_after_it_was_entered() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            await publish_numbers(server, "campaign/42", 1, 3)
            async with session.subscribe("campaign/42") as messages:
                await server.publish("campaign/42", b"4")
                message = await anext(messages)

        assert (message.payload, message.seq) == (b"4", 4)

    run(main())


def test_a_position_reads_on_behind_it_and_the_subscription_knows_its_own() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            position = await server.publish("campaign/42", b"1")
            await publish_numbers(server, "campaign/42", 2, 3)
            subscription = session.subscribe("campaign/42", Position.parse(str(position)))
            assert subscription.position is None
            async with subscription as messages:
                assert messages.position == position
                assert numbers(await take(messages, 2)) == [2, 3]
            assert subscription.position == Position(position.epoch, 3)

    run(main())


def test_text_stays_text_and_bytes_stay_bytes() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            await server.publish("campaign/42", "grüße")
            await server.publish("campaign/42", b"\xff")
            async with session.subscribe("campaign/42", "earliest") as messages:
                text, binary = await take(messages, 2)

        assert (text.text, text.is_text) == ("grüße", True)
        assert (binary.payload, binary.is_text) == (b"\xff", False)

    run(main())


def test_a_loss_is_raised_where_it_happened_and_iterating_again_goes_on_behind_it() -> None:
    """P2."""

    async def main() -> None:
        async with serve(config=FORGETFUL) as server, connect(server.url) as session:
            first = await server.publish("campaign/42", b"1")
            await publish_numbers(server, "campaign/42", 2, 10)
            async with session.subscribe("campaign/42", first) as messages:
                with pytest.raises(MessagesLost) as raised:
                    await anext(messages)
                came = await take(messages, 4)

        loss = raised.value
        assert (loss.channel, loss.first, loss.last, loss.reason) == (
            "campaign/42",
            2,
            6,
            "rotated",
        )
        assert numbers(came) == [7, 8, 9, 10]

    run(main())


def test_on_lost_is_told_instead_and_the_iteration_never_stops() -> None:
    """P2."""

    async def main() -> None:
        told: list[Lost | Reset] = []
        async with serve(config=FORGETFUL) as server, connect(server.url) as session:
            first = await server.publish("campaign/42", b"1")
            await publish_numbers(server, "campaign/42", 2, 10)
            async with session.subscribe("campaign/42", first, on_lost=told.append) as messages:
                came = await take(messages, 4)

        assert told == [Lost("campaign/42", first.epoch, 2, 6, "rotated")]
        assert numbers(came) == [7, 8, 9, 10]

    run(main())


def test_an_exception_of_on_lost_reaches_the_reader_and_the_loss_is_not_said_twice() -> None:
    async def main() -> None:
        def refuse(marker: Lost | Reset) -> None:
            raise LookupError(marker.reason)

        async with serve(config=FORGETFUL) as server, connect(server.url) as session:
            first = await server.publish("campaign/42", b"1")
            await publish_numbers(server, "campaign/42", 2, 10)
            async with session.subscribe("campaign/42", first, on_lost=refuse) as messages:
                with pytest.raises(LookupError):
                    await anext(messages)
                assert numbers(await take(messages, 4)) == [7, 8, 9, 10]

    run(main())


def test_events_yields_messages_losses_and_the_end_of_the_replay() -> None:
    async def main() -> None:
        async with serve(config=FORGETFUL) as server, connect(server.url) as session:
            first = await server.publish("campaign/42", b"1")
            await publish_numbers(server, "campaign/42", 2, 6)
            async with session.subscribe("campaign/42", first) as messages:
                events = messages.events()
                seen = [await anext(events) for _ in range(6)]

        assert seen[0] == Lost("campaign/42", first.epoch, 2, 2, "rotated")
        assert [event.seq for event in seen if isinstance(event, Message)] == [3, 4, 5, 6]
        assert seen[5] == CaughtUp("campaign/42", Position(first.epoch, 6))

    run(main())


def test_batches_yields_lists_and_the_same_iterator_goes_on_behind_a_loss() -> None:
    """P1, P2."""

    async def main() -> None:
        async with serve(config=FORGETFUL) as server, connect(server.url) as session:
            first = await server.publish("campaign/42", b"1")
            await publish_numbers(server, "campaign/42", 2, 10)
            async with session.subscribe("campaign/42", first) as messages:
                batches = messages.batches()
                with pytest.raises(MessagesLost):
                    await anext(batches)
                batch = await anext(batches)
                await server.publish("campaign/42", b"11")
                later = await anext(batches)

        assert numbers(batch) == [7, 8, 9, 10]
        assert numbers(later) == [11]

    run(main())


def test_a_server_that_restarts_without_memory_is_a_stream_reset_and_reading_goes_on() -> None:
    """P2: a reset is a loss of its own kind."""

    async def main() -> None:
        port = free_port()
        async with serve(port=port) as server:
            session_block = connect(server.url, config=QUICK)
            session = await session_block.__aenter__()
            messages = session.subscribe("campaign/42", "earliest")
            await messages.__aenter__()
            await publish_numbers(server, "campaign/42", 1, 2)
            assert numbers(await take(messages, 2)) == [1, 2]
        async with serve(port=port) as server:
            fresh = await server.publish("campaign/42", b"7")
            with pytest.raises(StreamReset) as raised:
                await anext(messages)
            assert raised.value.position == Position(fresh.epoch, 0)
            assert isinstance(raised.value, MessagesLost)
            message = await anext(messages)
            assert (message.payload, message.position) == (b"7", fresh)
            await session_block.__aexit__(None, None, None)

    run(main())


def test_a_second_reader_at_the_same_time_is_busy_and_does_not_disturb_the_first() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as session,
            session.subscribe("campaign/42") as messages,
        ):
            first = asyncio.create_task(anext(messages))
            await asyncio.sleep(0)
            for second in (messages, messages.events(), messages.batches()):
                with pytest.raises(Busy, match="one reader at a time"):
                    await anext(second)
            await server.publish("campaign/42", b"1")
            assert (await first).payload == b"1"
            await server.publish("campaign/42", b"2")
            assert (await anext(messages)).payload == b"2"

    run(main())


def test_a_cancelled_wait_takes_nothing_whenever_it_is_cancelled() -> None:
    """P1: over every number of turns of the loop between the publish and the cancellation."""

    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as session,
            session.subscribe("campaign/42") as messages,
        ):
            taken: list[int] = []
            for number in range(1, 41):
                reader = asyncio.create_task(anext(messages))
                await asyncio.sleep(0)
                await server.publish("campaign/42", b"%d" % number)
                for _ in range(number % 20):
                    await asyncio.sleep(0)
                reader.cancel()
                with suppress(asyncio.CancelledError):
                    taken.append(int((await reader).payload))
            while len(taken) < 40:
                taken.append(int((await anext(messages)).payload))

        assert taken == list(range(1, 41))

    run(main())


def test_a_timeout_around_a_wait_takes_nothing() -> None:
    """P1."""

    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as session,
            session.subscribe("campaign/42") as messages,
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await anext(messages)
            await server.publish("campaign/42", b"1")
            assert (await anext(messages)).payload == b"1"

    run(main())


def test_a_subscription_is_entered_once_and_read_inside() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            messages = session.subscribe("campaign/42")
            with pytest.raises(InvalidState, match="with' block"):
                await anext(messages)
            async with messages:
                with pytest.raises(InvalidState, match="enter once"):
                    await messages.__aenter__()
                with pytest.raises(InvalidState, match="subscribed already"):
                    await session.subscribe("campaign/42").__aenter__()
            assert [message async for message in messages] == []
            async with session.subscribe("campaign/42") as again:
                await server.publish("campaign/42", b"1")
                assert (await anext(again)).payload == b"1"

    run(main())


def test_leaving_a_subscription_ends_the_iteration_of_another_task() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            async with session.subscribe("campaign/42") as messages:
                reader = asyncio.create_task(_read_all(messages.batches()))
                await asyncio.sleep(0)
            assert await reader == []

    run(main())


def test_closing_the_session_ends_every_iteration() -> None:
    """I20: terminal is terminal, and nobody waits for ever."""

    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as session,
            session.subscribe("a") as one,
            session.subscribe("b") as two,
        ):
            readers = [asyncio.create_task(_read_all(messages)) for messages in (one, two)]
            await asyncio.sleep(0)
            await session.close()
            assert await asyncio.gather(*readers) == [[], []]

    run(main())


def test_what_was_received_before_the_session_closed_can_still_be_taken() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as session,
            session.subscribe("campaign/42") as messages,
        ):
            await publish_numbers(server, "campaign/42", 1, 3)
            await until(lambda: session.stats().received == 3)
            await session.close()
            assert numbers(await _read_all(messages)) == [1, 2, 3]

    run(main())


def test_a_subscription_the_server_refuses_says_why() -> None:
    """The server that came back lets a session read fewer channels than the one before."""

    async def main() -> None:
        port = free_port()
        async with serve(port=port) as server:
            block = connect(server.url, config=QUICK)
            session = await block.__aenter__()
            first = session.subscribe("campaign/42")
            await first.__aenter__()
        entering = asyncio.create_task(session.subscribe("campaign/43").__aenter__())
        async with serve(port=port, config=replace(Config.production("hub"), max_channels=1)):
            words = "'campaign/43' can't be read: too many channels"
            with pytest.raises(SubscribeRefused, match=words) as why:
                await entering
            assert (why.value.channel, why.value.code) == ("campaign/43", "too many channels")
            with pytest.raises(StreamReset):
                await anext(first)
        await block.__aexit__(None, None, None)

    run(main())


def test_p4_entering_waits_until_a_full_server_has_a_place() -> None:
    async def main() -> None:
        config = replace(Config.production("hub"), max_hub_channels=1, history_age=0.2)
        async with serve(config=config) as server, connect(server.url) as session:
            await server.publish("campaign/42", b"1")
            async with session.subscribe("campaign/43") as messages:
                await server.publish("campaign/43", b"2")
                assert (await anext(messages)).payload == b"2"

    run(main())


def test_a_name_that_cannot_be_read_is_refused_at_once() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            for name in ("", "a\nb", "@other", "x" * 256):
                with pytest.raises(InvalidChannel):
                    await session.subscribe(name).__aenter__()

    run(main())


def test_a_session_that_ends_by_a_verdict_tells_its_readers() -> None:
    async def main() -> None:
        port = free_port()
        async with serve(port=port) as server:
            block = connect(server.url, config=QUICK)
            session = await block.__aenter__()
            messages = session.subscribe("campaign/42")
            await messages.__aenter__()
        async with serve(port=port, token="another"):
            with pytest.raises(SessionClosed, match="credentials were refused"):
                await anext(messages)
            with pytest.raises(SessionClosed):
                await session.subscribe("campaign/43").__aenter__()
        await block.__aexit__(None, None, None)

    run(main())


def test_entering_can_be_cancelled_while_the_answer_is_out() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            wire.block("to client")
            entering = asyncio.create_task(session.subscribe("campaign/42").__aenter__())
            await asyncio.sleep(0)
            entering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await entering
            wire.restore()
            async with session.subscribe("campaign/42") as messages:
                await server.publish("campaign/42", b"1")
                assert (await anext(messages)).payload == b"1"

    run(main())


def test_an_exception_in_the_loop_body_leaves_the_subscription_and_passes_on() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            await publish_numbers(server, "campaign/42", 1, 2)
            with pytest.raises(ZeroDivisionError):
                await _fail_at_the_first(session.subscribe("campaign/42", "earliest"))
            async with session.subscribe("campaign/42", "earliest") as messages:
                assert numbers(await take(messages, 2)) == [1, 2]

    run(main())


async def _fail_at_the_first(subscription: Subscription) -> None:
    async with subscription as messages:
        async for message in messages:
            raise ZeroDivisionError(message.seq)


async def _read_all(
    messages: AsyncIterator[Message] | AsyncIterator[list[Message]],
) -> list[Message]:
    """Read to the end, messages or lists of them."""
    read: list[Message] = []
    async for one in messages:
        read.extend(one if isinstance(one, list) else [one])
    return read
