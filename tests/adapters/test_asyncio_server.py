"""Serving on asyncio: the server's own publishing and reading, its channels, and its last word."""

import asyncio
import gc
import weakref
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial

import pytest

from gapless.adapters.asyncio import (
    Busy,
    CaughtUp,
    Config,
    ConfigError,
    InvalidChannel,
    InvalidState,
    Message,
    MessagesLost,
    MessageTooLarge,
    NotText,
    PublishFailed,
    PublishRefused,
    Server,
    ServerPublisher,
    ServerSubscription,
    connect,
    serve,
)
from gapless.adapters.asyncio.driver import LinkSocket

from .support import (
    QUICK,
    Forwarder,
    Hosts,
    driver,
    free_port,
    links,
    numbers,
    publish_numbers,
    run,
    take,
    until,
)


def test_publishing_returns_the_position_of_each_message() -> None:
    async def main() -> None:
        async with serve() as server:
            first = await server.publish("campaign/42", b"1")
            second = await server.publish("campaign/42", "2")
            last = await server.publish_many("campaign/42", [b"3", b"4"])
            other = await server.publish("other", b"1")

        assert [first.seq, second.seq, last.seq, other.seq] == [1, 2, 4, 1]
        assert first.epoch == second.epoch == last.epoch != other.epoch

    run(main())


def test_a_session_id_is_a_channel_that_its_client_alone_reads_as_me() -> None:
    """P7."""

    async def main() -> None:
        async with serve() as server, connect(server.url) as one, connect(server.url) as two:
            async with one.subscribe("@me") as to_one, two.subscribe("@me") as to_two:
                await server.publish(one.id, b"for one")
                await server.publish(two.id, b"for two")
                mine, theirs = await anext(to_one), await anext(to_two)
            assert (mine.payload, mine.channel) == (b"for one", "@me")
            assert theirs.payload == b"for two"
            with pytest.raises(InvalidChannel):
                async with one.subscribe(two.id):
                    raise AssertionError("entered")
        with pytest.raises(InvalidChannel, match="names no session"):
            async with serve() as another:
                await another.publish(one.id, b"gone")

    run(main())


def test_the_server_reads_what_clients_publish_and_who_it_was() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as one,
            connect(server.url) as two,
            server.subscribe("commands") as commands,
        ):
            await one.publish("commands", b"1")
            await two.publish("commands", "2")
            await server.publish("commands", b"3")
            came = await asyncio.gather(*[_next(commands) for _ in "1"])
            rest = [await anext(commands), await anext(commands)]

        who = [(message.payload, message.publisher) for message in [*came, *rest]]
        assert who == [(b"1", one.id), (b"2", two.id), (b"3", None)]

    run(main())


def test_a_reader_in_the_server_has_lists_events_a_position_and_one_reader_at_a_time() -> None:
    """P1."""

    async def main() -> None:
        async with serve() as server:
            await publish_numbers(server, "campaign/42", 1, 3)
            async with server.subscribe("campaign/42", "earliest") as messages:
                assert numbers(await anext(messages.batches())) == [1, 2, 3]
                assert messages.position is not None
                assert messages.position.seq == 3
                assert isinstance(await anext(messages.events()), CaughtUp)
                waiting = asyncio.create_task(_next(messages))
                await asyncio.sleep(0)
                with pytest.raises(Busy):
                    await anext(messages)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await server.publish("campaign/42", b"4")
                event = await anext(messages.events())
                assert isinstance(event, Message)
                assert event.seq == 4
            assert messages.position.seq == 4
            assert [message async for message in messages] == []

    run(main())


def test_a_reader_in_the_server_is_told_of_what_it_missed() -> None:
    """P2."""

    async def main() -> None:
        async with serve() as server:
            server.configure("campaign/42", history_messages=2)
            first = await server.publish("campaign/42", b"1")
            await publish_numbers(server, "campaign/42", 2, 5)
            async with server.subscribe("campaign/42", first) as messages:
                with pytest.raises(MessagesLost) as raised:
                    await anext(messages)
                assert (raised.value.first, raised.value.last) == (2, 3)
                assert [(await anext(messages)).seq, (await anext(messages)).seq] == [4, 5]

    run(main())


def test_a_publish_waits_for_the_reader_that_pins_and_goes_on_when_it_has_taken() -> None:
    """Design 7: waiting is the default at a bound (I3)."""

    async def main() -> None:
        async with serve() as server:
            server.configure("commands", history_messages=2, patience=60)
            async with server.subscribe("commands") as commands:
                publishing = asyncio.create_task(publish_numbers(server, "commands", 1, 50))
                for number in range(1, 51):
                    assert int((await anext(commands)).payload) == number
                await publishing

    run(main())


