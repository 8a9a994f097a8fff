"""How values are spread, in fixed memory: log-linear buckets, summed up over a sliding window.

Each doubling from `LOWEST` to `HIGHEST` has 16 buckets of equal width, so a percentile is within
`PRECISION` of the true one (below `LOWEST`, within `LOWEST`); count, least and greatest are exact,
the average but for rounding. No value can spoil the others: what is negative, infinite or not a
number is left out, what is above `HIGHEST` counts as `HIGHEST`, so that no sum overflows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .window import Slices

_STEPS = 16
_DOUBLINGS = 20
LOWEST = 2.0**-_DOUBLINGS
"""About a microsecond, where values are seconds. Smaller ones share a bucket."""
HIGHEST = 2.0**_DOUBLINGS
"""About twelve days, where values are seconds. Greater ones count as this."""
PRECISION = 1 / (2 * _STEPS)
"""A percentile is off by at most this part of itself: half a bucket, about 3 %."""
_BUCKETS = 1 + 2 * _DOUBLINGS * _STEPS + 1
_PARTS = 2


@dataclass(frozen=True, slots=True)
class Summary:
    """Of `count` values; p50, p95, p99: that many percent of them are not greater."""

    count: int
    average: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float


class Histogram:
    """Counts values by size."""

    __slots__ = ("buckets", "count", "max", "min", "total")

    def __init__(self) -> None:
        self.buckets = [0] * _BUCKETS
        self.count = 0
        self.total = 0.0
        self.min = math.inf
        self.max = 0.0

    def add(self, value: float, count: int = 1) -> None:
        """Count a value so many times; one that can't be is left out."""
        if count < 1 or not 0.0 <= value < math.inf:
            return
        if value > HIGHEST:
            value = HIGHEST
        self.buckets[_bucket(value)] += count
        self.count += count
        self.total += value * count
        if value < self.min:
            self.min = value
        if value > self.max:
            self.max = value


class SlidingHistogram:
    """The values of the last `seconds`; for up to half as long again they still count.

    Args:
        seconds: the window.
        now: when it begins.
    """

    __slots__ = ("_ring", "_slices")

    def __init__(self, seconds: float, *, now: float) -> None:
        self._slices = Slices(seconds, _PARTS, now=now)
        self._ring = [Histogram() for _ in range(_PARTS + 1)]

    def summary(self, *, now: float) -> Summary | None:
        """Sum up the window that ends now; None if there is no value in it."""
        return summarize([self._ring[slot] for slot in self._slices.live(now=now)])

    def add(self, value: float, count: int = 1, *, now: float) -> None:
        """Count a value so many times; one that can't be is left out."""
        slices = self._slices
        if now >= slices.until:
            slices.turn(now=now)
            self._ring[slices.slot] = Histogram()
        self._ring[slices.slot].add(value, count)


def summarize(parts: Sequence[Histogram]) -> Summary | None:
    """Sum up histograms as if they were one; None if there is no value in any."""
    count = sum(part.count for part in parts)
    if not count:
        return None
    low, high = min(part.min for part in parts), max(part.max for part in parts)
    average = sum(part.total for part in parts) / count
    ranks = [-(-count * percent // 100) for percent in (50, 95, 99)]
    p50, p95, p99 = (_within(low, value, high) for value in _values(parts, ranks))
    return Summary(count, _within(low, average, high), low, high, p50, p95, p99)


def _values(parts: Sequence[Histogram], ranks: list[int]) -> list[float]:
    """Say which value has each of the ranks, which ascend: the middle of its bucket."""
    values: list[float] = []
    seen = 0
    for bucket, counts in enumerate(zip(*(part.buckets for part in parts), strict=True)):
        seen += sum(counts)
        while len(values) < len(ranks) and seen >= ranks[len(values)]:
            values.append(_middle(bucket))
    return values


def _bucket(value: float) -> int:
    if value < LOWEST:
        return 0
    mantissa, exponent = math.frexp(value)
    return 1 + (exponent - 1 + _DOUBLINGS) * _STEPS + int((mantissa * 2 - 1) * _STEPS)


def _middle(bucket: int) -> float:
    if not bucket:
        return LOWEST / 2
    doubling, step = divmod(bucket - 1, _STEPS)
    return math.ldexp(1 + (step + 0.5) / _STEPS, doubling - _DOUBLINGS)


def _within(low: float, value: float, high: float) -> float:
    return min(max(value, low), high)
