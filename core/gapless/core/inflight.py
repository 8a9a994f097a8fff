"""What a hub has asked its store and not been answered: for whom, and under which numbering."""

from dataclasses import dataclass

from .accounts import Holding
from .channel import Channel
from .intake import Intake
from .local import LocalReader
from .news import Asker, Ticket
from .reader import Reader


@dataclass(slots=True)
class Work:
    """An append the store hasn't answered, and the numbering it was asked under.

    Without an origin it is a note: it only tells the store of a new epoch.
    """

    channel: Channel
    payloads: list[bytes]
    text: bool
    publisher: str | None
    origin: Ticket | Intake | None
    epoch: str


@dataclass(slots=True)
class Reading:
    """A read the store hasn't answered, and the numbering it was asked under."""

    reader: Reader | LocalReader
    asker: Asker
    holding: Holding
    after: int
    epoch: str
    head: int
