"""ClientSession: the client's end of a session, with its channels.

Subscriptions and their positions are the client's: it sends them again on every link, so a refused
resume costs a subscription nothing (rule 1). Publishing goes through one outbox a channel.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import count
from random import Random

from .closing import Ending
from .config import Config
from .dialer import Dialer
from .errors import InvalidChannel, InvalidState, TooManyChannels, too_large
from .events import ChannelEvent, Message, Settled
from .export import Export, check_room
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
from .lane import Inbound, Lane
from .link import Link
from .outbox import BATCH_BYTES, Outbox
from .position import ME, Since, check_channel, check_since, check_text
from .session import MAX_IDS
from .states import SessionState
from .subscription import Phase, Subscription
from .violation import Violation

BATCH_CHARGE = 2 * BATCH_BYTES
"""Bytes of credit one batch may overshoot beside one largest message."""


@dataclass(frozen=True, slots=True)
class SessionStats:
    """What happened in a session so far.

    Attributes:
        links: connections that carried it.
        resumes: those on which the server still had it.
        received: messages that arrived in order, once.
        taken: of these, what the application has taken.
        duplicates: messages that came again and were dropped.
        lost: messages reported lost.
        gaps: holes seen on a live link, each repaired by subscribing again.
        published, accepted: messages handed over, and how many of them are accepted.
        round_trip: seconds a ping last took, or None.
    """

    links: int
    resumes: int
    received: int
    taken: int
    duplicates: int
    lost: int
    gaps: int
    published: int
    accepted: int
    round_trip: float | None


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
        super().__init__(
            config,
            rng=rng,
            credentials=credentials,
            asks_credentials=asks_credentials,
            token=token,
            wait=wait,
        )
        self._requests = count(1)
        self._offers = count(1)
        self._subscriptions: dict[str, Subscription] = {}
        self._leaving: dict[Subscription, None] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._starved: dict[Outbox, None] = {}
        self._stayed: dict[Outbox, None] = {}
        self._departed: Counter[str] = Counter()

    @property
    def subscriptions(self) -> list[Subscription]:
        """What the session reads."""
        return list(self._subscriptions.values())

    @property
    def outboxes(self) -> list[Outbox]:
        """What the session publishes to."""
        return list(self._outboxes.values())

    @property
    def held_bytes(self) -> int:
        """Bytes in all inboxes and outboxes."""
        inboxes = sum(sub.held_bytes for sub in self._subscriptions.values())
        return inboxes + sum(outbox.held_bytes for outbox in self._outboxes.values())

    @property
    def is_settled(self) -> bool:
        """Whether every published message has ended in one of the four ways."""
        return all(outbox.is_settled for outbox in self._outboxes.values())

    @property
    def is_restored(self) -> bool:
        """Whether everything imported has ended in one of the four ways; true if nothing was."""
        return all(outbox.is_restored for outbox in self._outboxes.values())

    def unsettled(self) -> list[Settled]:
        """Say what was published and is not accepted.

        Once the session's end has begun: what was refused, unknown or unsent from then on. Of what
        is not settled yet, what would become of it if the session ended now: unknown if it was
        sent, else unsent.
        """
        return [word for outbox in self._outboxes.values() for word in outbox.unsettled()]

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
            published=sum(outbox.count for outbox in self._outboxes.values()),
            accepted=sum(outbox.accepted for outbox in self._outboxes.values()),
            round_trip=self.round_trip,
        )

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
            tuple(outbox.export() for outbox in self._outboxes.values()),
        )
        for outbox in self._outboxes.values():
            outbox.hand_over()
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
        if self.state is not SessionState.NEW or self._outboxes or self._token is not None:
            raise InvalidState("restore into a new session, without a token, before anything else")
        check_room(exported, self.config)
        self._token = exported.token
        for outbox in exported.outboxes:
            made = Outbox(outbox.channel, config=self.config, ids=self._offers)
            made.restore(outbox, now=now)
            self._outboxes[outbox.channel] = made
            self._touch(made)

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
        subscription = Subscription(
            channel, since, window=self.config.window, requests=self._requests
        )
        self._subscriptions[channel] = subscription
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
        outbox = self._outbox(channel)
        if not outbox.has_room(len(payload)):
            return None
        if self._may_be_full() and self.held_bytes + len(payload) > self.config.memory_limit:
            self._starved[outbox] = None
            return None
        number = outbox.publish(payload, text, now=now)
        self._touch(outbox)
        return number

    def next_settled(self, channel: str) -> Settled | None:
        """Take the next word on what became of messages published to a channel."""
        outbox = self._outboxes.get(channel)
        return None if outbox is None else outbox.next_settled()

    # for Session and Dialer

    def _lanes(self) -> list[Lane]:
        outboxes = [one for one in self._outboxes.values() if one not in self._stayed]
        return [*self._leaving, *self._subscriptions.values(), *outboxes]

    def _stay(self) -> bool:
        self._stayed = dict.fromkeys(
            outbox for outbox in self._outboxes.values() if outbox.is_unanswered
        )
        for outbox in self._stayed:
            outbox.stay()
        return bool(self._stayed)

    def _settle_staying(self, frame: Ack | Refused, now: float) -> None:
        for outbox in self._stayed:
            if outbox.id == frame.id:
                if isinstance(frame, Ack):
                    outbox.receive_ack(frame, now=now)
                    is_over = not outbox.is_unanswered
                else:
                    # What follows a refused message is discarded: no answer will come.
                    is_over = outbox.receive_refused(frame, now=now)
                if is_over:
                    del self._stayed[outbox]
                    outbox.handle_link_lost(now=now)
                self._touch(outbox)
                return

    def _staying(self) -> list[Lane]:
        return list(self._stayed)

    def _stay_no_more(self) -> None:
        self._stayed.clear()

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
        elif isinstance(lane, Subscription):
            if isinstance(frame, Subscribe) and lane.id is not None:
                self._inbound.pop(lane.id, None)
            elif lane.phase is Phase.ENDED:
                self._leaving.pop(lane, None)

    def _receive_role_frame(self, link: Link, frame: Frame, now: float) -> None:
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
        if self._may_be_full():
            self._shed(self.held_bytes - self.config.memory_limit)

    def _receive_welcome(self, link: Link, frame: Welcome, now: float) -> None:
        super()._receive_welcome(link, frame, now)
        for index, outbox in enumerate(self._outboxes.values()):
            outbox.take_limits(self.max_message, is_barred=index >= self._max_channels)
            self._touch(outbox)

    def _touch(self, lane: Lane) -> None:
        super()._touch(lane)
        if isinstance(lane, Outbox):
            self._ready[lane] = None
            self._feed_starved()
            self._finish_if_settled(self._now)

    def _detach_lanes(self, now: float) -> None:
        super()._detach_lanes(now)
        self._leaving.clear()

    def _leave(self) -> None:
        super()._leave()
        for outbox in self._outboxes.values():
            outbox.leave()

    def _finish(self, ending: Ending, now: float) -> None:
        super()._finish(ending, now)
        for outbox in self._outboxes.values():
            outbox.abandon()
            self._ready[outbox] = None
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
        self._feed_starved()
        if subscription.wants_to_speak:
            self._touch(subscription)
            return
        deadline = subscription.next_deadline()
        if deadline is not None:
            self._timers.set(subscription, deadline)

    def _outbox(self, channel: str) -> Outbox:
        outbox = self._outboxes.get(channel)
        if outbox is None:
            check_channel(channel)
            if channel.startswith("@"):
                raise InvalidChannel(f"{channel!r}: names that begin with @ can't be published to")
            if len(self._outboxes) >= self._max_channels:
                raise TooManyChannels(f"{self._max_channels} channels are published to already")
            outbox = Outbox(channel, config=self.config, ids=self._offers)
            self._outboxes[channel] = outbox
        if outbox.is_barred:
            raise TooManyChannels(f"the server lets publish to {self._max_channels} channels")
        return outbox

    def _may_be_full(self) -> bool:
        """Whether all windows and outboxes together could exceed the memory limit at all."""
        inbox = self.config.window + BATCH_CHARGE + self.config.max_message
        inboxes = len(self._subscriptions) * inbox
        outboxes = len(self._outboxes) * self.config.history_bytes
        return inboxes + outboxes > self.config.memory_limit

    def _shed(self, excess: int) -> None:
        """Drop newest unread messages, of channels nobody waits on, fullest first (design 4.7)."""
        while excess > 0:
            holding = [sub for sub in self._subscriptions.values() if sub.held_bytes]
            if not holding:
                return
            victim = max(holding, key=lambda sub: (not sub.is_waited_for, sub.held_bytes))
            excess -= victim.shed(excess)
            self._touch(victim)
