"""Export: a session as plain data, to be carried on by another process.

`ClientSession.export` makes it and ends the session there; `ClientSession.restore` carries it on.
What exists is valid: every field is checked when it is made, also from a file that somebody else
wrote (`from_dict`), and the error names the field and the channel. `repr` shows neither the token
nor payloads.

A restored session resumes the exporter's if the server still has it. Then every imported message is
applied once, however often the same export is restored: it is offered under the numbers it had, and
the server knows which of these it has accepted. If it doesn't have the session, nobody can say what
it had accepted: all that was imported under an epoch is *unknown*, and nothing of it is sent again.
What never had an epoch was never sent, and has no number that would make it once: it is *unsent*.

Every import is told exactly once how it ended, however often a session is handed on: what has ended
where it was restored and wasn't told there goes along with the next export (`ended`).
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast, get_args

from .config import Config
from .errors import ConfigError, InvalidPosition, NotText
from .events import Settled, SettledOutcome
from .history import ENTRY_BYTES
from .position import (
    MAX_SEQ,
    MAX_TOKEN,
    Position,
    channel_fault,
    check_secret,
    check_text,
    has_surrogates,
    is_epoch,
)

VERSION = 1
"""Of the dictionary that `Export.to_dict` makes."""

MAX_SESSION = 256
"""Characters of a session's public id."""

Payload = tuple[bytes, bool]
"""(payload, whether it is text)"""


@dataclass(frozen=True, slots=True)
class ExportedOutbox:
    """What a session had published to a channel and not heard the end of.

    Attributes:
        channel: its name.
        epoch: the publisher's epoch; None: the server was never offered anything of this.
        first: the application's number of the first message held, or of the next publish.
        seq: the number of the first message held within the epoch.
        sent: how many of the messages were sent. All that have an epoch count as sent once they
            are restored, since another restore of the same export may send them.
        messages: the payloads, each with whether it is text.
        ended: what became of earlier ones, which were brought here and which nobody was told of
            yet: in order, all below `first`.
    """

    channel: str
    epoch: str | None
    first: int
    seq: int
    sent: int
    messages: tuple[Payload, ...] = field(repr=False)
    ended: tuple[Settled, ...] = ()

    def __post_init__(self) -> None:
        _check_channel("channel", self.channel)
        if self.channel.startswith("@"):
            raise ConfigError(f"Export.channel is {self.channel!r}; it can't be published to")
        where = _of(self.channel)
        if self.epoch is not None:
            _check_epoch(f"epoch{where}", self.epoch)
        _check_tuple(f"messages{where}", self.messages)
        count = len(self.messages)
        _check_number(f"first{where}", self.first, 1, MAX_SEQ - count)
        _check_number(f"seq{where}", self.seq, 1, self.first)
        _check_number(f"sent{where}", self.sent, 0, 0 if self.epoch is None else count)
        for message in self.messages:
            _check_message(f"messages{where}", message)
        _check_tuple(f"ended{where}", self.ended)
        before = 0
        for word in self.ended:
            before = _check_word(f"ended{where}", word, self.channel, before, self.first)

    @property
    def size(self) -> int:
        """Bytes of payload."""
        return sum(len(payload) for payload, _ in self.messages)

    @property
    def memory(self) -> int:
        """Bytes that it takes where it is restored: messages, and word of earlier ones."""
        return self.size + ENTRY_BYTES * (len(self.messages) + len(self.ended))


