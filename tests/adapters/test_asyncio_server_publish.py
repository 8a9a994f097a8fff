"""Publishing inside the server: what a payload may be, and a name that is nobody's key."""

import asyncio
from typing import Any

import pytest

from gapless.adapters.asyncio import Config, ConfigError, connect, serve

from .support import run, take

SMALL = Config(history_messages=2, history_bytes=100_000, max_message=1000)


def test_a_batch_is_all_text_or_all_bytes_and_is_copied() -> None:
    async def main() -> None:
        changing = bytearray(b"before")
        async with (
            serve() as server,
            connect(server.url) as session,
            session.subscribe("news") as news,
        ):
            await server.publish_many("news", ["text", "more"])
            await server.publish_many("news", [b"words"], text=True)
            await server.publish_many("news", [changing])  # type: ignore[list-item]  # as `bytes`
            changing[:] = b"after!"
            came = await take(news, 4)
        assert [(message.payload, message.is_text) for message in came] == [
            (b"text", True),
            (b"more", True),
            (b"words", True),
            (b"before", False),
        ]

    run(main())


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ("abc", "a list of payloads"),
        (bytearray(b"abc"), "a list of payloads"),
        (["a", b"b"], "all text or all bytes"),
        ([b"a", 5], "not int; encode it first"),
        ([{"a": 1}], "not dict; encode it first"),
    ],
)
def test_a_batch_that_is_none_is_a_type_error_and_nothing_is_published(
    batch: Any, words: str
) -> None:
    async def main() -> None:
        async with serve() as server, server.subscribe("news", since="earliest") as news:
            with pytest.raises(TypeError, match=words):
                await server.publish_many("news", batch)
            await server.publish("news", b"first")
            assert (await anext(news)).seq == 1

    run(main())


@pytest.mark.parametrize("channel", ["change", "news"])
def test_who_waits_for_room_costs_nothing_whatever_the_channel_is_called(channel: str) -> None:
    async def main() -> None:
        async with serve(config=SMALL) as server, server.subscribe(channel) as messages:
            for _ in range(2):
                await server.publish(channel, b"x")
            waiting = asyncio.create_task(server.publish(channel, b"y"))
            await asyncio.sleep(0)
            turns, rounds = 0, server.driver.pump

            def pump() -> None:
                nonlocal turns
                turns += 1
                rounds()

            server.driver.pump = pump  # type: ignore[method-assign]  # counts, and does the same
            for _ in range(200):
                await asyncio.sleep(0)
            assert turns < 5
            await anext(messages)
            await waiting

    run(main())


@pytest.mark.parametrize("timeout", [-1.0, float("inf"), float("nan")])
def test_a_close_with_what_is_no_time_is_refused_and_the_server_goes_on(timeout: float) -> None:
    async def main() -> None:
        async with serve() as server:
            with pytest.raises(ConfigError, match="timeout is"):
                await server.close(timeout=timeout)
            async with connect(server.url) as session:
                assert session.is_connected

    run(main())
