"""Frames built from choices: whatever a codec lets through, and nothing else."""

from typing import Literal

from gapless.core import frames
from gapless.core.frames import Frame
from gapless.core.position import Position, Since
from gapless.transports import CodecError, MsgpackCodec

from .drawing import Draw

MAX_MESSAGE = 20_000
CHANNELS = ("a", "b", "c", "@me", "größe")
EPOCHS = ("E1", "E2", "p.7")
TOKENS = ("token-1", "token-2", "token-3", "stolen")
REASONS = ("", "rotated", "forbidden", "busy", "too large")
CODES = (1000, 1001, 1013, 4000, 4001, 4002, 4003, 4007, 0, 70000)
SIZES = (1, 1, 1, 50, 300, 1300)
"""A payload is a block, so many times over."""

_codec = MsgpackCodec(MAX_MESSAGE)


def draw_frame(draw: Draw) -> Frame:
    """Any frame a peer can send; what a codec would refuse becomes a ping."""
    return legal(_draw(draw))


def legal(frame: Frame) -> Frame:
    """The frame as it comes from a codec; a ping in place of one that a codec refuses."""
    try:
        return _codec.decode(_codec.encode(frame))
    except CodecError:
        return frames.Ping(0, 0)


def draw_payload(draw: Draw) -> bytes:
    size = draw.byte() % 16
    return draw.take(size) * draw.choice(SIZES)


def draw_since(draw: Draw, epochs: tuple[str, ...] = EPOCHS) -> Since:
    kind = draw.below(4)
    if kind == 0:
        return "latest"
    if kind == 1:
        return "earliest"
    return Position(draw.choice(epochs), draw.number())


def _draw(draw: Draw) -> Frame:
    number = draw.number
    match draw.below(17):
        case 0:
            token = draw.choice((None, *TOKENS))
            return frames.Hello(draw.choice((1, 1, 1, 2)), token, None, number())
        case 1:
            token, resumed = draw.choice(TOKENS), draw.flag()
            return frames.Welcome("@s", token, resumed, number(), number(), number(), number())
        case 2:
            return frames.Subscribe(number(), draw.choice(CHANNELS), draw_since(draw), number())
        case 3:
            return draw_subscribed(draw, number())
        case 4:
            return frames.Unsubscribe(number())
        case 5:
            return frames.Ended(number(), draw.choice(REASONS), draw.flag())
        case 6:
            epoch = draw.choice((None, *EPOCHS))
            return frames.Offer(number(), draw.choice(CHANNELS), epoch, number())
        case 7:
            return draw_offered(draw, number())
        case 8 | 9 | 10:
            return draw_data(draw, number(), number())
        case 11:
            return frames.Ack(number(), number(), number())
        case 12:
            return frames.Gone(number(), number(), number(), draw.choice(REASONS))
        case _:
            return _draw_other(draw)


def _draw_other(draw: Draw) -> Frame:
    number = draw.number
    match draw.below(5):
        case 0:
            after = draw.choice((None, 0, 1, 1000))
            return frames.Refused(number(), number(), number(), draw.choice(REASONS), after)
        case 1:
            return frames.Ping(number(), number())
        case 2:
            return frames.Pong(number(), number())
        case 3:
            return frames.Goaway(number(), number())
        case _:
            after = draw.choice((None, 0, 1, 1000, 2**53 - 1))
            return frames.Close(draw.choice(CODES), draw.choice(REASONS), after)


def draw_subscribed(draw: Draw, request: int) -> frames.Subscribed:
    """An answer to `subscribe`, of a plausible kind."""
    number = draw.number
    pin = frames.PinTerms(number(), number()) if draw.flag() else None
    outcome: frames.Outcome
    match draw.below(6):
        case 0 | 1:
            outcome = frames.Live()
        case 2:
            outcome = frames.Recovered(number())
        case 3:
            outcome = frames.Partial(number(), number(), draw.choice(REASONS))
        case 4:
            outcome = frames.StartedOver(draw.choice(REASONS))
        case _:
            outcome = frames.Denied(draw.choice(REASONS))
    epoch = draw.choice(EPOCHS)
    return frames.Subscribed(request, number(), epoch, number(), number(), pin, outcome)


def draw_offered(draw: Draw, number: int) -> frames.Offered:
    """An answer to `offer`."""
    kind: Literal["known", "new"] = "known" if draw.flag() else "new"
    return frames.Offered(number, kind, draw.choice(EPOCHS), draw.number(), draw.number() * 1000)


def draw_data(draw: Draw, number: int, first: int) -> frames.Data:
    """A batch of up to eight payloads."""
    payloads = [draw_payload(draw) for _ in range(1 + draw.below(8))]
    text = draw.flag() and all(payload.isascii() for payload in payloads)
    return frames.Data(number, first, payloads, text)
