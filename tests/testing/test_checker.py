"""The checker watches whole systems: sessions and hubs that are broken in one place are caught."""

from dataclasses import replace

import pytest

from gapless.core.budget import MemoryReport
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import ChannelEvent, Closed, Goodbye, Message, Settled
from gapless.core.figures import SessionStats
from gapless.core.frames import Ack, Data, Frame, Gone, Offer, Offered
from gapless.core.hub import Hub
from gapless.core.outbox import Outbox
from gapless.core.subscription import Subscription
from gapless.testing import Checker, Pair, Peer

from .plants import LyingSession, Told, a_session, caught, hosted, joined


class LyingHub(Hub):
    """A hub that changes data frames on their way out, in one way."""

    def lie(self, frame: Data) -> Frame:
        raise NotImplementedError

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        frame = super().next_frame(link, now=now)
        return self.lie(frame) if isinstance(frame, Data) else frame


def story(pair: Pair, peer: Peer | None = None) -> Checker:
    """A client reads a and publishes to it, the server publishes too; all is taken and settled."""
    checker = Checker(pair)
    peer = peer or pair.peer
    reader = peer.subscribe("a", "earliest")
    peer.start()
    pair.run(1.0)
    for number in range(5):
        pair.publish("a", f"s{number}")
        peer.publish("a", f"p{number}")
        pair.run(0.3)
        peer.take_all(reader)
    pair.run(1.0)
    peer.take_all(reader)
    pair.run(1.0)
    peer.settled("a")
    checker.finish()
    return checker


def test_an_honest_system_is_let_pass() -> None:
    story(Pair(seed=1))


def test_p5_a_client_that_acks_more_than_was_sent() -> None:
    class Session(LyingSession):
        def lie(self, frame: Frame) -> Frame:
            return Ack(frame.id, frame.seq + 1, frame.limit) if isinstance(frame, Ack) else frame

    pair = Pair(seed=1)
    with caught("P5", "never sent"):
        story(pair, joined(pair, a_session(Session)))


def test_p5_a_client_that_acks_what_it_received_and_not_what_was_taken() -> None:
    class Session(LyingSession):
        def lie(self, frame: Frame) -> Frame:
            if isinstance(frame, Ack):
                received = self.subscriptions[0].received
                assert received is not None
                frame.seq = received.seq
            return frame

    pair = Pair(seed=1)
    peer = joined(pair, a_session(Session))
    Checker(pair)
    reader = peer.subscribe("a", "earliest")
    peer.start()
    pair.run(1.0)
    for number in range(3):
        pair.publish("a", f"s{number}")
    pair.run(1.0)
    peer.take_all(reader, 2)
    with caught("P5", "and taken is"):
        pair.run(1.0)


def test_p2_a_hub_that_leaves_a_message_out() -> None:
    class Skipping(LyingHub):
        def lie(self, frame: Data) -> Frame:
            return replace(frame, first=frame.first + (frame.first > 2))

    pair = Pair(seed=1)
    hosted(pair, Skipping)
    with caught("P2", "sent after"):
        story(pair)


def test_p1_a_hub_that_alters_a_message() -> None:
    class Altering(LyingHub):
        def lie(self, frame: Data) -> Frame:
            return replace(frame, payloads=[b"altered"] * len(frame.payloads))

    pair = Pair(seed=1)
    hosted(pair, Altering)
    with caught("P1", "is not what was appended"):
        story(pair)


def test_p2_a_hub_that_says_gone_of_what_it_has_sent() -> None:
    class Regretting(LyingHub):
        def lie(self, frame: Data) -> Frame:
            if frame.first == 1:
                return frame
            return Gone(frame.id, frame.first - 1, frame.first - 1, "rotated")

    pair = Pair(seed=1)
    hosted(pair, Regretting)
    with caught("P2", "sent after"):
        story(pair)


def test_p1_a_client_that_hands_a_message_out_twice() -> None:
    class Session(ClientSession):
        last: ChannelEvent | None = None

        def next_message(self, subscription: Subscription, *, now: float) -> ChannelEvent | None:
            event = super().next_message(subscription, now=now)
            if event is None and isinstance(self.last, Message):
                event, self.last = self.last, None
                return event
            self.last = event
            return event

    pair = Pair(seed=1)
    with caught("P1", "after"):
        story(pair, joined(pair, a_session(Session)))


