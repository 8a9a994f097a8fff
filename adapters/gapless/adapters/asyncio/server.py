"""A server on asyncio: a hub, a listening socket, and the server's own publishing and reading."""

import asyncio
import ssl
from collections.abc import Callable

from gapless.adapters.errors import PublishRefused
from gapless.core.channels import Ticket
from gapless.core.config import Overflow
from gapless.core.events import ChannelEvent, Message
from gapless.core.hub import Hub
from gapless.core.local import LocalReader
from gapless.core.position import Position, Since
from gapless.transports.endpoint import Endpoint
from gapless.transports.wire import Wire

from .driver import Driver
from .reading import OnLost, Reading
from .waiting import Waiting

TURN = 256
"""Messages published without a wait after which they are sent and other tasks get a turn."""


class Server:
    """A listening server. Made by `serve`."""

    def __init__(self, hub: Hub, new_wire: Callable[[float], Wire]) -> None:
        self.hub = hub
        self.waiting: Waiting[object] = Waiting()
        self.driver = Driver(Endpoint(hub, new_wire), self._look)
        self._listener: asyncio.Server | None = None
        self._scheme = "ws"
        self._host = ""
        self._port = 0
        self._untold = 0
        self._time = self.driver.loop.time

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """What clients connect to."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self._port}/"

    @property
    def sessions(self) -> list[str]:
        """The ids of all sessions, with a connection or without."""
        return self.hub.sessions

    def configure(
        self,
        channel: str,
        *,
        history_messages: int | None = None,
        history_bytes: int | None = None,
        history_age: float | None = None,
        overflow: Overflow | None = None,
        patience: float | None = None,
    ) -> None:
        """Change how a channel keeps messages; what isn't given stays.

        Args:
            channel: its name.
            history_messages: messages kept at most.
            history_bytes: bytes of payload kept at most.
            history_age: seconds a message is kept.
            overflow: what a publish does at a bound that a pin holds.
            patience: seconds a pin holds without an ack.

        Raises:
            ConfigError: a value is out of range.
            InvalidChannel: the name can't be a channel.
        """
        given: dict[str, object] = {
            "history_messages": history_messages,
            "history_bytes": history_bytes,
            "history_age": history_age,
            "overflow": overflow,
            "patience": patience,
        }
        self.hub.configure(channel, **{k: v for k, v in given.items() if v is not None})

    async def publish(self, channel: str, payload: bytes | str) -> Position:
        """Publish a message to a channel, or to one client by its session's id.

        Waits for room while a reader that pins hasn't taken the oldest message (design 7).

        Raises:
            PublishRefused: the channel rejects at its bound, or the store refused.
            MessageTooLarge, InvalidChannel: it can't be published.
        """
        text = isinstance(payload, str)
        data = payload.encode() if isinstance(payload, str) else payload
        ticket = self.hub.publish(channel, data, text, now=self._time())
        if ticket is None or not ticket.seq:
            ticket = await self._accepted(ticket, channel, [data], text)
        self._untold += 1
        if self._untold >= TURN:
            await self._give_turn()
        else:
            self.driver.wake()
        return Position(ticket.epoch, ticket.seq)

    async def publish_many(
        self, channel: str, payloads: list[bytes], *, text: bool = False
    ) -> Position:
        """Publish a batch, all or nothing; returns the position of its last message.

        Raises: as `publish`.
        """
        ticket = self.hub.publish_many(channel, payloads, text, now=self.driver.now())
        if ticket is None or not ticket.seq:
            ticket = await self._accepted(ticket, channel, payloads, text)
        self._untold += len(payloads)
        if self._untold >= TURN:
            await self._give_turn()
        else:
            self.driver.wake()
        return Position(ticket.epoch, ticket.seq)

    def subscribe(
        self, channel: str, since: Since = "latest", *, on_lost: OnLost | None = None
    ) -> "ServerSubscription":
        """Read a channel inside the server. Its messages say who published them."""
        return ServerSubscription(self, channel, since, on_lost)

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Listen.

        Raises:
            OSError: the address can't be listened on.
        """
        self._listener = await self.driver.loop.create_server(
            self.driver.accept, host, port, ssl=tls, backlog=512
        )
        self._scheme = "ws" if tls is None else "wss"
        self._host = host
        self._port = self._listener.sockets[0].getsockname()[1]

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # then it closes
        """Listen no more, let every client catch up for `timeout` seconds, then close.

        Default: `config.close_timeout`.
        """
        if self._listener is not None:
            self._listener.close()
        seconds = self.hub.config.close_timeout if timeout is None else timeout
        self.hub.drain(now=self.driver.now(), timeout=seconds)
        self.driver.pump()
        try:
            while not self.hub.is_drained:
                await self.waiting.wait("change")
        finally:
            self.hub.drain(now=self.driver.now(), timeout=0.0)
            self.driver.pump()
            await self.driver.shut(2.0)

    async def _accepted(
        self, ticket: Ticket | None, channel: str, payloads: list[bytes], text: bool
    ) -> Ticket:
        """Wait for room, then for the store."""
        while ticket is None:
            self.driver.pump()
            await self.waiting.wait(channel)
            ticket = self.hub.publish_many(channel, payloads, text, now=self.driver.now())
        while ticket.is_pending:
            self.driver.wake()
            await self.waiting.wait(ticket)
        if ticket.refused is not None:
            raise PublishRefused(channel, ticket.refused)
        return ticket

    async def _give_turn(self) -> None:
        """Send what was published, and let other tasks run: publishing alone never waits."""
        self._untold = 0
        self.driver.pump()
        await asyncio.sleep(0)

    def _look(self) -> None:
        """After each pump: wake whom the hub's news concerns."""
        while (thing := self.hub.next_ready()) is not None:
            self.waiting.wake(thing)
        self.waiting.wake("change")


class ServerSubscription(Reading):
    """One channel, read inside the server."""

    def __init__(self, server: Server, channel: str, since: Since, on_lost: OnLost | None) -> None:
        super().__init__(channel, on_lost)
        self._server = server
        self._since: Since = since
        self._reader: LocalReader | None = None
        self._left_at: Position | None = None

    @property
    def position(self) -> Position | None:
        """The place up to which everything was taken; None before it is known."""
        return self._left_at if self._reader is None else self._reader.position

    async def _enter(self) -> None:
        server = self._server
        while self._reader is None:
            self._reader = server.hub.subscribe(self.channel, self._since, now=server.driver.now())
            if self._reader is None:
                server.driver.pump()
                await server.waiting.wait(self.channel)

    def _leave(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            self._left_at = reader.position
            self._server.hub.unsubscribe(reader, now=self._server.driver.now())
            self._server.driver.wake()
            self._server.waiting.wake(reader)

    def _take(self) -> ChannelEvent | None:
        if self._reader is None:
            return None
        server = self._server
        event = server.hub.next_message(self._reader, now=server.driver.now())
        server.driver.changed()
        return event

    def _take_batch(self) -> list[Message]:
        batch: list[Message] = []
        reader = self._reader
        while reader is not None and len(batch) < TURN and reader.is_at_message:
            event = self._take()
            if not isinstance(event, Message):
                break
            batch.append(event)
        return batch

    def _is_over(self) -> bool:
        return self._reader is None or self._server.hub.is_drained

    async def _wait(self) -> None:
        await self._server.waiting.wait(self._reader)
