"""The WebSocket wire, both roles: handshake, then frames in messages, then the close.

    HANDSHAKE → OPEN → CLOSING ──────→ DONE     we close: a close frame, then the peer's is awaited
        │         ├──→ FLUSHING ─────→ DONE     the peer closed: its answer is to be written
        └─────────┴──→ LINGERING ─┬──→ DONE     it failed: our words are to be written and read;
                                  └──→ FLUSHING the peer hung up first: only written

A wire that failed parses nothing more; it lingers until the peer hangs up, so that the words reach
it and are not overtaken by a reset. Every phase but OPEN and DONE has a deadline, OPEN has one
while a message is unfinished. DONE holds nothing and has no deadline. `WireEnded` is the last
event, and a wire the local end closed yields none.
"""

import enum
from collections.abc import Iterable

from gapless.core.closing import Code, Ending
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.frames import Data, Frame

from .codec import Codec
from .codec_convert import CodecError
from .frame_scout import Fault, Opcode
from .handshake import Accepted, Declined, Handshake
from .handshake_client import ClientHandshake
from .handshake_server import ServerHandshake
from .limits import Limits, MessageClock
from .messages import MessageStream, PeerClosed, Whole
from .origin import OriginPolicy
from .wire import FrameReceived, WireEnded, WireEvent, WireOpened


class _Phase(enum.Enum):
    HANDSHAKE = "handshake"
    OPEN = "open"
    CLOSING = "closing"
    FLUSHING = "flushing"
    LINGERING = "lingering"
    DONE = "done"


class _WebSocket:
    """A `Wire`; the roles differ in their handshake and in what may be cached."""

    def __init__(self, handshake: Handshake, limits: Limits, *, now: float) -> None:
        self._limits = limits
        self._handshake: Handshake | None = handshake
        self._stream: MessageStream | None = None
        self._codec: Codec | None = None
        self._cache_key = ""
        self._phase = _Phase.HANDSHAKE
        self._deadline: float | None = now + limits.handshake_timeout
        self._clock = MessageClock(limits)
        self._output: list[bytes] = []
        self._output_size = 0
        self._put(handshake.start())

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done and nothing has ended the wire."""
        return self._phase is _Phase.OPEN

    @property
    def is_finished(self) -> bool:
        """Whether the socket may be closed: nothing is to be sent and nothing is waited for."""
        return self._phase is _Phase.DONE

    def next_deadline(self) -> float | None:
        """The next time `handle_timeout` has something to do, or None."""
        return self._clock.deadline if self._phase is _Phase.OPEN else self._deadline

    def buffered(self) -> int:
        """Bytes held: unfinished messages in (a control frame apart), unsent bytes out."""
        unfinished = self._handshake or self._stream
        return self._output_size + (unfinished.held if unfinished is not None else 0)

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        """Take bytes from the peer; b"" is the end of its stream."""
        if self._phase is _Phase.OPEN:
            return self._receive_open(data, now)
        if self._handshake is not None:
            return self._receive_handshake(self._handshake, data, now)
        if self._phase is _Phase.CLOSING:
            self._receive_closing(data, now)
        elif self._phase is _Phase.LINGERING and not data:
            self._flush(now)
        return []

    def handle_timeout(self, *, now: float) -> list[WireEvent]:
        """Let time pass: deadlines of the handshake, an unfinished message, a close reply."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        if self._handshake is not None:
            return self._decline(self._handshake.expire(self._limits.handshake_timeout), now)
        if self._phase is _Phase.OPEN:
            return [self._fail(Code.TIMEOUT, "a message was begun and not finished", now)]
        self._finish()
        return []

    def send_frame(self, frame: Frame, *, now: float) -> None:
        """Encode a frame behind what is already to be sent. Ignored once the wire has ended.

        Raises:
            InvalidState: the wire is not open yet: its codec isn't known.
            CodecError: a payload of a text batch is not UTF-8.
        """
        if self._handshake is not None:
            raise InvalidState("a frame can't be sent before the wire is open")
        if self._phase is not _Phase.OPEN or self._stream is None or self._codec is None:
            return
        if not self._cache_key or not isinstance(frame, Data):
            self._put(self._stream.message(self._codec.encode(frame), self._codec.is_text))
            return
        if frame.encoded is None:
            frame.encoded = {}
        encoded = frame.encoded.get(self._cache_key)
        if encoded is None:
            encoded = self._stream.message(self._codec.encode(frame), self._codec.is_text)
            frame.encoded[self._cache_key] = encoded
        self._put(encoded)

    def close(self, ending: Ending, *, now: float) -> None:
        """Start the closing handshake, or drop the wire if it never opened. Idempotent.

        The close frame has the ending's code, or 1001 in place of one that may not be sent, and
        its reason, cut to 123 bytes.
        """
        if self._phase is _Phase.HANDSHAKE:
            self._finish()
        elif self._phase is _Phase.OPEN and self._stream is not None:
            self._put(self._stream.close(ending.code, ending.reason))
            self._end(_Phase.CLOSING, now)

    def data_to_send(self) -> bytes:
        """Take all bytes that are to be written now."""
        if self._phase is _Phase.OPEN and self._stream is not None:
            self._put(self._stream.pong_to_send())
        data = b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        if self._phase is _Phase.FLUSHING:
            self._finish()
        return data

    def _receive_handshake(self, handshake: Handshake, data: bytes, now: float) -> list[WireEvent]:
        outcome = handshake.receive(data) if data else handshake.end_of_stream()
        if outcome is None:
            if handshake.is_refused and self._deadline is not None:
                self._deadline = min(self._deadline, now + self._limits.close_timeout)
            return []
        if isinstance(outcome, Declined):
            return self._decline(outcome, now)
        return [
            self._open(outcome, now),
            *(self._receive_open(outcome.rest, now) if outcome.rest else ()),
        ]

    def _receive_open(self, data: bytes, now: float) -> list[WireEvent]:
        stream, codec = self._stream, self._codec
        assert stream is not None
        assert codec is not None
        if not data:
            where = "" if stream.progress is None else " in the middle of a message"
            self._finish()
            return [WireEnded(Ending(Code.LOST, f"the connection was lost{where}"))]
        completed = stream.completed
        events: list[WireEvent] = []
        for item in stream.receive(data, now=now):
            match item:
                case Whole():
                    try:
                        frame = codec.decode(item.data)
                    except CodecError as fault:
                        return [*events, self._fail(fault.code, str(fault), now)]
                    events.append(FrameReceived(frame, len(item.data)))
                case PeerClosed():
                    self._put(stream.close_reply(item.code))
                    self._flush(now)
                    return [*events, WireEnded(Ending(item.code, item.reason))]
                case Fault():
                    return [*events, self._fail(item.code, item.reason, now)]
        self._clock.note(stream.progress, is_new=stream.completed != completed, now=now)
        return events

    def _receive_closing(self, data: bytes, now: float) -> None:
        """Look for the peer's close; whatever else comes is too late."""
        assert self._stream is not None
        if not data:
            self._finish()
            return
        for item in self._stream.receive(data, now=now):
            if isinstance(item, PeerClosed):
                self._flush(now)
            elif isinstance(item, Fault):
                self._end(_Phase.LINGERING, now)

    def _open(self, accepted: Accepted, now: float) -> WireOpened:
        self._put(accepted.output)
        self._handshake = None
        self._codec = accepted.codec
        self._stream = MessageStream(
            accepted.connection,
            self._limits,
            takes={Opcode.TEXT if accepted.codec.is_text else Opcode.BINARY},
            max_message=accepted.codec.max_frame,
            now=now,
        )
        self._cache_key = "" if accepted.connection.client else f"ws:{accepted.codec.name}"
        self._phase = _Phase.OPEN
        self._deadline = None
        return WireOpened(accepted.target)

    def _decline(self, declined: Declined, now: float) -> list[WireEvent]:
        if declined.output:
            self._put(declined.output)
            self._end(_Phase.LINGERING, now)
        else:
            self._finish()
        return [WireEnded(declined.ending)]

    def _fail(self, code: int, reason: str, now: float) -> WireEnded:
        assert self._stream is not None
        self._put(self._stream.close(code, reason))
        self._end(_Phase.LINGERING, now)
        return WireEnded(Ending(code, reason))

    def _flush(self, now: float) -> None:
        if self._output:
            self._end(_Phase.FLUSHING, now)
        else:
            self._finish()

    def _end(self, phase: _Phase, now: float) -> None:
        self._phase = phase
        self._handshake = None
        if phase is not _Phase.CLOSING:
            self._stream = None
        self._clock.stop()
        self._deadline = now + self._limits.close_timeout

    def _finish(self) -> None:
        self._phase = _Phase.DONE
        self._handshake = self._stream = self._deadline = None
        self._clock.stop()
        self._output.clear()
        self._output_size = 0

    def _put(self, data: bytes) -> None:
        if data:
            self._output.append(data)
            self._output_size += len(data)


