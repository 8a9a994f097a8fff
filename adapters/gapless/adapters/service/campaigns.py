"""Campaigns: what they share of sessions, and how their messages reach all who want them.

A campaign is a channel, read once whoever wants it. Campaigns share sessions: each of the pool's
carries a shard of them, as many as a session may read.

Invariants:

1. A channel is read by one job at a time, also while one that was left makes room for the next.
2. Shards with a campaign are never more than the pool has connections: claiming a lease can't fail.
3. A campaign takes a batch only when all of its subscribers are done with the one before, so what
   waits for a slow callback is bounded by the credit of its channel, and delays nobody else.
4. No callback runs within any of this: subscribers run theirs in jobs of their own.
"""

from collections.abc import Callable, Sequence

from gapless.adapters.errors import ConnectError, MessagesLost, SessionClosed
from gapless.adapters.pooling import Cancellable, Connect, Pooling, Runtime
from gapless.adapters.session import Session
from gapless.adapters.waiting import Waiting
from gapless.core.config import Config
from gapless.core.errors import GaplessError, InvalidState, PoolExhausted, TooManyChannels
from gapless.core.events import Closed, LinkDown, LinkUp, Message, SessionEvent
from gapless.core.pool import Key, Lease, Pool

from .figures import Report
from .subscribers import Caller, Item, OnError, OnMessage, Subscriber


class Campaigns:
    """All of a service's.

    Args:
        runtime: runs jobs.
        caller: runs callbacks.
        connect: makes sessions.
        key: makes the key of a shard, by its number.
        config: see `Config`; the pool's limit, too.
    """

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        connect: Connect,
        key: Callable[[int], Key],
        config: Config,
    ) -> None:
        self.runtime = runtime
        self.config = config
        self.waiting: Waiting[object] = Waiting(runtime.new_signal)
        self.pooling = Pooling(runtime, connect, Pool[Session].of(config), self._note)
        self.campaigns: dict[str, Campaign] = {}
        self.is_closed = False
        self._caller = caller
        self._key = key
        # One for each number ever needed; some may be empty.
        self._shards: list[Shard] = []
        self._up: set[Key] = set()
        self._working: set[Subscriber] = set()
        self._excused: set[object] = set()
        self._is_patient = True

    def join(self, channel: str, on_message: OnMessage, on_error: OnError) -> Subscriber:
        """Have a channel's messages told from now on.

        Raises:
            PoolExhausted: every session reads as many channels as it may, and there can't be more.
            InvalidState: all is closed.
        """
        if self.is_closed:
            raise InvalidState("the service is closed; make another")
        campaign = self.campaigns.get(channel)
        if campaign is None:
            campaign = Campaign(self, channel)
            self.place(campaign)
            self.campaigns[channel] = campaign
        subscriber = Subscriber(
            on_message,
            on_error,
            self.runtime,
            self._caller,
            lambda one: self._changed(one, campaign),
        )
        campaign.subscribers.append(subscriber)
        return subscriber

    def leave(self, channel: str, subscriber: Subscriber) -> None:
        """Tell a subscriber nothing more. Harmless if repeated."""
        subscriber.is_over = True
        campaign = self.campaigns.get(channel)
        if campaign is not None and subscriber in campaign.subscribers:
            campaign.subscribers.remove(subscriber)
            self.waiting.wake(campaign)
            if not campaign.subscribers:
                campaign.stop()

    def place(self, campaign: "Campaign") -> None:
        """Find a session for a campaign, and begin to read it.

        Raises:
            PoolExhausted: there is no room for it.
        """
        shard = next((one for one in self._shards if one.has_room), None)
        if shard is None:
            if len(self._shards) == self.config.max_connections:
                raise PoolExhausted(
                    f"all {self.config.max_connections} connections read as many campaigns as they "
                    f"may; leave one, or raise Config.max_connections or max_channels"
                )
            shard = Shard(self, self._key(len(self._shards)))
            self._shards.append(shard)
        shard.add(campaign)

    def report(self) -> Report:
        """Say what is to be summed up."""
        return Report(
            sessions=[session.metrics() for session in self.pooling.sessions],
            links=self.pooling.stats().total,
            in_hand={name: one.in_hand() for name, one in self.campaigns.items()},
        )

    def excuse(self, where: object) -> None:
        """Don't wait for the callback that runs there: it is who closes."""
        self._excused.add(where)
        self.waiting.wake(self)

    async def close(self) -> None:
        """Tell nobody anything more, end all sessions, and wait for the callbacks that run.

        For as long as `config.close_timeout`; then an async one is cancelled, and a thread is left
        to itself.
        """
        self.is_closed = True
        for campaign in list(self.campaigns.values()):
            for subscriber in campaign.subscribers:
                subscriber.is_over = True
            campaign.stop()
        for subscriber in self._working:
            subscriber.is_over = True
        await self.pooling.close()
        deadline = self.runtime.now() + self.config.close_timeout
        timer = self.runtime.call_at(deadline, self._lose_patience)
        try:
            while self._is_patient and not all(one.where in self._excused for one in self._working):
                await self.waiting.wait(self)
        finally:
            timer.cancel()
        for subscriber in self._working:
            if subscriber.job is not None and subscriber.job not in self._excused:
                subscriber.job.cancel()

    def _lose_patience(self) -> None:
        self._is_patient = False
        self.waiting.wake(self)

    def _changed(self, subscriber: Subscriber, campaign: "Campaign") -> None:
        if subscriber.is_working:
            self._working.add(subscriber)
        else:
            self._working.discard(subscriber)
            self.waiting.wake(campaign)
            self.waiting.wake(self)

    def _note(self, key: Key, event: SessionEvent) -> None:
        """Tell of a try to connect that failed; a link that was cut is no such."""
        if isinstance(event, LinkUp):
            self._up.add(key)
        elif isinstance(event, Closed):
            self._up.discard(key)
        elif isinstance(event, LinkDown):
            if key in self._up:
                self._up.discard(key)
                return
            for shard in self._shards:
                if shard.key is key:
                    shard.tell(ConnectError(key.url, event.ending))


