"""What the page of adapters says of blocks that are left elsewhere, or given up, on each runtime.

The rest of its tables is held by tests/conformance, which gives up every wait on every runtime.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import anyio
import pytest

from gapless.adapters import anyio as on_anyio
from gapless.adapters import asyncio as on_asyncio
from gapless.adapters import blocking

from .blocking_support import forwarded
from .support import LIMIT, QUICK, Forwarder, run


def test_on_asyncio_a_block_may_be_left_in_another_task() -> None:
    async def main() -> None:
        async with on_asyncio.serve() as server:
            block = on_asyncio.connect(server.url)
            session = await asyncio.create_task(block.__aenter__())
            assert (await session.publish("commands", "start")).seq == 1
            await asyncio.create_task(block.__aexit__(None, None, None))
            assert server.sessions == []

    run(main())


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("background", [False, True])
def test_a_blocking_block_may_be_left_in_another_thread(background: bool) -> None:
    with blocking.serve() as server:
        block = blocking.connect(server.url, background=background)
        with ThreadPoolExecutor(1) as one:
            session = one.submit(block.__enter__).result(LIMIT)
        assert session.publish("commands", "start", timeout=LIMIT).seq == 1
        with ThreadPoolExecutor(1) as other:
            other.submit(lambda: block.__exit__(None, None, None)).result(LIMIT)
        assert server.sessions == []


def test_on_asyncio_what_a_cancelled_publisher_sent_goes_on_being_sent() -> None:
    """P6."""

    async def main() -> None:
        async with (
            on_asyncio.serve() as server,
            Forwarder(server.port) as wire,
            on_asyncio.connect(wire.url, config=QUICK) as session,
            server.subscribe("commands", "earliest") as commands,
        ):
            wire.block()
            out = session.publisher("commands")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01), out:
                    await out.send("start")
            assert (out.tally.sent, out.tally.accepted) == (1, 0)
            wire.restore()
            assert (await anext(commands)).text == "start"

    run(main())


@pytest.mark.usefixtures("leaves_nothing")
def test_what_a_blocking_publisher_sent_goes_on_being_sent_when_its_time_is_up() -> None:
    """P6."""
    with (
        blocking.serve() as server,
        forwarded(server.port) as wire,
        blocking.connect(wire.url, config=QUICK, background=True) as session,
        server.subscribe("commands", "earliest", timeout=LIMIT) as commands,
    ):
        wire.block()
        out = session.publisher("commands", timeout=0.01)
        with suppress(TimeoutError), out:
            out.send("start")
        assert (out.tally.sent, out.tally.accepted) == (1, 0)
        wire.restore()
        assert next(commands).text == "start"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_leaving_a_subscription_is_no_wait_and_so_is_done_in_a_cancelled_scope(
    backend: str,
) -> None:
    async def main() -> None:
        async with on_anyio.serve() as server, on_anyio.connect(server.url) as session:
            with anyio.CancelScope() as scope:
                async with session.subscribe("campaign/42"):
                    scope.cancel()
            async with session.subscribe("campaign/42") as messages:
                await server.publish("campaign/42", "one")
                assert (await anext(messages)).text == "one"

    anyio.run(main, backend=backend)
