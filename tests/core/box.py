"""Box: an outbox under test, and the hub's side of its conversation."""

from gapless.core.config import Config
from gapless.core.events import Settled
from gapless.core.frames import Ack, Frame, Offer, Offered, Refused
from gapless.core.outbox import Outbox

from .parts import ids

PLENTY = 10**9


class Box:
    """An outbox and the hub's side of its conversation, word by word."""

    def __init__(self, *, messages: int = 500, size: int = 10**6) -> None:
        config = Config(history_messages=messages, history_bytes=size, max_message=size)
        self.outbox = Outbox("commands", config=config, ids=ids())
        self.now = 100.0

    def publish(self, *payloads: bytes, text: bool = False) -> None:
        for payload in payloads:
            self.outbox.publish(payload, text, now=self.now)

    def offer(self) -> Offer:
        frame = self.outbox.next_control(now=self.now)
        assert isinstance(frame, Offer)
        return frame

    def offered(self, kind: str, last: int = 0, *, epoch: str = "P1", limit: int = PLENTY) -> None:
        frame = Offered(self.outbox.id, kind, epoch, last, limit)  # type: ignore[arg-type]  # a Literal
        self.outbox.receive_offered(frame, now=self.now)

    def open(self, *payloads: bytes, limit: int = PLENTY) -> list[Frame]:
        """Publish, be offered a new epoch, send all."""
        self.publish(*payloads)
        self.offer()
        self.offered("new", limit=limit)
        return self.sent()

    def sent(self) -> list[Frame]:
        frames: list[Frame] = []
        while (frame := self.outbox.next_data(now=self.now)) is not None:
            frames.append(frame)
        return frames

    def ack(self, seq: int, limit: int = PLENTY) -> None:
        self.outbox.receive_ack(Ack(self.outbox.id, seq, limit), now=self.now)

    def refused(self, first: int, last: int, retry_after_ms: int | None = None) -> None:
        frame = Refused(self.outbox.id, first, last, "full", retry_after_ms)
        self.outbox.receive_refused(frame, now=self.now)

    def cut(self) -> None:
        self.outbox.handle_link_lost(now=self.now)

    def settled(self) -> list[tuple[int, int, str]]:
        """What became of which messages, by the application's numbers."""
        return [(word.first, word.last, word.outcome) for word in self.words()]

    def words(self) -> list[Settled]:
        words: list[Settled] = []
        while (word := self.outbox.next_settled()) is not None:
            words.append(word)
        return words
