"""Shelf: a hub's channels alone, with a store, publishers and readers that are played by hand."""

from dataclasses import dataclass

from gapless.core.accounts import Accounts
from gapless.core.budget import Shed
from gapless.core.channel import Channel
from gapless.core.channels import Channels
from gapless.core.config import Config
from gapless.core.events import Append, Command, ReadHistory
from gapless.core.frames import Data, Frame, Offer
from gapless.core.intake import Intake
from gapless.core.news import Ticket
from gapless.core.store import HistoryRead

from .parts import counted

HUB = Config.production("hub")


class Shelf:
    """Channels with a store that is played by hand."""

    def __init__(self, config: Config = HUB, *, durable: bool = True) -> None:
        self.commands: list[Command] = []
        self.books = Accounts(config)
        self.channels = Channels(
            config,
            new_epoch=counted("E"),
            durable=durable,
            commands=self.commands,
            books=self.books,
        )

    def opened(self, name: str = "news", epoch: str = "S1", head: int = 0) -> None:
        assert self.channels.open(name, now=0.0) is None
        asked = self.commands.pop()
        assert isinstance(asked, ReadHistory)
        self.channels.handle_history(HistoryRead(asked.request, epoch, 1, head), now=0.0)

    def publish(self, *payloads: bytes, name: str = "news") -> Ticket | None:
        channel = self.channels.find(name)
        size = sum(map(len, payloads))
        return self.channels.publish(channel, name, list(payloads), size, False, now=0.0)

    def channel(self) -> Channel:
        channel = self.channels.find("news")
        assert channel is not None
        return channel

    def asked(self) -> Append:
        command = self.commands.pop(0)
        assert isinstance(command, Append)
        return command


@dataclass(eq=False)
class Ballast:
    """Something else that takes memory."""

    memory: int


def full(shelf: Shelf, *, left: int = 0) -> Ballast:
    """Take all memory but `left` bytes."""
    books = shelf.books
    ballast = Ballast(books.report().limits.limit - books.held - left)
    books.open(ballast, Shed.NEVER, now=0.0)
    return ballast


class Author:
    """A client that publishes to `news`, and what the hub says to it."""

    def __init__(self, shelf: Shelf, owner: str = "@ann") -> None:
        self.shelf = shelf
        self.intake = Intake("news", owner, window=1 << 20, new_epoch=counted(f"{owner}-"))
        self.offers = 0

    def offer(self, epoch: str | None = None) -> list[Frame]:
        self.offers += 1
        self.intake.receive_offer(Offer(self.offers, "news", epoch, 1), now=0.0)
        return self.served()

    def data(self, first: int, *payloads: bytes) -> list[Frame]:
        self.intake.receive_data(Data(self.offers, first, list(payloads), False), now=0.0)
        return self.served()

    def served(self) -> list[Frame]:
        self.shelf.channels.serve(self.intake, now=0.0)
        return self.hears()

    def hears(self) -> list[Frame]:
        return list(iter(lambda: self.intake.next_control(now=0.0), None))
