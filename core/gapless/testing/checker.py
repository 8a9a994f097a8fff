"""Checker: asserts what gapless promises, while a `Pair` runs and an application uses it.

    pair = Pair(seed=7)
    checker = Checker(pair)
    ...                       # pair.peer.publish, pair.peer.take, pair.publish, pair.run
    checker.finish()          # the faults have stopped, and all was taken

It knows what was appended, what was published and taken *through the peers' methods* and what went
over the wires, and raises `BrokenPromise`, an `AssertionError`, in the step that breaks a promise:

- P1, P2, I1-I3, I15: what is taken is next, and what was appended; or lost or reset, said once;
- P3, I8: inboxes, outboxes and histories stay within their bounds at every step; every session and
  hub within its memory limit, and what it says it holds is what is there;
- P5, I4: acks are monotone and never above what was accepted or taken; credit is respected;
- P6: every publish ends once, what is accepted is applied, and nothing is applied twice;
- I12, I20: no deadline in the past, and nothing at all after `Closed`;
- I22: what is counted agrees with what was seen.
"""

from collections.abc import Iterable

from gapless.core.budget import Shed
from gapless.core.client import ClientSession
from gapless.core.credit import MESSAGE_CHARGE
from gapless.core.events import (
    ChannelEvent,
    Closed,
    Message,
    SessionEvent,
    Settled,
)
from gapless.core.frames import Frame, Welcome
from gapless.core.local import LocalReader
from gapless.core.outbox import BATCH_BYTES, BATCH_MESSAGES
from gapless.core.position import ME
from gapless.core.subscription import Phase, Subscription

from .check_publishing import PublishingCheck
from .check_reading import ReadingCheck
from .check_wire import WireCheck
from .holdings import check_memory
from .logs import Logs
from .network import Line
from .observer import Observer
from .pair import Pair
from .peer import Peer
from .promise import BrokenPromise, hold

__all__ = ["BrokenPromise", "Checker"]


