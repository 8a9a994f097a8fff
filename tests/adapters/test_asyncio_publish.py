"""Publishing on asyncio: every message ends in exactly one of four ways, and one is told (P6)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from gapless.adapters.asyncio import (
    CaughtUp,
    Config,
    InvalidChannel,
    InvalidState,
    MessageTooLarge,
    NotSent,
    NotText,
    Publisher,
    PublishFailed,
    PublishRefused,
    PublishUnknown,
    Receipt,
    Server,
    Session,
    SessionClosed,
    TooManyChannels,
    connect,
    serve,
)

from .support import QUICK, Forwarder, free_port, has_published, run, until

NARROW = replace(QUICK, history_messages=2)
"""A client whose outboxes hold two messages."""


async def accepted(server: Server, channel: str, count: int) -> list[bytes]:
    """The first messages that the server has accepted."""
    async with server.subscribe(channel, "earliest") as messages:
        return [(await anext(messages)).payload for _ in range(count)]


async def start(session: Session, channel: str, payload: bytes) -> asyncio.Task[Receipt]:
    """Publish in a task; returns once the outbox has the message."""
    before = session.stats().published
    task = asyncio.create_task(session.publish(channel, payload))
    await until(has_published(session, before + 1))
    return task


def test_a_receipt_says_where_a_message_stands_in_its_publishers_own_numbering() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            await server.publish("commands", b"not ours")
            receipts = [await session.publish("commands", b"%d" % n) for n in range(1, 4)]
            other = await session.publish("others", "text")

        assert [receipt.seq for receipt in receipts] == [1, 2, 3]
        assert {receipt.channel for receipt in receipts} == {"commands"}
        assert len({receipt.epoch for receipt in receipts}) == 1
        assert (other.channel, other.seq) == ("others", 1)

    run(main())


def test_a_payload_that_changes_after_it_was_published_is_published_as_it_was() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            payload = bytearray(b"before")
            publishing = asyncio.create_task(
                session.publish("commands", payload)  # type: ignore[arg-type]  # some will
            )
            await until(has_published(session, 1))
            payload[:] = b"after!"
            await publishing
            assert await accepted(server, "commands", 1) == [b"before"]

    run(main())


def test_what_cannot_be_published_is_refused_at_once_and_nothing_is_sent() -> None:
    async def main() -> None:
        config = replace(Config.production("hub"), max_message=100)
        async with serve(config=config) as server, connect(server.url) as session:
            await session.publish("commands", b"x" * 100)
            with pytest.raises(MessageTooLarge):
                await session.publish("commands", b"x" * 101)
            with pytest.raises(NotText):
                await session.publish("commands", "\ud800")
            with pytest.raises(TypeError):
                await session.publish("commands", 5)  # type: ignore[arg-type]  # wrong on purpose
            for name in ("", "@me", "a\nb"):
                with pytest.raises(InvalidChannel):
                    await session.publish(name, b"x")
            assert session.stats().published == 1

    run(main())


def test_one_channel_more_than_the_server_grants_is_refused_at_once() -> None:
    async def main() -> None:
        config = replace(Config.production("hub"), max_channels=1)
        async with serve(config=config) as server, connect(server.url) as session:
            await session.publish("a", b"x")
            with pytest.raises(TooManyChannels):
                await session.publish("b", b"x")

    run(main())


def test_a_publisher_waits_only_for_room_and_settles_at_its_exit() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url, config=NARROW) as session:
            async with session.publisher("commands") as out:
                for number in range(500):
                    await out.send(b"%d" % number)
            assert (out.tally.sent, out.tally.accepted, out.tally.failed) == (500, 500, [])
            assert await accepted(server, "commands", 500) == [b"%d" % n for n in range(500)]

    run(main())


def test_two_publishers_of_one_channel_count_their_own() -> None:
    async def main() -> None:
        async def send(session: Session, word: bytes) -> tuple[int, int]:
            async with session.publisher("commands") as out:
                for number in range(100):
                    await out.send(word + b"%d" % number)
            return out.tally.sent, out.tally.accepted

        async with serve() as server, connect(server.url, config=NARROW) as session:
            one, two = await asyncio.gather(send(session, b"a"), send(session, b"b"))
            assert one == two == (100, 100)
            came = await accepted(server, "commands", 200)
            for word in (b"a", b"b"):
                own = [payload for payload in came if payload.startswith(word)]
                assert own == [word + b"%d" % number for number in range(100)]

    run(main())


def test_a_publisher_left_by_an_exception_does_not_wait() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            wire.block()
            out = session.publisher("commands")
            with pytest.raises(ZeroDivisionError):
                await _send_within(out, [b"1"], ZeroDivisionError())
            assert (out.tally.sent, out.tally.is_settled) == (1, False)
            wire.restore()

    run(main())


def test_a_publisher_sends_inside_its_block_only() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            out = session.publisher("commands")
            with pytest.raises(InvalidState, match="inside the publisher's block"):
                await out.send(b"1")
            async with out:
                await out.send(b"2")
            with pytest.raises(InvalidState):
                await out.send(b"3")
            assert session.stats().published == 1

    run(main())


def test_what_is_published_without_a_connection_is_sent_on_the_next() -> None:
    """P4, P6."""

    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            wire.take_down()
            await until(lambda: not session.is_connected)
            publishing = await start(session, "commands", b"1")
            wire.restore()
            assert (await publishing).seq == 1
            assert await accepted(server, "commands", 1) == [b"1"]

    run(main())


def test_a_message_whose_answer_was_lost_with_its_link_is_applied_once() -> None:
    """P6."""

    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            await session.publish("commands", b"1")
            wire.block("to client")
            publishing = await start(session, "commands", b"2")
            assert await accepted(server, "commands", 2) == [b"1", b"2"]
            assert not publishing.done()
            wire.cut()
            wire.restore()
            assert (await publishing).seq == 2
            assert (await session.publish("commands", b"3")).seq == 3
            assert await accepted(server, "commands", 3) == [b"1", b"2", b"3"]

    run(main())


def test_a_publish_cancelled_while_it_waits_for_room_is_not_sent() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=NARROW) as session,
        ):
            wire.block()
            held = [await start(session, "commands", b"%d" % n) for n in (1, 2)]
            waiting = asyncio.create_task(session.publish("commands", b"3"))
            for _ in range(5):
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            wire.restore()
            await asyncio.gather(*held)
            assert (await session.publish("commands", b"4")).seq == 3
            assert await accepted(server, "commands", 3) == [b"1", b"2", b"4"]

    run(main())


def test_a_publish_cancelled_later_is_sent_and_its_receipt_is_dropped() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            wire.block()
            publishing = await start(session, "commands", b"1")
            publishing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await publishing
            wire.restore()
            assert (await session.publish("commands", b"2")).seq == 2
            assert await accepted(server, "commands", 2) == [b"1", b"2"]

    run(main())


def test_publishes_cancelled_at_any_turn_are_sent_whole_or_not_at_all_and_in_order() -> None:
    """P6: what has a receipt was applied; what was cancelled was applied once or never."""

    async def main() -> None:
        async with serve() as server, connect(server.url, config=NARROW) as session:
            receipts = 0
            for number in range(1, 61):
                publishing = asyncio.create_task(session.publish("commands", b"%d" % number))
                for _ in range(number % 12):
                    await asyncio.sleep(0)
                publishing.cancel()
                try:
                    await publishing
                    receipts += 1
                except asyncio.CancelledError:
                    pass
            last = await session.publish("commands", b"61")
            came = [int(payload) for payload in await accepted(server, "commands", last.seq)]
            assert came == sorted(set(came))
            assert receipts + 1 <= len(came) <= 61

    run(main())


def test_a_publish_that_waits_for_room_goes_on_when_there_is_some() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=NARROW) as session,
        ):
            wire.block()
            held = [await start(session, "commands", b"%d" % n) for n in (1, 2)]
            waiting = [asyncio.create_task(session.publish("commands", b"x")) for _ in "abc"]
            wire.restore()
            await asyncio.gather(*held)
            assert [receipt.seq for receipt in await asyncio.gather(*waiting)] == [3, 4, 5]

    run(main())


def test_a_full_channel_waits_for_its_reader_and_the_publisher_waits_with_it() -> None:
    """Design 7: a pinned channel at its bound is backpressure, never a loss (I3)."""

    async def main() -> None:
        async with serve() as server, connect(server.url, config=NARROW) as session:
            server.configure("commands", history_messages=4, patience=60)
            async with (
                server.subscribe("commands") as commands,
                session.publisher("commands") as out,
            ):
                sending = asyncio.create_task(_send_numbers(out.send, 100))
                got = [(await anext(commands)).payload for _ in range(100)]
                await sending
            assert got == [b"%d" % number for number in range(100)]

    run(main())


def test_a_refusal_is_raised_with_its_code_and_nothing_was_applied() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            server.configure("commands", history_messages=1, overflow="reject", patience=60)
            async with server.subscribe("commands") as commands:
                await session.publish("commands", b"1")
                with pytest.raises(PublishRefused, match="was refused: full") as raised:
                    await session.publish("commands", b"2")
                assert (raised.value.channel, raised.value.code) == ("commands", "full")
                assert (await anext(commands)).payload == b"1"
                await session.publish("commands", b"3")
                assert (await anext(commands)).payload == b"3"
            assert session.unsettled() == []

    run(main())


def test_a_publisher_says_which_of_its_messages_were_refused() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            server.configure("commands", history_messages=2, overflow="reject", patience=60)
            async with server.subscribe("commands"):
                out = session.publisher("commands")
                with pytest.raises(PublishFailed, match="3 messages for channel") as raised:
                    await _send_within(out, [b"%d" % number for number in range(5)])
            assert out.tally.accepted == 2
            assert sum(one.last - one.first + 1 for one in raised.value.failed) == 3
            assert {one.outcome for one in raised.value.failed} == {"refused"}
            assert max(one.last for one in raised.value.failed) <= 5

    run(main())


def test_what_a_restarted_server_cannot_know_of_is_publish_unknown_and_never_sent_again() -> None:
    """P6."""

    async def main() -> None:
        port = free_port()
        async with Forwarder(port) as wire:
            async with serve(port=port, config=replace(QUICK, close_timeout=0)) as server:
                block = connect(wire.url, config=QUICK)
                session = await block.__aenter__()
                await session.publish("commands", b"1")
                wire.block("to client")
                publishing = await start(session, "commands", b"2")
                assert await accepted(server, "commands", 2) == [b"1", b"2"]
                wire.take_down()
            wire.restore()
            async with serve(port=port) as server:
                with pytest.raises(PublishUnknown, match="may have been applied or not"):
                    await publishing
                assert (await session.publish("commands", b"3")).seq == 1
                assert await accepted(server, "commands", 1) == [b"3"]
                assert session.unsettled() == []
                await block.__aexit__(None, None, None)

    run(main())


def test_what_was_never_sent_when_the_session_ends_is_not_sent() -> None:
    """P6."""

    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=NARROW) as session,
        ):
            wire.take_down()
            await until(lambda: not session.is_connected)
            held = [await start(session, "commands", b"%d" % n) for n in (1, 2)]
            waiting = asyncio.create_task(session.publish("commands", b"3"))
            await asyncio.sleep(0)
            await session.close(timeout=0)
            for publishing in held:
                with pytest.raises(NotSent, match="was never sent"):
                    await publishing
            with pytest.raises(SessionClosed):
                await waiting
            left = [(one.first, one.last, one.outcome) for one in session.unsettled()]
            assert left == [(1, 2, "unsent")]

    run(main())


def test_what_was_sent_and_not_answered_when_the_session_ends_is_publish_unknown() -> None:
    """P6."""

    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
        ):
            await session.publish("commands", b"1")
            wire.block("to client")
            publishing = await start(session, "commands", b"2")
            assert await accepted(server, "commands", 2) == [b"1", b"2"]
            await session.close(timeout=0)
            with pytest.raises(PublishUnknown):
                await publishing
            assert [one.outcome for one in session.unsettled()] == ["unknown"]

    run(main())


def test_a_publisher_whose_session_ends_under_it_says_what_became_of_what_it_sent() -> None:
    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=QUICK) as session:
                wire.take_down()
                await until(lambda: not session.is_connected)
                out = session.publisher("commands")
                sending = asyncio.create_task(_send_within(out, [b"1", b"2"]))
                await until(has_published(session, 2))
                await session.close(timeout=0)
                with pytest.raises(PublishFailed, match="2 messages") as raised:
                    await sending
            failed = [(one.first, one.last, one.outcome) for one in raised.value.failed]
            assert failed == [(1, 2, "unsent")]

    run(main())


async def _send_within(
    out: Publisher, payloads: list[bytes], error: Exception | None = None
) -> None:
    """Send in the publisher's block, and leave it by an exception or not."""
    async with out:
        for payload in payloads:
            await out.send(payload)
        if error is not None:
            raise error


async def _send_numbers(send: Callable[[bytes], Awaitable[None]], count: int) -> None:
    for number in range(count):
        await send(b"%d" % number)


def test_p4_a_publisher_without_memory_goes_on_as_soon_as_the_reader_has_made_room() -> None:
    """A take that sends nothing is news all the same."""
    limit = 80 * 1024
    config = replace(
        Config.production(),
        memory_limit=limit,
        memory_warning=limit,
        memory_cleanup=limit,
        max_message=32 * 1024,
        history_bytes=64 * 1024,
    )

    async def main() -> None:
        async with (
            serve(token="t") as server,
            connect(server.url, config=config, token="t") as session,
            session.subscribe("campaign/42") as messages,
        ):
            events = messages.events()
            assert isinstance(await anext(events), CaughtUp)
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await server.publish_many("campaign/42", [b"x" * 1000] * 58)
            await waiting
            publishing = asyncio.create_task(session.publish("commands", b"y" * 32 * 1024))
            await until(lambda: session.memory().held > 50_000)
            for _ in range(45):
                await anext(events)
            async with asyncio.timeout(2.0):
                assert (await publishing).seq == 1

    run(main())