@dataclass(frozen=True, slots=True)
class Export:
    """A session that has ended here and can be restored elsewhere.

    Attributes:
        session: its public id, or None if it was never connected.
        token: the secret that resumes it.
        positions: pairs of a channel that was read and the place up to which all was taken.
        outboxes: what was published, channel by channel.

    Raises:
        ConfigError: a field can't be; the message names it.
    """

    session: str | None
    token: str | None = field(repr=False)
    positions: tuple[tuple[str, Position], ...] = ()
    outboxes: tuple[ExportedOutbox, ...] = ()

    def __post_init__(self) -> None:
        check_secret("Export.session", self.session, MAX_SESSION, least=1)
        check_secret("Export.token", self.token, MAX_TOKEN, least=1)
        _check_tuple("positions", self.positions)
        for pair in self.positions:
            _check_place(pair)
        _check_tuple("outboxes", self.outboxes)
        for outbox in self.outboxes:
            _check_outbox(outbox)
        _check_once("positions", [channel for channel, _ in self.positions])
        _check_once("outboxes", [outbox.channel for outbox in self.outboxes])

    def position(self, channel: str) -> Position | None:
        """The place up to which a channel was taken; None if it wasn't read so far."""
        return dict(self.positions).get(channel)

    def with_ended(self, words: Iterable[Settled]) -> "Export":
        """Bring word along that was taken (`next_settled`) and not passed on to who asked.

        Raises:
            ConfigError: it isn't of what was brought here, in the order in which it was taken.
        """
        taken: dict[str, list[Settled]] = {}
        for word in words:
            taken.setdefault(word.channel, []).append(word)
        outboxes = tuple(
            replace(outbox, ended=(*taken.pop(outbox.channel, ()), *outbox.ended))
            for outbox in self.outboxes
        )
        for channel in taken:
            raise ConfigError(f"Export.ended names channel {channel!r}, which is not exported")
        return replace(self, outboxes=outboxes)

    def to_dict(self) -> dict[str, object]:
        """Spell it in str, int, list, dict and None, as JSON and msgpack can store them.

        A payload that is text is a str, any other `["base64"]`, as on the wire; a position is
        "EPOCH:SEQ".
        """
        return {
            "version": VERSION,
            "session": self.session,
            "token": self.token,
            "positions": {channel: str(position) for channel, position in self.positions},
            "outboxes": [
                {
                    "channel": outbox.channel,
                    "epoch": outbox.epoch,
                    "first": outbox.first,
                    "seq": outbox.seq,
                    "sent": outbox.sent,
                    "messages": [
                        payload.decode() if text else [b64encode(payload).decode()]
                        for payload, text in outbox.messages
                    ],
                    "ended": [
                        {
                            "first": word.first,
                            "last": word.last,
                            "outcome": word.outcome,
                            "epoch": word.epoch,
                            "seq": word.seq,
                            "code": word.code,
                        }
                        for word in outbox.ended
                    ],
                }
                for outbox in self.outboxes
            ],
        }

    @classmethod
    def from_dict(cls, data: object) -> "Export":
        """Read what `to_dict` made.

        Raises:
            ConfigError: it is something else; the message names the field.
        """
        table = _table("data", data)
        if _entry(table, "version") != VERSION or table["version"] is True:
            raise ConfigError(f"Export.version is {_shown(table['version'])}, not {VERSION}")
        positions = _table("positions", _entry(table, "positions"))
        outboxes = _entries("outboxes", _entry(table, "outboxes"))
        return cls(
            cast("str | None", _entry(table, "session")),
            cast("str | None", _entry(table, "token")),
            tuple((cast("str", name), _position(text)) for name, text in positions.items()),
            tuple(_outbox(_table("outboxes", outbox)) for outbox in outboxes),
        )


def check_room(exported: Export, config: Config, outbox_bytes: int) -> None:
    """Refuse what a session with these settings can't hold (P3).

    Args:
        exported: what is to be restored.
        config: the session's.
        outbox_bytes: bytes that an outbox takes beside its messages.

    Raises:
        ConfigError: the message names the field.
    """
    if len(exported.outboxes) > config.max_channels:
        raise ConfigError(
            f"{len(exported.outboxes)} channels are to be restored, more than Config.max_channels"
        )
    for outbox in exported.outboxes:
        where = f"to be restored for channel {outbox.channel!r}, more than Config."
        if len(outbox.messages) > config.history_messages:
            raise ConfigError(f"{len(outbox.messages)} messages are {where}history_messages")
        if outbox.size > config.history_bytes:
            raise ConfigError(f"{outbox.size} bytes are {where}history_bytes")
        largest = max((len(payload) for payload, _ in outbox.messages), default=0)
        if largest > config.max_message:
            raise ConfigError(f"a message of {largest} bytes is {where}max_message")
    size = sum(outbox_bytes + outbox.memory for outbox in exported.outboxes)
    if size > config.memory_limit:
        raise ConfigError(
            f"what is to be restored takes {size} bytes, more than Config.memory_limit"
        )


def _outbox(table: Mapping[object, object]) -> ExportedOutbox:
    channel = _entry(table, "channel")
    where = _of(channel)
    messages = _entries(f"messages{where}", _entry(table, "messages", where))
    ended = _entries(f"ended{where}", _entry(table, "ended", where))
    return ExportedOutbox(
        cast("str", channel),
        cast("str | None", _entry(table, "epoch", where)),
        cast("int", _entry(table, "first", where)),
        cast("int", _entry(table, "seq", where)),
        cast("int", _entry(table, "sent", where)),
        tuple(_message(f"messages{where}", payload) for payload in messages),
        tuple(_word(_table(f"ended{where}", word), cast("str", channel), where) for word in ended),
    )


def _message(name: str, payload: object) -> Payload:
    if isinstance(payload, str):
        if has_surrogates(payload):
            raise ConfigError(f"Export.{name} has text with lone surrogates")
        return payload.encode(), True
    written = _entries(name, payload)
    if len(written) != 1 or not isinstance(written[0], str):
        raise ConfigError(f"Export.{name} has one that is neither text nor [base64]")
    try:
        return b64decode(written[0], validate=True), False
    except ValueError:
        raise ConfigError(f"Export.{name} has one that is no base64") from None


