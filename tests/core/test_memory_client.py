"""A client keeps to its memory limit at every step, and everything arrives or is told (P2-P4)."""

from dataclasses import replace

import pytest

from gapless.core.budget import Shed
from gapless.core.config import KIB, Config
from gapless.core.errors import TooManyChannels
from gapless.core.frames import Ack, Data, Gone, Live, Offered, Subscribe, Subscribed
from gapless.core.subscription import SUBSCRIPTION_BYTES, Subscription
from gapless.testing.holdings import check_memory

from .by_hand import ClientByHand, numbered
from .crowd import Crowd

SMALL = Config(
    memory_limit=100_000, max_message=20_000, window=256 * KIB, history_bytes=90_000, heartbeat=1e6
)


class Desk(ClientByHand):
    """A client with little memory."""

    def __init__(self, **changes: object) -> None:
        super().__init__(config=replace(SMALL, **changes))  # type: ignore[arg-type]  # checked by Config itself
        self.connect()

    def reads(self, *names: str) -> list[Subscription]:
        """Subscribe; the server answers."""
        found = [self.client.subscribe(name, "earliest", now=self.now) for name in names]
        for frame in self.hear():
            assert isinstance(frame, Subscribe)
            self.say(Subscribed(frame.request, frame.request, "E", 1, 0, None, Live()))
        self.hear()
        return found

    def check(self) -> None:
        check_memory("client", self.client)

    def fill_outbox(self, size: int) -> None:
        """Publish until so much is held; nobody answers."""
        while self.client.memory().held + 1144 <= size:
            assert self.client.publish("out", b"x" * 1000, False, now=self.now) is not None


@pytest.mark.parametrize("seed", [2, 5, 8])
def test_p3_and_p4_readers_that_seldom_take_lose_nothing_silently(seed: int) -> None:
    Crowd(seed, is_slow=True).run(50)


def test_p3_the_fullest_is_shed_and_asked_for_again() -> None:
    desk = Desk()
    quiet, loud = desk.reads("quiet", "loud")
    desk.say(Data(1, 1, numbered(1, 2, 1000), False))
    for first in range(1, 6):
        desk.say(Data(2, first, [b"x" * 19_000], False))
        desk.check()
    desk.say(Data(2, 6, [b"x" * 19_000], False)) if loud.is_live else None
    desk.check()
    assert quiet.held_messages == 2
    assert desk.client.memory().kinds[Shed.INBOX].victims > 0
    while desk.client.next_message(loud, now=desk.now) is not None:
        pass
    asked = [frame for frame in desk.hear() if isinstance(frame, Subscribe)]
    assert [frame.channel for frame in asked] == ["loud"]


def test_p3_an_inbox_that_had_nothing_to_shed_is_asked_again_once_it_has() -> None:
    """It was not to be named before the next clean-up, 45 s later, and the limit did not hold."""
    desk = Desk()
    readers = desk.reads("one", "two", "three")
    desk.fill_outbox(85_000)
    for round_ in range(8):
        for number, reader in enumerate(readers, 1):
            if reader.is_live:
                first = (reader.received.seq if reader.received else 0) + 1
                desk.say(Data(number, first, [b"x" * 9000], False))
            desk.check()
            desk.client.next_message(reader, now=desk.now)
            if round_ % 2:
                desk.client.next_message(reader, now=desk.now)
            for frame in desk.hear():
                if isinstance(frame, Subscribe):
                    since = frame.since
                    assert not isinstance(since, str)
                    head = since.seq
                    answer = Subscribed(
                        frame.request, readers.index(reader) + 1, "E", head + 1, head, None, Live()
                    )
                    desk.say(answer)
            desk.check()


def test_p3_one_the_application_waits_for_is_shed_last_but_is_shed() -> None:
    desk = Desk()
    waited, other = desk.reads("waited", "other")
    for reader in (waited, other):
        while desk.client.next_message(reader, now=desk.now) is not None:
            pass
    assert waited.is_waited_for
    other.is_waited_for = False
    desk.say(Data(2, 1, [b"x" * 19_000], False))
    for first in range(1, 8):
        if waited.is_live:
            desk.say(Data(1, first, [b"x" * 19_000], False))
        desk.check()
    assert other.held_messages == 0
    assert waited.held_messages >= 3


