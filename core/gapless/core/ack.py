"""When to acknowledge: by count or bytes or time, whichever is first — or at once.

The policy only decides *when*; what is acknowledged, and that it is never more than was taken or
accepted (P5), is the receiver's business. The timer runs from the first thing not yet told, so
nothing stays untold for longer than `seconds`, and an idle channel has no timer at all.
"""


class AckPolicy:
    """Says when an ack is due for one channel.

    Args:
        count: messages, or None for no such trigger.
        size: bytes, or None.
        seconds: from the first untold message, or None.
    """

    __slots__ = ("_count", "_deadline", "_due", "_seconds", "_size", "_told_count", "_told_size")

    def __init__(
        self,
        *,
        count: int | None = None,
        size: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self._count = count
        self._size = size
        self._seconds = seconds
        self._told_count = 0
        self._told_size = 0
        self._deadline: float | None = None
        self._due = False

    @property
    def is_due(self) -> bool:
        """Whether an ack should go out now."""
        return self._due

    def note(self, count: int, size: int, *, now: float) -> None:
        """Take note of messages taken or accepted and not yet told to the sender."""
        self._told_count += count
        self._told_size += size
        counted = self._count is not None and self._told_count >= self._count
        if counted or (self._size is not None and self._told_size >= self._size):
            self._due = True
        elif self._seconds is not None and self._deadline is None:
            self._deadline = now + self._seconds

    def demand(self) -> None:
        """Ack at once: after a resume, before a close, on a duplicate."""
        self._due = True

    def next_deadline(self) -> float | None:
        """When the time trigger fires, or None: nothing untold, or an ack is due already."""
        return None if self._due else self._deadline

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass."""
        if self._deadline is not None and now >= self._deadline:
            self._due = True

    def told(self) -> None:
        """Note that an ack went out: all triggers start anew."""
        self._told_count = 0
        self._told_size = 0
        self._deadline = None
        self._due = False
