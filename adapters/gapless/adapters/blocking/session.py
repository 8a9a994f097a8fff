"""A client's session for threads and scripts: the shared one, a call at a time."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from gapless.adapters.ledger import Receipt, Tally
from gapless.adapters.reading import OnLost
from gapless.adapters.session import Publisher as SharedPublisher
from gapless.adapters.session import Session as SharedSession
from gapless.core.budget import MemoryReport
from gapless.core.events import SessionEvent, Settled
from gapless.core.export import Export
from gapless.core.figures import SessionStats
from gapless.core.monitor import Alert, Health, Metrics
from gapless.core.position import Since

from .reading import BlockingReading, Each, tell
from .runner import Runner


class Session:
    """A session with a server, over as many connections as it takes. Made by `connect`.

    Any number of threads may call it. It belongs to the process that made it: a child made by
    `fork` must not touch it. In a signal handler a call may be refused (`InvalidState`): raise an
    exception there, or set a flag.

    Every call that can wait takes `timeout`, in seconds, and raises `TimeoutError`. It raises
    `NotDriven`, once and without having done anything, if nobody has called for longer than a
    heartbeat and no background thread drives the session.
    """

    def __init__(self, inner: SharedSession, runner: Runner) -> None:
        self.inner = inner
        self.runner = runner

    @property
    def id(self) -> str:
        """The session's public id: a server publishes to this one client by it."""
        return self.runner.ask(lambda: self.inner.id, is_last=True)

    @property
    def session_token(self) -> str:
        """The secret that resumes this session from another process (`connect(resume=…)`).

        It changes with every connection: keep the newest.
        """
        return self.runner.ask(lambda: self.inner.session_token, is_last=True)

    @property
    def is_connected(self) -> bool:
        """Whether a connection carries the session now."""
        return self.runner.ask(lambda: self.inner.is_connected)

    def stats(self) -> SessionStats:
        """Count what happened so far."""
        return self.runner.ask(self.inner.stats, is_last=True)

    def memory(self) -> MemoryReport:
        """Say what inboxes and outboxes hold, in bytes, and what had to go."""
        return self.runner.ask(self.inner.memory, is_last=True)

    def metrics(self) -> Metrics:
        """Say all figures, and how things stand: plain data."""
        return self.runner.ask(self.inner.metrics, is_last=True)

    def health(self) -> Health:
        """Say how things stand, and why."""
        return self.runner.ask(self.inner.health)

    def alerts(self, *, timeout: float | None = None) -> Iterator[Alert]:
        """Follow what becomes worse or better: looked for every `config.metrics_interval`.

        Ends with the session. Of a kind that nobody took yet the newest is kept, with a count.

        Args:
            timeout: seconds each may take.
        """
        return Each(self.runner, self.inner.alerts().__anext__, timeout)

    def unsettled(self) -> list[Settled]:
        """What was published and not accepted when the session's end began.

        Unknown (sent, and not answered), unsent, or refused while it was being closed. Before that:
        what would become of all that is not settled yet if the session ended now.
        """
        return self.runner.ask(self.inner.unsettled, is_last=True)

    def restored(self, *, timeout: float | None = None) -> list[Settled]:
        """Wait until all that `connect(restore=…)` brought along has ended, and say how.

        By the numbers it had: the first message of `ExportedOutbox.messages` is number `first`.
        Each is told once: if the session is exported before this has said it, all of it goes along.

        Raises:
            InvalidState: it went along; ask where that export is restored.
        """
        return self.runner.run(self.inner.restored(), timeout)

    def subscribe(
        self,
        channel: str,
        since: Since = "latest",
        *,
        on_lost: OnLost | None = None,
        timeout: float | None = None,
    ) -> "Subscription":
        """Read a channel: a context manager and an iterator of messages.

        Args:
            channel: its name.
            since: a `Position` (what comes after it), "latest" or "earliest".
            on_lost: called for a loss or a reset, instead of raising it.
            timeout: seconds that subscribing, and each message, may take.
        """
        inner = self.inner.subscribe(channel, since, on_lost=None if on_lost is None else tell)
        return Subscription(self.runner, inner, on_lost, timeout)

    def publish(
        self, channel: str, payload: bytes | str, *, timeout: float | None = None
    ) -> Receipt:
        """Publish a message and wait until it is accepted.

        If the time is up while it waits for room, the message is not sent; later, it is, and the
        receipt is dropped.

        Raises:
            PublishRefused: the server refused it for good.
            PublishUnknown: it was sent, and the answer was lost with the session.
            NotSent: the session ended first.
            SessionClosed: the session is over.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be sent.
        """
        return self.runner.run(self.inner.publish(channel, payload), timeout)

    def publisher(self, channel: str, *, timeout: float | None = None) -> "Publisher":
        """Publish many messages, pipelined: a context manager that settles at its exit.

        Args:
            channel: where.
            timeout: seconds that settling may take.
        """
        return Publisher(self.runner, self.inner.publisher(channel), timeout)

    def events(self, *, timeout: float | None = None) -> Iterator[SessionEvent]:
        """Follow the session: `LinkUp`, `LinkDown`, `Goodbye`, and at the end `Closed`.

        `LinkUp.resumed` says whether the server still had the session, `LinkDown.retry_at` when the
        next try is due by `time.monotonic`. Events of a kind that nobody took yet are merged;
        `count` says how many. `CredentialsWanted` is not among them: `token=` answers it.

        Args:
            timeout: seconds each may take.
        """
        return Each(self.runner, self.inner.events().__anext__, timeout)

    def network_back(self) -> None:
        """Say that the host's network is back: dial at once, not when the next try is due.

        Clears the backoff. Harmless at any time: while a connection is up or dialled, or at the
        session's end, nothing is dialled.
        """
        self.runner.ask(self.inner.network_back)

    def close(self, timeout: float | None = None) -> None:
        """End the session once everything published is settled, or after `timeout` seconds.

        Default: `config.close_timeout`.
        """
        self.runner.finish(self.inner.close(timeout))

    def suspend(self) -> None:
        """End here at once, and leave the session to the server, which keeps it for its lease.

        `connect(resume=token)` carries it on, here or in another process; `token` is the
        `session_token` of now. What was published and is not settled is in `unsettled()`.
        """
        self.runner.finish(self.inner.suspend())

    def export(self) -> Export:
        """End here at once, like `suspend`, and give out what `connect(restore=…)` carries on with.

        What is published and not settled goes along. Who waits for it here is told that it is
        unknown, or not sent; what really becomes of it is said there (`restored`).

        Raises:
            InvalidState: the session is over.
        """
        return self.runner.finish(self.inner.export())


class Subscription(BlockingReading):
    """One channel, read by a client. An object with a position, not a generator."""


class Publisher:
    """Publishes to one channel, pipelined. Made by `Session.publisher`.

    Attributes:
        tally: what was sent, what was accepted, what failed.
    """

    tally: Tally

    def __init__(self, runner: Runner, inner: SharedPublisher, timeout: float | None) -> None:
        self.tally = inner.tally
        self._runner = runner
        self._inner = inner
        self._timeout = timeout

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            SessionClosed: the session is over.
        """
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
            SessionClosed: the session is over.
            InvalidState: outside of the publisher's block.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be sent.
        """
        self._runner.run(self._inner.send(payload), timeout)
