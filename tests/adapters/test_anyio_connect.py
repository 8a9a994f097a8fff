"""Connecting on anyio: trio and asyncio, words that help, nothing left behind."""

import asyncio
import gc
import importlib
import inspect
import socket
import ssl
import sys
from typing import Any

import anyio
import pytest
import trio

import gapless.adapters.anyio as on_anyio
import gapless.adapters.asyncio as on_asyncio
from gapless.adapters.anyio import (
    Config,
    ConnectError,
    connect,
    serve,
)
from gapless.adapters.anyio.driver import Driver
from gapless.core.closing import Code

from .anyio_support import (
    BACKENDS,
    LIMIT,
    QUICK,
    client_tls,
    driver,
    free_port,
    is_idle,
    publish_numbers,
    run,
    server_tls,
    take,
    turns,
    until,
)
from .support import Hosts


class TwoAddresses(trio.abc.HostnameResolver):
    """Every name is 127.0.0.2 and 127.0.0.1."""

    async def getaddrinfo(
        self, host: bytes | None, port: bytes | str | int | None, *_: int, **__: int
    ) -> list[Any]:
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6, "", (f"127.0.0.{n}", port)) for n in (2, 1)]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        raise NotImplementedError


async def refusal_of(url: str, **arguments: Any) -> ConnectError:
    """The error that connecting ends with."""
    with pytest.raises(ConnectError) as raised:
        async with connect(url, **arguments):
            raise AssertionError("connected")
    return raised.value


async def words_on_asyncio(url: str) -> str:
    """What the asyncio adapter says."""
    with pytest.raises(ConnectError) as raised:
        async with on_asyncio.connect(url):
            raise AssertionError("connected")
    return str(raised.value)


@BACKENDS
def test_both_ends_read_and_publish_over_sockets(backend: str) -> None:
    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            assert server.sessions == [session.id]
            async with (
                session.subscribe("campaign/42") as messages,
                server.subscribe("commands") as commands,
            ):
                await publish_numbers(server, "campaign/42", 1, 500)
                assert await take(messages, 500) == list(range(1, 501))
                async with session.publisher("commands") as out:
                    for number in range(300):
                        await out.send(b"%d" % number)
                assert out.tally.accepted == 300
                assert [int((await anext(commands)).payload) for _ in range(300)] == [*range(300)]
                assert (await session.publish("commands", b"x" * 900_000)).seq == 301
        assert is_idle(server)

    run(backend, main)


def test_it_exports_the_names_of_asyncio_with_their_signatures() -> None:
    assert on_anyio.__all__ == on_asyncio.__all__
    for name in on_anyio.__all__:
        ours, theirs = getattr(on_anyio, name), getattr(on_asyncio, name)
        if name in ("connect", "serve"):
            assert inspect.signature(ours) == inspect.signature(theirs)
            assert inspect.getdoc(ours) == inspect.getdoc(theirs)
        else:
            assert ours is theirs


def test_without_anyio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gapless.adapters.anyio")
    monkeypatch.setitem(sys.modules, "anyio", None)
    with pytest.raises(ImportError) as raised:
        importlib.import_module("gapless.adapters.anyio")
    assert str(raised.value) == ("gapless on anyio needs anyio: pip install 'gapless[anyio]'")


@BACKENDS
@pytest.mark.parametrize("what", ["refused", "unknown host", "no TLS there", "not trusted"])
def test_a_failed_connect_says_the_same_as_on_asyncio(backend: str, what: str) -> None:
    async def main() -> None:
        async with serve(ssl=server_tls() if what == "not trusted" else None) as server:
            url = {
                "refused": f"ws://127.0.0.1:{free_port()}/",
                "unknown host": "ws://nowhere.invalid:1/",
                "no TLS there": f"wss://127.0.0.1:{server.port}/",
                "not trusted": server.url,
            }[what]
            ours = str(await refusal_of(url))
            if backend == "asyncio":
                theirs = await words_on_asyncio(url)
            else:
                theirs = await anyio.to_thread.run_sync(asyncio.run, words_on_asyncio(url))
            assert ours == theirs

    run(backend, main)


@BACKENDS
def test_every_address_of_a_host_is_tried_and_listened_on(backend: str) -> None:
    async def main() -> None:
        if backend == "trio":
            trio.socket.set_custom_hostname_resolver(TwoAddresses())
        async with serve() as server, connect(f"ws://two.example:{server.port}/") as session:
            assert session.is_connected
        assert f"nothing listens on two.example:{server.port}; check" in str(
            await refusal_of(f"ws://two.example:{server.port}/")
        )
        async with serve("two.example") as server:
            for n in (1, 2):
                async with connect(f"ws://127.0.0.{n}:{server.port}/") as session:
                    assert session.is_connected

    hosts = {"two.example": ["127.0.0.2", "127.0.0.1"]}
    run(backend, main, **({} if backend == "trio" else {"loop_factory": lambda: Hosts(hosts)}))


@BACKENDS
def test_an_empty_host_is_every_address_of_this_machine(backend: str) -> None:
    async def main() -> None:
        async with serve("") as server:
            for host in ("127.0.0.1", "127.0.0.2"):
                async with connect(f"ws://{host}:{server.port}/") as session:
                    assert session.is_connected

    run(backend, main)


@BACKENDS
def test_a_port_in_use_is_an_os_error_and_leaves_nothing_open(backend: str) -> None:
    async def main() -> None:
        async with serve() as server:
            with pytest.raises(OSError, match="in use"):
                async with serve(port=server.port):
                    raise AssertionError("served")

    run(backend, main)


