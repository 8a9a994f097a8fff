"""Judge: what must hold in every step of a search, against plain lists.

It knows what was published, what was appended, what was taken and what publishers were told. What
of that decides whether a later step is right is part of a state's key (`state`); the rest follows
from what the machines hold.
"""

from collections.abc import Callable

from gapless.core.client import ClientSession
from gapless.core.credit import charge
from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset, Settled
from gapless.core.frames import Ack, Data, Denied, Frame, Offered, StartedOver, Subscribed, Welcome
from gapless.core.hub import Hub
from gapless.core.position import Position
from gapless.core.subscription import Phase, Subscription
from gapless.testing.promise import hold
from tests.core.list_store import ListStore

from .scenarios import Scenario

READ, WRITTEN = "read", "written"
"""The channel the server publishes to, and the one the client publishes to."""


class Judge:
    """Follows one world.

    Args:
        scenario: its bounds.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.published: list[bytes] = []
        self.written: list[bytes] = []
        self.logs: dict[str, dict[str, list[bytes]]] = {READ: {}, WRITTEN: {}}
        self.applied: list[int] = []
        self.outcomes: list[str] = []
        self.taken: Position | None = None
        self.starts: list[Position] = []
        self.acked: dict[int, tuple[int, int]] = {}
        self.bases: dict[int, int] = {}
        self.offered: dict[int, tuple[int, str]] = {}
        self.offsets: dict[str, int] = {}
        self.owed: set[int] = set()
        self.welcomed: dict[int, str] = {}

    def state(self, client: ClientSession, hub: Hub, links: list[int]) -> tuple[object, ...]:
        """What of all this decides whether later steps are right."""
        channel = hub.channels.find(READ)
        epochs = {channel.epoch} if channel is not None else set[str]()
        for subscription in client.subscriptions:
            places = subscription.position, subscription.received
            epochs |= {place.epoch for place in places if place is not None}
        return (
            len(self.published),
            len(self.written),
            [log for epoch, log in self.logs[READ].items() if epoch in epochs],
            self.applied,
            self.outcomes,
            self.taken,
            [link for link in links if link in self.owed],
            [self.acked.get(link) for link in links],
            [self.bases.get(link) for link in links],
            [self.offered.get(link) for link in links],
            [self.offsets.get(self.offered[link][1]) for link in links if link in self.offered],
            [self.offsets.get(outbox.epoch or "") for outbox in client.outboxes],
        )

    def is_settled(self, client: ClientSession, hub: Hub) -> bool:
        """Whether all was published, settled and taken (P4)."""
        scenario = self.scenario
        done = len(self.published) == scenario.reads and len(self.written) == scenario.writes
        done = done and len(self.outcomes) == scenario.writes and client.is_settled
        done = done and client.link not in self.owed
        for subscription in client.subscriptions:
            channel = hub.channels.find(READ)
            there = channel is not None and subscription.is_live
            head = None if channel is None else Position(channel.epoch, channel.head)
            done = done and there and subscription.position == head
        return done

    # what is published and appended

    def next_read(self) -> bytes:
        """The payload the server publishes next."""
        return _payload("r", len(self.published), self.scenario.size)

    def next_written(self) -> bytes:
        """The payload the client publishes next."""
        return _payload("w", len(self.written), self.scenario.size)

    def look(self, hub: Hub, store: ListStore | None) -> None:
        """Write down what was appended."""
        for name, logs in self.logs.items():
            if store is not None:
                stored = store.logs.get(name)
                if stored is not None:
                    log = logs.setdefault(stored.epoch, [])
                    self._appended(name, log, [payload for payload, _ in stored.messages])
                continue
            channel = hub.channels.find(name)
            if channel is not None:
                log, history = logs.setdefault(channel.epoch, []), channel.history
                hold(history.first <= len(log) + 1, "P2", f"{name} rotated what nobody saw")
                held = range(history.first, history.head + 1)
                new = [history.entry(seq)[0] for seq in held if seq > len(log)]
                self._appended(name, log, [*log, *new])
                within = len(history) <= channel.settings.history_messages
                hold(within, "P3", f"{name} holds {len(history)} messages")

    def _appended(self, name: str, log: list[bytes], now: list[bytes]) -> None:
        for payload in now[len(log) :]:
            log.append(payload)
            if name == WRITTEN:
                index = self.written.index(payload)
                words = f"message {index + 1} is applied after {[n + 1 for n in self.applied]}"
                hold(not self.applied or index > self.applied[-1], "P6", words)
                outcome = self.outcomes[index] if index < len(self.outcomes) else "unknown"
                words = f"message {index + 1} was {outcome}, and is applied"
                hold(outcome in ("unknown", "accepted"), "P6", words)
                self.applied.append(index)

    # what the client's applications see

    def take(self, event: ChannelEvent, subscription: Subscription) -> None:
        """Judge what was taken: it is next, and what was appended; or a loss, said once."""
        if isinstance(event, Message):
            self._follow(Position(event.epoch, event.seq - 1), f"message {event.position}")
            log = self.logs[READ].get(event.epoch, [])
            same = event.seq <= len(log) and log[event.seq - 1] == event.payload
            hold(same, "P2", f"message {event.position} is not what was appended")
            self.taken = event.position
        elif isinstance(event, Lost):
            hold(not self.scenario.is_lossless, "I3", f"{event}")
            self._follow(Position(event.epoch, event.first - 1), f"{event}")
            hold(event.last >= event.first, "P2", f"{event}")
            self.taken = Position(event.epoch, event.last)
        elif isinstance(event, Reset):
            hold(not self.scenario.is_lossless, "I3", f"{event}")
            other = self.taken is None or self.taken.epoch != event.position.epoch
            hold(other or event.reason == "ahead", "I15", f"{event} after {self.taken}")
            self.taken = event.position
        else:
            assert isinstance(event, CaughtUp)
            self._follow(event.position, "caught up")
            self.taken = event.position
        words = f"the position is {subscription.position}, taken is {self.taken}"
        hold(subscription.position == self.taken, "I4", words)

    def _follow(self, before: Position, what: str) -> None:
        if self.taken is None:
            hold(before in self.starts, "P2", f"{what} comes first, told {self.starts}")
            return
        hold(before.epoch == self.taken.epoch, "I15", f"{what} after {self.taken}")
        hold(before.seq >= self.taken.seq, "P1", f"{what} after {self.taken}")
        hold(before.seq == self.taken.seq, "P2", f"{what} after {self.taken}")

    def settle(self, settled: Settled) -> None:
        """Judge what the publisher was told."""
        dense = len(self.outcomes) + 1 == settled.first <= settled.last <= len(self.written)
        hold(dense, "P6", f"{settled} after {self.outcomes}")
        for number in range(settled.first, settled.last + 1):
            is_applied = number - 1 in self.applied
            self.outcomes.append(settled.outcome)
            if settled.outcome == "accepted":
                hold(is_applied, "P6", f"{number} is accepted, but not applied")
            elif settled.outcome == "unknown":
                words = f"{number} is unknown, yet remembered"
                hold(not self.scenario.keeps_sessions, "P6", words)
                hold(not (self.scenario.durable and is_applied), "P6", words)
            else:
                hold(not is_applied, "P6", f"{number} is {settled.outcome}, but applied")

    # frames

    def server_says(self, link: int, frame: Frame) -> None:
        """Judge a frame of the server: it accepts nothing that isn't applied (P5)."""
        if isinstance(frame, Welcome):
            self.welcomed[link] = frame.session
        elif isinstance(frame, Offered):
            self.offered[link] = frame.id, frame.epoch
            self._check_accepted(frame.epoch, frame.last)
        elif isinstance(frame, Ack):
            self.owed.discard(link)
            number, epoch = self.offered[link]
            hold(frame.id == number, "I13", f"{frame}, but {number} is what is offered")
            self._check_accepted(epoch, frame.seq)

    def check_links(self, open_links: list[int]) -> None:
        """Judge which links the server has open: a session has one (I13)."""
        sessions = [self.welcomed[link] for link in open_links if link in self.welcomed]
        hold(len(sessions) == len({*sessions}), "I13", f"two links of one session: {open_links}")

    def before_server(self, link: int, frame: Frame) -> None:
        """Look before a frame arrives at the server: for a duplicate it owes an ack (I6)."""
        if isinstance(frame, Data):
            indexes = {self.written.index(payload) for payload in frame.payloads}
            if indexes <= {*self.applied}:
                self.owed.add(link)

    def _check_accepted(self, epoch: str, seq: int) -> None:
        first = self.offsets.get(epoch, 0)
        for index in range(first, first + seq):
            refused = self.outcomes[index : index + 1] == ["refused"]
            words = (
                f"{seq} of the publisher's {epoch} is acked, but message {index + 1} not applied"
            )
            hold(index in self.applied or refused, "P5", words)

    def client_says(
        self, link: int, frame: Frame, client: ClientSession, subscription: Subscription | None
    ) -> None:
        """Judge a frame of the client: no ack beyond what was taken (P5), no number twice."""
        if isinstance(frame, Data):
            epoch = client.outboxes[0].epoch
            assert epoch is not None
            index = self.written.index(frame.payloads[0])
            words = f"message {index + 1} is settled, and sent again"
            hold(index >= len(self.outcomes), "P6", words)
            offset = self.offsets.setdefault(epoch, index - frame.first + 1)
            words = f"message {index + 1} is {frame.first} of {epoch}, others are {offset} off"
            hold(index - frame.first + 1 == offset, "I15", words)
            hold(frame.payloads == self.written[index:][: len(frame.payloads)], "P1", f"{frame}")
        elif isinstance(frame, Ack):
            assert subscription is not None
            taken, received = subscription.position, subscription.received
            assert taken is not None
            assert received is not None
            honest = taken.seq if taken.epoch == received.epoch else self.bases[link]
            hold(frame.seq <= honest, "P5", f"{frame}, but taken is {taken}")
            before = self.acked.get(link)
            rises = before is None or before[0] != frame.id or before[1] <= frame.seq
            hold(rises, "I4", f"{frame} after {before}")
            self.acked[link] = frame.id, frame.seq

    def before(
        self, link: int, frame: Frame, subscription: Subscription | None
    ) -> Callable[[], None]:
        """Look before a frame arrives at the client; returns what to check once it has."""
        if isinstance(frame, Subscribed) and not isinstance(frame.outcome, Denied):
            self.bases[link] = frame.next_seq - 1
            self.acked.pop(link, None)
            if not isinstance(frame.outcome, StartedOver):
                self.starts.append(Position(frame.epoch, frame.next_seq - 1))
        if not isinstance(frame, Data) or subscription is None:
            return lambda: None
        place, phase = subscription.received, subscription.phase
        last = frame.first + len(frame.payloads) - 1
        most = self.scenario.reads * charge(frame.payloads[:1]) + subscription.held_bytes

        def check() -> None:
            now = subscription.received
            if place is not None and phase is Phase.LIVE and last <= place.seq:
                hold(now == place, "I6", f"{frame} moves {place} to {now}")
                hold(subscription.wants_to_speak, "I6", f"{frame} is no news, and not acked again")
            if place is not None and frame.first > place.seq + 1:
                hold(now == place, "I7", f"{frame} moves {place} to {now}")
            hold(subscription.held_bytes <= most, "P3", f"{subscription.held_bytes} bytes unread")

        return check


def _payload(word: str, index: int, size: int) -> bytes:
    return f"{word}{index + 1}".encode().ljust(size, b".")
