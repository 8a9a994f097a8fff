"""Percentiles are as close as promised, and no value can spoil the others (P3)."""

import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.histogram import (
    HIGHEST,
    LOWEST,
    PRECISION,
    Histogram,
    SlidingHistogram,
    Summary,
    summarize,
)

from .footprint import footprint

values = st.floats(0.0, 2 * HIGHEST) | st.floats(0.0, 10.0)


def filled(*values: float) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def summary_of(*values: float) -> Summary:
    summary = summarize([filled(*values)])
    assert summary is not None
    return summary


def rank(values: list[float], percent: int) -> float:
    """The smallest value that so many percent are not greater than."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def assert_near(summary: Summary | None, values: list[float]) -> None:
    """As the docstring of the module promises."""
    values = [min(value, HIGHEST) for value in values]
    if not values:
        assert summary is None
        return
    assert summary is not None
    assert (summary.count, summary.min, summary.max) == (len(values), min(values), max(values))
    assert math.isclose(summary.average, sum(values) / len(values))
    assert summary.min <= summary.average <= summary.max
    for percent, found in ((50, summary.p50), (95, summary.p95), (99, summary.p99)):
        true = rank(values, percent)
        assert abs(found - true) <= max(true * PRECISION, LOWEST / 2)
    assert summary.min <= summary.p50 <= summary.p95 <= summary.p99 <= summary.max


class TestSummary:
    def test_of_nothing_there_is_none(self) -> None:
        assert summarize([]) is None
        assert summarize([Histogram()]) is None

    @given(st.lists(values, max_size=200))
    def test_it_agrees_with_a_sorted_list(self, values: list[float]) -> None:
        assert_near(summarize([filled(*values)]), values)

    @given(st.lists(st.lists(values, max_size=40), max_size=4))
    def test_parts_are_summed_up_as_one(self, parts: list[list[float]]) -> None:
        together = [value for part in parts for value in part]
        assert_near(summarize([filled(*part) for part in parts]), together)

    @given(values, st.integers(1, 1000))
    def test_one_value_is_exact_however_often_it_comes(self, value: float, count: int) -> None:
        histogram = Histogram()
        histogram.add(value, count)
        value = min(value, HIGHEST)
        assert summarize([histogram]) == Summary(count, *[value] * 6)

    def test_many_at_once_are_as_many_one_by_one(self) -> None:
        at_once = Histogram()
        at_once.add(0.25, 95)
        at_once.add(4.0, 5)
        assert summarize([at_once]) == summary_of(*[0.25] * 95, *[4.0] * 5)

    def test_percentiles_are_those_of_a_known_spread(self) -> None:
        summary = summary_of(*(n / 100 for n in range(1, 101)))
        assert math.isclose(summary.average, 0.505)
        found = (summary.p50, summary.p95, summary.p99)
        true = (0.5, 0.95, 0.99)
        assert all(abs(a - b) <= b * PRECISION for a, b in zip(found, true, strict=True))

    @pytest.mark.parametrize("edge", [LOWEST, 0.5, 1.0, 2.0, 4.0, HIGHEST])
    def test_a_power_of_two_is_told_from_what_is_just_below(self, edge: float) -> None:
        """So a threshold of 2 s is judged exactly."""
        below = math.nextafter(edge, 0.0)
        assert summary_of(*[below] * 98, 9 * edge, 0.0).p95 < edge
        assert summary_of(*[edge] * 98, 9 * edge, 0.0).p95 >= edge

    def test_the_precision_is_the_stated_three_percent(self) -> None:
        assert PRECISION == 1 / 32


class TestBadValues:
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0, -5e-324])
    def test_what_is_no_latency_is_left_out(self, bad: float) -> None:
        assert summary_of(1.0, bad, 3.0) == summary_of(1.0, 3.0)
        assert summarize([filled(bad)]) is None

    @pytest.mark.parametrize("count", [0, -1])
    def test_a_value_that_came_no_times_is_left_out(self, count: int) -> None:
        histogram = filled(2.0)
        histogram.add(1.0, count)
        assert summarize([histogram]) == summary_of(2.0)

    def test_the_greatest_floats_do_not_overflow(self) -> None:
        greatest = math.nextafter(math.inf, 0.0)
        assert summary_of(greatest, greatest) == Summary(2, *[HIGHEST] * 6)

    @pytest.mark.parametrize("tiny", [0.0, 5e-324, 1e-9])
    def test_the_smallest_share_a_bucket(self, tiny: float) -> None:
        assert summary_of(tiny) == Summary(1, *[tiny] * 6)

    def test_a_whole_number_is_a_value_too(self) -> None:
        assert summary_of(10**400, 3) == summary_of(HIGHEST, 3.0)


class TestSliding:
    def test_what_is_old_is_forgotten(self) -> None:
        sliding = SlidingHistogram(60.0, now=0.0)
        sliding.add(5.0, now=1.0)
        sliding.add(0.1, now=40.0)
        both = sliding.summary(now=61.0)
        assert both is not None
        assert (both.count, both.max) == (2, 5.0), "at least the window"
        later = sliding.summary(now=90.0)
        assert later is not None
        assert (later.count, later.max) == (1, 0.1), "at most half as much again"
        assert sliding.summary(now=120.0) is None

    def test_asking_changes_nothing(self) -> None:
        sliding = SlidingHistogram(60.0, now=0.0)
        sliding.add(5.0, now=1.0)
        assert sliding.summary(now=1e6) is None
        assert sliding.summary(now=2.0) is not None

    def test_a_clock_that_jumps_ahead_forgets_and_one_that_runs_back_does_not(self) -> None:
        sliding = SlidingHistogram(60.0, now=0.0)
        sliding.add(5.0, now=1.0)
        sliding.add(1.0, 3, now=1e7)
        sliding.add(2.0, now=50.0)
        summary = sliding.summary(now=0.0)
        assert summary is not None
        assert (summary.count, summary.min, summary.max) == (4, 1.0, 2.0)

    @given(st.lists(st.tuples(st.integers(0, 60), values), max_size=60), st.integers(0, 150))
    def test_it_agrees_with_a_list_of_all_values(
        self, script: list[tuple[int, float]], wait: int
    ) -> None:
        sliding, now = SlidingHistogram(60.0, now=0.0), 0
        events: list[tuple[int, float]] = []
        for gap, value in script:
            now += gap
            sliding.add(value, now=float(now))
            events.append((now, value))
        now += wait
        live = [value for at, value in events if now // 30 - at // 30 <= 2]
        assert_near(sliding.summary(now=float(now)), live)


def common(rng: Random) -> float:
    return rng.expovariate(10.0)


def extreme(rng: Random) -> float:
    return 10 ** rng.uniform(-320, 308)


def bad(rng: Random) -> float:
    return rng.choice([math.nan, math.inf, -1.0, 0.0])


@pytest.mark.parametrize("draw", [common, extreme, bad])
def test_memory_is_fixed_whatever_is_fed(draw: Callable[[Random], float]) -> None:
    """P3: three histograms of 642 buckets, each at most a number of 32 bytes."""
    rng = Random(1)
    sliding = SlidingHistogram(60.0, now=0.0)
    for n in range(20_000):
        sliding.add(draw(rng), 1 << 40, now=n / 10)
    assert footprint(sliding) < 3 * 642 * (8 + 32) + 2_000