class WebSocketClient(_WebSocket):
    """The client's end of a WebSocket."""

    def __init__(
        self,
        host: str,
        target: str,
        codecs: Iterable[Codec],
        *,
        now: float,
        origin: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Ask `host` for `target`, offering the codecs in their order; the request is to be sent.

        Args:
            host: the Host header, `name` or `name:port`; a name beyond ASCII as its A-label.
            target: path and query, beginning with a slash.
            codecs: what to offer, best first.
            now: seconds; the handshake's deadline counts from here.
            origin: an Origin header, for servers that insist on one.
            limits: times and rates.

        Raises:
            ConfigError: a value could not stand in a request.
        """
        handshake = ClientHandshake(host, target, tuple(codecs), origin)
        super().__init__(handshake, limits or Limits(), now=now)


class WebSocketServer(_WebSocket):
    """The server's end of a WebSocket."""

    def __init__(
        self,
        codecs: Iterable[Codec],
        *,
        now: float,
        policy: OriginPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Wait for a request and speak the first of its subprotocols that is in `codecs`.

        Args:
            codecs: what may be spoken.
            now: seconds; the handshake's deadline counts from here.
            policy: which Host and Origin may connect; by default no foreign page.
            limits: times and rates.

        Raises:
            ConfigError: there are no codecs.
        """
        offered = tuple(codecs)
        if not offered:
            raise ConfigError("a WebSocketServer needs at least one codec")
        handshake = ServerHandshake(offered, policy or OriginPolicy())
        super().__init__(handshake, limits or Limits(), now=now)
