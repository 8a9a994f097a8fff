"""The golden vectors of `tests/golden/frames.json`: each frame, and its bytes in both codecs.

`python -m tests.transports.golden` writes the file anew: a change of it is a change of the wire
protocol, and of everyone else's implementation.
"""

import json
from pathlib import Path

from gapless.core import frames
from gapless.core.position import MAX_SEQ, Position
from gapless.transports import JsonCodec, MsgpackCodec

FILE = Path(__file__).parents[1] / "golden" / "frames.json"


def _subscribed(outcome: frames.Outcome, pin: frames.PinTerms | None = None) -> frames.Subscribed:
    return frames.Subscribed(3, 17, "k3Zq", 43, 52, pin, outcome)


FRAMES: dict[str, frames.Frame] = {
    "hello, first": frames.Hello(1, None, None, 1048576),
    "hello, resuming": frames.Hello(1, "t-1", "user:secret", 1048576),
    "welcome": frames.Welcome("s-9f", "t-2", True, 30000, 120000, 1048576, 128),
    "subscribe since a position": frames.Subscribe(3, "campaign/42", Position("k3Zq", 42), 262144),
    "subscribe since latest": frames.Subscribe(4, "@me", "latest", 262144),
    "subscribe since earliest": frames.Subscribe(5, "größe", "earliest", 0),
    "subscribed, live": _subscribed(frames.Live()),
    "subscribed, recovered, pinned": _subscribed(frames.Recovered(10), frames.PinTerms(1000, 200)),
    "subscribed, partial": _subscribed(frames.Partial(40, 42, "rotated")),
    "subscribed, reset": _subscribed(frames.StartedOver("epoch")),
    "subscribed, refused": frames.Subscribed(3, 0, "", 0, 0, None, frames.Denied("forbidden")),
    "unsubscribe": frames.Unsubscribe(3),
    "ended": frames.Ended(17, "revoked", False),
    "offer, new": frames.Offer(1, "commands", None, 1),
    "offer, known": frames.Offer(2, "commands", "p.7", 6),
    "offered, new": frames.Offered(1, "new", "p.8", 0, 262144),
    "offered, known": frames.Offered(2, "known", "p.7", 5, 262144),
    "data, binary": frames.Data(17, 43, [b"\x00\xff", b"", b"abc"], False),
    "data, text": frames.Data(17, 46, [b"abc", b"", 'é"\n😀'.encode()], True),
    "ack": frames.Ack(17, 45, 524288),
    "gone": frames.Gone(17, 46, 50, "rotated"),
    "refused, final": frames.Refused(1, 3, 3, "too large", None),
    "refused, retry": frames.Refused(1, 3, 7, "busy", 250),
    "ping": frames.Ping(1, 12),
    "pong": frames.Pong(1, MAX_SEQ),
    "goaway": frames.Goaway(5000, 2000),
    "close": frames.Close(1001, "restarting", 1500),
    "close, final": frames.Close(4003, "", None),
}


def document() -> dict[str, dict[str, str]]:
    """What the file holds: JSON as text, msgpack in hexadecimal, by the frame's name."""
    text, pack = JsonCodec(), MsgpackCodec()
    return {
        name: {"json": text.encode(frame).decode(), "msgpack": pack.encode(frame).hex()}
        for name, frame in FRAMES.items()
    }


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