class Shard:
    """The campaigns of one session; it has a lease on it for as long as there are any.

    Attributes:
        key: the session's, in the pool.
        session: once it is there.
        campaigns: those that are wanted.
        reading: channels that a job reads, also for a moment after they were left.
    """

    def __init__(self, campaigns: Campaigns, key: Key) -> None:
        self.key = key
        self.session: Session | None = None
        self.campaigns: dict[str, Campaign] = {}
        self.reading: set[str] = set()
        self._all = campaigns
        self._lease: Lease[Session] | None = None
        self._capacity = campaigns.config.max_channels

    @property
    def has_room(self) -> bool:
        """Whether it can take another campaign."""
        return len(self.campaigns) < self._capacity

    def add(self, campaign: "Campaign") -> None:
        """Read a campaign."""
        if self._lease is None:
            self._lease = self._all.pooling.claim(self.key)
            self._all.runtime.start(self._carry(self._lease))
        self.campaigns[campaign.channel] = campaign
        campaign.start(self)

    def remove(self, campaign: "Campaign") -> None:
        """A campaign isn't wanted any more, or not here."""
        del self.campaigns[campaign.channel]
        if not self.campaigns:
            self._let_go()

    def is_full(self) -> bool:
        """Note that the session takes no more; False: those that are leaving make room."""
        if not self.reading <= self.campaigns.keys():
            return False
        self._capacity = max(1, len(self.reading))
        return True

    def tell(self, error: Exception) -> None:
        """Tell everybody of a try that failed."""
        for campaign in self.campaigns.values():
            for subscriber in campaign.subscribers:
                subscriber.tell(error)

    async def _carry(self, lease: Lease[Session]) -> None:
        """Follow a lease to its end."""
        pooling = self._all.pooling
        try:
            session = await pooling.ready(lease)
            if lease is self._lease:
                self.session = session
                self._all.waiting.wake(self)
            error = await pooling.ended(lease)
        except Exception as failure:
            error = failure
        if lease is self._lease:
            self._let_go()
            for campaign in list(self.campaigns.values()):
                campaign.end(self._explain(error))

    def _explain(self, error: Exception | None) -> Exception:
        ending = error.ending if isinstance(error, SessionClosed) else None
        return (
            error or InvalidState("over") if ending is None else ConnectError(self.key.url, ending)
        )

    def _let_go(self) -> None:
        lease, self._lease, self.session = self._lease, None, None
        self._capacity = self._all.config.max_channels
        if lease is not None:
            self._all.pooling.release(lease)


