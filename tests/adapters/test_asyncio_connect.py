"""Connecting and leaving on asyncio: at once or not, words that help, nothing left behind."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from gapless.adapters.asyncio import (
    Closed,
    Config,
    ConfigError,
    ConnectError,
    LinkUp,
    Session,
    SessionClosed,
    connect,
    serve,
)
from gapless.core.closing import Code

from .support import QUICK, Forwarder, Hosts, free_port, has_published, links, run, until

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class SilentServer:
    """Takes connections, answers each with `words`, and is silent then until it is left."""

    def __init__(self, words: bytes = b"") -> None:
        self.connections = 0
        self._words = words
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "SilentServer":
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        if self._words:
            with suppress(OSError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._words)


async def refusal_of(url: str, **arguments: Any) -> ConnectError:
    """The error that connecting ends with."""
    with pytest.raises(ConnectError) as raised:
        async with connect(url, **arguments):
            raise AssertionError("connected")
    return raised.value


def test_connecting_gives_a_session_with_an_id_and_a_secret_that_no_repr_shows() -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            assert session.is_connected
            assert server.sessions == [session.id]
            assert len(session.session_token) >= 22
            assert session.session_token not in repr(vars(session))
            assert session.stats().links == 1

    run(main())


def test_without_wait_a_first_connection_that_fails_fails_at_once_and_says_what_to_do() -> None:
    async def main() -> None:
        port = free_port()
        error = await refusal_of(f"ws://127.0.0.1:{port}/")

        assert str(error) == (
            f"ws://127.0.0.1:{port}/: nothing listens on 127.0.0.1:{port}; "
            f"check the address, or wait for the server with wait="
        )
        assert error.ending.code == Code.LOST

    run(main())


def test_with_wait_it_tries_until_the_server_is_there() -> None:
    async def main() -> None:
        port = free_port()

        async def enter() -> str:
            async with connect(f"ws://127.0.0.1:{port}/", config=QUICK, wait=9) as session:
                return session.id

        entering = asyncio.create_task(enter())
        for _ in range(20):
            await asyncio.sleep(0)
        async with serve(port=port):
            assert (await entering).startswith("@")

    run(main())


def test_with_wait_it_gives_up_when_the_time_is_over() -> None:
    async def main() -> None:
        started = asyncio.get_running_loop().time()
        error = await refusal_of(f"ws://127.0.0.1:{free_port()}/", config=QUICK, wait=0.1)

        assert "nothing listens" in str(error)
        assert 0.1 <= asyncio.get_running_loop().time() - started < 2

    run(main())


@pytest.mark.parametrize("token", [None, "wrong", "tokem"])
def test_a_refused_token_is_final_whatever_the_wait(token: str | None) -> None:
    async def main() -> None:
        async with serve(token="token") as server, Forwarder(server.port) as wire:
            error = await refusal_of(wire.url, token=token, wait=9)
            assert wire.connections == 1
            words = (
                ": the credentials were refused; show others, or have them asked for; check token="
            )
            assert str(error).endswith(words)
            assert server.sessions == []
            async with connect(wire.url, token="token"):
                pass

    run(main())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "the server refused the WebSocket handshake: HTTP 404; "
            "check that the address is a gapless server's",
        ),
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "the server refused the WebSocket handshake: HTTP 401; "
            "show others, or have them asked for; check token=",
        ),
        (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "the server can't take a connection now: HTTP 503; "
            "try again later, or wait for the server with wait=",
        ),
        (
            b"220 mail.example ESMTP\r\n",
            "the server is not a WebSocket server: it does not answer in HTTP; "
            "check that the address is a gapless server's",
        ),
    ],
)
def test_a_server_of_another_kind_is_named_and_what_to_do(answer: bytes, words: str) -> None:
    async def main() -> None:
        async with SilentServer(answer) as server:
            error = await refusal_of(server.url)
            assert str(error) == f"{server.url}: {words}"

    run(main())


def test_a_server_that_never_answers_is_given_up_after_the_connect_timeout() -> None:
    async def main() -> None:
        async with SilentServer() as server:
            error = await refusal_of(server.url, config=Config(connect_timeout=0.05))
            assert error.ending.code == Code.TIMEOUT
            assert "check the address" in str(error)
            assert server.connections == 1

    run(main())


def test_connecting_can_be_cancelled_at_any_turn_of_the_loop_and_leaves_nothing() -> None:
    """Held by `run`: no task and no socket are left."""

    async def main() -> None:
        this = asyncio.current_task()
        async with serve() as server:
            for turns in range(40):
                entering = asyncio.create_task(_enter_and_leave(server.url))
                for _ in range(turns):
                    await asyncio.sleep(0)
                entering.cancel()
                with suppress(asyncio.CancelledError):
                    await entering
                await until(lambda: asyncio.all_tasks() == {this})
            await until(lambda: links(server) == 0)

    run(main())


def test_a_connect_under_a_timeout_ends_in_time() -> None:
    async def main() -> None:
        async with SilentServer() as server:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), connect(server.url):
                    raise AssertionError("connected")
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_every_address_of_a_host_is_tried_in_turn() -> None:
    async def main() -> None:
        async with serve() as server, connect(f"ws://two.example:{server.port}/") as session:
            assert session.is_connected

    run(main(), lambda: Hosts({"two.example": ["127.0.0.2", "127.0.0.1"]}))


def test_a_host_of_which_every_address_refuses_is_said_in_one_line() -> None:
    async def main() -> None:
        port = free_port()
        error = await refusal_of(f"ws://two.example:{port}/")
        assert f": nothing listens on two.example:{port}; check" in str(error)

    run(main(), lambda: Hosts({"two.example": ["127.0.0.2", "127.0.0.1"]}))


def test_what_cannot_be_asked_for_is_refused_before_anything_is_dialled() -> None:
    async def main() -> None:
        url = "ws://127.0.0.1:9/"
        for bad, arguments in [
            ("http://127.0.0.1/", {}),
            ("ws://127.0.0.1:9/a b", {}),
            ("ws://127.0.0.1:9/ä", {}),
            ("ws://-/", {}),
            (5, {}),
            (url, {"wait": -1}),
            (url, {"wait": float("nan")}),
            (url, {"token": "\ud800"}),
            (url, {"resume": "\ud800"}),
        ]:
            with pytest.raises(ConfigError):
                async with connect(bad, **arguments):  # type: ignore[arg-type]  # on purpose
                    raise AssertionError("connected")

    run(main())


def test_the_network_is_back_means_try_now() -> None:
    """Not in an hour, as the backoff would have it; and harmless at any other time."""

    async def main() -> None:
        patient = replace(QUICK, backoff_base=3600.0, backoff_cap=3600.0)
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=patient) as session:
                session.network_back()
                wire.cut()
                await until(lambda: not session.is_connected)
                session.network_back()
                await until(lambda: session.is_connected)
                assert (session.stats().links, session.stats().resumes) == (2, 1)
            session.network_back()
            assert wire.connections == 2

    run(main())


def test_leaving_waits_until_what_was_published_is_accepted() -> None:
    """P6."""

    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=QUICK) as session:
                wire.block("to client")
                publishing = asyncio.create_task(session.publish("commands", b"1"))
                await until(has_published(session, 1))
                asyncio.get_running_loop().call_soon(wire.restore)
            assert (await publishing).seq == 1
            assert session.unsettled() == []
            assert session.stats().accepted == 1

    run(main())


def test_leaving_waits_no_longer_than_close_timeout_and_says_what_is_left() -> None:
    """P6: unknown or unsent, never neither."""

    async def main() -> None:
        config = replace(QUICK, close_timeout=0.05)
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=config) as session:
                wire.block()
                sent = asyncio.create_task(session.publish("commands", b"1"))
                await until(has_published(session, 1))
            left = session.unsettled()
            assert [(one.channel, one.first, one.last) for one in left] == [("commands", 1, 1)]
            assert left[0].outcome in ("unknown", "unsent")
            await asyncio.gather(sent, return_exceptions=True)

    run(main())


def test_an_exception_in_the_block_passes_on_at_once_and_what_was_out_is_in_unsettled() -> None:
    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            started = asyncio.get_running_loop().time()
            entered: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
            with pytest.raises(ZeroDivisionError):
                await _publish_and_leave(wire, entered, ZeroDivisionError())
            assert asyncio.get_running_loop().time() - started < 2
            assert len((await entered).unsettled()) == 1

    run(main())


def test_leaving_can_be_cancelled_and_drops_the_rest() -> None:
    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            entered: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
            using = asyncio.create_task(_publish_and_leave(wire, entered))
            session = await entered
            await until(lambda: session.core.state.value == "leaving")
            using.cancel()
            with pytest.raises(asyncio.CancelledError):
                await using
            assert len(session.unsettled()) == 1
            assert session.core.state.value == "closed"

    run(main())


def test_closing_is_harmless_in_every_state_and_as_often_as_one_likes() -> None:
    """I20."""

    async def main() -> None:
        async with serve() as server, Forwarder(server.port) as wire:
            async with connect(wire.url, config=QUICK) as session:
                await asyncio.gather(session.close(), session.close())
                await session.close()
            async with connect(wire.url, config=QUICK) as session:
                wire.take_down()
                await until(lambda: not session.is_connected)
                await session.close()
            wire.restore()
            async with connect(wire.url, config=QUICK) as session:
                wire.take_down()
                await until(lambda: not session.is_connected)
            with pytest.raises(ConnectError):
                async with connect(wire.url, config=QUICK):
                    raise AssertionError("connected")

    run(main())


def test_after_its_end_a_session_takes_nothing_new_and_says_so() -> None:
    """I20."""

    async def main() -> None:
        async with serve() as server:
            async with connect(server.url) as session:
                pass
            with pytest.raises(SessionClosed, match="closed by the client"):
                await session.publish("commands", b"1")
            with pytest.raises(SessionClosed):
                async with session.subscribe("campaign/42"):
                    raise AssertionError("entered")
            with pytest.raises(SessionClosed):
                async with session.publisher("commands"):
                    raise AssertionError("entered")
            seen = [event async for event in session.events()]
            assert [type(event) for event in seen] == [LinkUp, Closed]
            assert [event async for event in session.events()] == []
            assert not session.is_connected

    run(main())


def test_a_session_that_is_left_is_over_at_the_server_too() -> None:
    async def main() -> None:
        async with serve() as server:
            async with connect(server.url):
                assert len(server.sessions) == 1
            await until(lambda: server.sessions == [])

    run(main())


def test_many_sessions_at_once_open_and_close() -> None:
    async def main() -> None:
        async with serve() as server:
            await asyncio.gather(*(_enter_and_leave(server.url) for _ in range(50)))
            await until(lambda: server.sessions == [])

    run(main())


async def _enter_and_leave(url: str) -> None:
    async with connect(url):
        pass


async def _publish_and_leave(
    wire: Forwarder, entered: asyncio.Future[Session], error: Exception | None = None
) -> None:
    """Leave a session whose publish gets no answer, by an exception or not."""
    async with connect(wire.url, config=QUICK) as session:
        wire.block()
        publishing = asyncio.create_task(session.publish("commands", b"1"))
        await until(has_published(session, 1))
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        entered.set_result(session)
        if error is not None:
            raise error
