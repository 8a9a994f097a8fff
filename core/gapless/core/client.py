"""ClientSession: the client's end of a session, with its channels.

Subscriptions and their positions are the client's: it sends them again on every link, so a refused
resume costs a subscription nothing (rule 1). Publishing goes through one outbox a channel.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from random import Random

from .accounts import Accounts
from .budget import MemoryReport, Shed
from .closing import Ending
from .config import Config
from .dialer import Dialer
from .errors import InvalidChannel, InvalidState, TooManyChannels, too_large
from .events import ChannelEvent, Message, Settled
from .export import Export, check_room
from .figures import SessionStats, session_gauges
from .frames import (
    Ack,
    Denied,
    Ended,
    Frame,
    Offer,
    Offered,
    Refused,
    Subscribe,
    Subscribed,
    Welcome,
)
from .history import ENTRY_BYTES
from .lane import Inbound, Lane
from .link import Link
from .monitor import Alert, Gauges, Health, Metrics
from .outbox import OUTBOX_BYTES, Outbox
from .outboxes import Outboxes
from .position import ME, Since, check_channel, check_since, check_text
from .receiver import RUN_BYTES
from .session import MAX_IDS
from .states import SessionState
from .subscription import SUBSCRIPTION_BYTES, Phase, Subscription
from .violation import Violation
from .watch import Watch


class ClientSession(Dialer):
    """A session as its client drives it.

    Args:
        config: see `Config`.
        rng: jitter, and nothing else.
        credentials: shown in every `hello`; opaque to gapless.
        asks_credentials: whether they are asked for at each connect instead: `CredentialsWanted`.
        token: a session token saved earlier, to resume that session.
        wait: seconds to keep trying for the first connection; 0: one try.
    """

    def __init__(
        self,
        config: Config,
        *,
        rng: Random,
        credentials: str | None = None,
        asks_credentials: bool = False,
        token: str | None = None,
        wait: float = 0.0,
    ) -> None:
        books, watch = Accounts(config), Watch(config, self._gauges)
        books.relieve = self._relieve
        super().__init__(
            config,
            rng=rng,
            books=books,
            watch=watch,
            credentials=credentials,
            asks_credentials=asks_credentials,
            token=token,
            wait=wait,
        )
        self._requests = count(1)
        self._subscriptions: dict[str, Subscription] = {}
        self._leaving: dict[Subscription, None] = {}
        self._outboxes = Outboxes(config, books)
        self._starved: dict[Outbox, None] = {}
        self._departed: Counter[str] = Counter()

    @property
    def subscriptions(self) -> list[Subscription]:
        """What the session reads."""
        return list(self._subscriptions.values())

    @property
    def outboxes(self) -> list[Outbox]:
        """What the session publishes to."""
        return list(self._outboxes)

    @property
    def held_bytes(self) -> int:
        """Bytes in all inboxes and outboxes."""
        inboxes = sum(sub.held_bytes for sub in self._subscriptions.values())
        return inboxes + sum(outbox.held_bytes for outbox in self._outboxes)

    @property
    def is_settled(self) -> bool:
        """Whether every published message has ended in one of the four ways."""
        return self._outboxes.is_settled

    @property
    def is_restored(self) -> bool:
        """Whether everything imported has ended in one of the four ways; true if nothing was."""
        return self._outboxes.is_restored

    def unsettled(self) -> list[Settled]:
        """Say what was published and is not accepted.

        Once the session's end has begun: what was refused, unknown or unsent from then on. Of what
        is not settled yet, what would become of it if the session ended now: unknown if it was
        sent, else unsent.
        """
        return self._outboxes.unsettled()

    def stats(self) -> SessionStats:
        """Count what happened so far."""
        counts = sum((sub.counts() for sub in self._subscriptions.values()), self._departed)
        return SessionStats(
            links=self.links,
            resumes=self.resumes,
            received=counts["received"],
            taken=counts["taken"],
            duplicates=counts["duplicates"],
            lost=counts["lost"],
            gaps=counts["gaps"],
            published=sum(outbox.count for outbox in self._outboxes),
            accepted=sum(outbox.accepted for outbox in self._outboxes),
            round_trip=self.round_trip,
        )

    def memory(self) -> MemoryReport:
        """Say what inboxes and outboxes hold, and what had to be dropped and asked for again."""
        return self._books.report()

    def metrics(self, *, now: float) -> Metrics:
        """Say all figures, and how things stand; rates and latency are of late."""
        return self._watch.metrics(now=now)

    def health(self, *, now: float) -> Health:
        """Say how things stand, and why."""
        return self._watch.health(now=now)

    def next_alert(self) -> Alert | None:
        """Take the next alert: a verdict that has changed; see `Monitor`."""
        return self._watch.next_alert()

    # commands

    def export(self, *, now: float) -> Export:
        """End here at once, like `suspend`, and give out what another session carries on with.

        What is published and not settled goes along: what becomes of it is said where it is
        restored, under the same numbers. Here it only shows in `unsettled`.

        Raises:
            InvalidState: the session is over.
        """
        now = self._clamp(now)
        if self.state is SessionState.CLOSED:
            raise InvalidState("the session is over; export it before it ends")
        taken = [(sub.channel, sub.position) for sub in self._subscriptions.values()]
        exported = Export(
            self.id,
            self.token,
            tuple((channel, position) for channel, position in taken if position is not None),
            self._outboxes.export(),
        )
        self._outboxes.hand_over()
        self.suspend(now=now)
        return exported

    def restore(self, exported: Export, *, now: float) -> None:
        """Carry an exported session on, before anything else is done here.

        Its token is the one to resume, its messages are offered first, its numbers go on. Its
        positions are the application's: subscribe since `Export.position`.

        Raises:
            InvalidState: the session was started, published to or given a token before.
            ConfigError: there is more than `config` has room for; it names the field.
        """
        now = self._clamp(now)
        if self.state is not SessionState.NEW or len(self._outboxes) or self._token is not None:
            raise InvalidState("restore into a new session, without a token, before anything else")
        check_room(exported, self.config, OUTBOX_BYTES)
        self._token = exported.token
        self._outboxes.restore(exported.outboxes, now=now)
        for outbox in self._outboxes:
            self._touch(outbox)

    def subscribe(self, channel: str, since: Since = "latest", *, now: float) -> Subscription:
        """Read a channel. Its answer shows in `Subscription.is_confirmed` or `.refusal`.

        Raises:
            InvalidChannel: the name can't be a channel.
            InvalidPosition: `since` can't be a position.
            InvalidState: the session is closing, or reads that channel already.
            TooManyChannels: the session reads as many as it may.
        """
        self._clamp(now)
        self._check_open()
        check_channel(channel)
        check_since(since)
        if channel.startswith("@") and channel != ME:
            raise InvalidChannel(f"{channel!r}: of the names that begin with @ only {ME} is yours")
        if channel in self._subscriptions:
            raise InvalidState(f"channel {channel!r} is subscribed already; read that one")
        if len(self._subscriptions) >= self._max_channels:
            raise TooManyChannels(f"{self._max_channels} channels are subscribed already")
        if not self._books.make_room(SUBSCRIPTION_BYTES, now=self._now):
            raise TooManyChannels(f"there is no memory to read channel {channel!r}")
        subscription = Subscription(
            channel,
            since,
            window=self.config.window,
            requests=self._requests,
            may_credit=self._books.may_credit,
        )
        self._subscriptions[channel] = subscription
        self._books.open(subscription, Shed.INBOX, now=self._now)
        self._touch(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription, *, now: float) -> None:
        """Stop reading a channel; what is in its inbox is dropped. Harmless if called twice."""
        self._clamp(now)
        if self._subscriptions.get(subscription.channel) is not subscription:
            return
        del self._subscriptions[subscription.channel]
        self._departed += subscription.counts()
        if subscription.id is not None:
            self._inbound.pop(subscription.id, None)
        subscription.leave()
        self._books.close(subscription)
        self._ready.pop(subscription, None)
        self._feed_starved()
        self._timers.set(subscription, None)
        if subscription.phase is Phase.LEAVING:
            self._leaving[subscription] = None
            self._touch(subscription)

    def next_message(self, subscription: Subscription, *, now: float) -> ChannelEvent | None:
        """Take the next message or marker of a channel; None: the application waits for more."""
        now = self._clamp(now)
        event = subscription.take(now=now)
        self._after_take(subscription)
        return event

    def next_batch(self, subscription: Subscription, *, now: float) -> list[Message]:
        """Take all messages up to the next marker; empty: use `next_message`."""
        now = self._clamp(now)
        batch = subscription.take_batch(now=now)
        if batch:
            self._after_take(subscription)
        return batch

    def publish(self, channel: str, payload: bytes, text: bool, *, now: float) -> int | None:
        """Hold a message for a channel until it is settled.

        Returns its number, counted from 1 a channel; `next_settled` names it by that. None: no
        room now; the outbox shows up in `next_ready` when there is. What is settled and not taken
        from `next_settled` takes room as well.

        Raises:
            InvalidChannel: the name can't be a channel, or is reserved.
            InvalidState: the session is closing.
            MessageTooLarge: the payload is larger than both ends accept.
            TooManyChannels: the session publishes to as many channels as it may.
        """
        now = self._clamp(now)
        self._check_open()
        if len(payload) > self.max_message:
            raise too_large(channel, len(payload), self.max_message)
        if text:
            check_text(payload)
        outbox = self._outboxes.open(channel, self._max_channels, now=now)
        if not outbox.has_room(len(payload)):
            return None
        size = len(payload) + ENTRY_BYTES + (OUTBOX_BYTES if outbox.is_empty else 0)
        if not self._books.make_room(size, now=now):
            self._starved[outbox] = None
            return None
        self._books.grow(size)
        number = outbox.publish(payload, text, now=now)
        self._touch(outbox)
        return number

    def next_settled(self, channel: str) -> Settled | None:
        """Take the next word on what became of messages published to a channel."""
        outbox = self._outboxes.find(channel)
        if outbox is None:
            return None
        settled = outbox.next_settled()
        if settled is not None:
            self._books.stir(outbox)
            self._feed_starved()
        return settled

    # for Session and Dialer

    def _lanes(self) -> list[Lane]:
        return [*self._leaving, *self._subscriptions.values(), *self._outboxes.present]

    def _stay(self) -> bool:
        return self._outboxes.stay()

    def _settle_staying(self, frame: Ack | Refused, now: float) -> None:
        outbox = self._outboxes.settle_staying(frame, now=now)
        if outbox is not None:
            self._touch(outbox)

    def _staying(self) -> Sequence[Lane]:
        return self._outboxes.staying

    def _stay_no_more(self) -> None:
        self._outboxes.stay_no_more()

    def _next_pipelined(self, now: float) -> Subscribe | None:
        for subscription in self._subscriptions.values():
            if subscription.phase is Phase.WANTED:
                frame = subscription.next_control(now=now)
                assert isinstance(frame, Subscribe)
                return frame
        return None

    def _spoke(self, lane: Lane, frame: Frame) -> None:
        if isinstance(frame, Offer):
            assert isinstance(lane, Outbox)
            self._give(self._outbound, self._outbound_given, frame.id, lane)
            return
        assert isinstance(lane, Subscription)
        if isinstance(frame, Subscribe) and lane.id is not None:
            self._inbound.pop(lane.id, None)
        elif lane.phase is Phase.ENDED:
            self._leaving.pop(lane, None)

    def _receive_role_frame(self, link: Link, frame: Frame, now: float) -> None:
        self._books.grow(2 * RUN_BYTES)
        if isinstance(frame, Subscribed):
            self._check_attached(link, frame)
            self._receive_subscribed(link, frame, now)
        elif isinstance(frame, Ended):
            self._check_attached(link, frame)
            lane = self._lane(self._inbound, self._inbound_given, frame.id)
            if isinstance(lane, Subscription):
                del self._inbound[frame.id]
                lane.receive_ended(frame, now=now)
                self._touch(lane)
                self._ready[lane] = None
        elif isinstance(frame, Offered | Refused):
            self._check_attached(link, frame)
            outbox = self._lane(self._outbound, self._outbound_given, frame.id)
            if isinstance(outbox, Outbox):
                if isinstance(frame, Offered):
                    outbox.receive_offered(frame, now=now)
                else:
                    outbox.receive_refused(frame, now=now)
                self._touch(outbox)
        else:
            super()._receive_role_frame(link, frame, now)
        if self._books.is_due:
            self._keep_memory(now)

    def _receive_subscribed(self, link: Link, frame: Subscribed, now: float) -> None:
        if not isinstance(frame.outcome, Denied) and len(self._inbound_given) < MAX_IDS:
            # Even if nobody asks any more: what was sent behind it is no violation.
            self._inbound_given.add(frame.id)
        holder = self._inbound.get(frame.id)
        for subscription in self._subscriptions.values():
            if subscription.phase is Phase.ASKED and subscription.request == frame.request:
                if holder is not None and not isinstance(frame.outcome, Denied):
                    raise Violation(f"id {frame.id} is another channel's")
                subscription.receive_subscribed(frame, now=now)
                if subscription.is_live:
                    self._inbound[frame.id] = subscription
                link.progressed = True
                self._touch(subscription)
                self._ready[subscription] = None
                return

    def _received(self, lane: Inbound, now: float) -> None:
        assert isinstance(lane, Subscription)
        if lane.is_ready:
            self._ready[lane] = None
        self._books.stir(lane)
        if self._books.is_due:
            self._keep_memory(now)

    def _receive_welcome(self, link: Link, frame: Welcome, now: float) -> None:
        super()._receive_welcome(link, frame, now)
        self._outboxes.take_limits(self.max_message, self._max_channels)
        for outbox in self._outboxes:
            self._touch(outbox)

    def _touch(self, lane: Lane) -> None:
        super()._touch(lane)
        if isinstance(lane, Subscription):
            self._books.stir(lane)
            self._watch.handle_errors(lane.take_faults(), now=self._now)
        if isinstance(lane, Outbox):
            self._books.stir(lane)
            self._watch.handle_errors(lane.take_faults(), now=self._now)
            latency = lane.take_latency()
            if latency is not None:
                self._watch.handle_latency(*latency, now=self._now)
            self._ready[lane] = None
            self._feed_starved()
            self._finish_if_settled(self._now)

    def _detach_lanes(self, now: float) -> None:
        super()._detach_lanes(now)
        self._leaving.clear()
        for outbox in self._outboxes:
            self._books.stir(outbox)

    def _leave(self) -> None:
        super()._leave()
        self._outboxes.leave()

    def _finish(self, ending: Ending, now: float) -> None:
        super()._finish(ending, now)
        self._outboxes.abandon()
        self._ready |= dict.fromkeys(self._outboxes)
        for subscription in self._subscriptions.values():
            subscription.phase = Phase.ENDED
            self._ready[subscription] = None

    # internals

    def _check_open(self) -> None:
        if self.state in (SessionState.LEAVING, SessionState.CLOSED):
            why = "it is being closed" if self.ending is None else self.ending.reason
            raise InvalidState(f"the session is {self.state.value}: {why}")

    def _feed_starved(self) -> None:
        """Bytes became free: outboxes that the memory limit kept waiting may have room."""
        if self._starved:
            self._ready |= dict.fromkeys(self._starved)
            self._starved.clear()

    def _after_take(self, subscription: Subscription) -> None:
        self._books.stir(subscription)
        self._feed_starved()
        if subscription.wants_to_speak:
            self._touch(subscription)
            return
        deadline = subscription.next_deadline()
        if deadline is not None:
            self._timers.set(subscription, deadline)

    def _handle_timer(self, name: str, now: float) -> None:
        if name not in ("cleanup", "metrics"):
            super()._handle_timer(name, now)
        elif self.state is not SessionState.CLOSED:
            if name == "cleanup":
                self._books.handle_timeout(now=now)
                self._keep_memory(now)
            else:
                self._watch.handle_timeout(now=now)
            self._look_after(name, now)

    def _gauges(self, now: float) -> Gauges:
        return session_gauges(
            [*self._subscriptions.values(), *self._outboxes],
            is_up=self._link is not None,
            is_stale=self.is_stale(now=now),
            held=self._books.held,
        )

    def _relieve(self, size: int, now: float) -> bool:
        self._keep_memory(now, size)
        return self._books.has_room(size, now=now)

    def _keep_memory(self, now: float, wanted: int = 0) -> None:
        """Drop newest unread messages, of channels nobody waits on, fullest first (design 4.7)."""
        waited_for: list[Subscription] = []
        while (victim := self._books.next_victim(wanted, now=now)) is not None:
            assert isinstance(victim.holder, Subscription)
            if victim.holder.is_waited_for:
                waited_for.append(victim.holder)
            else:
                self._shed(victim.holder, self._books.excess + wanted)
        for subscription in waited_for:
            excess = self._books.held - self.config.memory_limit
            if excess > 0:
                self._shed(subscription, excess)
            self._books.renew(subscription, now=now)

    def _shed(self, subscription: Subscription, size: int) -> None:
        subscription.shed(size)
        self._touch(subscription)
