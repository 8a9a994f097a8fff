"""A client's session on any runtime: what an application holds. Decides nothing of the protocol."""

from collections.abc import AsyncIterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from gapless.core.budget import MemoryReport
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import check_seconds
from gapless.core.errors import InvalidState
from gapless.core.events import (
    ChannelEvent,
    CredentialsWanted,
    Message,
    SessionEvent,
    Settled,
)
from gapless.core.export import Export
from gapless.core.figures import SessionStats
from gapless.core.monitor import Alert, Health, Metrics
from gapless.core.outbox import Outbox
from gapless.core.position import Position, Since
from gapless.core.states import SessionState
from gapless.core.subscription import Subscription as CoreSubscription

from .asking import Ask, Asking
from .driving import Driver
from .errors import (
    EXPORTED,
    PublishFailed,
    SessionClosed,
    SubscribeRefused,
    publish_error,
)
from .ledger import Answer, Ledger, Receipt, Tally, check_entered, encode_payload
from .reading import OnLost, Reading
from .waiting import CHANGE, Each, Turns, Waiting, goodbye


class Session:
    """A session with a server, over as many connections as it takes. Made by `connect`."""

    def __init__(self, core: ClientSession, driver: Driver, ask: Ask | None = None) -> None:
        self.core = core
        self.driver = driver
        self.waiting: Waiting[object] = Waiting(driver.new_signal)
        self._room: Turns[str] = Turns(driver.new_signal)
        self.ledger: Ledger[Answer] = Ledger()
        self._imported = {outbox.channel: outbox.published for outbox in core.outboxes}
        self._restored: list[Settled] = []
        # What `restore=` brought is told once: by `restored`, or along with the next export.
        self._is_to_tell = any(not outbox.is_empty for outbox in core.outboxes)
        self._has_passed_on = False
        self._asking = None if ask is None else Asking(core, driver, ask)
        driver.on_change = self._look

    @property
    def id(self) -> str:
        """The session's public id: a server publishes to this one client by it."""
        return self.core.id or ""

    @property
    def session_token(self) -> str:
        """The secret that resumes this session from another process (`connect(resume=…)`).

        It changes with every connection: keep the newest.
        """
        return self.core.token or ""

    @property
    def is_connected(self) -> bool:
        """Whether a connection carries the session now."""
        return self.core.link is not None

    def stats(self) -> SessionStats:
        """Count what happened so far."""
        return self.core.stats()

    def memory(self) -> MemoryReport:
        """Say what inboxes and outboxes hold, in bytes, and what had to go."""
        return self.core.memory()

    def metrics(self) -> Metrics:
        """Say all figures, and how things stand: plain data."""
        return self.core.metrics(now=self.driver.now())

    def health(self) -> Health:
        """Say how things stand, and why."""
        return self.core.health(now=self.driver.now())

    def alerts(self) -> AsyncIterator[Alert]:
        """Follow what becomes worse or better: looked for every `config.metrics_interval`.

        Ends with the session. Of a kind that nobody took yet the newest is kept, with a count.
        """
        return Each(self._next_alert)

    def unsettled(self) -> list[Settled]:
        """What was published and not accepted when the session's end began.

        Unknown (sent, and not answered), unsent, or refused while it was being closed. Before that:
        what would become of all that is not settled yet if the session ended now.
        """
        return self.core.unsettled()

    async def restored(self) -> list[Settled]:
        """Wait until all that `connect(restore=…)` brought along has ended, and say how.

        By the numbers it had: the first message of `ExportedOutbox.messages` is number `first`.
        Each is told once: if the session is exported before this has said it, all of it goes along.

        Raises:
            InvalidState: it went along; ask where that export is restored.
        """
        while not self.core.is_restored:
            await self.waiting.wait(CHANGE)
        if self._has_passed_on:
            raise InvalidState("the session was exported again; ask where that is restored")
        self._is_to_tell = False
        return list(self._restored)

    def subscribe(
        self, channel: str, since: Since = "latest", *, on_lost: OnLost | None = None
    ) -> "Subscription":
        """Read a channel: an async context manager and an async iterator of messages.

        Args:
            channel: its name.
            since: a `Position` (what comes after it), "latest" or "earliest".
            on_lost: called for a loss or a reset, instead of raising it.
        """
        return Subscription(self, channel, since, on_lost)

    async def publish(self, channel: str, payload: bytes | str) -> Receipt:
        """Publish a message and wait until it is accepted.

        Cancelled while it waits for room, the message is not sent; cancelled later, it is, and the
        receipt is dropped.

        Raises:
            PublishRefused: the server refused it for good.
            PublishUnknown: it was sent, and the answer was lost with the session.
            NotSent: the session ended first.
            SessionClosed: the session is over.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be sent.
        """
        number = await self.admit(channel, payload)
        answer = Answer()
        self.ledger.expect(channel, number, answer)
        try:
            while (settled := answer.settled) is None:
                await self.waiting.wait(answer)
        finally:
            self.ledger.drop(channel, number)
        error = publish_error(settled)
        if error is not None:
            raise error
        return Receipt(channel, settled.epoch, settled.seq)

    def publisher(self, channel: str) -> "Publisher":
        """Publish many messages, pipelined: an async context manager that settles at its exit."""
        return Publisher(self, channel)

    def events(self) -> AsyncIterator[SessionEvent]:
        """Follow the session: `LinkUp`, `LinkDown`, `Goodbye`, and at the end `Closed`.

        `LinkUp.resumed` says whether the server still had the session, `LinkDown.retry_at` when the
        next try is due by the runtime's clock. Events of a kind that nobody took yet are
        merged; `count` says how many. `CredentialsWanted` is not among them: `token=` answers it.
        """
        return Each(self._next_event)

    def network_back(self) -> None:
        """Say that the host's network is back: dial at once, not when the next try is due.

        Clears the backoff. Harmless at any time: while a connection is up or dialled, or at the
        session's end, nothing is dialled.
        """
        self.core.handle_network_back(now=self.driver.now())
        self.driver.wake()

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # then it closes
        """End the session once everything published is settled, or after `timeout` seconds.

        Default: `config.close_timeout`.
        """
        seconds = self.core.config.close_timeout if timeout is None else timeout
        check_seconds("timeout", seconds)
        self.core.close(now=self.driver.now(), timeout=seconds)
        self.driver.pump()
        self._room.wake_all()
        patience = 0.0
        try:
            while self.core.state is not SessionState.CLOSED:
                await self.waiting.wait(CHANGE)
            patience = seconds
        finally:
            self.core.close(now=self.driver.now(), timeout=0.0)
            await self._shut(patience)

    async def suspend(self) -> None:
        """End here at once, and leave the session to the server, which keeps it for its lease.

        `connect(resume=token)` carries it on, here or in another process; `token` is the
        `session_token` of now. What was published and is not settled is in `unsettled()`.
        """
        self.core.suspend(now=self.driver.now())
        await self._shut(0.0)

    async def export(self) -> Export:
        """End here at once, like `suspend`, and give out what `connect(restore=…)` carries on with.

        What is published and not settled goes along. Who waits for it here is told that it is
        unknown, or not sent; what really becomes of it is said there (`restored`).

        Raises:
            InvalidState: the session is over.
        """
        pending = [word for outbox in self.core.outboxes for word in outbox.pending()]
        exported = self.core.export(now=self.driver.now())
        if self._is_to_tell:
            exported = exported.with_ended(self._restored)
            self._has_passed_on = True
        for settled in pending:
            self._answer(replace(settled, code=EXPORTED))
        await self._shut(0.0)
        return exported

    # for connect, Subscription and Publisher

    async def open(self) -> Ending | None:
        """Start; returns once it has been connected, or with the reason why not."""
        self.core.start(now=self.driver.now())
        self.driver.pump()
        while self.core.state is not SessionState.CLOSED:
            if self.core.links:
                return None
            await self.waiting.wait(CHANGE)
        return self.core.ending

    async def _shut(self, patience: float) -> None:
        """The core is at its end: let the last words out, and leave nothing behind."""
        self.driver.pump()
        await self.driver.shut(goodbye(patience))

    async def _next_event(self) -> SessionEvent:
        while True:
            event = self.core.next_event()
            if event is None:
                if self.core.state is SessionState.CLOSED:
                    raise StopAsyncIteration
                await self.waiting.wait(CHANGE)
            elif not isinstance(event, CredentialsWanted):
                return event

    async def _next_alert(self) -> Alert:
        while (alert := self.core.next_alert()) is None:
            if self.core.state is SessionState.CLOSED:
                raise StopAsyncIteration
            await self.waiting.wait(CHANGE)
        return alert

    def _look(self) -> None:
        """After each pump: wake whom the core's news concerns."""
        while (thing := self.core.next_ready()) is not None:
            if isinstance(thing, Outbox):
                self._settle(thing)
            self.waiting.wake(thing)
        if self._asking is not None:
            self._asking.look()
        self.waiting.wake(CHANGE)

    def _settle(self, outbox: Outbox) -> None:
        while (settled := self.core.next_settled(outbox.channel)) is not None:
            if settled.first <= self._imported.get(outbox.channel, 0):
                self._restored.append(settled)
            self._answer(settled)
        self._room.wake(outbox.channel)

    def _answer(self, settled: Settled) -> None:
        """Tell those who wait for it what became of a range."""
        receipts, tallies = self.ledger.settle(settled)
        for answer, one in receipts:
            answer.settled = one
            self.waiting.wake(answer)
        for tally in tallies:
            self.waiting.wake(tally)

    async def admit(self, channel: str, payload: bytes | str) -> int:
        """Wait for room and hand a message to the outbox; returns its number."""
        data, text = encode_payload(payload)

        def attempt() -> int | None:
            self.check_open()
            return self.core.publish(channel, data, text, now=self.driver.now())

        number = None if channel in self._room.awaited else attempt()
        if number is None:
            number = await self._room.take(channel, attempt)
        self.driver.wake()
        return number

    def taken(self) -> None:
        """Something was taken: an ack may be due, and a publisher have memory again."""
        if self.core.has_news:
            self.driver.pump()
        else:
            self.driver.changed()

    def check_open(self) -> None:
        """Raise `SessionClosed` if the session takes nothing new."""
        if self._is_leaving:
            raise SessionClosed(self.core.ending)

    @property
    def _is_leaving(self) -> bool:
        return self.core.state in (SessionState.LEAVING, SessionState.CLOSED)