def test_p2_a_client_that_drops_a_message() -> None:
    class Session(ClientSession):
        def next_message(self, subscription: Subscription, *, now: float) -> ChannelEvent | None:
            event = super().next_message(subscription, now=now)
            if isinstance(event, Message) and event.seq == 2:
                return super().next_message(subscription, now=now)
            return event

    pair = Pair(seed=1)
    peer = joined(pair, a_session(Session))
    Checker(pair)
    reader = peer.subscribe("a", "earliest")
    peer.start()
    for number in range(3):
        pair.publish("a", f"s{number}")
    pair.run(1.0)

    with caught("P2", ":3 after"):
        peer.take_all(reader)


def test_p6_a_client_that_calls_refused_what_is_applied() -> None:
    class Session(ClientSession):
        def next_settled(self, channel: str) -> Settled | None:
            settled = super().next_settled(channel)
            return None if settled is None else replace(settled, outcome="refused")

    pair = Pair(seed=1)
    with caught("P6", "is applied"):
        story(pair, joined(pair, a_session(Session)))


def test_p6_a_client_that_publishes_twice_what_it_has_sent() -> None:
    class Session(LyingSession):
        def lie(self, frame: Frame) -> Frame:
            if isinstance(frame, Data) and frame.first == 1:
                return replace(frame, payloads=[*frame.payloads, *frame.payloads])
            return frame

    pair = Pair(seed=1)
    with caught("P6", "applied twice"):
        story(pair, joined(pair, a_session(Session)))


def test_p6_a_client_that_forgets_its_epoch_and_publishes_again() -> None:
    """The fault of rule 7's first version: the answer to offer is lost, and all is sent again."""

    class Session(LyingSession):
        def lie(self, frame: Frame) -> Frame:
            return replace(frame, epoch=None) if isinstance(frame, Offer) else frame

    class Forgetful(Outbox):
        def receive_offered(self, frame: Offered, *, now: float) -> None:
            self._sent_through = 0
            super().receive_offered(frame, now=now)

    pair = Pair(seed=1)
    session = a_session(Session)
    peer = joined(pair, session)
    Checker(pair)
    peer.start()
    pair.run(1.0)
    peer.publish("a", "p1")
    pair.run_until(lambda: pair.hub.channels.catalog.held_bytes)
    session.outboxes[0].__class__ = Forgetful
    pair.cut()
    with caught("P6", "applied twice"):
        pair.run(5.0)


def test_i22_a_client_that_counts_wrong() -> None:
    class Takes(ClientSession):
        def stats(self) -> SessionStats:
            return replace(super().stats(), taken=super().stats().taken + 1)

    class Accepts(ClientSession):
        def stats(self) -> SessionStats:
            return replace(super().stats(), accepted=4)

    for kind, words in ((Takes, "counts 11 taken, not 10"), (Accepts, "counts 4 accepted, not 5")):
        pair = Pair(seed=1)
        with caught("I22", words):
            story(pair, joined(pair, a_session(kind)))


def test_p4_a_client_that_is_not_settled_in_the_end() -> None:
    class Session(ClientSession):
        @property
        def is_settled(self) -> bool:
            return False

    pair = Pair(seed=1)
    with caught("P4", "publishes that never ended"):
        story(pair, joined(pair, a_session(Session)))


def test_p4_a_reader_that_is_not_at_the_head_in_the_end() -> None:
    pair = Pair(seed=1)
    checker = story(pair)
    pair.publish("a", "one more")
    pair.run(1.0)

    with caught("P4", "the head is"):
        checker.finish()


def test_p4_a_reader_whose_channel_was_never_opened() -> None:
    pair = Pair(seed=1)
    checker = story(pair)
    pair.network.is_reachable = False
    pair.cut()
    pair.peer.subscribe("b")
    pair.run(1.0)

    with caught("P4", "the server never opened it"):
        checker.finish()


def test_p3_a_history_above_its_bound() -> None:
    pair = Pair(seed=1, hub_config=Config(history_messages=3))
    checker = Checker(pair)
    for number in range(5):
        pair.publish("a", f"s{number}")
    pair.run(0.1)
    channel = pair.hub.channels.find("a")
    assert channel is not None
    checker.on_published(None, "a", [b"one more"], None)
    channel.history.append(b"one more", False, None, now=pair.clock.now)

    with caught("P3", "a holds 4 messages"):
        pair.run(0.1)


