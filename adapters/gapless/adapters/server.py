"""A server on any runtime: a hub, its listener, and the server's own publishing and reading."""

import socket
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from gapless.core.budget import MemoryReport
from gapless.core.config import Overflow, check_seconds
from gapless.core.errors import InvalidState
from gapless.core.events import ChannelEvent, Message
from gapless.core.figures import HubStats
from gapless.core.hub import Hub
from gapless.core.local import LocalReader
from gapless.core.monitor import Alert, Health, Metrics
from gapless.core.news import Ticket
from gapless.core.position import Position, Since

from .driving import Driver, Listener
from .errors import PublishFailed, PublishRefused, PublishUnknown
from .ledger import Tickets, check_entered, encode_batch, encode_payload
from .reading import OnLost, Reading
from .waiting import CHANGE, Each, Turns, Waiting, goodbye
from .wires import handed

TURN = 256
"""Messages published without a wait after which they are sent and other tasks get a turn."""


class Server:
    """A listening server. Made by `serve`."""

    def __init__(self, hub: Hub, driver: Driver) -> None:
        self.hub = hub
        self.driver = driver
        self.waiting: Waiting[object] = Waiting(driver.new_signal)
        self.room: Turns[str] = Turns(driver.new_signal)
        self._listener: Listener | None = None
        self._scheme = "ws"
        self._host = ""
        self._untold = 0
        self._time = driver.now
        driver.on_change = self._look

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return 0 if self._listener is None else self._listener.port

    @property
    def url(self) -> str:
        """What clients connect to; empty where nothing is listened on."""
        if self._listener is None:
            return ""
        host = f"[{self._host}]" if ":" in self._host else self._host or "0.0.0.0"
        return f"{self._scheme}://{host}:{self.port}/"

    @property
    def sessions(self) -> list[str]:
        """The ids of all sessions, with a connection or without."""
        return self.hub.sessions

    def stats(self) -> HubStats:
        """Count sessions, connections and channels, and what has gone through them."""
        return self.hub.stats(now=self.driver.now())

    def memory(self) -> MemoryReport:
        """Say what is held, in bytes, by kind, and what had to go."""
        return self.hub.memory()

    def metrics(self) -> Metrics:
        """Say all figures, and how things stand: plain data."""
        return self.hub.metrics(now=self.driver.now())

    def health(self) -> Health:
        """Say how things stand, and why."""
        return self.hub.health(now=self.driver.now())

    def alerts(self) -> AsyncIterator[Alert]:
        """Follow what becomes worse or better: looked for every `config.metrics_interval`.

        Ends with the server. Of a kind that nobody took yet the newest is kept, with a count.
        """
        return Each(self._next_alert)

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
        changed = {name: value for name, value in given.items() if value is not None}
        self.hub.configure(channel, now=self._time(), **changed)
        self.driver.wake()

    async def publish(self, channel: str, payload: bytes | str) -> Position:
        """Publish a message to a channel, or to one client by its session's id.

        Waits for room while a reader that pins hasn't taken the oldest message (design 7).
        Cancelled while it waits for room, the message is not published.

        Raises:
            PublishRefused: the channel rejects at its bound, or the store refused.
            PublishUnknown: the server was closed before the store answered.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be published.
            InvalidState: the server is closing.
        """
        text = False
        if type(payload) is not bytes:
            payload, text = encode_payload(payload)
        if self._untold >= TURN:
            await self.take_turn()
        position = None
        if channel not in self.room.awaited:
            position = self.hub.publish_now(channel, payload, text, now=self._time())
        if position is None:
            position = await self._published(channel, [payload], text)
        self.note_published(1)
        return position

    async def publish_many(
        self, channel: str, payloads: Sequence[bytes | str], *, text: bool = False
    ) -> Position:
        """Publish a batch, all or nothing; returns the position of its last message.

        Args:
            channel: its name.
            payloads: all text, or all bytes.
            text: bytes are text.

        Raises: as `publish`.
        """
        batch, text = encode_batch(payloads, text)
        if self.is_turn_over():
            await self.take_turn()
        position = await self._published(channel, batch, text)
        self.note_published(len(batch))
        return position

    def publisher(self, channel: str) -> "ServerPublisher":
        """Publish many messages, pipelined: an async context manager that settles at its exit."""
        return ServerPublisher(self, channel)

    def subscribe(
        self, channel: str, since: Since = "latest", *, on_lost: OnLost | None = None
    ) -> "ServerSubscription":
        """Read a channel inside the server. Its messages say who published them."""
        return ServerSubscription(self, channel, since, on_lost)

    async def accept(self, stream: socket.socket) -> None:
        """Serve the client at the other end of a connected socket, which is the server's from now.

        It speaks length-prefixed msgpack frames, as `connect` does on the socket it is given.
        """
        await self.driver.accept_stream(stream, handed(self.hub.config))

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # then it closes
        """Listen no more, let every client catch up for `timeout` seconds, then close.

        Default: `config.close_timeout`.
        """
        if timeout is not None:
            check_seconds("timeout", timeout)
        if self._listener is not None:
            self._listener.close()
        seconds = self.hub.config.close_timeout if timeout is None else timeout
        self.hub.drain(now=self.driver.now(), timeout=seconds)
        self.driver.pump()
        self.waiting.wake_all()
        self.room.wake_all()
        patience = 0.0
        try:
            while not self.hub.is_drained:
                await self.waiting.wait(CHANGE)
            patience = seconds
        finally:
            self.hub.drain(now=self.driver.now(), timeout=0.0)
            self.driver.pump()
            self.waiting.wake_all()
            self.room.wake_all()
            await self.driver.shut(goodbye(patience))

    # for serve and ServerPublisher

    def listen(self, listener: Listener, host: str, *, secure: bool) -> None:
        """Have the sockets that are listened on closed in the end."""
        self._listener = listener
        self._host = host
        self._scheme = "wss" if secure else "ws"

    async def admit(self, channel: str, payload: bytes | str) -> Ticket:
        """Publish as soon as there is room; the store may not have answered yet."""
        data, text = encode_payload(payload)
        ticket = None
        if channel not in self.room.awaited:
            ticket = self.hub.publish(channel, data, text, now=self._time())
        if ticket is None:
            ticket = await self._admitted(channel, [data], text)
        return ticket

    async def settle(self, ticket: Ticket) -> None:
        """Wait until the store has answered, or nobody waits for it any more."""
        while ticket.is_pending and not self.hub.is_drained:
            self.driver.wake()
            await self.waiting.wait(ticket)

    def is_turn_over(self) -> bool:
        """Whether others are to run before more is published: publishing may never wait.

        Looked at before, never behind: who is cancelled there has published nothing.
        """
        return self._untold >= TURN

    def note_published(self, count: int) -> None:
        """Have what was published sent soon."""
        if not self._untold:
            self.driver.wake()
        self._untold += count

    async def take_turn(self) -> None:
        """Have what was published sent now, and let other tasks run."""
        self.driver.pump()
        await self.driver.rest()

    # internals

    async def _published(self, channel: str, payloads: list[bytes], text: bool) -> Position:
        """Publish a batch: wait for room, then for the store."""
        ticket = None
        if channel not in self.room.awaited:
            ticket = self.hub.publish_many(channel, payloads, text, now=self._time())
        if ticket is None:
            ticket = await self._admitted(channel, payloads, text)
        if not ticket.seq:
            await self._accepted(ticket)
        return Position(ticket.epoch, ticket.seq)

    async def _admitted(self, channel: str, payloads: list[bytes], text: bool) -> Ticket:
        """Wait for room."""

        def attempt() -> Ticket | None:
            self.driver.wake()
            return self.hub.publish_many(channel, payloads, text, now=self._time())

        self.driver.wake()
        return await self.room.take(channel, attempt)

    async def _accepted(self, ticket: Ticket) -> None:
        """Wait for the store."""
        await self.settle(ticket)
        if ticket.refused is not None:
            raise PublishRefused(ticket.channel, ticket.refused)
        if ticket.is_pending:
            raise PublishUnknown(ticket.channel)

    async def _next_alert(self) -> Alert:
        while (alert := self.hub.next_alert()) is None:
            if self.hub.is_drained:
                raise StopAsyncIteration
            await self.waiting.wait(CHANGE)
        return alert

    def _look(self) -> None:
        """After each pump: wake whom the hub's news concerns."""
        self._untold = 0
        while (thing := self.hub.next_ready()) is not None:
            if isinstance(thing, str):
                self.room.wake(thing)
                self.waiting.wake(("open", thing))
            else:
                self.waiting.wake(thing)
        self.waiting.wake(CHANGE)


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
                server.driver.wake()
                await server.waiting.wait(("open", self.channel))

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


