"""A server for threads and scripts: the shared one, a call at a time."""

import socket
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from gapless.adapters.ledger import Tally
from gapless.adapters.reading import OnLost
from gapless.adapters.server import Server as SharedServer
from gapless.adapters.server import ServerPublisher as SharedServerPublisher
from gapless.core.budget import MemoryReport
from gapless.core.config import Overflow
from gapless.core.figures import HubStats
from gapless.core.monitor import Alert, Health, Metrics
from gapless.core.position import Position, Since

from .reading import BlockingReading, Each, tell
from .runner import Runner


class Server:
    """A listening server. Made by `serve`.

    Threads, processes, signal handlers, `timeout` and `NotDriven`: as a `Session`'s.
    """

    def __init__(self, inner: SharedServer, runner: Runner) -> None:
        self.inner = inner
        self.runner = runner

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self.inner.port

    @property
    def url(self) -> str:
        """What clients connect to."""
        return self.inner.url

    @property
    def sessions(self) -> list[str]:
        """The ids of all sessions, with a connection or without."""
        return self.runner.ask(lambda: self.inner.sessions, is_last=True)

    def stats(self) -> HubStats:
        """Count sessions, connections and channels, and what has gone through them."""
        return self.runner.ask(self.inner.stats, is_last=True)

    def memory(self) -> MemoryReport:
        """Say what is held, in bytes, by kind, and what had to go."""
        return self.runner.ask(self.inner.memory, is_last=True)

    def metrics(self) -> Metrics:
        """Say all figures, and how things stand: plain data."""
        return self.runner.ask(self.inner.metrics, is_last=True)

    def health(self) -> Health:
        """Say how things stand, and why."""
        return self.runner.ask(self.inner.health)

    def alerts(self, *, timeout: float | None = None) -> Iterator[Alert]:
        """Follow what becomes worse or better: looked for every `config.metrics_interval`.

        Ends with the server. Of a kind that nobody took yet the newest is kept, with a count.

        Args:
            timeout: seconds each may take.
        """
        return Each(self.runner, self.inner.alerts().__anext__, timeout)

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
        self.runner.ask(
            lambda: self.inner.configure(
                channel,
                history_messages=history_messages,
                history_bytes=history_bytes,
                history_age=history_age,
                overflow=overflow,
                patience=patience,
            )
        )

    def publish(
        self, channel: str, payload: bytes | str, *, timeout: float | None = None
    ) -> Position:
        """Publish a message to a channel, or to one client by its session's id.

        Waits for room while a reader that pins hasn't taken the oldest message (design 7). If the
        time is up while it waits for room, the message is not published.

        Raises:
            PublishRefused: the channel rejects at its bound, or the store refused.
            PublishUnknown: the server was closed before the store answered.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be published.
            InvalidState: the server is closing.
        """
        return self.runner.run(self.inner.publish(channel, payload), timeout)

    def publish_many(
        self,
        channel: str,
        payloads: Sequence[bytes | str],
        *,
        text: bool = False,
        timeout: float | None = None,
    ) -> Position:
        """Publish a batch, all or nothing; returns the position of its last message.

        Args:
            channel: its name.
            payloads: all text, or all bytes.
            text: bytes are text.
            timeout: seconds it may take.

        Raises: as `publish`.
        """
        return self.runner.run(self.inner.publish_many(channel, payloads, text=text), timeout)

    def publisher(self, channel: str, *, timeout: float | None = None) -> "ServerPublisher":
        """Publish many messages, pipelined: a context manager that settles at its exit.

        Args:
            channel: where.
            timeout: seconds that settling may take.
        """
        return ServerPublisher(self.runner, self.inner.publisher(channel), timeout)

    def subscribe(
        self,
        channel: str,
        since: Since = "latest",
        *,
        on_lost: OnLost | None = None,
        timeout: float | None = None,
    ) -> "ServerSubscription":
        """Read a channel inside the server. Its messages say who published them.

        Args:
            channel: its name.
            since: a `Position` (what comes after it), "latest" or "earliest".
            on_lost: called for a loss or a reset, instead of raising it.
            timeout: seconds that subscribing, and each message, may take.
        """
        inner = self.inner.subscribe(channel, since, on_lost=None if on_lost is None else tell)
        return ServerSubscription(self.runner, inner, on_lost, timeout)

    def accept(self, stream: socket.socket, *, timeout: float | None = None) -> None:
        """Serve the client at the other end of a connected socket, which is the server's from now.

        It speaks length-prefixed msgpack frames, as `connect` does on the socket it is given.
        """
        self.runner.run(self.inner.accept(stream), timeout)

    def close(self, timeout: float | None = None) -> None:
        """Listen no more, let every client catch up for `timeout` seconds, then close.

        Default: `config.close_timeout`.
        """
        self.runner.finish(self.inner.close(timeout))


class ServerSubscription(BlockingReading):
    """One channel, read inside the server."""


class ServerPublisher:
    """Publishes to one channel inside the server, pipelined. Made by `Server.publisher`.

    Attributes:
        tally: what was sent, what was accepted, what failed.
    """

    tally: Tally

    def __init__(self, runner: Runner, inner: SharedServerPublisher, timeout: float | None) -> None:
        self.tally = inner.tally
        self._runner = runner
        self._inner = inner
        self._timeout = timeout

    def __enter__(self) -> Self:
        """Begin."""
        self._runner.run(self._inner.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until everything sent is settled, unless an exception is on its way.

        Raises:
            PublishFailed: not everything was accepted; it says what.
            TimeoutError: not everything was settled in time; `tally` says how much was.
        """
        self._runner.run(self._inner.__aexit__(kind, error, trace), self._timeout, is_last=True)

    def send(self, payload: bytes | str, *, timeout: float | None = None) -> None:
        """Publish a message; waits only for room. If the time is up, it is not sent.

        Raises:
            InvalidState: outside of the publisher's block, or the server is closing.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be sent.
        """
        self._runner.run(self._inner.send(payload), timeout)
