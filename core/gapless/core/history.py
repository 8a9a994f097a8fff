"""History: the bounded log of a channel at its sender; a client's own is its outbox.

Bounded by messages AND bytes AND age; oldest out first. Numbers are dense: seq `first` … `head`
are held, `head` + 1 comes next, and what was dropped never comes back. A history only drops what
its owner tells it to: pins and overflow are decided above (`channel.py`).

Any number of cursors may read: a cursor is a number, and costs the history nothing.
"""

from collections.abc import Sequence

Entry = tuple[bytes, bool, str | None, float]
"""(payload, is text, publisher, when it was appended)"""

ENTRY_BYTES = 144
"""Bytes a message takes beside its payload: two objects' heads, a time, a place in a list."""

_COMPACT = 256


class History:
    """An append-only log with a moving tail.

    Args:
        max_messages: messages held at most.
        max_bytes: bytes of payload held at most.
        max_age: seconds, or None.
        head: the number of the last message before the first that will be appended.

    Attributes:
        first: the number of the oldest message held; `head` + 1 if there is none. Read only.
        head: the number of the newest message appended; 0 before the first. Read only.
        size: bytes of payload held. Read only.
    """

    __slots__ = (
        "_entries",
        "_start",
        "first",
        "head",
        "max_age",
        "max_bytes",
        "max_messages",
        "size",
    )

    def __init__(
        self, *, max_messages: int, max_bytes: int, max_age: float | None = None, head: int = 0
    ) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.max_age = max_age
        self.first = head + 1
        self.head = head
        self.size = 0
        # Dropped entries are None until the list is compacted: a slice is then never a copy of all.
        self._entries: list[Entry | None] = []
        self._start = 0

    def __len__(self) -> int:
        return self.head - self.first + 1

    @property
    def memory(self) -> int:
        """Bytes that what is held takes, with what it costs to hold it."""
        return self.size + ENTRY_BYTES * (self.head - self.first + 1)

    def has_room(self, size: int, count: int = 1) -> bool:
        """Whether `count` messages of `size` bytes together fit without dropping anything."""
        within = self.size + size <= self.max_bytes
        return within and self.head - self.first + 1 + count <= self.max_messages

    def make_room(self, size: int, count: int, through: int) -> bool:
        """Drop oldest messages until `count` of `size` bytes together fit; none above `through`.

        Returns whether they fit. The owner has checked that they fit into an empty history.
        """
        while (
            self.size + size > self.max_bytes
            or self.head - self.first + 1 + count > self.max_messages
        ):
            if self.first > through:
                return False
            self.drop_oldest()
        return True

    def entry(self, seq: int) -> Entry:
        """The message `seq`, which is held."""
        entry = self._entries[self._start + seq - self.first]
        assert entry is not None
        return entry

    def appended_at(self, seq: int) -> float:
        """When message `seq`, which is held, was appended."""
        return self.entry(seq)[3]

    def expires_at(self) -> float | None:
        """When the oldest message reaches its age, or None."""
        if self.max_age is None or self.first > self.head:
            return None
        return self.entry(self.first)[3] + self.max_age

    def batch(self, seq: int, max_messages: int, max_bytes: int) -> tuple[list[bytes], bool]:
        """Read a batch that starts at `seq`, which is held: payloads, and whether they are text.

        The batch ends at the head, at `max_messages`, where text turns to binary or back, or
        before the message that would exceed `max_bytes`; its first message always comes.
        """
        at = self._start + seq - self.first
        payloads: list[bytes] = []
        size = 0
        text = self.entry(seq)[1]
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
        self.size += len(payload)
        self.head += 1
        return self.head

    def extend(
        self, payloads: Sequence[bytes], text: bool, publisher: str | None, *, now: float
    ) -> int:
        """Append a batch; returns the number of its last message."""
        self._entries.extend([(payload, text, publisher, now) for payload in payloads])
        self.size += sum(map(len, payloads))
        self.head += len(payloads)
        return self.head

    def drop_oldest(self) -> None:
        """Forget the oldest message: rotation."""
        start = self._start
        entry = self._entries[start]
        assert entry is not None
        self.size -= len(entry[0])
        self._entries[start] = None
        self._start = start + 1
        self.first += 1
        if start >= _COMPACT:
            self._compact()

    def drop_through(self, seq: int) -> int:
        """Forget everything up to `seq`: cumulative trim. Returns how many were held."""
        count = min(seq, self.head) - self.first + 1
        if count <= 0:
            return 0
        start, stop = self._start, self._start + count
        for at in range(start, stop):
            entry = self._entries[at]
            assert entry is not None
            self.size -= len(entry[0])
            self._entries[at] = None
        self._start = stop
        self.first += count
        self._compact()
        return count

    def renumber(self, first: int) -> None:
        """Give what is held the numbers from `first` on: the outbox in a new epoch."""
        self.head += first - self.first
        self.first = first

    def _compact(self) -> None:
        if self._start > _COMPACT and self._start * 2 >= len(self._entries):
            del self._entries[: self._start]
            self._start = 0
