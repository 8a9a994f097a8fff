"""The memory wire: length-prefixed msgpack frames over any connected stream of bytes.

For tests, simulations and pipes between processes: no handshake, no masking. A frame is its length
in 4 bytes, big-endian, and the frame. The wire is open from the start, so there is no `WireOpened`.
Limits are those of a WebSocket: the declared length is checked before a byte of the frame is kept.

What ends it: the end of the peer's stream, a fault (told to the peer in a `close` frame), or
`close`, before which core has sent a `close` frame of its own. Then what is to be sent is handed
out, and the wire is finished.
"""

from gapless.core.closing import Code, Ending
from gapless.core.frames import Close, Data, Frame

from .codec import Codec, MsgpackCodec
from .codec_convert import CodecError
from .limits import Limits, MessageClock
from .wire import FrameReceived, WireEnded, WireEvent

_PREFIX = 4


class MemoryWire:
    """A `Wire` over a stream that is already connected."""

    def __init__(
        self,
        codec: Codec | None = None,
        *,
        from_client: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """Speak `codec`, msgpack by default.

        Args:
            codec: what the frames are written in, the same at both ends.
            from_client: the peer is a client: its first frame is at most `limits.max_hello`.
            limits: times and sizes.
        """
        self._codec = codec or MsgpackCodec()
        self._limits = limits or Limits()
        self._clock = MessageClock(self._limits)
        self._is_over = False
        self._deadline: float | None = None
        self._input = bytearray()
        self._limit = self._codec.max_frame
        if from_client:
            self._limit = min(self._limit, self._limits.max_hello)
        self._output: list[bytes] = []
        self._output_size = 0

    @property
    def is_open(self) -> bool:
        """Whether nothing has ended the wire."""
        return not self._is_over

    @property
    def is_finished(self) -> bool:
        """Whether the stream may be closed: nothing is to be sent any more."""
        return self._is_over and not self._output

    def next_deadline(self) -> float | None:
        """The next time `handle_timeout` has something to do, or None."""
        return self._deadline if self._is_over else self._clock.deadline

    def buffered(self) -> int:
        """Bytes held: an unfinished frame in, unsent bytes out."""
        return len(self._input) + self._output_size

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        """Take bytes from the peer; b"" is the end of its stream."""
        if self._is_over:
            return []
        if not data:
            where = " in the middle of a frame" if self._input else ""
            self._drop()
            return [WireEnded(Ending(Code.LOST, f"the connection was lost{where}"))]
        self._input += data
        events: list[WireEvent] = []
        position = 0
        while len(self._input) - position >= _PREFIX:
            begin = position + _PREFIX
            size = int.from_bytes(self._input[position:begin], "big")
            if size > self._limit:
                reason = f"a frame is larger than {self._limit} bytes"
                return [*events, self._fail(Code.TOO_BIG, reason, now)]
            if len(self._input) - begin < size:
                break
            position = begin + size
            try:
                frame = self._codec.decode(self._input[begin:position])
            except CodecError as fault:
                return [*events, self._fail(fault.code, str(fault), now)]
            events.append(FrameReceived(frame, size))
            self._limit = self._codec.max_frame
        del self._input[:position]
        self._clock.note(len(self._input) or None, is_new=bool(position), now=now)
        return events

    def handle_timeout(self, *, now: float) -> list[WireEvent]:
        """Let time pass: the deadline of an unfinished frame, and of what is not fetched."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        if self._is_over:
            self._drop()
            return []
        return [self._fail(Code.TIMEOUT, "a frame was begun and not finished", now)]

    def send_frame(self, frame: Frame, *, now: float) -> None:
        """Encode a frame behind what is already to be sent. Ignored once the wire has ended.

        Raises:
            CodecError: a payload of a text batch is not UTF-8.
        """
        if self._is_over:
            return
        if not isinstance(frame, Data):
            self._put(self._framed(frame))
            return
        key = f"memory:{self._codec.name}"
        if frame.encoded is None:
            frame.encoded = {}
        encoded = frame.encoded.get(key)
        if encoded is None:
            encoded = frame.encoded[key] = self._framed(frame)
        self._put(encoded)

    def close(self, ending: Ending, *, now: float) -> None:
        """End the wire behind what is to be sent. Idempotent."""
        if not self._is_over:
            self._end(now)

    def data_to_send(self) -> bytes:
        """Take all bytes that are to be written now."""
        data = b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        if self._is_over:
            self._deadline = None
        return data

    def _framed(self, frame: Frame) -> bytes:
        encoded = self._codec.encode(frame)
        return len(encoded).to_bytes(_PREFIX, "big") + encoded

    def _fail(self, code: Code, reason: str, now: float) -> WireEnded:
        self._put(self._framed(Close(code, reason, None)))
        self._end(now)
        return WireEnded(Ending(code, reason))

    def _end(self, now: float) -> None:
        self._is_over = True
        self._input.clear()
        self._clock.stop()
        self._deadline = now + self._limits.close_timeout if self._output else None

    def _drop(self) -> None:
        self._is_over = True
        self._input.clear()
        self._clock.stop()
        self._output.clear()
        self._output_size = 0
        self._deadline = None

    def _put(self, data: bytes) -> None:
        self._output.append(data)
        self._output_size += len(data)