class Campaign:
    """A channel that somebody wants to hear of.

    Attributes:
        subscribers: who.
    """

    def __init__(self, campaigns: Campaigns, channel: str) -> None:
        self.channel = channel
        self.subscribers: list[Subscriber] = []
        self._all = campaigns
        self._shard: Shard | None = None
        self._job: Cancellable | None = None
        self._is_over = False
        self._batch: Sequence[Item] = ()

    def start(self, shard: Shard) -> None:
        """Read it by the session of a shard."""
        self._shard = shard
        self._job = None
        self._handle = self._all.runtime.start(self._follow(shard))

    def stop(self) -> None:
        """Read it no more."""
        self._is_over = True
        if self._all.campaigns.get(self.channel) is self:
            del self._all.campaigns[self.channel]
        if self._shard is not None:
            self._shard.remove(self)
            self._shard = None
        if self._job is not None:
            self._job.cancel()

    def end(self, error: Exception) -> None:
        """Tell everybody that there is no more of it, and why."""
        for subscriber in self.subscribers:
            subscriber.end(error)
        self.stop()

    def in_hand(self) -> tuple[int, int]:
        """Count the messages on their way to callbacks, and their bytes."""
        messages = [item for item in self._batch if isinstance(item, Message)]
        return len(messages), sum(len(message.payload) for message in messages)

    async def _follow(self, shard: Shard) -> None:
        # Cancelled before this step a runtime would drop the job; until here it stops by itself.
        self._job = self._handle
        waiting = self._all.waiting
        try:
            while not self._is_over:
                session = shard.session
                if session is None or self.channel in shard.reading:
                    await waiting.wait(shard)
                    continue
                shard.reading.add(self.channel)
                try:
                    await self._read(session)
                    return
                except TooManyChannels as error:
                    full = error
                finally:
                    shard.reading.discard(self.channel)
                    waiting.wake(shard)
                if shard.is_full():
                    self._move(shard, full)
                    return
                await waiting.wait(shard)
        except SessionClosed:
            return  # its shard hears of it, too
        except Exception as error:
            self._job = None
            self.end(error)

    def _move(self, shard: Shard, error: Exception) -> None:
        """Its session takes no more channels: look for another."""
        self._job = None
        if not shard.reading:
            self.end(error)
            return
        self._shard = None
        shard.remove(self)
        try:
            self._all.place(self)
        except GaplessError as exhausted:
            self.end(exhausted)

    async def _read(self, session: Session) -> None:
        async with session.subscribe(self.channel) as subscription:
            batches = subscription.batches()
            while True:
                batch: Sequence[Item]
                try:
                    batch = await anext(batches)
                except StopAsyncIteration:
                    return
                except MessagesLost as loss:
                    batch = [loss]
                await self._spread(batch)

    async def _spread(self, batch: Sequence[Item]) -> None:
        """Tell all subscribers, and wait until the last is done."""
        self._batch = batch
        try:
            for subscriber in self.subscribers:
                subscriber.give(batch)
            while any(subscriber.is_working for subscriber in self.subscribers):
                await self._all.waiting.wait(self)
        finally:
            self._batch = ()
