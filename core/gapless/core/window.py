"""Counts over a sliding window of time: a ring of slices, as large on the first day as on the last.

Invariant (P3): a window is `parts` + 1 numbers, whatever is counted and however long. What is at
most `seconds` old is counted, what is a slice older than that is not; between the two it depends on
where the slices were cut. Nothing is swept when time passes: a slot remembers which slice it was
last used for, so one count costs the same after a millisecond and after a month.
"""


class Slices:
    """Cuts time into slices of equal width and gives each of the latest ones a slot of its own.

    Within a slice there is nothing to do but to compare `now` with `until`.

    Args:
        seconds: the window; at least so much is always live.
        parts: slices the window is cut into; there is one slot more, for the slice under way.
        now: where the first slice begins.

    Attributes:
        slot: that of the slice under way.
        until: where that slice ends; from then on `turn` is due.
    """

    __slots__ = ("_number", "_parts", "_start", "_used", "_width", "slot", "until")

    def __init__(self, seconds: float, parts: int, *, now: float) -> None:
        self._width = seconds / parts
        self._parts = parts
        self._start = now
        self._used = [-parts - 1] * (parts + 1)
        self._begin(0)

    def live(self, *, now: float) -> list[int]:
        """List the slots that belong to the window that ends now."""
        oldest = self._number_at(now) - self._parts
        return [slot for slot, number in enumerate(self._used) if number >= oldest]

    def span(self, *, now: float) -> float:
        """Seconds the window covers; at least one slice, so that no first moment makes a peak."""
        number = self._number_at(now)
        reached = max(now - self._start, number * self._width)
        return max(reached - max(number - self._parts, 0) * self._width, self._width)

    def turn(self, *, now: float) -> None:
        """Begin a new slice; what stands in its `slot` is old."""
        self._begin(max(self._number_at(now), self._number + 1))

    def _begin(self, number: int) -> None:
        self._number = number
        self.until = self._start + (number + 1) * self._width
        self.slot = number % len(self._used)
        self._used[self.slot] = number

    def _number_at(self, now: float) -> int:
        return max(int((now - self._start) / self._width), self._number)


class Window:
    """How many: since the beginning, and in the last `seconds`.

    Args:
        seconds: the window.
        parts: slices it is cut into: `recent` is exact to one of them.
        now: when counting begins.

    Attributes:
        total: how many since the beginning.
    """

    __slots__ = ("_counts", "_slices", "total")

    def __init__(self, seconds: float, parts: int = 60, *, now: float) -> None:
        self._slices = Slices(seconds, parts, now=now)
        self._counts = [0] * (parts + 1)
        self.total = 0

    def recent(self, *, now: float) -> int:
        """Say how many were counted in the window that ends now."""
        return sum(self._counts[slot] for slot in self._slices.live(now=now))

    def rate(self, *, now: float) -> float:
        """Say how many came a second: the recent ones by the time they were counted in."""
        return self.recent(now=now) / self._slices.span(now=now)

    def add(self, count: int, *, now: float) -> None:
        """Count so many at once."""
        slices = self._slices
        if now >= slices.until:
            slices.turn(now=now)
            self._counts[slices.slot] = 0
        self._counts[slices.slot] += count
        self.total += count


class Flow:
    """How many messages and bytes, counted together: two windows for little more than one.

    Args:
        seconds: the window.
        parts: slices it is cut into.
        now: when counting begins.

    Attributes:
        messages, bytes: how many since the beginning.
    """

    __slots__ = ("_bytes", "_messages", "_slices", "bytes", "messages")

    def __init__(self, seconds: float, parts: int = 60, *, now: float) -> None:
        self._slices = Slices(seconds, parts, now=now)
        self._messages = [0] * (parts + 1)
        self._bytes = [0] * (parts + 1)
        self.messages = self.bytes = 0

    def recent(self, *, now: float) -> tuple[int, int]:
        """Say how many messages and bytes were counted in the window that ends now."""
        live = self._slices.live(now=now)
        return sum(self._messages[slot] for slot in live), sum(self._bytes[slot] for slot in live)

    def rates(self, *, now: float) -> tuple[float, float]:
        """Say how many messages and bytes came a second, by the time they were counted in."""
        messages, size = self.recent(now=now)
        span = self._slices.span(now=now)
        return messages / span, size / span

    def add(self, messages: int, size: int, *, now: float) -> None:
        """Count so many messages at once, `size` bytes together."""
        slices = self._slices
        if now >= slices.until:
            slices.turn(now=now)
            self._messages[slices.slot] = self._bytes[slices.slot] = 0
        slot = slices.slot
        self._messages[slot] += messages
        self._bytes[slot] += size
        self.messages += messages
        self.bytes += size