def test_p4_a_publish_takes_the_room_of_what_can_be_asked_for_again() -> None:
    """An application that publishes before it goes on reading would wait for ever."""
    desk = Desk()
    (reader,) = desk.reads("in")
    for first in range(1, 5):
        desk.say(Data(1, first, [b"x" * 19_000], False))
    for _ in range(3):
        assert desk.client.publish("out", b"x" * 15_000, False, now=desk.now) is not None
        desk.check()
    assert reader.held_messages < 4


def test_p4_a_publish_that_waits_for_memory_is_named_once_there_is_some() -> None:
    desk = Desk()
    desk.fill_outbox(99_000)
    assert desk.client.publish("out", b"x" * 9000, False, now=desk.now) is None
    list(iter(desk.client.next_ready, None))
    desk.hear()
    desk.say(Offered(1, "new", "P", 0, 1_000_000))
    desk.hear()
    desk.say(Ack(1, 20, 1_000_000))
    assert desk.client.outboxes[0] in list(iter(desk.client.next_ready, None))
    assert desk.client.publish("out", b"x" * 9000, False, now=desk.now) is not None


def test_p3_word_of_what_was_settled_takes_no_more_than_what_it_is_about() -> None:
    desk = Desk()
    for _ in range(150):
        desk.client.publish("out", b"", False, now=desk.now)
    desk.hear()
    desk.say(Offered(1, "new", "P", 0, 1_000_000))
    desk.hear()
    held = desk.client.memory().held
    for seq in range(1, 151):
        desk.say(Ack(1, seq, 1_000_000))
        desk.check()
        assert desk.client.memory().held <= held
    assert desk.client.next_settled("out") is not None
    desk.check()


def test_p3_what_is_lost_takes_no_memory_that_is_not_there() -> None:
    desk = Desk()
    desk.reads("one", "two", "three")
    desk.fill_outbox(100_000)
    for last in range(1, 50):
        for number in (1, 2, 3):
            desk.say(Gone(number, last, last, "rotated"))
            desk.check()


def test_p3_no_channel_is_opened_that_there_is_no_memory_for() -> None:
    desk = Desk()
    desk.fill_outbox(99_900)
    with pytest.raises(TooManyChannels, match="no memory"):
        desk.client.subscribe("in", now=desk.now)
    assert desk.client.publish("more", b"x", False, now=desk.now) is None, "it waits for room"
    desk.check()
    assert SUBSCRIPTION_BYTES > 100


def test_p3_nothing_is_counted_of_what_is_left() -> None:
    desk = Desk()
    readers = desk.reads("one", "two")
    desk.say(Data(1, 1, numbered(1, 9, 1000), False))
    for reader in readers:
        desk.client.unsubscribe(reader, now=desk.now)
        desk.check()
    assert desk.client.memory().held == 0


def test_p4_credit_that_was_withheld_is_given_once_enough_is_taken() -> None:
    """Above `memory_warning` who holds more than a share gets none; then it must hear of it.

    Though less than a quarter of its window was taken since: the sender has spent all it had.
    """
    desk = Desk(memory_warning=10_000, memory_cleanup=90_000, window=32 * KIB)
    one, *_ = desk.reads("one", "two", "three", "four")
    desk.say(Data(1, 1, numbered(1, 32, 1000), False))
    limits: list[tuple[int, int]] = []
    for seq in range(1, 33):
        desk.client.next_message(one, now=desk.now)
        limits += [(seq, frame.limit) for frame in desk.hear() if isinstance(frame, Ack)]
    seq, limit = limits[0]
    assert limit == 32 * KIB, "no more than before"
    after, given = limits[1]
    assert after - seq < 8
    assert given > 32 * KIB
