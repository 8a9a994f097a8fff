"""The seam behind which messages are kept: commands out, answers in (design 12).

The hub's own histories are what readers read; the store makes them last. `Append` and
`ReadHistory` are plain data, carried out by the driver, and answered with the objects here. The
memory store needs no driver: it answers at once, by agreeing, since a hub's history is already all
the memory there is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .events import Append, ReadHistory


@dataclass(slots=True)
class Appended:
    """The answer to `Append`: taken, as durably as the store promises.

    Attributes:
        request: of the command.
        epoch, seq: the number the first message got.
        publisher_last: the last number the store has accepted of the command's publisher, if it
            remembers publishers; asked for alone by an `Append` without payloads.
    """

    request: int
    epoch: str
    seq: int
    publisher_last: int | None = None


@dataclass(frozen=True, slots=True)
class AppendRefused:
    """The answer to `Append`: not taken; `retry_after` seconds, or None: it never will be."""

    request: int
    code: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """The answer to `ReadHistory`.

    Attributes:
        request: of the command.
        epoch: the incarnation of the channel's numbering.
        first: the oldest number the store can read; head + 1 if it holds nothing.
        head: the newest number.
        payloads: what comes after the command's `after`; empty if that can't be had.
        text: whether they are text.
    """

    request: int
    epoch: str
    first: int
    head: int
    payloads: tuple[bytes, ...] = ()
    text: bool = False


class MemoryStore:
    """Answers at once. It forgets with the process: each channel begins under a fresh epoch.

    Args:
        new_epoch: makes the name of an epoch.
    """

    def __init__(self, new_epoch: Callable[[], str]) -> None:
        self._new_epoch = new_epoch

    def append(self, command: Append) -> Appended:
        """Agree."""
        return Appended(command.request, command.epoch, command.seq)

    def read_history(self, command: ReadHistory) -> HistoryRead:
        """Describe a channel nobody has written to."""
        return HistoryRead(command.request, self._new_epoch(), 1, 0)