class Subscription(Reading):
    """One channel, read by a client. An object with a position, not a generator."""

    def __init__(
        self, session: Session, channel: str, since: Since, on_lost: OnLost | None
    ) -> None:
        super().__init__(channel, on_lost)
        self._session = session
        self._since: Since = since
        self._subscription: CoreSubscription | None = None
        self._left_at: Position | None = None

    @property
    def position(self) -> Position | None:
        """The place up to which everything was taken; None before it is known."""
        subscription = self._subscription
        return self._left_at if subscription is None else subscription.position

    async def _enter(self) -> None:
        core, driver = self._session.core, self._session.driver
        self._session.check_open()
        subscription = core.subscribe(self.channel, self._since, now=driver.now())
        self._subscription = subscription
        driver.wake()
        try:
            while not subscription.is_confirmed:
                if self._is_over():
                    raise SessionClosed(core.ending)
                await self._wait()
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            session = self._session
            self._left_at = subscription.position
            session.core.unsubscribe(subscription, now=session.driver.now())
            session.driver.wake()
            session.waiting.wake(subscription)

    def _take(self) -> ChannelEvent | None:
        if self._subscription is None:
            return None
        session = self._session
        event = session.core.next_message(self._subscription, now=session.driver.now())
        session.taken()
        return event

    def _take_batch(self) -> list[Message]:
        if self._subscription is None:
            return []
        session = self._session
        batch = session.core.next_batch(self._subscription, now=session.driver.now())
        session.taken()
        return batch

    def _is_over(self) -> bool:
        subscription, core = self._subscription, self._session.core
        if subscription is None:
            return True
        if subscription.refusal is not None:
            raise SubscribeRefused(self.channel, subscription.refusal)
        if core.state is not SessionState.CLOSED:
            return False
        if core.ending is not None and core.ending.code == Code.DONE:
            return True
        raise SessionClosed(core.ending)

    async def _wait(self) -> None:
        await self._session.waiting.wait(self._subscription)


