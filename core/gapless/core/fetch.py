"""Fetch: what a cursor below its history has asked the store for.

One question at a time, and an answer only counts for the cursor it was asked at. An empty one says
that the store can't read that message, whatever it claims to hold: then it is gone.
"""

from .receiver import MESSAGE_BYTES


class Fetch:
    """One reader's dealings with the store.

    Attributes:
        held_bytes: bytes of what was read and not taken. Read only.
    """

    __slots__ = ("_after", "_asked", "_payloads", "_text", "held_bytes")

    def __init__(self) -> None:
        self._asked: int | None = None
        self._after: int | None = None
        self._payloads: list[bytes] = []
        self._text = False
        self.held_bytes = 0

    def ask(self, cursor: int) -> int | None:
        """Say after which number to read the store; None while an answer is due, or is here."""
        if self._asked is not None or self._after == cursor:
            return None
        self._asked = cursor
        return cursor

    def answer(self, after: int, payloads: list[bytes], text: bool) -> None:
        """Take what the store read after `after`."""
        if self._asked == after:
            self._asked = None
            self._after, self._payloads, self._text = after, payloads, text
            self.held_bytes = sum(map(len, payloads)) + MESSAGE_BYTES * len(payloads)

    def has(self, cursor: int) -> bool:
        """Whether the messages after the cursor are here."""
        return self._after == cursor and bool(self._payloads)

    def is_refused(self, cursor: int) -> bool:
        """Whether the store couldn't read the message after the cursor."""
        return self._after == cursor and not self._payloads

    def take(self) -> tuple[list[bytes], bool]:
        """Take the messages, and whether they are text."""
        payloads, self._payloads, self._after = self._payloads, [], None
        self.held_bytes = 0
        return payloads, self._text