class Checker(Observer):
    """Watches a pair from now on. Make it before anything is published.

    Args:
        pair: which.
        lossless: channels of which nothing may be lost or reset (I3): pinned ones whose patience
            can't run out, on servers that remember.
    """

    def __init__(self, pair: Pair, *, lossless: Iterable[str] = ()) -> None:
        self._pair = pair
        self._publishing = PublishingCheck()
        self._logs = Logs(pair.hosts, self._publishing.append)
        self._reading = ReadingCheck(self._logs, frozenset(lossless))
        self._wire = WireCheck(self._logs, self._reading, self._publishing)
        self._closed: set[Peer] = set()
        self._taken: dict[Peer, int] = {}
        self._unsubscribed: set[Subscription] = set()
        self._is_shedding = False
        pair.observers.insert(0, self)

    # what a pair tells

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        """Judge a frame, and note which sessions there are."""
        self._logs.look()
        if isinstance(frame, Welcome):
            self._logs.names[frame.session] = None
        self._wire.frame(line, to_client, frame)

    def on_lost(self, line: Line, lost: list[tuple[bool, Frame]]) -> None:
        """Forget a connection."""
        self._wire.forget(line)

    def on_subscribed(self, peer: Peer, subscription: Subscription) -> None:
        """Follow a new reader."""
        if subscription.channel != ME:
            self._logs.names[subscription.channel] = None
        self._reading.begin(peer.name, subscription)

    def on_unsubscribed(self, peer: Peer, subscription: Subscription) -> None:
        """A reader is done: nothing may come any more."""
        self._unsubscribed.add(subscription)

    def on_taken(
        self, peer: Peer | None, reader: Subscription | LocalReader, event: ChannelEvent
    ) -> None:
        """Judge what an application has taken."""
        self._logs.look()
        hold(reader not in self._unsubscribed, "I20", f"{event} after unsubscribe")
        if peer is not None and isinstance(event, Message):
            self._taken[peer] = self._taken.get(peer, 0) + 1
        self._reading.take(reader, event)

    def on_published(
        self, peer: Peer | None, channel: str, payloads: list[bytes], number: int | None
    ) -> None:
        """Remember what was published."""
        self._logs.names[channel] = None
        for index, payload in enumerate(payloads):
            if peer is None or number is None:
                self._publishing.publish_here(channel, payload)
            else:
                self._publishing.publish(peer.name, channel, payload, number + index)
        self._logs.look()

    def on_settled(self, peer: Peer, settled: Settled) -> None:
        """Judge what a publisher was told."""
        self._logs.look()
        # What a hub sheds to keep its memory may be gone before it was seen here.
        reports = [host.hub.memory() for host in self._pair.hosts]
        self._is_shedding |= any(report.kinds[Shed.HISTORY].victims for report in reports)
        all_seen = settled.channel not in self._logs.missing and not self._is_shedding
        self._publishing.settle(peer.name, settled, all_seen=all_seen)

    def on_event(self, peer: Peer, event: SessionEvent) -> None:
        """Judge a session event: none may follow `Closed`."""
        hold(peer not in self._closed, "I20", f"{peer.name}: {event} after Closed")
        if isinstance(event, Closed):
            self._closed.add(peer)

    def on_step(self) -> None:
        """Judge the state all are in."""
        self._logs.look()
        self._check_histories()
        for host in self._pair.hosts:
            check_memory(host.name, host.hub)
        for peer in self._pair.peers:
            self._check_bounds(peer.name, peer.session)
            self._check_terminal(peer)

    # what a test asks

    def forget(self, peer: Peer) -> None:
        """A client's process was killed: nobody will be told what became of its messages."""
        self._publishing.forget(peer.name)

    def finish(self) -> None:
        """Assert that everything was delivered and settled (P4, I17, I22).

        The faults must have stopped, and the applications must have taken all there is.
        """
        self.on_step()
        self._publishing.finish()
        for peer in self._pair.peers:
            self._check_counts(peer)
            for subscription in peer.session.subscriptions:
                if subscription.phase is not Phase.ENDED:
                    self._check_caught_up(peer, subscription)

    # internals

    def _check_histories(self) -> None:
        for channel in self._logs.channels():
            history, settings = channel.history, channel.settings
            held = f"{channel.name} holds {len(history)} messages, {history.size} bytes"
            within = len(history) <= settings.history_messages
            hold(within and history.size <= settings.history_bytes, "P3", held)

    def _check_bounds(self, name: str, session: ClientSession) -> None:
        config = session.config
        check_memory(name, session)
        batch = BATCH_BYTES + BATCH_MESSAGES * MESSAGE_CHARGE
        most = config.window + max(batch, config.max_message + MESSAGE_CHARGE)
        for subscription in session.subscriptions:
            held = f"{name} holds {subscription.held_bytes} bytes of {subscription.channel}"
            hold(subscription.held_bytes <= most, "P3", held)
        for outbox in session.outboxes:
            held = f"{name} holds {outbox.held_bytes} bytes for {outbox.channel}"
            hold(outbox.held_bytes <= config.history_bytes, "P3", held)

    def _check_terminal(self, peer: Peer) -> None:
        if peer not in self._closed:
            return
        deadline = peer.session.next_deadline()
        hold(deadline is None, "I20", f"{peer.name} is closed, with a deadline at {deadline}")
        hold(peer.session.link is None, "I20", f"{peer.name} is closed, with a link")

    def _check_counts(self, peer: Peer) -> None:
        stats = peer.session.stats()
        taken = self._taken.get(peer, 0)
        hold(stats.taken == taken, "I22", f"{peer.name} counts {stats.taken} taken, not {taken}")
        accepted = self._publishing.accepted(peer.name)
        counted = f"{peer.name} counts {stats.accepted} accepted, not {accepted}"
        hold(stats.accepted == accepted, "I22", counted)
        hold(peer.session.is_settled, "P4", f"{peer.name} has publishes that never ended")

    def _check_caught_up(self, peer: Peer, subscription: Subscription) -> None:
        name, position = subscription.channel, subscription.position
        real = peer.session.id if name == ME else name
        channel = None if real is None else self._pair.hub.channels.find(real)
        hold(channel, "P4", f"{peer.name} on {name}: the server never opened it")
        assert channel is not None
        where = f"{peer.name} on {name}: at {position}, the head is {channel.epoch}:{channel.head}"
        there = position is not None and position.epoch == channel.epoch
        hold(there and position is not None and position.seq == channel.head, "P4", where)
