"""What comes out of the machine: messages and markers, session events, commands for the driver.

Three closed unions, `ChannelEvent`, `SessionEvent` and `Command`: consumers `match` them and end
in `assert_never`, so that a new case breaks the type check everywhere it matters.
"""

from dataclasses import dataclass, field
from typing import Literal

from .closing import Ending
from .position import Position


@dataclass(slots=True)
class Message:
    """One message as the application takes it.

    Attributes:
        channel: the channel's name.
        epoch: the incarnation of the channel's numbering.
        seq: 1, 2, 3 … within the epoch.
        payload: the bytes; the UTF-8 of `text` where `is_text`.
        is_text: whether the sender published text.
        publisher: the session that published it; None for a reader on the wire, and for what
            the server published itself.
    """

    channel: str
    epoch: str
    seq: int
    payload: bytes
    is_text: bool = False
    publisher: str | None = None

    @property
    def position(self) -> Position:
        """The position of this message: subscribing *since* it starts with the next."""
        return Position(self.epoch, self.seq)

    @property
    def text(self) -> str:
        """The payload as text.

        Raises:
            UnicodeDecodeError: the payload is binary and not UTF-8.
        """
        return self.payload.decode()


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages `first` … `last` won't come. Said once, before any later message (P2)."""

    channel: str
    epoch: str
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The channel's numbering began anew: reading goes on after `position`, in its epoch."""

    channel: str
    position: Position
    reason: str


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The replay is over: what follows is live."""

    channel: str
    position: Position


ChannelEvent = Message | Lost | Reset | CaughtUp


@dataclass(slots=True)
class LinkUp:
    """A link carries the session. `resumed`: the server still had it."""

    session: str
    resumed: bool
    count: int = 1


@dataclass(slots=True)
class LinkDown:
    """The link ended, or a try to open one failed; the next is due at `retry_at` (seconds)."""

    ending: Ending
    retry_at: float
    count: int = 1


@dataclass(slots=True)
class Goodbye:
    """The server drains: the session moves to another link within `within` seconds."""

    within: float
    count: int = 1


@dataclass(slots=True)
class CredentialsWanted:
    """A link is dialled and waits for credentials: answer `ClientSession.show_credentials`.

    Withdrawn once they are shown, or the try has ended without. `refused`: those shown before were
    refused, so newer ones are asked for; once between two welcomes.
    """

    refused: Ending | None = None
    count: int = 1


@dataclass(slots=True)
class Closed:
    """The session is over. Nothing follows (I20)."""

    ending: Ending
    count: int = 1


SessionEvent = LinkUp | LinkDown | Goodbye | CredentialsWanted | Closed


SettledOutcome = Literal["accepted", "refused", "unknown", "unsent"]
"""The four ways a published message can end (rule 7, P6)."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of published messages, by their numbers in the order of publishing.

    Attributes:
        channel: where they were published.
        first, last: the publisher's own count, from 1, over the whole session.
        outcome: accepted; refused (final); unknown (sent, the answer was lost with the session);
            unsent (the session closed before they were ever sent).
        epoch, seq: the number of `first` in the publisher's numbering, "" and 0 if unsent.
        code: why, if refused; adapters say `exported` of what went along with an export.
    """

    channel: str
    first: int
    last: int
    outcome: SettledOutcome
    epoch: str
    seq: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class OpenLink:
    """Driver: dial, and name the result `link`: `handle_link_opened` or `handle_link_lost`."""

    link: int


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Driver: write what `data_to_send` still has for `link`, then close its socket."""

    link: int
    ending: Ending


@dataclass(frozen=True, slots=True)
class Authorize:
    """Driver: judge the credentials shown on `link`; answer `handle_authorized`."""

    link: int
    credentials: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Append:
    """Store: append to a channel; answer `handle_appended` with the same request.

    Attributes:
        request: names the answer.
        channel, epoch: where; the first message gets the number `seq`.
        payloads: a batch, all text or all binary; none: take note of the epoch, and answer.
        publisher: (session, epoch, seq of the first) of a client's publish: a store that has
            accepted that already answers `known`, without appending again.
    """

    request: int
    channel: str
    epoch: str
    seq: int
    payloads: list[bytes]
    text: bool
    publisher: tuple[str, str, int] | None


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Store: read a channel after `after`; answer `handle_history` with the same request.

    `after` None asks for the channel's state alone: its epoch, first held and head.
    """

    request: int
    channel: str
    after: int | None
    max_messages: int
    max_bytes: int


Command = OpenLink | CloseLink | Authorize | Append | ReadHistory
