"""The seam behind which messages are kept: commands out, answers in (design 12).

Readers read a hub's own histories; a store makes messages outlive the hub. `Append` and
`ReadHistory` are plain data that a driver carries out, and these are the answers. The memory store
is the histories themselves: it has nothing to ask, and answers at once.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Appended:
    """The answer to `Append`: taken, as durably as the store promises.

    Attributes:
        request: of the command.
        epoch, seq: the number the first message got.
        publisher_last: the last number the store has accepted of the command's publisher, if it
            remembers publishers; asked for alone by an `Append` without payloads.
        known: nothing was appended: the store had these messages of the publisher already.
    """

    request: int
    epoch: str
    seq: int
    publisher_last: int | None = None
    known: bool = False


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
