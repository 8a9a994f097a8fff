"""Losses: why a channel dropped what it dropped.

A channel drops oldest first, so what went for one reason is a range, and the reasons change at
numbers. The last few of those are remembered, so that who is told of a loss much later is told why
that went, and not what the channel dropped since for another reason.
"""

CHANGES_REMEMBERED = 4
"""Changes of the reason that a channel remembers; what went before the first has its reason."""


class Losses:
    """Reasons by number, the newest and a few before it.

    Attributes:
        reason: why the newest went that is gone. Read only.
    """

    __slots__ = ("_before", "reason")

    def __init__(self) -> None:
        self.reason = "rotated"
        self._before: list[tuple[int, str]] = []

    def why(self, seq: int) -> str:
        """Say why message `seq`, which is gone, went."""
        for last, reason in self._before:
            if seq <= last:
                return reason
        return self.reason

    def note(self, reason: str, first: int) -> None:
        """Messages from `first` on, the oldest there was, are dropped for this reason."""
        if reason != self.reason:
            self._before.append((first - 1, self.reason))
            self.reason = reason
            if len(self._before) > CHANGES_REMEMBERED:
                del self._before[0]

    def clear(self) -> None:
        """Forget all: the numbering is another one."""
        self._before.clear()
