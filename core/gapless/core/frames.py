"""The frames of wire protocol version 1, as core sees them (design section 6).

Core gives and takes these objects; a codec turns them into bytes and back and has rejected
whatever is malformed: here every integer is 0 … 2**53 - 1 and every string has a bounded length.
What a number *means* is still the peer's claim and is checked by the machine that receives it.
All times are integer milliseconds.
"""

from dataclasses import dataclass, field
from typing import Literal

from .position import Since

VERSION = 1
"""The protocol version of `hello`."""


@dataclass(slots=True)
class Hello:
    """Client → server, first on a link: who I am and which session I had."""

    version: int
    token: str | None
    credentials: str | None = field(repr=False)
    max_message: int

    def __repr__(self) -> str:
        shown = "none" if self.token is None else "…"
        return f"Hello(version={self.version}, token={shown}, max_message={self.max_message})"


@dataclass(slots=True)
class Welcome:
    """Server → client, the verdict: your session, the token to show next time, the terms."""

    session: str
    token: str = field(repr=False)
    resumed: bool
    heartbeat_ms: int
    lease_ms: int
    max_message: int
    max_channels: int


@dataclass(slots=True)
class Subscribe:
    """Reader → sender: send me this channel after `since`, as far as `limit` charged bytes."""

    request: int
    channel: str
    since: Since
    limit: int


@dataclass(frozen=True, slots=True)
class Live:
    """Nothing was missed: the position is the head."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Everything after the position is held; `count` messages are replayed first."""

    count: int


@dataclass(frozen=True, slots=True)
class Partial:
    """`first`…`last` are lost; what follows is replayed."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class StartedOver:
    """The position means nothing here (`epoch`, `ahead`): reading goes on at `next_seq`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Denied:
    """There is no subscription; `code` says why."""

    code: str


Outcome = Live | Recovered | Partial | StartedOver | Denied
"""What a subscribe came to. The wire calls them live, recovered, partial, reset and refused."""


@dataclass(frozen=True, slots=True)
class PinTerms:
    """The reader holds back rotation: for how long without an ack, of how many messages."""

    patience_ms: int
    history_count: int


@dataclass(slots=True)
class Subscribed:
    """Sender → reader, the answer: data of `id` starts at `next_seq`; replay ends at `head`."""

    request: int
    id: int
    epoch: str
    next_seq: int
    head: int
    pin: PinTerms | None
    outcome: Outcome


@dataclass(slots=True)
class Unsubscribe:
    """Reader → sender: forget the subscription that `request` asked for, and its pin."""

    request: int


@dataclass(slots=True)
class Ended:
    """Sender → reader: no more data of `id`; `again` says whether to subscribe again."""

    id: int
    reason: str
    again: bool


@dataclass(slots=True)
class Offer:
    """Publisher → hub: I have messages for a channel, from `first` on, numbered in `epoch`."""

    id: int
    channel: str
    epoch: str | None
    first: int


@dataclass(slots=True)
class Offered:
    """Hub → publisher: your numbering is `known` up to `last`, or `new` in a fresh epoch."""

    id: int
    kind: Literal["known", "new"]
    epoch: str
    last: int
    limit: int


@dataclass(slots=True)
class Data:
    """Sender → receiver: a batch of payloads numbered `first`, `first` + 1, …

    One object serves every reader of a channel: `encoded` keeps its bytes per wire form, and its
    size is added up once.
    """

    id: int
    first: int
    payloads: list[bytes]
    text: bool
    encoded: dict[str, bytes] | None = field(default=None, repr=False, compare=False)
    _size: int = field(default=-1, init=False, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes of payload."""
        if self._size < 0:
            self._size = sum(map(len, self.payloads))
        return self._size


@dataclass(slots=True)
class Ack:
    """Receiver → sender: accepted (hub) or taken (reader) through `seq`; send up to `limit`."""

    id: int
    seq: int
    limit: int


@dataclass(slots=True)
class Gone:
    """Sender → receiver: `first`…`last` won't come; said before the data that follows."""

    id: int
    first: int
    last: int
    reason: str


@dataclass(slots=True)
class Refused:
    """Hub → publisher: not accepted; without `retry_after_ms` it never will be."""

    id: int
    first: int
    last: int
    code: str
    retry_after_ms: int | None


@dataclass(slots=True)
class Ping:
    """Are you there? `sent` counts the data frames this end has sent on the link."""

    number: int
    sent: int


@dataclass(slots=True)
class Pong:
    """The answer to ping `number`, with this end's own count of data frames sent."""

    number: int
    sent: int


@dataclass(slots=True)
class Goaway:
    """Server → client: move to another link within `within_ms`, spread over `spread_ms`."""

    within_ms: int
    spread_ms: int


@dataclass(slots=True)
class Close:
    """The last frame of a link: a code of `closing.py`, words, and when to come back."""

    code: int
    reason: str
    retry_after_ms: int | None


Frame = (
    Hello
    | Welcome
    | Subscribe
    | Subscribed
    | Unsubscribe
    | Ended
    | Offer
    | Offered
    | Data
    | Ack
    | Gone
    | Refused
    | Ping
    | Pong
    | Goaway
    | Close
)