class Publisher:
    """Publishes to one channel, pipelined. Made by `Session.publisher`.

    Attributes:
        tally: what was sent, what was accepted, what failed.
    """

    def __init__(self, session: Session, channel: str) -> None:
        self._session = session
        self._channel = channel
        self._is_entered = self._is_open = False
        self.tally = Tally(channel)

    async def __aenter__(self) -> Self:
        """Begin.

        Raises:
            SessionClosed: the session is over.
            InvalidState: it was entered before.
        """
        self._session.check_open()
        check_entered(self._channel, self._is_entered)
        self._session.ledger.open_tally(self.tally)
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
        try:
            if error is not None:
                return
            while not self.tally.is_settled:
                await self._session.waiting.wait(self.tally)
            if self.tally.failed:
                raise PublishFailed(self._channel, self.tally.failed)
        finally:
            self._session.ledger.close_tally(self.tally)

    async def send(self, payload: bytes | str) -> None:
        """Publish a message; waits only for room. Cancelled while it waits, it is not sent.

        Raises:
            SessionClosed: the session is over.
            InvalidState: outside of the publisher's block.
            MessageTooLarge, NotText, InvalidChannel, TooManyChannels: it can't be sent.
        """
        if not self._is_open:
            raise InvalidState(f"send to channel {self._channel!r} inside the publisher's block")
        number = await self._session.admit(self._channel, payload)
        self.tally.note_sent(number)
