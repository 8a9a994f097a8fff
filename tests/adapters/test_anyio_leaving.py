"""Leaving on anyio: in time, with a last word, and nothing left behind."""

import socket
from dataclasses import replace

import anyio
import pytest

from gapless.adapters.anyio import Config, Server, Session, SessionClosed, connect, serve

from .anyio_support import (
    BACKENDS,
    QUICK,
    driver,
    is_idle,
    publish_numbers,
    run,
    take,
    turns,
    until,
    wire,
)


@BACKENDS
def test_leaving_can_be_cancelled_and_drops_the_rest(backend: str) -> None:
    """P6."""

    async def main() -> None:
        sessions: list[Session] = []
        async with serve() as server, wire(server.port) as link:

            async def use() -> None:
                async with connect(f"ws://127.0.0.1:{link.port}/", config=QUICK) as session:
                    sessions.append(session)
                    link.is_blocked = True
                    async with anyio.create_task_group() as publishing:
                        publishing.start_soon(session.publish, "commands", b"1")
                        await until(lambda: session.stats().published == 1)
                        publishing.cancel_scope.cancel()

            cancelled_at = 0.0
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(use)
                await until(lambda: bool(sessions) and sessions[0].core.state.value == "leaving")
                cancelled_at = anyio.current_time()
                tasks.cancel_scope.cancel()
            assert anyio.current_time() - cancelled_at < 1
            assert len(sessions[0].unsettled()) == 1
            assert sessions[0].core.state.value == "closed"

    run(backend, main)


@BACKENDS
def test_i20_closing_is_harmless_in_every_state_and_as_often_as_one_likes(backend: str) -> None:
    async def main() -> None:
        async with serve() as server:
            async with connect(server.url, config=QUICK) as session:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(session.close)
                    tasks.start_soon(session.close)
                await session.close()
            await session.close()
            with pytest.raises(SessionClosed, match="closed by the client"):
                await session.publish("commands", b"1")
            session.network_back()
            async with connect(server.url, config=QUICK) as session:
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await session.close()
            assert is_idle(session)

    run(backend, main)


@BACKENDS
def test_leaving_serve_gives_every_reader_what_it_lacks_and_ends_in_time(backend: str) -> None:
    """A reader that takes nothing, and one that never said a word, hold nobody up."""

    async def main() -> None:
        with socket.socket() as mute:
            async with serve(config=replace(Config.production("hub"), close_timeout=0.2)) as server:
                mute.connect(("127.0.0.1", server.port))
                async with (
                    connect(server.url) as session,
                    connect(server.url) as idle,
                    session.subscribe("campaign/42", since="earliest") as messages,
                    idle.subscribe("campaign/42", since="earliest"),
                ):
                    await publish_numbers(server, "campaign/42", 1, 100)
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(server.close)
                        assert await take(messages, 100) == list(range(1, 101))
            assert is_idle(server)

    run(backend, main)


@BACKENDS
def test_a_peer_that_reads_nothing_is_dropped_when_the_server_is_left(backend: str) -> None:
    """More is waiting for its socket than that takes: nothing waits for it for ever."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serve(None) as server:
            await server.accept(ours)
            (link,) = driver(server).sockets
            link.write(b"x" * 1_000_000)
            await turns(5)
            assert not link.can_write
            started = anyio.current_time()
            await server.close(timeout=0.0)
            assert anyio.current_time() - started < 2
            assert is_idle(server)
        theirs.close()
        late, peer = socket.socketpair()
        await server.accept(late)
        assert late.fileno() < 0, "a server that is left closes what it is given"
        peer.close()

    run(backend, main)


@BACKENDS
def test_figures_can_be_had_when_the_loop_is_over(backend: str) -> None:
    """As on asyncio: time goes on."""

    async def main() -> tuple[Session, Server]:
        async with serve() as server, connect(server.url) as session:
            pass
        return session, server

    session, server = run(backend, main)
    assert session.metrics().uptime > 0
    assert server.stats().sessions == 0
