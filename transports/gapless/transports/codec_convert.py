"""Frames ⇄ twins, one explicit line a frame, and the checks msgspec can't express.

Adding a frame breaks the type check here. Nothing in this module trusts a twin: epochs, channel
names, ranges and sizes are checked, and a fault names its field's path as msgspec does.
"""

from collections.abc import Sequence
from typing import assert_never

from gapless.core import frames
from gapless.core.closing import Code
from gapless.core.errors import GaplessError
from gapless.core.position import MAX_SEQ, Position, Since, channel_fault, is_epoch

from . import codec_structs as twins

MAX_BATCH_BYTES = 64 * 1024
"""Most payload bytes in a batch of more than one message."""

ControlFrame = (
    frames.Hello
    | frames.Welcome
    | frames.Subscribe
    | frames.Subscribed
    | frames.Unsubscribe
    | frames.Ended
    | frames.Offer
    | frames.Offered
    | frames.Ack
    | frames.Gone
    | frames.Refused
    | frames.Ping
    | frames.Pong
    | frames.Goaway
    | frames.Close
)
"""Every frame but data."""


class CodecError(GaplessError):
    """A frame that can't be read, or written.

    Attributes:
        code: what to close with, `INVALID_DATA` or `TOO_BIG`.
    """

    def __init__(self, reason: str, code: Code = Code.INVALID_DATA) -> None:
        super().__init__(reason)
        self.code = code


def to_twin(frame: ControlFrame, schema: twins.Schema) -> twins.ControlTwin:
    """Make the twin of a frame. Reasons are cut to what a reader accepts."""
    match frame:
        case frames.Ack():
            return schema.ack(frame.id, frame.seq, frame.limit)
        case frames.Ping():
            return schema.ping(frame.number, frame.sent)
        case frames.Pong():
            return schema.pong(frame.number, frame.sent)
        case frames.Subscribe():
            since = frame.since
            place = (since.epoch, since.seq) if isinstance(since, Position) else since
            return schema.subscribe(frame.request, frame.channel, place, frame.limit)
        case frames.Subscribed():
            return _subscribed_twin(frame, schema)
        case frames.Unsubscribe():
            return schema.unsubscribe(frame.request)
        case frames.Ended():
            return schema.ended(frame.id, words(frame.reason), frame.again)
        case frames.Offer():
            return schema.offer(frame.id, frame.channel, frame.first, frame.epoch)
        case frames.Offered():
            return schema.offered(frame.id, frame.kind, frame.epoch, frame.last, frame.limit)
        case frames.Gone():
            return schema.gone(frame.id, frame.first, frame.last, words(frame.reason))
        case frames.Refused():
            code = words(frame.code)
            return schema.refused(frame.id, frame.first, frame.last, code, frame.retry_after_ms)
        case frames.Hello():
            return schema.hello(frame.version, frame.max_message, frame.token, frame.credentials)
        case frames.Welcome():
            return _welcome_twin(frame, schema)
        case frames.Goaway():
            return schema.goaway(frame.within_ms, frame.spread_ms)
        case frames.Close():
            return schema.close(frame.code, words(frame.reason), frame.retry_after_ms)
        case _:
            assert_never(frame)


def from_twin(twin: twins.ControlTwin) -> ControlFrame:
    """Make the frame of a twin.

    Raises:
        CodecError: a field is not what it must be.
    """
    match twin:
        case twins.Ack():
            return frames.Ack(twin.id, twin.seq, twin.limit)
        case twins.Ping():
            return frames.Ping(twin.number, twin.sent)
        case twins.Pong():
            return frames.Pong(twin.number, twin.sent)
        case twins.Subscribe():
            channel = _channel(twin.channel)
            return frames.Subscribe(twin.request, channel, _since(twin.since), twin.limit)
        case twins.Subscribed():
            return _subscribed(twin)
        case twins.Unsubscribe():
            return frames.Unsubscribe(twin.request)
        case twins.Ended():
            return frames.Ended(twin.id, twin.reason, twin.again)
        case twins.Offer():
            epoch = None if twin.epoch is None else _epoch(twin.epoch, "epoch")
            return frames.Offer(twin.id, _channel(twin.channel), epoch, twin.first)
        case twins.Offered():
            epoch = _epoch(twin.epoch, "epoch")
            return frames.Offered(twin.id, twin.kind, epoch, twin.last, twin.limit)
        case twins.Gone():
            last = _last(twin.first, twin.last, "last")
            return frames.Gone(twin.id, twin.first, last, twin.reason)
        case twins.Refused():
            last = _last(twin.first, twin.last, "last")
            return frames.Refused(twin.id, twin.first, last, twin.code, twin.retry_after_ms)
        case twins.Hello():
            return frames.Hello(twin.version, twin.token, twin.credentials, twin.max_message)
        case twins.Welcome():
            return _welcome(twin)
        case twins.Goaway():
            return frames.Goaway(twin.within_ms, twin.spread_ms)
        case twins.Close():
            return frames.Close(twin.code, twin.reason, twin.retry_after_ms)
        case _:
            assert_never(twin)