class ServerPublisher:
    """Publishes to one channel inside the server, pipelined. Made by `Server.publisher`.

    Attributes:
        tally: what was sent, what was accepted, what failed.
    """

    def __init__(self, server: Server, channel: str) -> None:
        self._server = server
        self._channel = channel
        self._is_entered = self._is_open = False
        self._tickets = Tickets(channel)
        self.tally = self._tickets.tally

    async def __aenter__(self) -> Self:
        """Begin.

        Raises:
            InvalidState: it was entered before.
        """
        check_entered(self._channel, self._is_entered)
        self._is_entered = self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until everything sent is settled, unless an exception is on its way.

        Raises:
            PublishFailed: not everything was accepted; it says what.
        """
        self._is_open = False
        if error is not None:
            return
        while (ticket := self._tickets.next_pending()) is not None:
            await self._server.settle(ticket)
            if ticket.is_pending:
                self._tickets.give_up()
        if self.tally.failed:
            raise PublishFailed(self._channel, self.tally.failed)

    async def send(self, payload: bytes | str) -> None:
        """Publish a message; waits only for room. Cancelled while it waits, it is not sent.

        Raises:
            InvalidState: outside of the publisher's block, or the server is closing.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be sent.
        """
        if not self._is_open:
            raise InvalidState(f"send to channel {self._channel!r} inside the publisher's block")
        if self._server.is_turn_over():
            await self._server.take_turn()
        self._tickets.note_sent(await self._server.admit(self._channel, payload))
        self._server.note_published(1)
