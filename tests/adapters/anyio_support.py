"""What the tests of the anyio adapter share: both backends, real sockets, a wire to cut.

`run` holds what every test promises: it ends in time, and leaves no task and no socket behind.
"""

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from gapless.adapters.anyio import Config, Server, Session, Subscription
from gapless.adapters.anyio.driver import Driver

LIMIT = 10.0
"""Seconds after which a test that waits for what doesn't come has failed."""

QUICK = Config(backoff_base=0.001, backoff_cap=0.02, close_timeout=5.0)
"""A client that tries again almost at once."""

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])

_CERTIFICATES = Path(__file__).with_name("certificates")
_RESET = struct.pack("ii", 1, 0)
Result = TypeVar("Result")


def run(backend: str, main: Callable[[], Awaitable[Result]], **options: Any) -> Result:
    """Run a test on a backend of anyio's.

    No task may be left; an open socket is a `ResourceWarning`, which is an error.
    """

    async def guarded() -> Result:
        with anyio.fail_after(LIMIT):
            result = await main()
        if backend == "asyncio":
            assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    result = anyio.run(guarded, backend=backend, backend_options=options)
    gc.collect()
    return result


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until something is true; `run` sets the limit."""
    while not condition():
        await anyio.lowlevel.checkpoint()


async def turns(count: int) -> None:
    """Let other tasks run so many times."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def take(messages: Subscription, count: int) -> list[int]:
    """Take so many messages, one by one; gives the numbers in them."""
    return [int((await anext(messages)).payload) for _ in range(count)]


async def publish_numbers(server: Server, channel: str, first: int, last: int) -> None:
    """Publish `first` … `last`, each as its decimal digits."""
    for number in range(first, last + 1):
        await server.publish(channel, b"%d" % number)


def driver(end: Server | Session) -> Driver[Any]:
    """What drives an end on anyio."""
    return cast(Driver[Any], end.driver)


def is_idle(end: Server | Session) -> bool:
    """Whether an end holds no socket any more."""
    return not driver(end).sockets


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server_tls() -> ssl.SSLContext:
    """A server's settings: a certificate for localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_CERTIFICATES / "server.pem")
    return context


def client_tls() -> ssl.SSLContext:
    """A client's settings: it trusts who signed that certificate."""
    return ssl.create_default_context(cafile=_CERTIFICATES / "authority.pem")


class Wire:
    """Forwards TCP connections to a port of 127.0.0.1, until they are cut. Made by `wire`.

    Attributes:
        port: where it listens.
        connections: how many it has taken.
        is_blocked: whether bytes from clients stay where they are.
    """

    def __init__(self, listener: anyio.abc.Listener[anyio.abc.SocketStream], target: int) -> None:
        self.port: int = listener.extra(anyio.abc.SocketAttribute.local_port)
        self.connections = 0
        self.is_blocked = False
        self._target = target
        self._open: dict[anyio.CancelScope, list[anyio.abc.SocketStream]] = {}

    def cut(self, *, reset: bool = True) -> None:
        """Reset all connections, or end them in the middle of whatever they carry."""
        for scope, streams in self._open.items():
            for stream in streams if reset else ():
                raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            scope.cancel()

    async def forward(self, client: anyio.abc.SocketStream) -> None:
        self.connections += 1
        async with client:
            with anyio.CancelScope() as scope:
                server = await anyio.connect_tcp("127.0.0.1", self._target)
                async with server, anyio.create_task_group() as tasks:
                    self._open[scope] = [client, server]
                    tasks.start_soon(self._carry, client, server, tasks.cancel_scope)
                    tasks.start_soon(self._carry, server, client, tasks.cancel_scope)
        self._open.pop(scope, None)

    async def _carry(
        self,
        source: anyio.abc.SocketStream,
        target: anyio.abc.SocketStream,
        scope: anyio.CancelScope,
    ) -> None:
        try:
            async for data in source:
                await until(lambda: not self.is_blocked)
                await target.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        scope.cancel()


@asynccontextmanager
async def wire(target: int) -> AsyncGenerator[Wire, None]:
    """Forward to a port within the block."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        forwarding = Wire(listener, target)
        tasks.start_soon(listener.serve, forwarding.forward)
        try:
            yield forwarding
        finally:
            tasks.cancel_scope.cancel()
