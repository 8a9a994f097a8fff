"""WebSocket messages on an open connection: bytes ⇄ whole messages, pongs and the close.

The scout lets pass what keeps the limits, wsproto unmasks it and checks UTF-8 and close codes, and
fragments are joined here, in one buffer. `receive` returns what became of the bytes; a `PeerClosed`
or a `Fault` is the last item there will be. What wsproto could not parse is the end of the link: it
would stay OPEN and go deaf, so it is fed no more.

Pings are answered with the latest only, when bytes are asked for: a flood costs one pong.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from gapless.core.closing import Code

from .contain import Failure, contained
from .frame_scout import Fault, FrameScout, Opcode
from .limits import Limits

MAX_REASON = 123
"""Bytes of a close reason."""

_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


@dataclass(frozen=True, slots=True)
class Whole:
    """A complete message; text as its UTF-8."""

    data: bytes | bytearray
    is_text: bool


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer's close frame."""

    code: int
    reason: str


class MessageStream:
    """Messages of one open WebSocket."""

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        *,
        takes: AbstractSet[Opcode],
        max_message: int,
        now: float,
    ) -> None:
        """Go on where the handshake left `connection`."""
        self._connection = connection
        from_client = not connection.client
        self._scout = FrameScout(
            limits, from_client=from_client, takes=takes, max_message=max_message, now=now
        )
        self._parts = bytearray()
        self._pong: bytes | None = None
        self._is_closing = False

    @property
    def held(self) -> int:
        """Bytes of an unfinished message."""
        return len(self._parts)

    @property
    def progress(self) -> int | None:
        """Bytes that have come of an unfinished message; None between messages."""
        return self._scout.progress

    @property
    def completed(self) -> int:
        """A count that moves when something unfinished is complete."""
        return self._scout.completed

    def receive(self, data: bytes, *, now: float) -> list[Whole | PeerClosed | Fault]:
        """Take bytes; return what they complete."""
        passed, fault = self._scout.scan(data, now=now)
        items = self._feed(passed) if passed else []
        if fault is not None and not _is_last(items):
            items.append(fault)
        return items

    def message(self, data: bytes, is_text: bool) -> bytes:
        """Frame a message; a client's is masked."""
        if is_text:
            return self._connection.send(TextMessage(data=str(data, "utf-8")))
        return self._connection.send(BytesMessage(data=data))

    def pong_to_send(self) -> bytes:
        """Answer the latest ping, if there is one to answer."""
        if self._pong is None:
            return b""
        pong = Pong(payload=self._pong)
        self._pong = None
        return self._answer(pong)

    def close(self, code: int, reason: str) -> bytes:
        """Frame a close. A code that may not be sent becomes 1001, a long reason is cut.

        Messages that still come are thrown away.
        """
        self._is_closing = True
        self._parts.clear()
        words = reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")
        code = code if code in _SENDABLE else Code.GOING_AWAY
        return self._answer(CloseConnection(code=code, reason=words))

    def close_reply(self, code: int) -> bytes:
        """Answer the peer's close with its own code, or with none if it gave none."""
        none = CloseReason.NO_STATUS_RCVD
        return self._answer(CloseConnection(code=none if code == none else code))

    def _feed(self, data: bytes) -> list[Whole | PeerClosed | Fault]:
        items: list[Whole | PeerClosed | Fault] = []
        failure = contained(self._connection.receive_data, data)
        events = self._connection.events()
        while failure is None:
            event = contained(_next_event, events)
            if event is None:
                return items
            if isinstance(event, Failure):
                break
            item = self._take(event)
            if item is not None:
                items.append(item)
            if _is_last(items):
                return items
        items.append(Fault(Code.PROTOCOL_ERROR, "a WebSocket frame is malformed"))
        return items

    def _take(self, event: Event) -> Whole | PeerClosed | Fault | None:
        match event:
            case BytesMessage():
                return self._join(event.data, event.message_finished, is_text=False)
            case TextMessage():
                return self._join(event.data.encode(), event.message_finished, is_text=True)
            case Ping():
                self._pong = bytes(event.payload)
            case CloseConnection():
                return self._closed(event)
            case _:
                pass
        return None

    def _join(self, part: bytes | bytearray, finished: bool, *, is_text: bool) -> Whole | None:
        if self._is_closing:
            return None
        if finished and not self._parts:
            return Whole(part, is_text)
        self._parts += part
        if not finished:
            return None
        whole = Whole(self._parts, is_text)
        self._parts = bytearray()
        return whole

    def _closed(self, event: CloseConnection) -> PeerClosed | Fault:
        """Tell the peer's close from wsproto's way of saying that it can't parse."""
        if self._connection.state in (ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED):
            return PeerClosed(int(event.code), event.reason or "")
        if event.code == Code.INVALID_DATA:
            # wsproto's words name a position that depends on how the bytes were cut.
            return Fault(Code.INVALID_DATA, "text is not UTF-8")
        return Fault(int(event.code), event.reason or "a WebSocket frame is malformed")

    def _answer(self, event: Event) -> bytes:
        output = contained(self._connection.send, event)
        return b"" if isinstance(output, Failure) else output


def _next_event(events: Iterator[Event]) -> Event | None:
    return next(events, None)


def _is_last(items: list[Whole | PeerClosed | Fault]) -> bool:
    return bool(items) and not isinstance(items[-1], Whole)
