"""Greeting: a server's link before its verdict — bounded, timed, and nothing more.

Until a link is attached to a session it may show one `hello` of at most 8 KiB and, behind it,
subscribes: 64 KiB together. They wait here; no other frame is understood yet (P7: nothing of a
session can be touched before the verdict).
"""

from .closing import Code
from .frames import VERSION, Frame, Hello, Ping, Pong, Subscribe, Unsubscribe
from .link import Link
from .violation import Violation

MAX_HELLO = 8 * 1024
"""Bytes of `hello` on the wire."""

MAX_BEFORE_WELCOME = 64 * 1024
"""Bytes a link may send before its verdict."""


class Greeting:
    """What a link has said so far.

    Args:
        link: the link.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.hello: Hello | None = None
        self.waiting: list[Frame] = []
        self._size = 0

    def receive_frame(self, frame: Frame, size: int, *, now: float) -> bool:
        """Take a frame; True if it is the `hello`, which wants a verdict."""
        self._size += size
        if self._size > MAX_BEFORE_WELCOME:
            raise Violation(f"more than {MAX_BEFORE_WELCOME} bytes before the welcome", Code.POLICY)
        if isinstance(frame, Ping):
            self.link.receive_ping(frame)
            return False
        if isinstance(frame, Pong):
            self.link.receive_pong(frame, now=now)
            return False
        if isinstance(frame, Hello):
            if self.hello is not None:
                raise Violation("a second hello")
            if size > MAX_HELLO:
                raise Violation(f"hello of more than {MAX_HELLO} bytes", Code.POLICY)
            if frame.version != VERSION:
                raise Violation(f"version {frame.version}; this server speaks 1", Code.VERSION)
            self.hello = frame
            return True
        if self.hello is None or not isinstance(frame, Subscribe | Unsubscribe):
            raise Violation(f"{type(frame).__name__.lower()} before the welcome")
        self.waiting.append(frame)
        return False