@BACKENDS
def test_with_wait_it_tries_until_the_server_is_there(backend: str) -> None:
    async def main() -> None:
        port = free_port()
        ids: list[str] = []

        async def enter() -> None:
            async with connect(f"ws://127.0.0.1:{port}/", config=QUICK, wait=9) as session:
                ids.append(session.id)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter)
            await turns(20)
            async with serve(port=port):
                await until(lambda: bool(ids))

    run(backend, main)


@BACKENDS
def test_a_server_that_never_answers_is_given_up_after_the_connect_timeout(backend: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
            error = await refusal_of(url, config=Config(connect_timeout=0.05))
            assert error.ending.code == Code.TIMEOUT
            with pytest.raises(TimeoutError), anyio.fail_after(0.05):
                async with connect(url):
                    raise AssertionError("connected")

    run(backend, main)


@BACKENDS
@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        ExceptionGroup("mine", [ValueError()]),
        KeyboardInterrupt(),
        SystemExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_block_raises_comes_out_as_it_is(backend: str, error: BaseException) -> None:
    async def main() -> None:
        async with serve() as outer:
            with pytest.raises(type(error)) as raised:
                async with serve() as server, connect(server.url):
                    raise error
            assert raised.value is error
            with pytest.raises(type(error)) as raised:
                async with connect(outer.url):
                    raise error
            assert raised.value is error
            await until(lambda: outer.sessions == [] and is_idle(outer))

    run(backend, main)


@BACKENDS
def test_an_exception_on_the_way_out_of_a_cancelled_block_comes_out_as_it_is(backend: str) -> None:
    async def use(url: str) -> None:
        with anyio.CancelScope() as scope:
            async with connect(url):
                scope.cancel()
                try:
                    await anyio.sleep_forever()
                finally:
                    raise ZeroDivisionError

    async def main() -> None:
        async with serve() as server:
            with pytest.raises(ZeroDivisionError):
                await use(server.url)

    run(backend, main)


@BACKENDS
@pytest.mark.parametrize("end", ["client", "server"])
def test_a_fault_in_one_of_its_tasks_ends_the_block_and_comes_out(backend: str, end: str) -> None:
    """No hang, and no silence."""

    async def main() -> None:
        async with serve() as server, connect(server.url) as session:
            _fail_once(driver(session if end == "client" else server))
            await anyio.sleep_forever()

    with pytest.raises(ZeroDivisionError):
        run(backend, main)


@BACKENDS
def test_a_fault_that_lasts_comes_out_and_leaves_nothing_open(backend: str) -> None:
    """Held by `run` too: even leaving fails, and every socket is closed."""
    came_out = False

    def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with serve() as server, connect(server.url):
            server.driver.on_change = fail
            server.driver.wake()
            await anyio.sleep_forever()

    try:
        run(backend, main)
    except* ZeroDivisionError:
        came_out = True
    gc.collect()
    assert came_out


@BACKENDS
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_connecting_can_be_cancelled_at_any_turn_and_leaves_nothing(
    backend: str, secure: bool
) -> None:
    """Held by `run` too: no task and no socket are left."""

    async def main() -> None:
        before = 0
        entered: list[str] = []
        tls = (server_tls(), client_tls()) if secure else (None, None)
        async with serve(ssl=tls[0]) as server:
            for count in range(30):
                entered.clear()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_enter_and_leave, server.url, entered, tls[1])
                    await turns(count)
                    tasks.cancel_scope.cancel()
                before += not entered
                await until(lambda: is_idle(server))
        assert 4 < before < 30, "before it was connected, and after"

    run(backend, main)


@BACKENDS
def test_serving_can_be_cancelled_at_any_turn(backend: str) -> None:
    async def main() -> None:
        for count in range(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_serve_and_leave)
                await turns(count)
                tasks.cancel_scope.cancel()

    run(backend, main)


@BACKENDS
def test_a_cancelled_block_says_goodbye_all_the_same(backend: str) -> None:
    """The server need not keep the session for its lease."""

    async def main() -> None:
        async with serve() as server:
            with anyio.CancelScope() as scope:
                async with connect(server.url):
                    scope.cancel()
                    await anyio.sleep_forever()
            assert scope.cancelled_caught
            await until(lambda: server.sessions == [])

    run(backend, main)


def test_asyncios_own_way_to_cancel_passes_through_too() -> None:
    """Said once, and not again: who swallows it has it lost."""

    async def main() -> None:
        async with serve() as server:
            for count in range(30):
                entering = asyncio.create_task(_enter_and_leave(server.url))
                await turns(count)
                entering.cancel()
                await asyncio.wait([entering])
                assert entering.cancelled() or count > 5
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), connect(server.url):
                    await asyncio.sleep(LIMIT)
            await until(lambda: is_idle(server))

    run("asyncio", main)


@BACKENDS
def test_many_sessions_at_once_open_and_close(backend: str) -> None:
    async def main() -> None:
        async with serve() as server:
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(_enter_and_leave, server.url)
            await until(lambda: server.sessions == [] and is_idle(server))

    run(backend, main)


def _fail_once(faulty: Driver[Any]) -> None:
    """Have the next pump fail, in a task of the driver's."""
    look = faulty.on_change

    def fail() -> None:
        faulty.on_change = look
        raise ZeroDivisionError

    faulty.on_change = fail
    faulty.wake()


async def _enter_and_leave(
    url: str, entered: list[str] | None = None, tls: ssl.SSLContext | None = None
) -> None:
    async with connect(url, ssl=tls) as session:
        if entered is not None:
            entered.append(session.id)


async def _serve_and_leave() -> None:
    async with serve("localhost"):
        pass
