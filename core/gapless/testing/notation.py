"""Notation: what goes into a machine and comes out of it, as JSON, and back.

    {"is": "Ack", "id": 1, "seq": 7, "limit": 65536}     a frame, an event, a command, an answer
    {"text": "hello"}, {"base64": "/w=="}                bytes
    {"reader": 2}                                        the second reader that was made
    {"outbox": "commands"}                               a client's outbox

What can't be written becomes {"unknown": TYPE}, and can't be read.
"""

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from gapless.core.authorize import Grant
from gapless.core.closing import CloseClass, Ending, Endings
from gapless.core.config import Config
from gapless.core.events import ChannelEvent, Command, SessionEvent, Settled
from gapless.core.export import Export, ExportedOutbox
from gapless.core.frames import Frame, Outcome, PinTerms
from gapless.core.local import LocalReader
from gapless.core.monitor import Alert
from gapless.core.news import Ticket
from gapless.core.outbox import Outbox
from gapless.core.position import Position
from gapless.core.store import Appended, AppendRefused, HistoryRead
from gapless.core.subscription import Subscription

from .redaction import (
    Json,
    Redaction,
    expanded,
    read_bytes,
    read_halves,
    redacted_payload,
    write_bytes,
    write_text,
)

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *get_args(Frame),
        *get_args(Outcome),
        *get_args(ChannelEvent),
        *get_args(SessionEvent),
        *get_args(Command),
        PinTerms,
        Settled,
        Ticket,
        Alert,
        Ending,
        Grant,
        Appended,
        AppendRefused,
        HistoryRead,
        Config,
        Endings,
        ExportedOutbox,
        Export,
    )
}
"""The plain data that machines take and give."""

SECRETS = frozenset({"token", "credentials", "principal"})
"""Fields and arguments that are secrets."""

NAMES = frozenset({"channel"})
WORDS = frozenset({"reason", "code"})
MAX_INT = 2**63 - 1


class CantRead(ValueError):
    """A line is none that this notation has written, or stands for what can't be written."""


class Notation:
    """Writes and reads the values of one machine.

    Args:
        redaction: what is replaced; None: nothing.
    """

    def __init__(self, redaction: Redaction | None = None) -> None:
        self._redaction = redaction
        self._readers: list[object] = []
        self._numbers: dict[int, int] = {}
        self._writers: dict[type[Any], Callable[[Any, str], Json]] = {
            type(None): lambda value, name: None,
            bool: lambda value, name: bool(value),
            int: lambda value, name: int(value) if abs(value) <= MAX_INT else {"unknown": "int"},
            float: lambda value, name: _write_float(value),
            str: self._write_text,
            bytes: lambda value, name: self._write_bytes(value),
            list: lambda value, name: [self.write(item, name) for item in value],
            tuple: lambda value, name: {"tuple": [self.write(item, name) for item in value]},
            Position: lambda value, name: {
                "is": "Position",
                "epoch": self.write(value.epoch),
                "seq": self.write(value.seq),
            },
            CloseClass: lambda value, name: {"is": "CloseClass", "class": value.value},
            Export: lambda value, name: {
                "is": "Export",
                "session": self.write(value.session),
                "token": self.write(value.token, "token"),
                "positions": {"tuple": [self._place(*pair) for pair in value.positions]},
                "outboxes": self.write(value.outboxes),
            },
            Subscription: lambda value, name: {"reader": self._number(value)},
            LocalReader: lambda value, name: {"reader": self._number(value)},
            Outbox: lambda value, name: {"outbox": self.write(value.channel, "channel")},
        }

    def write(self, value: object, name: str = "") -> Json:
        """Write a value; `name` is that of the field or the argument it belongs to."""
        writer = self._writers.get(type(value))
        if writer is None:
            writer = self._writers[type(value)] = self._new_writer(type(value))
        return writer(value, name)

    def read(self, value: Json) -> object:
        """Read what was written, with stand-ins for what was replaced.

        Raises:
            CantRead: it can't be.
        """
        match value:
            case list():
                return [self.read(item) for item in value]
            case {"tuple": list(items)}:
                return tuple(self.read(item) for item in items)
            case {"is": "Position", "epoch": str(epoch), "seq": int(seq)}:
                return Position(epoch, seq)
            case {"is": "CloseClass", "class": str(name)}:
                return CloseClass(name)
            case dict() as named if str(named.get("is")) in KINDS:
                return self._read_data(str(named["is"]), named)
            case {"text": str(written)}:
                return read_bytes("text", written)
            case {"base64": str(written)}:
                return read_bytes("base64", written)
            case {"halves": str(written)}:
                return read_halves(written)
            case {"float": str(written)}:
                return float(written)
            case {"reader": int(number)} if 0 < number <= len(self._readers):
                return self._readers[number - 1]
            case dict():
                plain = expanded(value)
                if plain == value:
                    raise CantRead(f"{value!r} can't be read")
                return self.read(plain)
            case _:
                return value

    # internals

    def _new_writer(self, kind: type[Any]) -> Callable[[Any, str], Json]:
        if issubclass(kind, int):
            return self._writers[int]
        for base in (Subscription, LocalReader, Outbox):
            if issubclass(kind, base):
                return self._writers[base]
        if KINDS.get(kind.__name__) is not kind or not is_dataclass(kind):
            return lambda value, name: {"unknown": kind.__name__}
        names = [field.name for field in fields(kind) if field.compare]

        def write_data(value: object, name: str) -> Json:
            written: dict[str, Json] = {"is": kind.__name__}
            for field in names:
                written[field] = self.write(getattr(value, field), field)
            return written

        return write_data

    def _write_text(self, text: str, name: str) -> Json:
        redaction = self._redaction
        if redaction is None:
            return write_text(text)
        if name in SECRETS:
            return redaction.secret(text)
        if name in NAMES:
            return redaction.channel(text)
        return write_text(redaction.words(text) if name in WORDS else redaction.public(text))

    def _write_bytes(self, data: bytes) -> Json:
        return write_bytes(data) if self._redaction is None else redacted_payload(data)

    def _place(self, channel: str, position: Position) -> Json:
        return {"tuple": [self.write(channel, "channel"), self.write(position)]}

    def _number(self, reader: object) -> int:
        number = self._numbers.get(id(reader))
        if number is None:
            # Held for ever, or another one could get its id.
            self._readers.append(reader)
            number = self._numbers[id(reader)] = len(self._readers)
        return number

    def _read_data(self, kind: str, named: dict[str, Json]) -> object:
        values = {name: self.read(value) for name, value in named.items() if name != "is"}
        try:
            data: object = KINDS[kind](**values)
        except (TypeError, ValueError) as fault:
            raise CantRead(f"{kind} can't be read: {fault}") from None
        return data


def _write_float(value: float) -> Json:
    return value if math.isfinite(value) else {"float": str(value)}
