"""What both roles of the WebSocket handshake share: reading an HTTP head, and the outcomes.

h11 parses heads here and never collects them: its own limit on an unfinished head gives another
verdict for another chunking, it takes bare line feeds, and it waits for the end of what can't be
HTTP. A head is collected first, then parsed whole.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wsproto.connection import Connection

from gapless.core.closing import Ending

from .codec import Codec

MAX_HEAD = 16 * 1024
"""Bytes of the longest head taken, its blank line included."""

MAX_HEADERS = 100

_END_OR_BARE = re.compile(rb"\r\n\r\n|(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Head:
    """An HTTP head up to and with its blank line, and the bytes that came behind it."""

    head: bytes
    rest: bytes


@dataclass(frozen=True, slots=True)
class HeadFault:
    """The bytes are no acceptable HTTP head."""

    reason: str
    status: int


class HeadReader:
    """Collect a head. The verdict depends on the bytes alone, not on how they are cut."""

    def __init__(self, opening_fault: Callable[[bytes], str | None]) -> None:
        """`opening_fault` judges the first bytes, at most eight, as they come."""
        self._opening_fault = opening_fault
        self._buffer = bytearray()

    @property
    def held(self) -> int:
        """Bytes held."""
        return len(self._buffer)

    def receive(self, data: bytes) -> Head | HeadFault | None:
        """Take bytes; None asks for more."""
        seen = len(self._buffer)
        self._buffer += data[: MAX_HEAD - seen]
        fault = self._opening_fault(bytes(self._buffer[:8]))
        if fault is not None:
            return HeadFault(fault, 400)
        match = _END_OR_BARE.search(self._buffer, max(0, seen - 3))
        if match is None:
            full = len(self._buffer) == MAX_HEAD
            return HeadFault(f"its head is longer than {MAX_HEAD} bytes", 431) if full else None
        if match[0] == b"\n":
            return HeadFault("a line of its head ends without a carriage return", 400)
        rest = bytes(self._buffer[match.end() :]) + data[MAX_HEAD - seen :]
        head = bytes(self._buffer[: match.end()])
        self._buffer.clear()
        return Head(head, rest)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The handshake is done: `connection` frames messages, `codec` reads them.

    Attributes:
        target: path and query the client asked for.
        output: bytes to send.
        rest: bytes that came behind the handshake.
    """

    connection: Connection
    codec: Codec
    target: str
    output: bytes
    rest: bytes


@dataclass(frozen=True, slots=True)
class Declined:
    """There will be no WebSocket. `output` is the answer to the peer, if it gets one."""

    ending: Ending
    output: bytes


class Handshake(Protocol):
    """One role's part of the handshake."""

    @property
    def held(self) -> int:
        """Bytes held."""
        ...

    @property
    def is_refused(self) -> bool:
        """Whether the peer has refused and only its words are still awaited."""
        ...

    def start(self) -> bytes:
        """Give the bytes that open the handshake."""
        ...

    def receive(self, data: bytes) -> Accepted | Declined | None:
        """Take bytes; None asks for more."""
        ...

    def end_of_stream(self) -> Declined:
        """The peer has hung up."""
        ...

    def expire(self, seconds: float) -> Declined:
        """`seconds` have passed and the handshake is not done."""
        ...
