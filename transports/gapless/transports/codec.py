"""The two codecs: frames ⇄ bytes, with every limit of the wire (design section 6).

`JsonCodec` writes text for people and browsers, `MsgpackCodec` is what gapless peers choose; what
they write is described in `codec_structs`. A codec is stateless and may serve many wires. Whatever
comes in, `decode` returns a frame or raises `CodecError`: no other exception leaves this module.
It does not say which frame may come when: that is core's.
"""

from typing import Protocol

import msgspec

from gapless.core.closing import Code
from gapless.core.errors import ConfigError
from gapless.core.frames import Data, Frame
from gapless.core.position import MAX_SEQ

from . import codec_structs as twins
from .codec_convert import MAX_BATCH_BYTES, CodecError, check_batch, from_twin, to_texts, to_twin

MIB = 1024 * 1024
ENVELOPE = 64 * 1024
"""Bytes a frame may take beside its payloads."""

_CONTAINED = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError, MemoryError)
"""All that decoding hostile input raises. A UnicodeError is a ValueError."""


class Codec(Protocol):
    """Frames ⇄ bytes in one form."""

    @property
    def name(self) -> str:
        """Which form: the key of bytes kept in `Data.encoded`."""
        ...

    @property
    def subprotocol(self) -> str:
        """The WebSocket subprotocol that stands for this codec."""
        ...

    @property
    def is_text(self) -> bool:
        """Whether frames travel as WebSocket text messages."""
        ...

    @property
    def max_frame(self) -> int:
        """Bytes of the largest frame to take: check it before buffering one."""
        ...

    def encode(self, frame: Frame) -> bytes:
        """Write a frame.

        Raises:
            CodecError: a payload of a text batch is not UTF-8.
        """
        ...

    def decode(self, data: bytes | bytearray) -> Frame:
        """Read a frame.

        Raises:
            CodecError: anything at all is wrong with it.
        """
        ...


class MsgpackCodec:
    """Binary frames, arrays: `gapless.v1.msgpack`."""

    name = "msgpack"
    subprotocol = "gapless.v1.msgpack"
    is_text = False

    def __init__(self, max_message: int = MIB) -> None:
        """Take payloads of at most `max_message` bytes.

        Raises:
            ConfigError: `max_message` is not positive.
        """
        self.max_message = _checked(max_message)
        self.max_frame = max(MAX_BATCH_BYTES, max_message) + ENVELOPE
        self._decoder = msgspec.msgpack.Decoder(twins.ARRAY_UNION)
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, frame: Frame) -> bytes:
        if not isinstance(frame, Data):
            return self._encoder.encode(to_twin(frame, twins.ARRAYS))
        if frame.text:
            texts = to_texts(frame.payloads)
            return self._encoder.encode(twins.TextArray(frame.id, frame.first, texts))
        return self._encoder.encode(twins.BinaryArray(frame.id, frame.first, frame.payloads))

    def decode(self, data: bytes | bytearray) -> Frame:
        _check_size(len(data), self.max_frame)
        try:
            twin = self._decoder.decode(data)
        except _CONTAINED as fault:
            raise CodecError(_reason(fault)) from None
        if isinstance(twin, twins.Binary):
            return _batch(twin, twin.payloads, len(data), self.max_message)
        if isinstance(twin, twins.Text):
            payloads = [text.encode() for text in twin.payloads]
            return _batch(twin, payloads, len(data), self.max_message)
        return from_twin(twin)


class JsonCodec:
    """Text frames, objects: `gapless.v1.json`."""

    name = "json"
    subprotocol = "gapless.v1.json"
    is_text = True

    def __init__(self, max_message: int = MIB) -> None:
        """Take payloads of at most `max_message` bytes; escaped, one may take six times that.

        Raises:
            ConfigError: `max_message` is not positive.
        """
        self.max_message = _checked(max_message)
        self.max_frame = 6 * max(MAX_BATCH_BYTES, max_message) + ENVELOPE
        self._decoder = msgspec.json.Decoder(twins.Base64Twin)
        self._encoder = msgspec.json.Encoder()

    def encode(self, frame: Frame) -> bytes:
        if not isinstance(frame, Data):
            return self._encoder.encode(to_twin(frame, twins.OBJECTS))
        if frame.text:
            return self._encoder.encode(twins.Text(frame.id, frame.first, to_texts(frame.payloads)))
        batch = twins.Base64(frame.id, frame.first, [(payload,) for payload in frame.payloads])
        return self._encoder.encode(batch)

    def decode(self, data: bytes | bytearray) -> Frame:
        _check_size(len(data), self.max_frame)
        try:
            twin = self._decoder.decode(data)
        except _CONTAINED as fault:
            raise CodecError(_reason(fault)) from None
        if isinstance(twin, twins.Base64):
            payloads = [payload for (payload,) in twin.payloads]
            return _batch(twin, payloads, len(data), self.max_message)
        if isinstance(twin, twins.Text):
            payloads = [text.encode() for text in twin.payloads]
            return _batch(twin, payloads, len(data), self.max_message)
        return from_twin(twin)


def default_codecs(max_message: int = MIB) -> tuple[Codec, ...]:
    """Both codecs, the one gapless peers prefer first."""
    return (MsgpackCodec(max_message), JsonCodec(max_message))


def _batch(
    twin: twins.Text | twins.Binary | twins.Base64, payloads: list[bytes], size: int, limit: int
) -> Data:
    check_batch(twin.first, payloads, size, limit)
    return Data(twin.id, twin.first, payloads, isinstance(twin, twins.Text))


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise CodecError(f"a frame is larger than {limit} bytes", Code.TOO_BIG)


def _checked(max_message: int) -> int:
    if not 1 <= max_message <= MAX_SEQ:
        raise ConfigError(f"max_message is {max_message!r}; it must be 1 … {MAX_SEQ} bytes")
    return max_message


def _reason(fault: BaseException) -> str:
    """Say what was wrong in one bounded line; msgspec quotes what the peer wrote."""
    if isinstance(fault, RecursionError):
        return "a frame is nested too deeply"
    if isinstance(fault, MemoryError):
        return "a frame does not fit in memory"
    words = str(fault)
    return words if len(words) <= 200 else words[:120] + " … " + words[-77:]
