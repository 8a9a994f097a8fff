"""Links on anyio: resets, TLS, given streams; and functions of the application's."""

import asyncio
import os
import resource
import socket
import tempfile
from collections.abc import Awaitable
from functools import partial

import anyio
import pytest

from gapless.adapters import sockets
from gapless.adapters.anyio import Config, ConnectError, Ending, Server, Session, connect, serve
from gapless.adapters.sockets import LinkSocket
from gapless.core.closing import Code

from .anyio_support import (
    BACKENDS,
    QUICK,
    client_tls,
    driver,
    is_idle,
    publish_numbers,
    run,
    server_tls,
    take,
    turns,
    until,
    wire,
)

TLS = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
CUTS = 6
STUFFING = 2_000_000


@BACKENDS
@pytest.mark.parametrize(
    ("secure", "reset"), [(False, True), (True, False)], ids=["reset", "tls-ended"]
)
def test_p1_p2_cut_links_lose_repeat_and_reorder_nothing(
    backend: str, secure: bool, reset: bool
) -> None:
    """Both ways at once, while the wire is cut: by a reset, or by an end that TLS didn't say."""

    async def main() -> None:
        tls = (server_tls(), client_tls()) if secure else (None, None)
        async with (
            serve(ssl=tls[0]) as server,
            wire(server.port) as link,
            connect(_url(link.port, secure), config=QUICK, ssl=tls[1]) as session,
            session.subscribe("campaign/42") as messages,
            server.subscribe("commands") as commands,
        ):
            came: list[int] = []
            async with session.publisher("commands") as out:
                for cut in range(CUTS):
                    await publish_numbers(server, "campaign/42", cut * 40, cut * 40 + 39)
                    for number in range(cut * 20, cut * 20 + 20):
                        await out.send(b"%d" % number)
                    came += await take(messages, 20)
                    link.cut(reset=reset)
                    await until(partial(_has_links, session, cut + 2))
                    came += await take(messages, 20)
            assert came == list(range(CUTS * 40))
            asked = [int((await anext(commands)).payload) for _ in range(CUTS * 20)]
            assert asked == list(range(CUTS * 20))
            assert session.stats().resumes == CUTS

    run(backend, main)


@BACKENDS
@TLS
def test_more_than_sockets_take_at_once_goes_through_both_ways(backend: str, secure: bool) -> None:
    async def main() -> None:
        tls = (server_tls(), client_tls()) if secure else (None, None)
        payload = bytes(range(256)) * 3_000
        times = 4
        async with (
            serve(ssl=tls[0]) as server,
            connect(server.url, ssl=tls[1]) as session,
            session.subscribe("campaign/42") as messages,
            server.subscribe("commands") as commands,
        ):

            async def publish_up() -> None:
                for _ in range(times):
                    await session.publish("commands", payload)

            async def publish_down() -> None:
                for _ in range(times):
                    await server.publish("campaign/42", payload)

            server.configure("campaign/42", patience=60.0, history_bytes=2_000_000)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish_up)
                tasks.start_soon(publish_down)
                for _ in range(times):
                    assert (await anext(messages)).payload == payload
                    assert (await anext(commands)).payload == payload

    run(backend, main)


@BACKENDS
def test_a_certificate_for_another_name_is_final_whatever_the_wait(backend: str) -> None:
    async def main() -> None:
        async with serve("127.0.0.2", ssl=server_tls()) as server:
            with pytest.raises(ConnectError, match=r"is not valid for '127\.0\.0\.2'") as raised:
                async with connect(server.url, config=QUICK, ssl=client_tls(), wait=9):
                    raise AssertionError("connected")
            assert raised.value.ending.code == Code.REJECTED
            assert server.sessions == []

    run(backend, main)


@BACKENDS
def test_a_handshake_that_never_ends_is_dropped_and_holds_nobody_up(backend: str) -> None:
    async def main() -> None:
        config = Config(connect_timeout=0.05)
        async with serve(ssl=server_tls(), config=config) as server:
            mute, noise = socket.create_connection(("127.0.0.1", server.port)), socket.socket()
            with mute, noise:
                noise.connect(("127.0.0.1", server.port))
                noise.send(b"GET / HTTP/1.1\r\n\r\n")
                async with connect(server.url, ssl=client_tls()) as session:
                    assert session.is_connected
                mute.setblocking(False)
                await anyio.wait_readable(mute)
                assert mute.recv(1) == b"", "closed by the server"

    run(backend, main)