def to_texts(payloads: Sequence[bytes]) -> list[str]:
    """Decode the payloads of a text batch.

    Raises:
        CodecError: one is not UTF-8, which `publish` should have refused.
    """
    try:
        return [str(payload, "utf-8") for payload in payloads]
    except UnicodeDecodeError as fault:
        raise CodecError(f"a text payload is not UTF-8: {fault}") from None


def check_batch(first: int, payloads: Sequence[bytes], size: int, max_message: int) -> None:
    """Check what a data frame of `size` bytes carries. Its count is 1 … `MAX_BATCH` already.

    Raises:
        CodecError: it is too large, or its numbers run out.
    """
    if size > max_message and max(map(len, payloads)) > max_message:
        reason = f"a message is larger than {max_message} bytes - at `$.payloads`"
        raise CodecError(reason, Code.TOO_BIG)
    if size > MAX_BATCH_BYTES and len(payloads) > 1 and sum(map(len, payloads)) > MAX_BATCH_BYTES:
        reason = f"a batch of several messages is larger than {MAX_BATCH_BYTES} bytes"
        raise CodecError(f"{reason} - at `$.payloads`", Code.TOO_BIG)
    if first + len(payloads) - 1 > MAX_SEQ:
        raise CodecError(f"the batch's last number is above {MAX_SEQ} - at `$.first`")


def words(text: str) -> str:
    """Cut words for a person to what a reader accepts, and to valid Unicode."""
    text = text[: twins.MAX_WORDS]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _welcome_twin(frame: frames.Welcome, schema: twins.Schema) -> twins.Welcome:
    return schema.welcome(
        frame.session,
        frame.token,
        frame.resumed,
        frame.heartbeat_ms,
        frame.lease_ms,
        frame.max_message,
        frame.max_channels,
    )


def _welcome(twin: twins.Welcome) -> frames.Welcome:
    return frames.Welcome(
        session=twin.session,
        token=twin.token,
        resumed=twin.resumed,
        heartbeat_ms=twin.heartbeat_ms,
        lease_ms=twin.lease_ms,
        max_message=twin.max_message,
        max_channels=twin.max_channels,
    )


def _subscribed_twin(frame: frames.Subscribed, schema: twins.Schema) -> twins.Subscribed:
    pin = None if frame.pin is None else (frame.pin.patience_ms, frame.pin.history_count)
    return schema.subscribed(
        frame.request,
        _outcome_twin(frame.outcome),
        frame.id,
        frame.epoch,
        frame.next_seq,
        frame.head,
        pin,
    )


def _subscribed(twin: twins.Subscribed) -> frames.Subscribed:
    refused = isinstance(twin.outcome, twins.Denied)
    return frames.Subscribed(
        request=twin.request,
        id=twin.id,
        epoch="" if refused and not twin.epoch else _epoch(twin.epoch, "epoch"),
        next_seq=twin.next_seq,
        head=twin.head,
        pin=None if twin.pin is None else frames.PinTerms(*twin.pin),
        outcome=_outcome(twin.outcome),
    )


def _outcome_twin(outcome: frames.Outcome) -> twins.Outcome:
    match outcome:
        case frames.Live():
            return twins.Live()
        case frames.Recovered():
            return twins.Recovered(outcome.count)
        case frames.Partial():
            return twins.Partial(outcome.first, outcome.last, words(outcome.reason))
        case frames.StartedOver():
            return twins.Reset(words(outcome.reason))
        case frames.Denied():
            return twins.Denied(words(outcome.code))
        case _:
            assert_never(outcome)


def _outcome(twin: twins.Outcome) -> frames.Outcome:
    match twin:
        case twins.Live():
            return frames.Live()
        case twins.Recovered():
            return frames.Recovered(twin.count)
        case twins.Partial():
            last = _last(twin.first, twin.last, "outcome[2]")
            return frames.Partial(twin.first, last, twin.reason)
        case twins.Reset():
            return frames.StartedOver(twin.reason)
        case twins.Denied():
            return frames.Denied(twin.code)
        case _:
            assert_never(twin)


def _since(since: twins.Since) -> Since:
    if isinstance(since, tuple):
        epoch, seq = since
        return Position(_epoch(epoch, "since[0]"), seq)
    return since


def _epoch(text: str, path: str) -> str:
    if not is_epoch(text):
        raise CodecError(f"an epoch is 1-64 of A-Z a-z 0-9 _ . - - at `$.{path}`")
    return text


def _channel(name: str) -> str:
    fault = channel_fault(name)
    if fault is not None:
        raise CodecError(f"{fault} - at `$.channel`")
    return name


def _last(first: int, last: int, path: str) -> int:
    if last < first:
        raise CodecError(f"a range can't end before it begins - at `$.{path}`")
    return last