def test_a_publish_cancelled_while_it_waits_for_room_is_not_published() -> None:
    async def main() -> None:
        async with serve() as server:
            server.configure("commands", history_messages=2, patience=60)
            async with server.subscribe("commands") as commands:
                await publish_numbers(server, "commands", 1, 2)
                waiting = asyncio.create_task(server.publish("commands", b"3"))
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not waiting.done()
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert numbers([await anext(commands), await anext(commands)]) == [1, 2]
                await server.publish("commands", b"4")
                assert (await anext(commands)).payload == b"4"

    run(main())


def test_a_channel_that_rejects_says_so_and_one_that_rotates_forgets_the_oldest() -> None:
    async def main() -> None:
        async with serve() as server:
            server.configure("strict", history_messages=1, overflow="reject", patience=60)
            server.configure("loose", history_messages=2, overflow="rotate", patience=60)
            async with server.subscribe("strict"), server.subscribe("loose") as loose:
                await server.publish("strict", b"1")
                with pytest.raises(PublishRefused, match="full"):
                    await server.publish("strict", b"2")
                await publish_numbers(server, "loose", 1, 3)
                with pytest.raises(MessagesLost):
                    await anext(loose)
                assert (await anext(loose)).payload == b"3"

    run(main())


def test_a_publisher_in_the_server_settles_at_its_exit() -> None:
    async def main() -> None:
        async with serve() as server:
            async with server.publisher("campaign/42") as out:
                for number in range(1, 701):
                    await out.send(b"%d" % number)
            assert (out.tally.sent, out.tally.accepted, out.tally.failed) == (700, 700, [])
            with pytest.raises(InvalidState, match="inside the publisher's block"):
                await out.send(b"late")
            async with server.subscribe("campaign/42", "earliest") as messages:
                assert numbers(await anext(messages.batches()))[0] == 1

    run(main())


def test_a_publisher_in_the_server_says_which_messages_the_channel_rejected() -> None:
    async def main() -> None:
        async with serve() as server:
            server.configure("strict", history_messages=2, overflow="reject", patience=60)
            async with server.subscribe("strict"):
                out = server.publisher("strict")
                with pytest.raises(PublishFailed) as raised:
                    await _send_within(out, 5)
                with pytest.raises(ZeroDivisionError):
                    async with server.publisher("strict"):
                        raise ZeroDivisionError
            failed = [(one.first, one.last, one.outcome, one.code) for one in raised.value.failed]
            assert failed == [(3, 5, "refused", "full")]
            assert out.tally.accepted == 2

    run(main())


def test_what_cannot_be_published_or_configured_is_refused_and_changes_nothing() -> None:
    async def main() -> None:
        async with serve() as server:
            with pytest.raises(MessageTooLarge):
                await server.publish("campaign/42", b"x" * (1024 * 1024 + 1))
            with pytest.raises(NotText):
                await server.publish("campaign/42", "\ud800")
            with pytest.raises(TypeError):
                await server.publish("campaign/42", 5)  # type: ignore[arg-type]  # wrong on purpose
            for name in ("", "@me", "@nobody", "a\nb"):
                with pytest.raises(InvalidChannel):
                    await server.publish(name, b"x")
            with pytest.raises(ConfigError):
                server.configure("campaign/42", history_messages=0)
            with pytest.raises(InvalidChannel):
                server.configure("", patience=1)
            assert (await server.publish("campaign/42", b"1")).seq == 1

    run(main())


def test_publishing_without_end_lets_readers_read() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:

            async def publish_for_ever() -> None:
                while True:
                    await server.publish("campaign/42", b"x")

            async with session.subscribe("campaign/42", on_lost=lambda marker: None) as messages:
                publishing = asyncio.create_task(publish_for_ever())
                await take(messages, 1000)
                publishing.cancel()
                with suppress(asyncio.CancelledError):
                    await publishing

    run(main())


def test_leaving_serve_sends_every_reader_what_it_lacks_before_the_last_word() -> None:
    """P2: a drain loses nothing that a reader on a live link could still get."""

    async def main() -> None:
        async with serve() as server:
            block = connect(server.url, config=QUICK)
            session = await block.__aenter__()
            messages = session.subscribe("campaign/42")
            await messages.__aenter__()
            await publish_numbers(server, "campaign/42", 1, 900)
        assert numbers(await take(messages, 900)) == list(range(1, 901))
        await session.close(timeout=0)
        await block.__aexit__(None, None, None)

    run(main())


def test_leaving_serve_ends_its_own_readers_and_waiting_publishes() -> None:
    """I20: nobody waits for ever for a server that is gone."""

    async def main() -> None:
        async with serve() as server:
            server.configure("commands", history_messages=1, patience=60)
            commands = server.subscribe("commands")
            await commands.__aenter__()
            await server.publish("commands", b"1")
            waiting = asyncio.create_task(server.publish("commands", b"2"))
            idle = server.subscribe("idle")
            await idle.__aenter__()
            reading = asyncio.create_task(_next(idle))
            await asyncio.sleep(0)
        with pytest.raises(InvalidState, match="draining"):
            await waiting
        with pytest.raises(StopAsyncIteration):
            await reading
        assert numbers([message async for message in commands]) == [1]
        with pytest.raises(InvalidState):
            await server.publish("commands", b"3")
        with pytest.raises(InvalidState):
            await server.subscribe("commands").__aenter__()
        await server.close()

    run(main())


