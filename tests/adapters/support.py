"""What the tests of the asyncio adapter share: real sockets on loopback, and a wire to cut.

`run` holds what every test promises: it ends in time, and leaves no task and no socket behind.
"""

import asyncio
import gc
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar, cast

from gapless.adapters.asyncio import Config, Message, Server, Session, Subscription
from gapless.adapters.asyncio.driver import Driver

LIMIT = 10.0
"""Seconds after which a test that waits for what doesn't come has failed."""

QUICK = Config(backoff_base=0.001, backoff_cap=0.02, close_timeout=5.0)
"""A client that tries again almost at once."""

_RESET = struct.pack("ii", 1, 0)
Result = TypeVar("Result")


def run(
    main: Coroutine[Any, Any, Result],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Result:
    """Run a test's coroutine.

    No task may be left, and asyncio may not have had to report an error that nobody caught; an open
    socket is a `ResourceWarning`.
    """
    errors: list[dict[str, Any]] = []

    def note(error: dict[str, Any]) -> None:
        # In its debug mode asyncio tells of each TLS handshake that failed; the tests make some.
        if error["message"] != "Error on transport creation for incoming connection":
            errors.append(error)

    async def guarded() -> Result:
        asyncio.get_running_loop().set_exception_handler(lambda _, error: note(error))
        async with asyncio.timeout(LIMIT):
            result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        result = runner.run(guarded())
        gc.collect()
    gc.collect()
    assert not errors, errors
    return result


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is true; `run` sets the limit."""
    while not condition():  # noqa: ASYNC110  # no event of ours says it
        await asyncio.sleep(0)


async def take(messages: Subscription, count: int) -> list[Message]:
    """Take so many messages, one by one."""
    return [await anext(messages) for _ in range(count)]


async def publish_numbers(server: Server, channel: str, first: int, last: int) -> None:
    """Publish `first` … `last`, each as its decimal digits."""
    for number in range(first, last + 1):
        await server.publish(channel, b"%d" % number)


def numbers(messages: list[Message]) -> list[int]:
    """Read what `publish_numbers` published."""
    return [int(message.payload) for message in messages]


def driver(end: Server | Session) -> Driver[Any]:
    """What drives an end on asyncio."""
    return cast(Driver[Any], end.driver)


def links(end: Server | Session) -> int:
    """Count the connections whose socket an end holds."""
    return driver(end).endpoint.links


def has_published(session: Session, count: int) -> Callable[[], bool]:
    """A condition: the session's outboxes have been handed so many messages."""
    return lambda: session.stats().published >= count


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Half(asyncio.Protocol):
    """One socket of a forwarded connection: what it reads, `other` writes."""

    transport: asyncio.Transport

    def __init__(self, forwarder: "Forwarder", direction: str) -> None:
        self.direction = direction
        self.other: _Half | None = None
        self._forwarder = forwarder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self._forwarder.opened(self)

    def data_received(self, data: bytes) -> None:
        assert self.other is not None
        self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forwarder.halves.discard(self)
        if self.other is not None:
            self.other.transport.close()

    def reset(self) -> None:
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class Forwarder:
    """Forwards TCP connections to a port of 127.0.0.1 until it is told to do worse.

    Attributes:
        target: where new connections go.
        connections: how many were taken.
    """

    def __init__(self, target: int, scheme: str = "ws") -> None:
        self.target = target
        self.connections = 0
        self.halves: set[_Half] = set()
        self._scheme = scheme
        self._blocked: frozenset[str] = frozenset()
        self._is_down = False
        self._joins: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Half(self, "to server"), "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = f"{self._scheme}://127.0.0.1:{port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        await asyncio.gather(*self._joins, return_exceptions=True)
        await until(lambda: not self.halves)

    def cut(self) -> None:
        """Reset all connections, now. New ones get through."""
        for half in self.halves:
            half.reset()

    def take_down(self) -> None:
        """Reset all connections, and each new one at once, until `restore`."""
        self._is_down = True
        self.cut()

    def block(self, *directions: str) -> None:
        """Let no byte through "to server", or "to client", or neither way, until `restore`."""
        self._blocked = frozenset(directions or ("to server", "to client"))
        self._apply()

    def restore(self) -> None:
        """Let everything through again."""
        self._is_down = False
        self._blocked = frozenset()
        self._apply()

    def opened(self, half: _Half) -> None:
        self.halves.add(half)
        if half.direction == "to client":
            return
        self.connections += 1
        if self._is_down:
            half.reset()
            return
        join = asyncio.get_running_loop().create_task(self._join(half))
        self._joins.add(join)
        join.add_done_callback(self._joins.discard)

    async def _join(self, client: _Half) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, target = await loop.create_connection(
                lambda: _Half(self, "to client"), "127.0.0.1", self.target
            )
        except OSError:
            client.reset()
            return
        client.other, target.other = target, client
        if client not in self.halves:
            target.transport.close()
        self._apply()

    def _apply(self) -> None:
        for half in self.halves:
            if half.other is None or half.direction in self._blocked:
                half.transport.pause_reading()
            else:
                half.transport.resume_reading()


class Hosts(asyncio.SelectorEventLoop):
    """An event loop that looks names up in a table: every name's addresses are of this machine."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        super().__init__()
        self._addresses = addresses

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        assert name is not None
        assert isinstance(port, int)
        found = self._addresses.get(name, [name])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]
