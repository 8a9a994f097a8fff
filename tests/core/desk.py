"""Desk: a subscription under test, and the sender's side of its conversation."""

from gapless.core.config import KIB
from gapless.core.events import ChannelEvent, Message
from gapless.core.frames import (
    Ack,
    Data,
    Gone,
    Live,
    Outcome,
    PinTerms,
    Subscribe,
    Subscribed,
)
from gapless.core.position import Since
from gapless.core.subscription import Phase, Subscription

from .parts import ids

WINDOW = KIB


class Desk:
    """A subscription and the sender's side of its conversation, word by word."""

    def __init__(self, since: Since = "latest") -> None:
        self.now = 100.0
        self.has_memory = True
        self.subscription = Subscription(
            "news", since, window=WINDOW, requests=ids(), may_credit=lambda _: self.has_memory
        )

    def says(self) -> object:
        return self.subscription.next_control(now=self.now)

    def asks(self) -> Subscribe:
        frame = self.says()
        assert isinstance(frame, Subscribe)
        return frame

    def answer(
        self,
        next_seq: int,
        head: int,
        outcome: Outcome,
        *,
        epoch: str = "E1",
        pin: PinTerms | None = None,
    ) -> None:
        """Answer the newest subscribe."""
        request = self.subscription.request
        frame = Subscribed(request, 7, epoch, next_seq, head, pin, outcome)
        self.subscription.receive_subscribed(frame, now=self.now)

    def data(self, first: int, *payloads: bytes) -> None:
        self.subscription.receive_data(Data(7, first, list(payloads), False), now=self.now)

    def gone(self, first: int, last: int) -> None:
        self.subscription.receive_gone(Gone(7, first, last, "rotated"), now=self.now)

    def take(self) -> ChannelEvent | None:
        return self.subscription.take(now=self.now)

    def drain(self) -> list[object]:
        """Take everything; messages as their numbers."""
        taken: list[object] = []
        while (event := self.take()) is not None:
            taken.append(event.seq if isinstance(event, Message) else event)
        return taken

    def phase(self) -> Phase:
        return self.subscription.phase


def live(since: Since = "latest", *, head: int = 0, pin: PinTerms | None = None) -> Desk:
    """A live subscription at `head` whose first ack has gone out and whose inbox is empty."""
    desk = Desk(since)
    desk.asks()
    desk.answer(head + 1, head, Live(), pin=pin)
    desk.drain()
    assert isinstance(desk.says(), Ack)
    return desk
