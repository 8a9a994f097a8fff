"""A client for a program with a frame loop of its own: a game, a GUI's idle call-back, a robot.

One thread, no event loop, no wait: call `update` once a frame. What is done when, and whether it is
done again, core decides; here bytes are moved, and the clock is read.
"""

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from random import Random

from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import ChannelEvent, CloseLink, OpenLink, SessionEvent, Settled
from gapless.core.position import Since
from gapless.core.states import SessionState
from gapless.core.subscription import Subscription
from gapless.transports import Limits, WebSocketClient, default_codecs
from gapless.transports.endpoint import Endpoint

READ = 64 * 1024
"""Bytes read of a connection at a time, and written at a time."""

READS = 8
"""Reads of a connection in a frame, at most: a flood makes no frame late."""

UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
"""What a connect that doesn't block answers where nothing has gone wrong yet."""

LINGER = 5.0
"""Seconds a closing connection may take to write its last bytes."""


class Connection:
    """One link's socket, which never blocks. What goes wrong with it raises OSError."""

    def __init__(self, host: str, port: int) -> None:
        self.is_open = False
        self.is_at_end = False
        self.unsent = b""
        self.close_at = float("inf")
        self._stream = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._stream.setblocking(False)
        code = self._stream.connect_ex((host, port))
        if code not in UNDER_WAY:
            self._stream.close()
            raise OSError(code, os.strerror(code))

    def poll_open(self) -> bool:
        """Whether it is open by now."""
        code = self._stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        try:
            self._stream.getpeername()
        except OSError:
            return False
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.is_open = True
        return True

    def read(self) -> bytes | None:
        """What has come; b"": the peer says nothing more; None: nothing yet."""
        try:
            data = self._stream.recv(READ)
        except BlockingIOError:
            return None
        self.is_at_end = not data
        return data

    def flush(self) -> bool:
        """Write what is waiting; whether all of it is written."""
        while self.unsent:
            try:
                self.unsent = self.unsent[self._stream.send(self.unsent) :]
            except BlockingIOError:
                return False
        return True

    def close(self) -> None:
        """Close it, whatever is waiting."""
        self._stream.close()


class FrameClient:
    """A session with a server, driven by whoever calls `update`. For one thread.

    Args:
        host, port: a numeric address: looking up a name would block.
        config: settings.
        token: shown to the server as credentials.
        clock: gives monotonic seconds.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        config: Config | None = None,
        token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = config or Config.production()
        limits = Limits(handshake_timeout=settings.connect_timeout)
        codecs = default_codecs(settings.max_message)
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.core = ClientSession(settings, rng=Random(), credentials=token, wait=float("inf"))
        self._endpoint = Endpoint(
            self.core, lambda now: WebSocketClient(name, "/", codecs, now=now, limits=limits)
        )
        self._address = host, port
        self._clock = clock
        self._connections: dict[int, Connection] = {}
        self._closing: list[Connection] = []
        self.core.start(now=clock())

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do: update no more."""
        is_closed = self.core.state is SessionState.CLOSED
        return is_closed and not self._connections and not self._closing

    def update(self) -> None:
        """Do what is to be done now, and return: once a frame."""
        now = self._clock()
        for link in list(self._connections):
            try:
                self._receive(link, now)
            except OSError as error:
                self._lose(link, error, now)
        deadline = self._endpoint.next_deadline()
        if deadline is not None and deadline <= now:
            self._endpoint.handle_timeout(now=now)
        self._carry_out(now)
        for link in [link for link, one in self._connections.items() if one.unsent]:
            self._write(link, now)
        while (writable := self._endpoint.next_writable()) is not None:
            self._write(writable, now)
        self._carry_out(now)
        self._closing = [one for one in self._closing if not self._is_closed(one, now)]

    def subscribe(self, channel: str, since: Since = "latest") -> Subscription:
        """Read a channel. Its `refusal` is set if the server gives none."""
        return self.core.subscribe(channel, since, now=self._clock())

    def take(self, subscription: Subscription) -> Iterator[ChannelEvent]:
        """Take what is there: messages and losses, one with each step."""
        while (event := self.core.next_message(subscription, now=self._clock())) is not None:
            yield event

    def publish(self, channel: str, payload: bytes | str) -> int | None:
        """Publish a message; its number, by which `settled` names it. None: no room, not sent."""
        is_text = isinstance(payload, str)
        data = payload.encode() if isinstance(payload, str) else payload
        return self.core.publish(channel, data, is_text, now=self._clock())

    def settled(self, channel: str) -> Iterator[Settled]:
        """Take what became of messages. What nobody takes keeps its room."""
        return iter(lambda: self.core.next_settled(channel), None)

    def events(self) -> Iterator[SessionEvent]:
        """Take what happened to the session: `LinkUp`, `LinkDown`, …, `Closed`."""
        return iter(self.core.next_event, None)

    def close(self, timeout: float | None = None) -> None:
        """End it when all is settled, or after so many seconds. Update until it is over."""
        self.core.close(now=self._clock(), timeout=timeout)

    def _receive(self, link: int, now: float) -> None:
        connection = self._connections[link]
        if not connection.is_open:
            if connection.poll_open():
                self._endpoint.open_link(link, now=now)
            return
        for _ in range(READS):
            if connection.is_at_end or (data := connection.read()) is None:
                return
            self._endpoint.receive_data(link, data, now=now)

    def _write(self, link: int, now: float) -> None:
        """Write until the socket is full, or there is nothing."""
        connection = self._connections.get(link)
        try:
            while connection is not None and connection.flush():
                connection.unsent = self._endpoint.data_to_send(link, READ, now=now)
                if not connection.unsent:
                    return
        except OSError as error:
            self._lose(link, error, now)

    def _carry_out(self, now: float) -> None:
        while (command := self._endpoint.poll_command(now=now)) is not None:
            if isinstance(command, OpenLink):
                try:
                    self._connections[command.link] = Connection(*self._address)
                except OSError as error:
                    self._lose(command.link, error, now)
            elif isinstance(command, CloseLink):
                connection = self._connections.pop(command.link, None)
                if connection is not None:
                    is_dead = command.ending.code == Code.SILENT
                    connection.close_at = now if is_dead else now + LINGER
                    self._closing.append(connection)

    def _lose(self, link: int, error: OSError, now: float) -> None:
        connection = self._connections.pop(link, None)
        if connection is not None:
            connection.close()
        self._endpoint.handle_link_lost(link, Ending(Code.LOST, str(error)), now=now)

    def _is_closed(self, connection: Connection, now: float) -> bool:
        """Close it once its last bytes are written, or its time is up."""
        try:
            if now < connection.close_at and not connection.flush():
                return False
        except OSError:
            pass  # it is gone already
        connection.close()
        return True
