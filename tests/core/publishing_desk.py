"""PublishingDesk: an intake under test, its publisher and its store, step by step."""

from gapless.core.config import KIB
from gapless.core.frames import Data, Frame, Gone, Offer, Offered
from gapless.core.intake import Intake

from .parts import counted

WINDOW = KIB


class PublishingDesk:
    """An intake, its publisher and its store, step by step."""

    def __init__(self) -> None:
        self.has_memory = True
        self.intake = Intake(
            "commands",
            "@s",
            window=WINDOW,
            new_epoch=counted("P"),
            may_credit=lambda _: self.has_memory,
        )
        self.id = 0

    def offer(self, epoch: str | None = None, *, remembers: bool = False) -> str | None:
        """A new offer; returns the epoch the store must be asked about."""
        self.id += 1
        self.intake.receive_offer(Offer(self.id, "commands", epoch, 1), now=0.0)
        return self.intake.prepare_answer(store_remembers=remembers)

    def says(self) -> Frame | None:
        return self.intake.next_control(now=0.0)

    def data(self, first: int, *payloads: bytes) -> None:
        self.intake.receive_data(Data(self.id, first, list(payloads), False), now=0.0)

    def gone(self, first: int, last: int) -> None:
        self.intake.receive_gone(Gone(self.id, first, last, "skipped"), now=0.0)

    def start(self, most: int = 100, size: int = 10**6) -> tuple[int, list[bytes]] | None:
        """Hand the next chunk to the store."""
        chunk = self.intake.next_chunk(most, size)
        if chunk is None:
            return None
        self.intake.take_chunk(chunk)
        return chunk.first, chunk.payloads

    def accept(self, most: int = 100) -> tuple[int, list[bytes]] | None:
        started = self.start(most)
        if started is not None:
            self.intake.handle_accepted()
        return started


def opened() -> PublishingDesk:
    """An intake whose first offer is answered."""
    desk = PublishingDesk()
    desk.offer()
    assert desk.says() == Offered(1, "new", "P1", 0, WINDOW)
    return desk
