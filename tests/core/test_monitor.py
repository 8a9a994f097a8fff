"""The origin's figures, a verdict with reasons, alerts that come and go; in fixed memory (P3)."""

import json
import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, asdict, dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.errors import ConfigError
from gapless.core.histogram import PRECISION
from gapless.core.monitor import (
    HUB_MEMORY_CLEANUP,
    HUB_MEMORY_WARNING,
    Alert,
    Gauges,
    Kind,
    Monitor,
    Status,
)

from .footprint import footprint

DAY = 86_400


def gauges(*, stale: int = 0, held: int = 0, messages: int = 0) -> Gauges:
    return Gauges(active=10, stale=stale, total=12, bytes_held=held, messages_held=messages)


CALM = gauges()


def alerts(monitor: Monitor) -> Iterator[Alert]:
    while (alert := monitor.next_alert()) is not None:
        yield alert


def changes(monitor: Monitor) -> list[tuple[Kind, Status]]:
    return [(alert.kind, alert.status) for alert in alerts(monitor)]


class TestFigures:
    def test_every_figure_of_the_origin_is_there(self) -> None:
        """Its `getPerformanceMetrics`, `getHealthStatus` and `getMemoryUsage`, field by field."""
        monitor = Monitor(now=100.0)
        monitor.handle_received(90, 9_000, now=101.0)
        monitor.handle_sent(6, 600, now=102.0)
        monitor.handle_errors(4, now=103.0)
        for milliseconds in range(1, 101):
            monitor.handle_latency(milliseconds / 1000, now=104.0)
        held = Gauges(
            active=3,
            stale=1,
            total=5,
            bytes_held=20_000_000,
            messages_held=1_000,
            buffer_sizes={"campaign/42": 1_000},
        )
        metrics = monitor.report(held, now=110.0)
        connections = metrics.gauges
        assert (connections.active, connections.stale, connections.total) == (3, 1, 5)
        assert math.isclose(metrics.messages_per_second, 9.6)
        assert metrics.error_rate == 0.04
        assert metrics.error_rate * metrics.tried == metrics.errors
        assert metrics.memory_per_message == 20_000.0, "memoryEfficiency"
        latency = metrics.latency
        assert latency is not None
        assert math.isclose(latency.average, 0.0505)
        assert (latency.min, latency.max) == (0.001, 0.1)
        assert math.isclose(latency.p95, 0.095, rel_tol=PRECISION)
        assert metrics.health.status == "warning"
        assert (metrics.gauges.total, metrics.gauges.bytes_held) == (5, 20_000_000)
        assert metrics.gauges.buffer_sizes == {"campaign/42": 1_000}

    def test_each_direction_has_totals_and_rates(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_received(60, 600, now=10.0)
        monitor.handle_sent(30, 3_000, now=20.0)
        metrics = monitor.report(CALM, now=30.0)
        assert (metrics.received.messages, metrics.received.bytes) == (60, 600)
        assert (metrics.received.messages_per_second, metrics.received.bytes_per_second) == (2, 20)
        assert (metrics.sent.messages, metrics.sent.bytes) == (30, 3_000)
        assert (metrics.sent.messages_per_second, metrics.sent.bytes_per_second) == (1, 100)
        later = monitor.report(CALM, now=500.0)
        assert (later.received.messages, later.sent.bytes) == (60, 3_000)
        assert later.messages_per_second == 0.0
        assert (later.at, later.uptime) == (500.0, 500.0)

    def test_without_any_there_is_no_latency_and_no_memory_per_message(self) -> None:
        metrics = Monitor(now=0.0).report(gauges(held=500), now=0.0)
        assert metrics.latency is None
        assert metrics.memory_per_message is None
        assert (metrics.error_rate, metrics.messages_per_second) == (0.0, 0.0)
        assert metrics.health.status == "healthy"

    def test_errors_alone_are_a_rate_of_one(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_errors(1, now=1.0)
        assert monitor.report(CALM, now=1.0).error_rate == 1.0
        assert monitor.report(CALM, now=1.0).errors == 1
        assert monitor.report(CALM, now=1.0).tried == 1

    def test_one_latency_can_count_for_a_batch(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_latency(0.5, 128, now=1.0)
        latency = monitor.report(CALM, now=1.0).latency
        assert latency is not None
        assert latency.count == 128

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -0.1])
    def test_no_latency_can_spoil_the_others(self, bad: float) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_latency(0.5, now=1.0)
        before = monitor.report(CALM, now=1.0)
        monitor.handle_latency(bad, now=1.0)
        assert monitor.report(CALM, now=1.0) == before

    def test_a_report_is_plain_data(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_latency(3.0, now=1.0)
        metrics = monitor.report(gauges(stale=4), now=1.0)
        exported = json.loads(json.dumps(asdict(metrics)))
        assert exported["health"]["reasons"][0]["kind"] == "latency"
        with pytest.raises(FrozenInstanceError):
            metrics.errors = 1  # type: ignore[misc]  # that is the point


class TestHealth:
    @pytest.mark.parametrize(
        ("figure", "status"),
        [
            (gauges(stale=3), "healthy"),
            (gauges(stale=4), "warning"),
            (gauges(stale=6), "warning"),
            (gauges(stale=7), "critical"),
            (gauges(held=15_000_000), "healthy"),
            (gauges(held=15_000_001), "warning"),
            (gauges(held=30_000_000), "warning"),
            (gauges(held=30_000_001), "critical"),
        ],
    )
    def test_a_gauge_is_judged_by_the_origins_thresholds(
        self, figure: Gauges, status: Status
    ) -> None:
        assert Monitor(now=0.0).health(figure, now=0.0).status == status

    @pytest.mark.parametrize(
        ("errors", "status"), [(5, "healthy"), (6, "warning"), (10, "warning"), (11, "critical")]
    )
    def test_more_than_five_percent_errors_are_a_warning(self, errors: int, status: Status) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_received(50, 0, now=1.0)
        monitor.handle_sent(50 - errors, 0, now=1.0)
        monitor.handle_errors(errors, now=1.0)
        assert monitor.health(CALM, now=2.0).status == status

    @pytest.mark.parametrize(
        ("latency", "status"),
        [(2.0, "healthy"), (2.001, "warning"), (4.0, "warning"), (4.001, "critical")],
    )
    def test_more_than_two_seconds_are_a_warning(self, latency: float, status: Status) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_latency(latency, now=1.0)
        assert monitor.health(CALM, now=2.0).status == status

    def test_one_message_that_waited_offline_is_no_bad_latency(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_latency(0.05, 99, now=1.0)
        monitor.handle_latency(3_600.0, now=1.0)
        assert monitor.health(CALM, now=2.0).status == "healthy"

    def test_a_hub_has_its_own_memory_thresholds(self) -> None:
        monitor = Monitor(
            now=0.0, memory_warning=HUB_MEMORY_WARNING, memory_cleanup=HUB_MEMORY_CLEANUP
        )
        held = (256_000_000, 256_000_001, 512_000_001)
        found = [monitor.health(gauges(held=bytes_held), now=0.0).status for bytes_held in held]
        assert found == ["healthy", "warning", "critical"]

    def test_all_reasons_are_said_the_worst_first(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_received(93, 0, now=1.0)
        monitor.handle_errors(7, now=1.0)
        monitor.handle_latency(5.0, now=1.0)
        health = monitor.health(gauges(stale=4, held=31_234_567), now=2.0)
        assert health.status == "critical"
        assert list(map(str, health.reasons)) == [
            "latency 5 s, above 4 s",
            "memory 31.23 MB, above 30 MB",
            "error rate 7 %, above 5 %",
            "stale connections 4, above 3",
        ]

    def test_a_threshold_of_zero_tolerates_none(self) -> None:
        monitor = Monitor(now=0.0, max_error_rate=0.0, max_stale=0)
        assert monitor.health(CALM, now=0.0).status == "healthy"
        assert monitor.health(gauges(stale=1), now=0.0).status == "critical"
        monitor.handle_received(10_000, 0, now=0.0)
        monitor.handle_errors(1, now=0.0)
        assert monitor.health(CALM, now=0.0).status == "critical"


class TestAlerts:
    def test_it_looks_every_minute_and_not_before(self) -> None:
        monitor = Monitor(now=100.0)
        assert monitor.next_deadline() == 160.0
        monitor.handle_timeout(gauges(stale=4), now=159.9)
        assert monitor.next_alert() is None
        monitor.handle_timeout(gauges(stale=4), now=160.0)
        assert monitor.next_alert() == Alert("stale", "warning", 4, 3, at=160.0)
        assert monitor.next_alert() is None, "once"
        assert monitor.next_deadline() == 220.0

    def test_an_alert_comes_is_not_repeated_and_goes(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_errors(1, now=59.0)
        monitor.handle_errors(1, now=61.0)
        seen: list[list[str]] = []
        alarmed = [monitor.is_alarmed]
        for minute in range(1, 5):
            monitor.handle_timeout(CALM, now=60.0 * minute)
            seen.append([f"{alert.status}: {alert}" for alert in alerts(monitor)])
            alarmed.append(monitor.is_alarmed)
        assert alarmed == [False, True, True, False, False]
        assert seen == [
            ["critical: error rate 100 %, above 10 %"],
            [],
            ["healthy: error rate 0 %, not above 5 %"],
            [],
        ]

    def test_a_bad_latency_goes_away_when_nothing_follows(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_latency(9.0, now=1.0)
        monitor.handle_timeout(CALM, now=60.0)
        assert changes(monitor) == [("latency", "critical")], "the whole interval is looked at"
        monitor.handle_timeout(CALM, now=120.0)
        assert changes(monitor) == [("latency", "healthy")]

    def test_getting_worse_and_better_are_changes_too(self) -> None:
        monitor = Monitor(now=0.0)
        seen: list[tuple[Kind, Status]] = []
        for minute, held in enumerate((16, 31, 32, 16, 15), start=1):
            monitor.handle_timeout(gauges(held=held * 1_000_000), now=60.0 * minute)
            seen += changes(monitor)
        verdicts = ("warning", "critical", "warning", "healthy")
        assert seen == [("memory", status) for status in verdicts]

    def test_what_is_not_taken_is_folded_into_the_newest(self) -> None:
        """One pending a kind: forgetting to take is late, never growth."""
        monitor = Monitor(now=0.0)
        for minute in range(1, 1001):
            bad = minute % 2
            monitor.handle_timeout(gauges(stale=9 * bad, held=10**9 * bad), now=60.0 * minute)
        assert [(alert.kind, alert.status, alert.count) for alert in alerts(monitor)] == [
            ("stale", "healthy", 1000),
            ("memory", "healthy", 1000),
        ]

    def test_a_host_that_slept_looks_once(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_timeout(gauges(stale=4), now=1e6)
        assert [alert.count for alert in alerts(monitor)] == [1]
        assert monitor.next_deadline() == 1e6 + 60.0

    def test_a_clock_that_runs_back_changes_nothing(self) -> None:
        monitor = Monitor(now=0.0)
        monitor.handle_received(61, 0, now=500.0)
        monitor.handle_timeout(CALM, now=500.0)
        monitor.handle_timeout(gauges(stale=4), now=10.0)
        assert changes(monitor) == []
        assert monitor.next_deadline() == 560.0
        monitor.handle_errors(1, now=10.0)
        metrics = monitor.report(CALM, now=10.0)
        assert (metrics.at, metrics.error_rate) == (500.0, 1 / 62)


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("interval", 0),
            ("interval", math.nan),
            ("interval", math.inf),
            ("window", 0.5),
            ("max_error_rate", -0.01),
            ("max_error_rate", 1.01),
            ("max_latency", 0),
            ("max_latency", "2"),
            ("max_latency", None),
            ("max_stale", -1),
            ("max_stale", True),
            ("memory_warning", 0),
            ("memory_cleanup", 0),
        ],
    )
    def test_a_value_out_of_range_is_named(self, name: str, value: object) -> None:
        with pytest.raises(ConfigError, match=rf"Monitor\.{name} is .*must be .* … "):
            Monitor(now=0.0, **{name: value})  # type: ignore[arg-type]  # that is the point

    @pytest.mark.parametrize("name", ["max_stale", "memory_warning", "memory_cleanup"])
    def test_counts_are_whole_numbers(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"Monitor\.{name} .* whole number"):
            Monitor(now=0.0, **{name: 2000.0})  # type: ignore[arg-type]  # that is the point

    def test_the_window_reaches_back_to_the_last_look(self) -> None:
        with pytest.raises(ConfigError, match=r"Monitor\.window is below Monitor\.interval"):
            Monitor(now=0.0, interval=61.0)

    def test_clean_up_does_not_come_before_the_warning(self) -> None:
        with pytest.raises(ConfigError, match=r"memory_cleanup is below Monitor\.memory_warning"):
            Monitor(now=0.0, memory_warning=30_000_001)

    def test_the_edges_are_legal(self) -> None:
        Monitor(now=0.0, interval=60, window=60, max_error_rate=1, memory_warning=30_000_000)


@dataclass
class Model:
    """All that ever happened, in lists; whole seconds, so that slices are easy to tell."""

    received: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    errors: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    latencies: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    due: int = 60
    told: dict[Kind, Status] = field(default_factory=dict[Kind, Status])

    def error_rate(self, now: int) -> float:
        errors = sum(count for at, count in self.errors if now - at <= 60)
        tried = errors + sum(count for at, count in self.received if now - at <= 60)
        return errors / tried if tried else 0.0

    def p95(self, now: int) -> float:
        live = sorted(value for at, value in self.latencies if now // 30 - at // 30 <= 2)
        return live[-(-len(live) * 95 // 100) - 1] if live else 0.0

    def verdicts(self, now: int, held: Gauges) -> dict[Kind, Status]:
        def judge(value: float, warning: float, critical: float) -> Status:
            return "critical" if value > critical else "warning" if value > warning else "healthy"

        return {
            "error_rate": judge(self.error_rate(now), 0.05, 0.1),
            "latency": judge(self.p95(now), 2, 4),
            "stale": judge(held.stale, 3, 6),
            "memory": judge(held.bytes_held, 15_000_000, 30_000_000),
        }


some_gauges = st.builds(
    gauges, stale=st.integers(0, 8), held=st.integers(0, 40).map(lambda mb: mb * 1_000_000)
)
steps = st.tuples(
    st.integers(0, 40),
    st.one_of(
        st.tuples(st.just("received"), st.integers(0, 100)),
        st.tuples(st.just("errors"), st.integers(0, 6)),
        st.tuples(st.just("latency"), st.sampled_from([0.1, 1.9, 2.1, 3.9, 4.1, 100.0])),
        st.tuples(st.just("timeout"), some_gauges),
        st.tuples(st.just("take"), st.none()),
    ),
)


@given(st.lists(steps, max_size=60))
def test_it_agrees_with_lists_of_all_that_happened(
    script: list[tuple[int, tuple[str, object]]],
) -> None:
    """I12, I22: metrics equal the model's; whoever takes alerts knows what the model knows."""
    monitor, model, now = Monitor(now=0.0), Model(), 0
    known: dict[Kind, Status] = dict.fromkeys(model.verdicts(0, CALM), "healthy")
    for gap, (step, value) in script:
        now += gap
        if isinstance(value, Gauges):
            monitor.handle_timeout(value, now=float(now))
            if now >= model.due:
                model.due = now + 60
                model.told = model.verdicts(now, value)
        elif step == "latency":
            assert isinstance(value, float)
            monitor.handle_latency(value, now=float(now))
            model.latencies.append((now, value))
        elif isinstance(value, int):
            if step == "received":
                monitor.handle_received(value, 10 * value, now=float(now))
                model.received.append((now, value))
            else:
                monitor.handle_errors(value, now=float(now))
                model.errors.append((now, value))
        else:
            known.update(changes(monitor))
        assert monitor.next_deadline() == model.due
        metrics = monitor.report(CALM, now=float(now))
        assert metrics.received.messages == sum(count for _, count in model.received)
        assert metrics.error_rate == model.error_rate(now)
        verdicts = model.verdicts(now, CALM)
        bad = {reading.kind: reading.status for reading in metrics.health.reasons}
        assert bad == {kind: verdict for kind, verdict in verdicts.items() if verdict != "healthy"}
    known.update(changes(monitor))
    assert known == {**dict.fromkeys(known, "healthy"), **model.told}


def busy_day(monitor: Monitor, seed: int, *, until: int) -> list[Alert]:
    """Drive it punctually, with traffic, errors, latencies of all kinds, pauses and bad gauges."""
    rng = Random(seed)
    now, taken = 0.0, list[Alert]()
    while now < until:
        now += rng.choice((0.5, 5.0, 20.0, 300.0))
        while monitor.next_deadline() <= now:
            figures = gauges(stale=rng.randrange(9), held=rng.randrange(40_000_000))
            monitor.handle_timeout(figures, now=monitor.next_deadline())
        monitor.handle_received(rng.randrange(1 << 40), rng.randrange(1 << 50), now=now)
        monitor.handle_sent(rng.randrange(1 << 40), rng.randrange(1 << 50), now=now)
        monitor.handle_errors(rng.randrange(1 << 38), now=now)
        monitor.handle_latency(10 ** rng.uniform(-9, 9), rng.randrange(1, 200), now=now)
        if rng.random() < 0.1:
            taken += alerts(monitor)
    return taken


def test_memory_is_fixed_over_a_busy_day() -> None:
    """P3: after 24 virtual hours it holds no more than it can after one."""
    monitor = Monitor(now=0.0)
    empty = footprint(monitor)
    busy_day(monitor, 1, until=DAY)
    # 5 windows of 61 slices, 3 histograms of 642 buckets: 32 bytes at most for a number in each.
    assert footprint(monitor) <= empty + (5 * 2 * 61 + 3 * 642) * 32 + 2_000
    assert footprint(monitor) < 110_000


def test_the_same_day_twice_is_the_same_to_the_last_figure() -> None:
    """P8."""
    days: list[object] = []
    for _ in range(2):
        monitor = Monitor(now=0.0)
        taken = busy_day(monitor, 7, until=DAY // 4)
        days.append((taken, monitor.report(CALM, now=float(DAY // 4)), monitor.next_deadline()))
    assert days[0] == days[1]


def test_a_quiet_day_wakes_up_once_a_minute_and_says_nothing() -> None:
    monitor, looks = Monitor(now=0.0), 0
    while (now := monitor.next_deadline()) <= DAY:
        monitor.handle_timeout(CALM, now=now)
        assert monitor.next_deadline() > now, "I12: never in the past"
        looks += 1
    assert looks == 24 * 60
    assert monitor.next_alert() is None
