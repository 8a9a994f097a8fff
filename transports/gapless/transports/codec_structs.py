"""The frames as they stand on the wire: msgspec twins of `core.frames`, and their limits.

This module is the schema; `docs/protocol.md` repeats it in words.

*JSON.* A frame is an object. Its `type` is the frame's name in lower case; the other members are
the fields below, by name. Members that may be null may be left out, and are left out by us.
Members a reader doesn't know are ignored; of a member given twice the last counts.

*msgpack.* A frame is an array: the same name, then the same fields in the order below; what may
be null is null. Further elements are ignored. Arrays take half the time and size of maps (measured:
an ack 85 against 236 ns and 16 against 34 bytes).

In both:

- an integer is 0 … 2**53 - 1 and nothing else: no float, no boolean, no string; a `Seq` is ≥ 1;
- a string is valid UTF-8 without lone surrogates; its length is counted in characters;
- since is `[epoch, seq]`, `"latest"` or `"earliest"`; a pin is `[patience_ms, history_count]`;
- an outcome is `["live"]`, `["recovered", count]`, `["partial", first, last, reason]`,
  `["reset", reason]` or `["refused", code]`; only a refused `subscribed` may have the epoch "";
- a batch of payloads has one of two types, for msgspec can't tell `str` from `bytes` in one
  field: `text`, strings in both codecs, and `data`: msgpack bin; in JSON one-element arrays
  `["base64"]` (RFC 4648 section 4, padded).

What msgspec can't say (epochs, channel names, sums) is checked in `codec_convert`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar, cast

import msgspec
from msgspec import Meta

from gapless.core.position import MAX_CHANNEL_BYTES, MAX_SEQ

MAX_BATCH = 128
"""Most payloads in one data frame."""

MAX_TOKEN = 512
MAX_CREDENTIALS = 4096
MAX_SESSION = 128
MAX_WORDS = 256
"""Longest reason or code, in characters."""

Count = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
Seq = Annotated[int, Meta(ge=1, le=MAX_SEQ)]
Token = Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
Credentials = Annotated[str, Meta(max_length=MAX_CREDENTIALS)]
SessionId = Annotated[str, Meta(min_length=1, max_length=MAX_SESSION)]
Words = Annotated[str, Meta(max_length=MAX_WORDS)]
Channel = Annotated[str, Meta(min_length=1, max_length=MAX_CHANNEL_BYTES)]
Epoch = Annotated[str, Meta(max_length=64)]
Since = tuple[Epoch, Count] | Literal["latest", "earliest"]
Pin = tuple[Count, Count]

_Batch = Meta(min_length=1, max_length=MAX_BATCH)
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class _Twin(msgspec.Struct, omit_defaults=True):
    """A frame. Its representation hides what is in it: tokens, credentials, payloads."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Hello(_Twin, tag="hello"):
    version: Count
    max_message: Count
    token: Token | None = None
    credentials: Credentials | None = None


class Welcome(_Twin, tag="welcome"):
    session: SessionId
    token: Token
    resumed: bool
    heartbeat_ms: Count
    lease_ms: Count
    max_message: Count
    max_channels: Count


class Subscribe(_Twin, tag="subscribe"):
    request: Count
    channel: Channel
    since: Since
    limit: Count


class Live(msgspec.Struct, tag="live", array_like=True):
    pass


class Recovered(msgspec.Struct, tag="recovered", array_like=True):
    count: Count


class Partial(msgspec.Struct, tag="partial", array_like=True):
    first: Seq
    last: Seq
    reason: Words


class Reset(msgspec.Struct, tag="reset", array_like=True):
    reason: Words


class Denied(msgspec.Struct, tag="refused", array_like=True):
    code: Words


Outcome = Live | Recovered | Partial | Reset | Denied


class Subscribed(_Twin, tag="subscribed"):
    request: Count
    outcome: Outcome
    id: Count
    epoch: Epoch
    next_seq: Count
    head: Count
    pin: Pin | None = None


class Unsubscribe(_Twin, tag="unsubscribe"):
    request: Count


class Ended(_Twin, tag="ended"):
    id: Count
    reason: Words
    again: bool


class Offer(_Twin, tag="offer"):
    id: Count
    channel: Channel
    first: Count
    epoch: Epoch | None = None


class Offered(_Twin, tag="offered"):
    id: Count
    kind: Literal["known", "new"]
    epoch: Epoch
    last: Count
    limit: Count


