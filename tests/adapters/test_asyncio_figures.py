"""Memory, metrics, health and alerts through asyncio, at both ends."""

import asyncio
import json
from dataclasses import asdict, replace

from gapless.adapters.asyncio import Config, connect, serve

from .support import QUICK, run, until

WATCHED = replace(QUICK, metrics_interval=1.0, memory_warning=3_000, memory_cleanup=1_000_000)


def test_both_ends_say_what_they_hold_and_how_things_stand() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url, config=QUICK) as session:
            async with session.subscribe("news", since="earliest") as messages:
                for number in range(3):
                    await server.publish("news", f"{number}")
                await until(lambda: session.stats().received == 3)
                assert session.metrics().gauges.buffer_sizes == {"news": 3}
                for _ in range(3):
                    await anext(messages)
            await session.publish("orders", b"x")

            stats = server.stats()
            assert (stats.sessions, stats.links, stats.channels) == (1, 1, 2)
            assert (stats.received, stats.sent, stats.messages) == (1, 3, 4)
            for end in (server, session):
                assert end.memory().peak > 0
                assert end.health().status == "healthy"
                exported = json.loads(json.dumps(asdict(end.metrics())))
                assert exported["gauges"]["active"] == 1
            assert session.metrics().latency is not None

    run(main())


def test_what_an_application_was_told_of_its_publishes_is_held_no_more() -> None:
    """P3: the adapter takes the word of it at once."""

    async def main() -> None:
        async with serve() as server, connect(server.url, config=QUICK) as session:
            await session.publish("orders", b"x")
            held = session.memory().held
            for _ in range(20):
                await session.publish("orders", b"x" * 1000)
            assert session.memory().held == held

    run(main())


def test_a_server_counts_the_handshakes_it_refused() -> None:
    """And not the connections that hung up before they had asked for anything."""

    async def main() -> None:
        async with serve() as server:
            for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(request)
                writer.write_eof()
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 4") is bool(request)
                writer.close()
                await writer.wait_closed()
            assert server.stats().errors == 1
            assert server.metrics().errors == 1

    run(main())


def test_alerts_come_and_go_and_end_with_the_session() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url, config=WATCHED) as session:
            alerts = session.alerts()
            async with session.subscribe("news"), session.subscribe("more"):
                raised = await anext(alerts)
                assert (raised.kind, raised.status) == ("memory", "warning")
            cleared = await anext(alerts)
            assert (cleared.kind, cleared.status) == ("memory", "healthy")
        assert [alert async for alert in session.alerts()] == []

    run(main())


def test_the_alerts_of_a_server_end_with_it() -> None:
    async def main() -> None:
        config = replace(Config.production("hub"), metrics_interval=1.0, memory_warning=3_000)
        async with serve(config=config) as server, connect(server.url, config=QUICK):
            raised = await anext(server.alerts())
            assert (raised.kind, raised.status) == ("memory", "warning")
        assert [alert async for alert in server.alerts()] == []

    run(main())
