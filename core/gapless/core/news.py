"""News: what happened in a hub's channels and concerns sessions and applications.

It is collected and passed on when outputs are asked for, so that many publishes wake a reader once.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from .channel import Channel
from .intake import Intake
from .local import LocalReader
from .position import Position
from .reader import Reader


class Asker(Protocol):
    """For whom the store is read: a session, or the hub itself."""

    def read_answered(self, reader: Reader | LocalReader) -> None:
        """The store has answered what was asked for a reader."""
        ...


@dataclass(slots=True, eq=False)
class Ticket:
    """A publish of the server itself: `is_accepted`, or `refused`, or not answered yet.

    Attributes:
        channel: where.
        epoch, seq: the number of the last message of the batch, once it is accepted.
        refused: why it is not.
    """

    channel: str
    epoch: str = ""
    seq: int = 0
    refused: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the store hasn't answered."""
        return not self.seq and self.refused is None

    @property
    def position(self) -> Position | None:
        """The position of the last message; None unless it is accepted."""
        return Position(self.epoch, self.seq) if self.seq else None


class News:
    """What happened in the channels and hasn't been passed on to sessions and applications."""

    def __init__(self) -> None:
        self.opened: dict[str, dict[Hashable, None]] = {}
        self.restarted: dict[Channel, None] = {}
        self.moved: dict[Channel, None] = {}
        self.fetched: list[tuple[Reader | LocalReader, Asker]] = []
        self.touched: dict[Intake, None] = {}
        self.settled: dict[object, None] = {}
        self.blocked: dict[Channel, None] = {}
        self.forgotten: dict[Channel, None] = {}

    @property
    def is_any(self) -> bool:
        """Whether there is anything to pass on."""
        return bool(self.opened or self.restarted or self.moved or self.fetched) or bool(
            self.touched or self.settled or self.blocked or self.forgotten
        )
