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
- P5, I4: acks are monotone, never above what was accepted or taken, and come in time;
- rule 3, I17: credit is respected, and never more or less than the window says;
- I3: nothing is lost that a pin holds for ever;
- I13, I14: only the newest link speaks for a session, resumed by its own tokens and principal;
- I16, I19: pings count what was sent; silence ends a link, a probe comes before the verdict;
- I18: waits between tries are at most the cap, and not too short;
- P6: every publish ends once, what is accepted is applied, and nothing is applied twice;
- I12, I20: no deadline in the past, and nothing at all after `Closed`;
- I22: what is counted agrees with what was seen.
"""

from collections.abc import Iterable

from gapless.core.budget import Shed
from gapless.core.client import ClientSession
from gapless.core.closing import Ending
from gapless.core.config import Config
from gapless.core.credit import MESSAGE_CHARGE
from gapless.core.events import (
    ChannelEvent,
    Closed,
    Message,
    SessionEvent,
    Settled,
)
from gapless.core.frames import Frame, Welcome
from gapless.core.hub import Hub
from gapless.core.local import LocalReader
from gapless.core.outbox import BATCH_BYTES, BATCH_MESSAGES
from gapless.core.position import ME
from gapless.core.subscription import Phase, Subscription
from gapless.transports.endpoint import Endpoint

from .check_dialing import DialCheck
from .check_links import LinkCheck
from .check_publishing import PublishingCheck
from .check_reading import ReadingCheck
from .check_wire import WireCheck
from .holdings import check_memory
from .host import Host
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
            can't run out, on servers that remember. Where a pin says that it waits for
            `FOR_EVER`, this is asserted without being said, for as long as the pin stands.
        meddled: something between the ends repeats frames, which TCP never does: a receiver may
            count more than was sent.
    """

    def __init__(self, pair: Pair, *, lossless: Iterable[str] = (), meddled: bool = False) -> None:
        self._pair = pair
        self._publishing = PublishingCheck()
        self._logs = Logs(pair.hosts, self._publishing.append)
        self._reading = ReadingCheck(self._logs, frozenset(lossless))
        self._links = LinkCheck(lambda: pair.verify, self._is_alive)
        self._wire = WireCheck(
            pair,
            self._logs,
            self._reading,
            self._publishing,
            session_of=self._links.session_of,
            meddled=meddled,
        )
        self._dials = DialCheck()
        self._due: dict[str, float | None] = {}
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
        self._links.frame(line, to_client, frame, now=self._now)
        self._dials.frame(line, to_client, frame, now=self._now)
        self._wire.frame(line, to_client, frame)

    def on_dial(self, peer: Peer, link: int) -> None:
        """Judge when a client dials."""
        self._dials.dial(peer, link, now=self._now)

    def on_link_over(self, peer: Peer, link: int, ending: Ending) -> None:
        """A client's link has ended."""
        self._dials.over(peer, link, ending, now=self._now)

    def on_closed(self, line: Line, by_client: bool, ending: Ending) -> None:
        """Judge why an end gives a line up."""
        config = self._config_of(line, by_client)
        if config is not None:
            self._links.closed(line, by_client, ending, config, now=self._now)

    def on_lost(self, line: Line, lost: list[tuple[bool, Frame]]) -> None:
        """Forget a connection."""
        self._wire.forget(line)
        self._links.forget(line)

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
        if peer is not None:
            self._wire.taken(peer, event.channel, reader.position, now=self._now)

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
        late = {name for name, end in self._names().items() if self._is_late(name, end)}
        for host in self._pair.hosts:
            check_memory(host.name, host.hub)
        for peer in self._pair.peers:
            self._check_bounds(peer.name, peer.session)
            self._check_terminal(peer)
            self._dials.step(peer, is_late=peer.name in late)
            self._wire.step(peer, now=self._now, late=peer.name in late)
            for line in peer.lines.values():
                self._check_silence(peer, line, late)
        self._due = {name: end.next_deadline() for name, end in self._names().items()}

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
            self._wire.at_rest(peer)
            for subscription in peer.session.subscriptions:
                if subscription.phase is not Phase.ENDED:
                    self._check_caught_up(peer, subscription)

    # internals

    @property
    def _now(self) -> float:
        return self._pair.clock.now

    def _names(self) -> dict[str, Endpoint[ClientSession] | Endpoint[Hub]]:
        """All ends by their names."""
        ends: dict[str, Endpoint[ClientSession] | Endpoint[Hub]] = {}
        ends |= {peer.name: peer.endpoint for peer in self._pair.peers}
        return ends | {host.name: host.endpoint for host in self._pair.hosts}

    def _is_late(self, name: str, end: Endpoint[ClientSession] | Endpoint[Hub]) -> bool:
        """Whether an end's driver has slept through a deadline."""
        deadlines = self._due.get(name), end.next_deadline()
        return any(due is not None and due < self._now for due in deadlines)

    def _host_of(self, line: Line) -> Host | None:
        hosts = self._pair.hosts
        return next((host for host in hosts if host.lines.get(line.server_link) is line), None)

    def _config_of(self, line: Line, by_client: bool) -> Config | None:
        if by_client:
            peers = self._pair.peers
            found = next((peer for peer in peers if line in peer.lines.values()), None)
            return None if found is None else found.session.config
        host = self._host_of(line)
        return None if host is None else host.hub.config

    def _is_alive(self, line: Line, session: str) -> bool:
        host = self._host_of(line)
        return host is not None and session in host.hub.sessions

    def _check_silence(self, peer: Peer, line: Line, late: set[str]) -> None:
        now = self._now
        self._links.carries(line, peer.session.link)
        if peer.session.link == line.client_link:
            config = peer.session.config
            self._links.hear(line, True, config, now=now, late=peer.name in late)
        host = self._host_of(line)
        if host is not None and self._links.session_of(line) and not line.closed_by_server:
            config = host.hub.config
            self._links.hear(line, False, config, now=now, late=host.name in late)

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