def _word(table: Mapping[object, object], channel: str, where: str) -> Settled:
    where = f" in ended{where}"
    return Settled(
        channel,
        cast("int", _entry(table, "first", where)),
        cast("int", _entry(table, "last", where)),
        cast("SettledOutcome", _entry(table, "outcome", where)),
        cast("str", _entry(table, "epoch", where)),
        cast("int", _entry(table, "seq", where)),
        cast("str", _entry(table, "code", where)),
    )


def _position(text: object) -> Position:
    try:
        return Position.parse(text)
    except InvalidPosition:
        raise ConfigError(f"Export.positions has {_shown(text)}, which is no EPOCH:SEQ") from None


def _table(name: str, value: object) -> Mapping[object, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"Export.{name} is a {type(value).__name__}; it must be a dict")
    return cast("Mapping[object, object]", value)


def _entries(name: str, value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"Export.{name} is a {type(value).__name__}; it must be a list")
    return list(cast("list[object]", value))


def _entry(table: Mapping[object, object], name: str, where: str = "") -> object:
    if name not in table:
        raise ConfigError(f"Export.{name}{where} is missing")
    return table[name]


def _of(channel: object) -> str:
    return f" of channel {_shown(channel)}"


def _check_tuple(name: str, value: object) -> None:
    if not isinstance(value, tuple):
        raise ConfigError(f"Export.{name} is a {type(value).__name__}; it must be a tuple")


def _check_number(name: str, value: object, least: int, most: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= cast("int", value) <= most:
        raise ConfigError(f"Export.{name} is {_shown(value)}; it must be {least} … {most}")


def _check_channel(name: str, value: object) -> None:
    fault = channel_fault(value)
    if fault is not None:
        raise ConfigError(f"Export.{name} has channel {_shown(value)}: {fault}")


def _check_epoch(name: str, value: object) -> None:
    if not is_epoch(value):
        raise ConfigError(f"Export.{name} is {_shown(value)}, which names no epoch")


def _check_place(pair: object) -> None:
    channel, position = _two(pair) or (None, None)
    if not isinstance(position, Position):
        raise ConfigError(f"Export.positions has {_shown(pair)}; use pairs (channel, Position)")
    _check_channel("positions", channel)
    _check_epoch("positions", position.epoch)
    _check_number("positions", position.seq, 0, MAX_SEQ)


def _check_outbox(outbox: object) -> None:
    if not isinstance(outbox, ExportedOutbox):
        raise ConfigError(f"Export.outboxes has {_shown(outbox)}; use ExportedOutbox")


def _check_message(name: str, message: object) -> None:
    payload, text = _two(message) or (None, None)
    if not isinstance(payload, bytes) or not isinstance(text, bool):
        raise ConfigError(f"Export.{name} has one that isn't (payload, whether it is text)")
    try:
        if text:
            check_text(payload)
    except NotText as error:
        raise ConfigError(f"Export.{name} has text that is none: {error}") from None


def _check_word(name: str, word: object, channel: str, before: int, below: int) -> int:
    """Refuse word of what can't have ended before `below`; returns its last number."""
    if not isinstance(word, Settled) or word.channel != channel:
        raise ConfigError(f"Export.{name} has one that isn't a Settled of that channel")
    _check_number(name, word.first, before + 1, below - 1)
    _check_number(name, word.last, word.first, below - 1)
    if word.outcome not in get_args(SettledOutcome):
        raise ConfigError(f"Export.{name} has outcome {_shown(word.outcome)}, which is none")
    if word.epoch != "":
        _check_epoch(name, word.epoch)
    _check_number(name, word.seq, 0, MAX_SEQ)
    _check_code(name, word.code)
    return word.last


def _check_code(name: str, code: object) -> None:
    if not isinstance(code, str) or has_surrogates(code):
        raise ConfigError(f"Export.{name} has code {_shown(code)}; it must be text")


def _two(value: object) -> tuple[object, object] | None:
    """Take a pair for what it is."""
    if not isinstance(value, tuple) or len(cast("tuple[object, ...]", value)) != 2:
        return None
    return cast("tuple[object, object]", value)


def _check_once(name: str, channels: list[str]) -> None:
    if len(set(channels)) != len(channels):
        raise ConfigError(f"Export.{name} names a channel twice")


def _shown(value: object) -> str:
    """A wrong value in an error, short, whatever it is."""
    if isinstance(value, int) and value.bit_length() > 64:
        # Python spells no number of more than 4300 digits.
        return f"a number of {value.bit_length()} bits"
    return repr(value)[:80] if isinstance(value, str | int | None) else type(value).__name__
