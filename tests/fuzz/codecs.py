"""Targets: the two codecs, every limit of theirs, and what they write."""

from collections.abc import Callable

import msgspec

from gapless.core.closing import Code
from gapless.core.frames import Data, Frame
from gapless.core.position import MAX_SEQ
from gapless.transports import Codec, CodecError, JsonCodec, MsgpackCodec
from gapless.transports import codec_structs as twins

from .caught import guarded

MESSAGE_LIMITS = (1, 7, 100, 1024 * 1024)
MAX_BATCH = twins.MAX_BATCH

_json = msgspec.json.Decoder(twins.Base64Twin)
_msgpack = msgspec.msgpack.Decoder(twins.ARRAY_UNION)


class CodecTarget:
    """Bytes of a frame, read by the same codec under each limit of a message."""

    def __init__(self, make: Callable[[int], Codec], library: Callable[[bytes], object]) -> None:
        """`make` makes the codec for a limit; `library` decodes as the codec has it done."""
        self._codecs = [(limit, make(limit)) for limit in MESSAGE_LIMITS]
        self._library = library

    def __call__(self, data: bytes) -> None:
        guarded("msgspec", self._library, data)
        verdicts = [self._decode(codec, data) for _, codec in self._codecs]
        for (limit, codec), verdict in zip(self._codecs, verdicts, strict=True):
            if isinstance(verdict, CodecError):
                assert verdict.code in (Code.INVALID_DATA, Code.TOO_BIG)
                assert len(str(verdict)) <= 300, "words without a bound"
                continue
            assert len(data) <= codec.max_frame
            _check_frame(verdict, len(data), limit)
            _check_round_trip(codec, verdict)
        _check_agreement(verdicts)

    def _decode(self, codec: Codec, data: bytes) -> Frame | CodecError:
        """The same, whether the bytes are kept in one kind of buffer or the other."""
        try:
            verdict: Frame | CodecError = codec.decode(data)
        except CodecError as fault:
            verdict = fault
        try:
            again: Frame | CodecError = codec.decode(bytearray(data))
        except CodecError as fault:
            again = fault
        assert str(again) == str(verdict), "bytes and bytearray are read differently"
        return verdict


def _check_frame(frame: Frame, size: int, limit: int) -> None:
    assert len(repr(frame)) <= 64 * size + 2000
    if isinstance(frame, Data):
        assert 1 <= len(frame.payloads) <= MAX_BATCH
        assert sum(map(len, frame.payloads)) <= size, "more payload than there were bytes"
        assert max(map(len, frame.payloads)) <= limit, "a message above its limit"
        assert 1 <= frame.first <= MAX_SEQ + 1 - len(frame.payloads)


def _check_round_trip(codec: Codec, frame: Frame) -> None:
    encoded = codec.encode(frame)
    assert codec.decode(encoded) == frame, "what was read is not what is written"
    assert codec.encode(codec.decode(encoded)) == encoded


def _check_agreement(verdicts: list[Frame | CodecError]) -> None:
    """A limit only refuses: what two of them take is the same frame."""
    taken = [verdict for verdict in verdicts if not isinstance(verdict, CodecError)]
    assert all(frame == taken[0] for frame in taken)
    if taken:
        refused = [verdict for verdict in verdicts if isinstance(verdict, CodecError)]
        assert all(verdict.code is Code.TOO_BIG for verdict in refused)


json_target = CodecTarget(JsonCodec, _json.decode)
msgpack_target = CodecTarget(MsgpackCodec, _msgpack.decode)
