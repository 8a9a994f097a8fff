"""Walk WebSocket frame headers ahead of wsproto, and let nothing pass that breaks a limit.

wsproto limits neither frames nor messages, fragments nor pings, and yields a verdict on a header
before all of it has come. The scout holds a header back until it is whole, judges it (RFC 6455
section 5.2), and only then lets it and its payload through. So a limit is checked on the *declared*
length, before a byte of the payload is buffered; and the verdict, and what comes before it, are the
same for any chunking. It looks at no payload: UTF-8 and close codes are wsproto's.
"""

import enum
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from gapless.core.closing import Code

from .limits import Limits, TokenBucket


class Opcode(enum.IntEnum):
    """RFC 6455 section 11.8."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


_KNOWN = frozenset(Opcode)
_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_CONTROL = 0x08
_MASKED, _LENGTH = 0x80, 0x7F


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a wire ends: the close code and words for it."""

    code: int
    reason: str


class FrameScout:
    """Judge the frames of one direction."""

    def __init__(
        self,
        limits: Limits,
        *,
        from_client: bool,
        takes: AbstractSet[Opcode],
        max_message: int,
        now: float,
    ) -> None:
        """Take messages of the kinds in `takes`, of at most `max_message` bytes over fragments.

        From a client the first message, its hello, is at most `limits.max_hello` bytes.
        """
        self.completed = 0
        """Messages, and control frames between messages, that are complete."""
        self._mask_bit = _MASKED if from_client else 0
        self._takes = takes
        self._max_message = max_message
        self._limit = min(limits.max_hello, max_message) if from_client else max_message
        self._max_fragments = limits.max_fragments
        self._controls = TokenBucket(limits.control_burst, limits.control_rate, now=now)
        self._held: bytes = b""
        self._first_byte = 0
        self._payload_left = 0
        self._message_size = 0
        self._fragments = 0
        self._is_over = False

    @property
    def progress(self) -> int | None:
        """Bytes that have come of an unfinished message; None between messages."""
        if self._fragments:
            in_control = self._first_byte & _CONTROL
            return self._message_size - (0 if in_control else self._payload_left)
        return 0 if self._payload_left or self._held else None

    def scan(self, data: bytes, *, now: float) -> tuple[bytes, Fault | None]:
        """Return the bytes that may pass, and why nothing may pass behind them.

        Behind a close frame nothing passes, without a fault (section 5.5.1).
        """
        if self._held:
            data = self._held + data
            self._held = b""
        position, end = 0, len(data)
        while not self._is_over:
            step = min(self._payload_left, end - position)
            position += step
            self._payload_left -= step
            if self._payload_left:
                break
            if step:
                self._finish_frame()
                continue
            size = _header_size(data, position)
            if not size:
                self._held = data[position:]
                break
            fault = self._judge(data, position, size, now)
            if fault is not None:
                self._is_over = True
                return data[:position], fault
            position += size
            if not self._payload_left:
                self._finish_frame()
        return data[:position], None

    def _judge(self, data: bytes, position: int, size: int, now: float) -> Fault | None:
        first, second = data[position], data[position + 1]
        opcode = first & _OPCODE
        if first & _RESERVED:
            return _broken("a reserved bit is set, and no extension was negotiated")
        if opcode not in _KNOWN:
            return _broken(f"there is no opcode {opcode}")
        if second & _MASKED != self._mask_bit:
            return _broken("a client masks its frames, a server doesn't")
        length = second & _LENGTH
        if length > 125:
            wide = 2 if length == 126 else 8
            length = int.from_bytes(data[position + 2 : position + 2 + wide], "big")
            if length < (126 if wide == 2 else 2**16) or length >> 63:
                return _broken("a frame's length is written in a way that isn't allowed")
        self._first_byte = first
        self._payload_left = length
        if opcode & _CONTROL:
            return self._judge_control(opcode, bool(first & _FIN), length, now)
        return self._judge_data(opcode, length)

    def _judge_control(self, opcode: int, fin: bool, length: int, now: float) -> Fault | None:
        if not fin or length > 125:
            return _broken("a control frame is fragmented, or longer than 125 bytes")
        if opcode != Opcode.CLOSE and not self._controls.take(now=now):
            return Fault(Code.POLICY, "too many pings and pongs")
        return None

    def _judge_data(self, opcode: int, length: int) -> Fault | None:
        if (opcode == Opcode.CONTINUATION) is not bool(self._fragments):
            return _broken("a message begins within a message, or goes on where none began")
        if opcode != Opcode.CONTINUATION and opcode not in self._takes:
            kind = "text" if opcode == Opcode.TEXT else "binary"
            return Fault(Code.INVALID_DATA, f"this subprotocol has no {kind} messages")
        self._message_size += length
        self._fragments += 1
        if self._message_size > self._limit:
            return Fault(Code.TOO_BIG, f"a message is larger than {self._limit} bytes")
        if self._fragments > self._max_fragments:
            return Fault(Code.POLICY, f"a message has more than {self._max_fragments} fragments")
        return None

    def _finish_frame(self) -> None:
        opcode = self._first_byte & _OPCODE
        if opcode == Opcode.CLOSE:
            self._is_over = True
        elif opcode & _CONTROL:
            self.completed += not self._fragments
        elif self._first_byte & _FIN:
            self.completed += 1
            self._message_size = self._fragments = 0
            self._limit = self._max_message


def _header_size(data: bytes, position: int) -> int:
    """The length of the header that begins here, or 0 while it isn't whole."""
    if len(data) - position < 2:
        return 0
    second = data[position + 1]
    size = 2 + {126: 2, 127: 8}.get(second & _LENGTH, 0) + (4 if second & _MASKED else 0)
    return size if len(data) - position >= size else 0


def _broken(reason: str) -> Fault:
    return Fault(Code.PROTOCOL_ERROR, reason)