def test_leaving_serve_by_an_exception_does_not_wait_for_anybody() -> None:
    async def main() -> None:
        started = asyncio.get_running_loop().time()
        async with AsyncExitStack() as outer:
            with pytest.raises(ZeroDivisionError):
                await _serve_and_leave(outer)
        assert asyncio.get_running_loop().time() - started < 2

    run(main())


def test_leaving_serve_closes_connections_that_never_said_a_word() -> None:
    async def main() -> None:
        config = replace(Config.production("hub"), close_timeout=0.1)
        async with serve(config=config) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await until(lambda: links(server) == 1)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    run(main())


def test_a_server_that_is_left_holds_no_timer_and_takes_no_connection() -> None:
    """I12: a timer of a session's lease would keep the server alive for two minutes."""

    async def main() -> None:
        server = await _serve_one_and_leave()
        async with serve() as another:
            loop = asyncio.get_running_loop()
            arrive = partial(LinkSocket, driver(server))
            late, _ = await loop.create_connection(arrive, "127.0.0.1", another.port)
            await until(late.is_closing)
            assert links(server) == 0
        gone = weakref.ref(server)
        del server, late, arrive, _
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None

    run(main())


def test_leaving_serve_can_be_cancelled() -> None:
    async def main() -> None:
        async with (
            serve() as server,
            Forwarder(server.port) as wire,
            connect(wire.url, config=QUICK) as session,
            session.subscribe("campaign/42"),
        ):
            wire.block()
            await server.publish("campaign/42", b"x")
            closing = asyncio.create_task(server.close())
            for _ in range(3):
                await asyncio.sleep(0)
            assert not closing.done()
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert links(server) == 0
            await session.close(timeout=0)

    run(main())


def test_a_port_in_use_is_an_os_error_and_leaves_nothing_open() -> None:
    async def main() -> None:
        async with serve() as server:
            with pytest.raises(OSError, match="address already in use"):
                async with serve(port=server.port):
                    raise AssertionError("listening")

    run(main())


def test_serving_can_be_cancelled_at_any_turn_of_the_loop() -> None:
    """Held by `run`: no socket is left."""

    async def main() -> None:
        async def serve_for_a_moment() -> None:
            async with serve():
                await asyncio.sleep(0)

        for turns in range(12):
            serving = asyncio.create_task(serve_for_a_moment())
            for _ in range(turns):
                await asyncio.sleep(0)
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    run(main())


def test_a_host_with_several_addresses_is_listened_on_at_one_port() -> None:
    async def main() -> None:
        async with serve("localhost", 0) as server:
            for address in ("127.0.0.2", "127.0.0.3"):
                async with connect(f"ws://{address}:{server.port}/") as session:
                    assert session.is_connected
            assert server.url == f"ws://localhost:{server.port}/"

    run(main(), lambda: Hosts({"localhost": ["127.0.0.2", "127.0.0.3"]}))


def test_a_port_that_is_none_is_refused_before_anything_is_opened() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="port= is -1; it must be 0 … 65535"):
            async with serve(port=-1):
                raise AssertionError("serving")

    run(main())


def test_an_empty_token_is_refused_because_it_would_let_everybody_in() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="empty"):
            async with serve(token=""):
                raise AssertionError("listening")

    run(main())


def test_a_free_port_is_really_free() -> None:
    async def main() -> None:
        port = free_port()
        async with serve(port=port) as server:
            assert (server.port, server.url) == (port, f"ws://127.0.0.1:{port}/")

    run(main())


async def _send_within(out: ServerPublisher, count: int) -> None:
    async with out:
        for number in range(count):
            await out.send(b"%d" % number)


async def _serve_and_leave(outer: AsyncExitStack) -> None:
    """Leave `serve` by an exception while its client, which `outer` ends, hears nothing."""
    async with serve() as server:
        wire = await outer.enter_async_context(Forwarder(server.port))
        session = await outer.enter_async_context(connect(wire.url, config=QUICK))
        outer.push_async_callback(session.close, timeout=0)
        wire.block()
        raise ZeroDivisionError


async def _serve_one_and_leave() -> Server:
    """Leave a server that has a session without a link."""
    async with serve() as server, Forwarder(server.port) as wire:
        async with connect(wire.url, config=QUICK) as session:
            wire.take_down()
            await until(lambda: not session.is_connected)
        assert len(server.sessions) == 1
    return server


async def _next(messages: ServerSubscription) -> Message:
    return await anext(messages)