@BACKENDS
def test_tls_is_said_to_end_before_its_socket_does(backend: str) -> None:
    """So that the peer knows that nothing was cut off."""

    async def main() -> None:
        async with serve(ssl=server_tls()) as server:
            peer = await anyio.connect_tcp(
                "127.0.0.1", server.port, ssl_context=client_tls(), tls_standard_compatible=True
            )
            await until(lambda: bool(driver(server).sockets))
            (link,) = driver(server).sockets
            link.close(at_once=False)
            with pytest.raises(anyio.EndOfStream):
                await peer.receive()
            await anyio.aclose_forcefully(peer)

    run(backend, main)


@BACKENDS
def test_a_socket_is_closed_behind_what_waits_for_it(backend: str) -> None:
    async def main() -> None:
        async with serve(None) as server:
            link, peer = await _stuffed(server)
            link.close(at_once=False)
            received, data = 0, b"-"
            with peer:
                while data:
                    await anyio.wait_readable(peer)
                    data = peer.recv(65_536)
                    received += len(data)
            assert received == STUFFING
            assert is_idle(server)

    run(backend, main)


@BACKENDS
@pytest.mark.parametrize("how", ["too slow", "gone"])
def test_a_peer_that_takes_nothing_of_what_waits_is_dropped(
    backend: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "LINGER", 0.01)

    async def main() -> None:
        async with serve(None) as server:
            link, peer = await _stuffed(server)
            with peer:
                if how == "gone":
                    peer.close()
                else:
                    link.close(at_once=False)
                await until(lambda: is_idle(server))

    run(backend, main)


@BACKENDS
@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_gives_the_stream_of_each_connect(backend: str, is_async: bool) -> None:
    async def main() -> None:
        async with serve(None, config=Config.production("hub")) as server:
            given: list[socket.socket] = []

            async def give() -> socket.socket:
                ours, theirs = socket.socketpair()
                await server.accept(theirs)
                given.append(ours)
                return ours

            def plain() -> Awaitable[socket.socket]:
                return give()

            async with (
                connect(give if is_async else plain, config=QUICK) as session,
                session.subscribe("campaign/42") as messages,
            ):
                await publish_numbers(server, "campaign/42", 1, 20)
                given[0].shutdown(socket.SHUT_RDWR)
                assert await take(messages, 20) == list(range(1, 21))
                await until(lambda: session.stats().links == 2)
        assert is_idle(server)

    run(backend, main)


@BACKENDS
def test_a_function_that_gives_no_stream_is_said(backend: str) -> None:
    def give() -> socket.socket:
        raise ValueError("out of streams")

    async def main() -> None:
        with pytest.raises(ConnectError, match="no stream was given: ValueError: out of streams"):
            async with connect(give):
                raise AssertionError("connected")

    run(backend, main)


@BACKENDS
@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_gives_the_token_of_each_connect(backend: str, is_async: bool) -> None:
    asked: list[Ending | None] = []

    def plain(refused: Ending | None) -> str:
        asked.append(refused)
        return "right" if refused is not None else "wrong"

    async def later(refused: Ending | None) -> str:
        await anyio.lowlevel.checkpoint()
        return plain(refused)

    async def main() -> None:
        ask = later if is_async else plain
        async with serve(token="right") as server, connect(server.url, token=ask) as session:
            assert session.is_connected
        assert asked[0] is None
        assert asked[1] is not None
        assert asked[1].code == Code.UNAUTHORIZED

    run(backend, main)


@BACKENDS
@pytest.mark.parametrize("is_group", [False, True])
def test_a_token_function_that_fails_fails_the_connect_and_says_why(
    backend: str, is_group: bool
) -> None:
    async def ask(_: Ending | None) -> str:
        if is_group:
            async with anyio.create_task_group():
                raise ValueError("no key")
        raise ValueError("no key")

    async def main() -> None:
        async with serve() as server:
            with pytest.raises(ConnectError, match="token= failed with") as raised:
                async with connect(server.url, token=ask):
                    raise AssertionError("connected")
            assert raised.value.ending.code == Code.WITHHELD

    run(backend, main)


