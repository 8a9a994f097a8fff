"""A client that carries an exported session on; its server is played by hand."""

from gapless.core.events import Settled
from gapless.core.export import Export, ExportedOutbox
from gapless.core.frames import Frame, Offer, Offered

from .by_hand import WELCOME, ClientByHand

PLENTY = 1 << 30


def an_export(
    *payloads: bytes, epoch: str | None = "P1", first: int = 5, seq: int = 3, sent: int = 0
) -> Export:
    """A session that held these for `orders`; the first has number 5, and is 3 in its epoch."""
    messages = tuple((payload, False) for payload in payloads)
    return Export("@s", "t1", (), (ExportedOutbox("orders", epoch, first, seq, sent, messages),))


class Heir(ClientByHand):
    """A client that carries an export on; its server is played by hand."""

    def __init__(self, exported: Export) -> None:
        super().__init__()
        self.client.restore(exported, now=self.now)

    def offer(self) -> Offer:
        """The next offer."""
        (offer,) = [frame for frame in self.hear() if isinstance(frame, Offer)]
        return offer

    def welcomed(self) -> Offer:
        self.dial()
        self.say(WELCOME)
        return self.offer()

    def answer(self, offer: Offer, kind: str, last: int = 0, *, epoch: str = "P1") -> list[Frame]:
        """Answer an offer; what follows."""
        self.say(Offered(offer.id, kind, epoch, last, PLENTY))  # type: ignore[arg-type]  # a Literal
        return self.hear()

    def publish(self, payload: bytes) -> int | None:
        return self.client.publish("orders", payload, False, now=self.now)

    def told(self) -> list[Settled]:
        return list(iter(lambda: self.client.next_settled("orders"), None))

    def outcomes(self) -> list[tuple[int, int, str]]:
        return [(one.first, one.last, one.outcome) for one in self.told()]