@pytest.mark.parametrize(
    ("held", "words"),
    [(60_000_001, "C1 holds 60000001 bytes, more than 60000000"), (1, "C1 says it holds 1 bytes")],
)
def test_p3_a_session_above_its_memory_limit_or_that_counts_otherwise(
    held: int, words: str
) -> None:
    class Session(ClientSession):
        def memory(self) -> MemoryReport:
            return replace(super().memory(), held=held)

    pair = Pair(seed=1)
    peer = joined(pair, a_session(Session))
    Checker(pair)
    peer.start()

    with caught("P3", words):
        pair.run(1.0)


def test_p3_a_hub_that_holds_what_it_has_not_counted() -> None:
    pair = Pair(seed=1)
    Checker(pair)
    pair.publish("a", "s1")
    pair.run(0.1)
    pair.hub.books.settle(now=pair.clock.now)
    channel = pair.hub.channels.find("a")
    assert channel is not None
    channel.pin("nobody", 0, now=pair.clock.now)

    with caught("P3", "S says it holds"):
        pair.run(0.1)


@pytest.mark.parametrize("excess", [0, 1])
def test_p3_an_inbox_above_its_window_and_one_batch(excess: int) -> None:
    full = Told("a", "earliest")

    class Session(ClientSession):
        @property
        def subscriptions(self) -> list[Subscription]:
            return [full]

    pair = Pair(seed=1)
    session = a_session(Session)
    peer = joined(pair, session)
    Checker(pair)
    full.told_bytes = session.config.window + session.config.max_message + 32 + excess
    peer.start()

    if excess:
        with caught("P3", "bytes of a"):
            pair.run(1.0)
    else:
        pair.run(1.0)


def test_p3_an_outbox_above_its_bound() -> None:
    class Full(Outbox):
        @property
        def held_bytes(self) -> int:
            return 2**20 + 1

    pair = Pair(seed=1)
    Checker(pair)
    pair.peer.publish("a", "p1")
    pair.client.outboxes[0].__class__ = Full

    with caught("P3", "bytes for a"):
        pair.run(1.0)


def test_i20_an_event_after_closed() -> None:
    pair = Pair(seed=1)
    checker = Checker(pair)
    checker.on_event(pair.peer, Goodbye(1.0))
    checker.on_event(pair.peer, Closed(Ending(Code.DONE, "over")))

    with caught("I20", "after Closed"):
        checker.on_event(pair.peer, Goodbye(1.0))


def test_i20_a_deadline_after_closed() -> None:
    class Session(ClientSession):
        def next_deadline(self) -> float | None:
            return 5000.0

    pair = Pair(seed=1)
    peer = joined(pair, a_session(Session))
    Checker(pair)
    peer.start()
    peer.close(timeout=0.0)
    peer.events()

    with caught("I20", "closed, with a deadline at 5000"):
        pair.run(1.0)


def test_i20_a_link_after_closed() -> None:
    class Session(ClientSession):
        @property
        def link(self) -> int | None:
            return 1

    pair = Pair(seed=1)
    peer = joined(pair, a_session(Session))
    Checker(pair)
    peer.start()
    peer.close(timeout=0.0)
    peer.events()

    with caught("I20", "closed, with a link"):
        pair.run(1.0)


def test_i12_a_deadline_that_stays_in_the_past() -> None:
    class Session(ClientSession):
        def next_deadline(self) -> float | None:
            return 999.0

    pair = Pair(seed=1)
    joined(pair, a_session(Session))

    with caught("I12", "in the past"):
        pair.run(1.0)


def test_the_checker_sees_nothing_of_a_session_used_behind_its_back() -> None:
    """What is taken unseen is missed: so a test that forgets to go through the peer fails."""
    pair = Pair(seed=1)
    Checker(pair)
    reader = pair.peer.subscribe("a", "earliest")
    pair.peer.start()
    pair.run(1.0)
    pair.publish("a", "s1")
    pair.run(1.0)
    while pair.client.next_message(reader, now=pair.clock.now) is not None:
        pass

    with caught("P5", "nothing is taken"):
        pair.run(1.0)