@pytest.mark.parametrize("what", ["token", "stream"])
def test_what_a_function_waits_for_may_be_cancelled_on_asyncio(what: str) -> None:
    """An answer like another: the connect fails, the block isn't cancelled."""

    async def ask(*_: object) -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        future.cancel()
        return await future

    async def main() -> None:
        async with serve() as server:
            entering = (
                connect(server.url, token=ask) if what == "token" else connect(ask)  # type: ignore[arg-type]  # it never gives a stream
            )
            with pytest.raises(ConnectError, match="was cancelled"):
                async with entering:
                    raise AssertionError("connected")

    run("asyncio", main)


@BACKENDS
def test_a_token_function_that_never_answers_is_left_behind(backend: str) -> None:
    left: list[str] = []

    async def ask(_: Ending | None) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            left.append("cancelled")
        return ""

    async def main() -> None:
        async with serve() as server:
            with pytest.raises(ConnectError):
                async with connect(server.url, token=ask, config=Config(connect_timeout=0.05)):
                    raise AssertionError("connected")
        assert left == ["cancelled"]

    run(backend, main)


@BACKENDS
def test_without_a_descriptor_for_another_socket_it_accepts_later(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PAUSE", 0.01)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def main() -> None:
        async with serve() as server:
            with socket.socket() as late, tempfile.TemporaryFile() as highest:
                try:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), limits[1]))
                    late.connect(("127.0.0.1", server.port))
                    with pytest.raises(OSError, match="Too many open files"):
                        os.dup(late.fileno())
                    await turns(5)
                    assert is_idle(server)
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                await until(lambda: not is_idle(server))

    run(backend, main)


@BACKENDS
def test_a_cancelled_wait_takes_nothing_whenever_it_is_cancelled(backend: str) -> None:
    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as session,
            session.subscribe("campaign/42") as messages,
        ):
            came: list[int] = []

            async def take_one() -> None:
                came.append((await take(messages, 1))[0])

            for count in range(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(take_one)
                    await server.publish("campaign/42", b"%d" % count)
                    await turns(count % 10)
                    tasks.cancel_scope.cancel()
            came += await take(messages, 30 - len(came))
            assert came == list(range(30))

    run(backend, main)


@BACKENDS
def test_a_publish_cancelled_while_it_waits_for_room_is_not_sent(backend: str) -> None:
    """P6; and the next in the queue isn't held up by it."""

    async def main() -> None:
        config = Config(history_messages=2, backoff_base=0.001, backoff_cap=0.02)
        async with (
            serve() as server,
            wire(server.port) as link,
            connect(_url(link.port, False), config=config) as session,
            server.subscribe("commands") as commands,
        ):
            link.is_blocked = True
            cancelled = anyio.CancelScope()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.publish, "commands", b"1")
                await until(lambda: session.stats().published == 1)
                tasks.start_soon(session.publish, "commands", b"2")
                await until(lambda: session.stats().published == 2)
                tasks.start_soon(_publish_within, cancelled, session, b"3")
                await turns(3)
                tasks.start_soon(session.publish, "commands", b"4")
                await turns(3)
                assert session.stats().published == 2
                cancelled.cancel()
                link.is_blocked = False
            assert [(await anext(commands)).payload for _ in range(3)] == [b"1", b"2", b"4"]

    run(backend, main)


@BACKENDS
def test_a_publish_cancelled_later_is_sent_and_its_receipt_is_dropped(backend: str) -> None:
    """P6."""

    async def main() -> None:
        async with (
            serve() as server,
            connect(server.url) as session,
            server.subscribe("commands") as commands,
        ):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await session.publish("commands", b"1")
            assert scope.cancelled_caught
            assert (await anext(commands)).payload == b"1"
            assert (await session.publish("commands", b"2")).seq == 2

    run(backend, main)


async def _stuffed(server: Server) -> tuple[LinkSocket, socket.socket]:
    """Make a link for which more waits than its socket takes."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    await server.accept(ours)
    (link,) = driver(server).sockets
    link.write(bytes(STUFFING))
    await turns(5)
    assert not link.can_write
    return link, theirs


def _has_links(session: Session, count: int) -> bool:
    return session.stats().links == count


async def _publish_within(scope: anyio.CancelScope, session: Session, payload: bytes) -> None:
    with scope:
        await session.publish("commands", payload)


def _url(port: int, secure: bool) -> str:
    return f"{'wss' if secure else 'ws'}://127.0.0.1:{port}/"