class Text(_Twin, tag="text"):
    id: Count
    first: Seq
    payloads: Annotated[list[str], _Batch]


class Binary(_Twin, tag="data"):
    id: Count
    first: Seq
    payloads: Annotated[list[bytes], _Batch]


class Base64(_Twin, tag="data"):
    """`Binary` in JSON; msgspec reads and writes bytes as base64 there."""

    id: Count
    first: Seq
    payloads: Annotated[list[tuple[bytes]], _Batch]


class Ack(_Twin, tag="ack"):
    id: Count
    seq: Count
    limit: Count


class Gone(_Twin, tag="gone"):
    id: Count
    first: Seq
    last: Seq
    reason: Words


class Refused(_Twin, tag="refused"):
    id: Count
    first: Seq
    last: Seq
    code: Words
    retry_after_ms: Count | None = None


class Ping(_Twin, tag="ping"):
    number: Count
    sent: Count


class Pong(_Twin, tag="pong"):
    number: Count
    sent: Count


class Goaway(_Twin, tag="goaway"):
    within_ms: Count
    spread_ms: Count


class Close(_Twin, tag="close"):
    code: Count
    reason: Words
    retry_after_ms: Count | None = None


ControlTwin = (
    Hello
    | Welcome
    | Subscribe
    | Subscribed
    | Unsubscribe
    | Ended
    | Offer
    | Offered
    | Ack
    | Gone
    | Refused
    | Ping
    | Pong
    | Goaway
    | Close
)
"""Every frame but the batches of payloads."""

BinaryTwin = ControlTwin | Text | Binary
Base64Twin = ControlTwin | Text | Base64


@dataclass(frozen=True, slots=True)
class Schema:
    """The control twins one codec writes: objects, or arrays, by the same definitions."""

    hello: type[Hello]
    welcome: type[Welcome]
    subscribe: type[Subscribe]
    subscribed: type[Subscribed]
    unsubscribe: type[Unsubscribe]
    ended: type[Ended]
    offer: type[Offer]
    offered: type[Offered]
    ack: type[Ack]
    gone: type[Gone]
    refused: type[Refused]
    ping: type[Ping]
    pong: type[Pong]
    goaway: type[Goaway]
    close: type[Close]


def _as_array(struct: type[_Struct]) -> type[_Struct]:
    """Make the twin that is written as an array, its name first."""
    tag = struct.__struct_config__.tag
    made = msgspec.defstruct(struct.__name__, [], bases=(struct,), array_like=True, tag=tag)
    return cast(type[_Struct], made)


OBJECTS = Schema(
    hello=Hello,
    welcome=Welcome,
    subscribe=Subscribe,
    subscribed=Subscribed,
    unsubscribe=Unsubscribe,
    ended=Ended,
    offer=Offer,
    offered=Offered,
    ack=Ack,
    gone=Gone,
    refused=Refused,
    ping=Ping,
    pong=Pong,
    goaway=Goaway,
    close=Close,
)
"""What JSON carries."""

ARRAYS = Schema(
    hello=_as_array(Hello),
    welcome=_as_array(Welcome),
    subscribe=_as_array(Subscribe),
    subscribed=_as_array(Subscribed),
    unsubscribe=_as_array(Unsubscribe),
    ended=_as_array(Ended),
    offer=_as_array(Offer),
    offered=_as_array(Offered),
    ack=_as_array(Ack),
    gone=_as_array(Gone),
    refused=_as_array(Refused),
    ping=_as_array(Ping),
    pong=_as_array(Pong),
    goaway=_as_array(Goaway),
    close=_as_array(Close),
)
"""What msgpack carries."""

TextArray = _as_array(Text)
BinaryArray = _as_array(Binary)

ARRAY_UNION = cast(
    "type[BinaryTwin]",
    TextArray
    | BinaryArray
    | ARRAYS.hello
    | ARRAYS.welcome
    | ARRAYS.subscribe
    | ARRAYS.subscribed
    | ARRAYS.unsubscribe
    | ARRAYS.ended
    | ARRAYS.offer
    | ARRAYS.offered
    | ARRAYS.ack
    | ARRAYS.gone
    | ARRAYS.refused
    | ARRAYS.ping
    | ARRAYS.pong
    | ARRAYS.goaway
    | ARRAYS.close,
)
"""What a msgpack decoder reads. The classes are made at run time, so the checkers are told."""
