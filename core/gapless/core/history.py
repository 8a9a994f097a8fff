"""History: the bounded log of a channel at its sender; a client's own is its outbox.

Bounded by messages AND bytes AND age; oldest out first. Numbers are dense: seq `first` … `head`
are held, `head` + 1 comes next, and what was dropped never comes back. A history only drops what
its owner tells it to: pins and overflow are decided above (`channel.py`).

Any number of cursors may read: a cursor is a number, and costs the history nothing.
"""

from collections.abc import Sequence

Entry = tuple[bytes, bool, str | None, float]
"""(payload, is text, publisher, when it was appended)"""

ENTRY_OVERHEAD = 160
"""Bytes an entry costs beside its payload: tuple, bytes header, float, list slot."""

_COMPACT = 256


class History:
    """An append-only log with a moving tail.

    Args:
        max_messages: messages held at most.
        max_bytes: bytes of payload held at most.
        max_age: seconds, or None.
        head: the number of the last message before the first that will be appended.
    """

    __slots__ = ("_bytes", "_entries", "_first", "_start", "max_age", "max_bytes", "max_messages")

    def __init__(
        self, *, max_messages: int, max_bytes: int, max_age: float | None = None, head: int = 0
    ) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.max_age = max_age
        self._entries: list[Entry | None] = []
        self._start = 0
        self._first = head + 1
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries) - self._start

    @property
    def first(self) -> int:
        """The number of the oldest message held; `head` + 1 if there is none."""
        return self._first

    @property
    def head(self) -> int:
        """The number of the newest message appended; 0 before the first."""
        return self._first + len(self) - 1

    @property
    def size(self) -> int:
        """Bytes of payload held."""
        return self._bytes

    def has_room(self, size: int, count: int = 1) -> bool:
        """Whether `count` messages of `size` bytes together fit without dropping anything."""
        within = self._bytes + size <= self.max_bytes
        return within and len(self._entries) - self._start + count <= self.max_messages

    def appended_at(self, seq: int) -> float:
        """When message `seq`, which is held, was appended."""
        return self._entry(seq)[3]

    def entry(self, seq: int) -> Entry:
        """The message `seq`, which is held."""
        return self._entry(seq)

    def expires_at(self) -> float | None:
        """When the oldest message reaches its age, or None."""
        if self.max_age is None or not len(self):
            return None
        return self._entry(self._first)[3] + self.max_age

    def batch(self, seq: int, max_messages: int, max_bytes: int) -> tuple[list[bytes], bool]:
        """Read a batch that starts at `seq`, which is held: payloads, and whether they are text.

        The batch ends at the head, at `max_messages`, where text turns to binary or back, or
        before the message that would exceed `max_bytes`; its first message always comes.
        """
        at = self._start + seq - self._first
        payloads: list[bytes] = []
        size = 0
        text = self._entry(seq)[1]
        for entry in self._entries[at : at + max_messages]:
            assert entry is not None
            size += len(entry[0])
            if entry[1] is not text or (size > max_bytes and payloads):
                break
            payloads.append(entry[0])
        return payloads, text

    def append(self, payload: bytes, text: bool, publisher: str | None, *, now: float) -> int:
        """Append a message; returns its number. The owner has made room."""
        self._entries.append((payload, text, publisher, now))
        self._bytes += len(payload)
        return self.head

    def extend(
        self, payloads: Sequence[bytes], text: bool, publisher: str | None, *, now: float
    ) -> int:
        """Append a batch; returns the number of its first message."""
        first = self.head + 1
        self._entries.extend([(payload, text, publisher, now) for payload in payloads])
        self._bytes += sum(map(len, payloads))
        return first

    def drop_oldest(self) -> None:
        """Forget the oldest message: rotation."""
        entry = self._entries[self._start]
        assert entry is not None
        self._bytes -= len(entry[0])
        self._entries[self._start] = None
        self._start += 1
        self._first += 1
        if self._start >= _COMPACT and self._start * 2 >= len(self._entries):
            del self._entries[: self._start]
            self._start = 0

    def drop_through(self, seq: int) -> int:
        """Forget everything up to `seq`: cumulative trim. Returns how many were held."""
        count = max(0, min(seq, self.head) - self._first + 1)
        for _ in range(count):
            self.drop_oldest()
        return count

    def renumber(self, first: int) -> None:
        """Give what is held the numbers from `first` on: the outbox in a new epoch."""
        self._first = first

    def _entry(self, seq: int) -> Entry:
        entry = self._entries[self._start + seq - self._first]
        assert entry is not None
        return entry
