"""A sliding count is exact to one slice, in fixed memory, however time goes (P3)."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.window import Flow, Slices, Window

from .footprint import footprint

DAY = 86_400
times = st.integers(0, 20 * 16).map(lambda sixteenths: sixteenths / 16)


def a_window(*, now: float = 0.0) -> Window:
    """Ten seconds in slices of one."""
    return Window(10.0, 10, now=now)


class TestCounting:
    def test_what_is_old_no_longer_counts_but_stays_in_the_total(self) -> None:
        window = a_window()
        window.add(3, now=0.5)
        window.add(4, now=5.0)
        assert window.recent(now=10.5) == 7
        assert window.recent(now=11.0) == 4, "the slice of the first is out"
        assert window.recent(now=16.0) == 0
        assert window.total == 7

    def test_asking_changes_nothing(self) -> None:
        window = a_window()
        window.add(3, now=0.5)
        assert window.recent(now=1e6) == 0
        assert window.recent(now=1.0) == 3

    def test_a_long_idle_time_leaves_nothing_behind(self) -> None:
        window = a_window()
        for second in range(11):
            window.add(1, now=float(second))
        window.add(5, now=30.0 * DAY)
        assert window.recent(now=30.0 * DAY) == 5
        assert window.total == 16

    def test_a_clock_that_runs_back_counts_into_the_newest_slice(self) -> None:
        window = a_window(now=100.0)
        window.add(1, now=150.5)
        window.add(1, now=90.0)
        window.add(1, now=120.0)
        assert window.recent(now=90.0) == window.recent(now=150.5) == 3
        assert window.recent(now=160.5) == 3
        assert window.recent(now=161.0) == 0

    def test_a_slice_that_ends_where_rounding_sees_the_old_one_loses_nothing(self) -> None:
        window = Window(1.0, 10, now=100.0)
        assert int((100.1 - 100.0) / 0.1) == 0, "though the second slice begins at 100.1"
        window.add(1, now=100.05)
        window.add(1, now=100.1)
        assert window.recent(now=100.1) == 2

    @given(st.lists(st.tuples(times, st.integers(0, 5)), max_size=80), times, st.integers(-9, 9))
    def test_it_agrees_with_a_list_of_all_events(
        self, gaps: list[tuple[float, int]], wait: float, start: int
    ) -> None:
        now = float(start)
        window = a_window(now=now)
        events: list[tuple[float, int]] = []
        for gap, count in gaps:
            now += gap / 4
            window.add(count, now=now)
            events.append((now, count))
        now += wait
        # The slices are whole seconds: an event counts while its own is one of the last eleven.
        expected = sum(count for at, count in events if now // 1 - at // 1 <= 10)
        assert window.recent(now=now) == expected
        assert window.total == sum(count for _, count in events)

    @given(
        st.floats(-1e6, 1e6),
        st.floats(0.1, 1e5),
        st.integers(1, 100),
        st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50),
        st.floats(0.0, 2.0),
    )
    def test_however_slices_and_floats_fall_it_is_off_by_at_most_a_slice(
        self, start: float, seconds: float, parts: int, gaps: list[float], wait: float
    ) -> None:
        now, window = start, Window(seconds, parts, now=start)
        events: list[float] = []
        for gap in gaps:
            now += gap * seconds / 10
            window.add(1, now=now)
            events.append(now)
            assert window.recent(now=now) >= 1, "what was just counted is there"
        now += wait * seconds
        ages = [Fraction(now) - Fraction(at) for at in events]
        slack = Fraction(1, 10**6)  # rounding of times
        surely = sum(age <= seconds - slack for age in ages)
        possibly = sum(age <= seconds * (1 + Fraction(1, parts)) + slack for age in ages)
        assert surely <= window.recent(now=now) <= possibly


def test_a_slot_that_was_never_used_is_not_live() -> None:
    slices = Slices(10.0, 10, now=0.0)
    assert slices.live(now=0.0) == [0]
    slices.turn(now=3.0)
    assert slices.live(now=3.0) == [0, 3]


class TestRate:
    def test_a_steady_stream_has_its_own_rate_at_any_time(self) -> None:
        window = a_window()
        for tick in range(1, 1000):
            now = tick / 8
            window.add(5, now=now)
            if now > 1.0:
                assert abs(window.rate(now=now) - 40.0) <= 5.0, "one add more or less"

    def test_the_first_moment_is_no_peak(self) -> None:
        window = a_window()
        window.add(7, now=0.0)
        assert window.rate(now=0.0) == window.rate(now=1.0) == 7.0, "as if in a whole slice"
        assert window.rate(now=3.5) == 2.0

    def test_silence_brings_it_down_to_nothing(self) -> None:
        window = a_window()
        window.add(100, now=0.5)
        rates = [window.rate(now=float(second)) for second in range(1, 12)]
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] == 0.0

    def test_a_clock_that_runs_back_makes_no_peak(self) -> None:
        window = a_window()
        window.add(100, now=500.0)
        assert window.rate(now=0.0) == window.rate(now=500.0) == 10.0

    @given(times, st.integers(1, 20))
    def test_the_span_is_the_time_counted_in(self, now: float, parts: int) -> None:
        slices = Slices(float(parts), parts, now=0.0)
        begin = max(now // 1 - parts, 0.0)
        assert slices.span(now=now) == max(now - begin, 1.0)


def test_memory_is_fixed_whatever_is_counted_and_however_long() -> None:
    """P3, over 24 virtual hours."""
    window = Window(60.0, now=0.0)
    for now in range(600):
        window.add(1 << 50, now=float(now))
    after_ten_minutes = footprint(window)
    for now in range(600, DAY):
        window.add(1 << 50, now=float(now))
    assert footprint(window) <= after_ten_minutes + 64 < 8_000
    assert window.recent(now=float(DAY - 1)) == 61 << 50


class TestFlow:
    def test_messages_and_bytes_are_counted_together(self) -> None:
        flow = Flow(10.0, 10, now=0.0)
        flow.add(3, 300, now=0.5)
        flow.add(1, 50, now=0.9)
        flow.add(4, 40, now=5.0)
        assert flow.recent(now=10.5) == (8, 390)
        assert flow.recent(now=11.0) == (4, 40), "the slice of the first is out"
        assert (flow.messages, flow.bytes) == (8, 390)

    def test_a_rate_is_over_the_time_they_were_counted_in(self) -> None:
        flow = Flow(10.0, 10, now=0.0)
        flow.add(6, 600, now=0.5)
        assert flow.rates(now=0.5) == (6.0, 600.0), "a slice at least: no first moment is a peak"
        assert flow.rates(now=3.0) == (2.0, 200.0)

    @given(st.lists(st.tuples(times, st.integers(0, 9), st.integers(0, 99)), max_size=30))
    def test_it_counts_as_two_windows_do(self, counts: list[tuple[float, int, int]]) -> None:
        flow, messages, size = Flow(10.0, 10, now=0.0), a_window(), a_window()
        now = 0.0
        for at, count, more in counts:
            now = max(now, at)
            flow.add(count, more, now=now)
            messages.add(count, now=now)
            size.add(more, now=now)
        assert flow.recent(now=now) == (messages.recent(now=now), size.recent(now=now))
        assert flow.rates(now=now) == (messages.rate(now=now), size.rate(now=now))
