"""Watch: a monitor that begins when its machine does, and ends with it (I12)."""

from gapless.core.config import Config
from gapless.core.monitor import Gauges
from gapless.core.watch import Watch

CONFIG = Config(metrics_interval=10.0)


def gauges(stale: int) -> Gauges:
    return Gauges(active=1, stale=stale, total=1, bytes_held=5, messages_held=1)


def a_watch(*, stale: int = 0) -> Watch:
    return Watch(CONFIG, lambda now: gauges(stale))


class TestBeginning:
    def test_i12_before_it_begins_nothing_is_counted_and_nothing_is_due(self) -> None:
        watch = a_watch()
        watch.handle_received(1, 10, now=0.0)
        watch.handle_sent(1, 10, now=0.0)
        watch.handle_errors(1, now=0.0)
        watch.handle_latency(1.0, now=0.0)
        watch.handle_timeout(now=1e9)
        assert watch.next_deadline() is None
        assert watch.next_alert() is None
        metrics = watch.metrics(now=5.0)
        assert (metrics.received.messages, metrics.sent.messages, metrics.errors) == (0, 0, 0)
        assert metrics.gauges.bytes_held == 5, "how things stand is said all the same"

    def test_it_begins_once(self) -> None:
        watch = a_watch()
        watch.start(now=0.0)
        watch.start(now=7.0)
        assert watch.next_deadline() == 10.0

    def test_i20_nothing_is_due_once_it_has_ended(self) -> None:
        watch = a_watch()
        watch.start(now=0.0)
        watch.stop()
        assert watch.next_deadline() is None
        assert watch.next_alert() is None


class TestCounting:
    def test_it_tells_its_monitor(self) -> None:
        watch = a_watch()
        watch.start(now=0.0)
        watch.handle_received(3, 30, now=1.0)
        watch.handle_sent(2, 20, now=1.0)
        watch.handle_errors(5, now=1.0)
        watch.handle_errors(0, now=1.0)
        watch.handle_latency(0.5, 2, now=1.0)
        watch.handle_latency(None, now=1.0)
        watch.handle_latency(9.0, 0, now=1.0)
        metrics = watch.metrics(now=2.0)
        assert (metrics.received.messages, metrics.received.bytes) == (3, 30)
        assert (metrics.sent.messages, metrics.sent.bytes) == (2, 20)
        assert metrics.errors == 5
        assert metrics.error_rate == 0.5
        assert metrics.latency is not None
        assert (metrics.latency.count, metrics.latency.max) == (2, 0.5)
        assert watch.health(now=2.0) == metrics.health


class TestAlerts:
    def test_they_are_looked_for_when_due_by_the_configs_thresholds(self) -> None:
        watch = a_watch(stale=CONFIG.alert_stale + 1)
        watch.start(now=0.0)
        watch.handle_timeout(now=9.9)
        assert watch.next_alert() is None
        watch.handle_timeout(now=10.0)
        alert = watch.next_alert()
        assert alert is not None
        assert (alert.kind, alert.status) == ("stale", "warning")
        assert watch.next_deadline() == 20.0, "I12: not in the past"

    def test_one_who_is_idle_is_looked_at_until_its_alerts_are_cleared(self) -> None:
        stale = [CONFIG.alert_stale + 1]
        watch = Watch(CONFIG, lambda now: gauges(stale[0]))
        watch.start(now=0.0)
        assert watch.next_deadline(is_idle=True) is None
        watch.handle_timeout(now=10.0)
        assert watch.next_deadline(is_idle=True) == 20.0
        stale[0] = 0
        watch.handle_timeout(now=20.0)
        assert watch.next_deadline(is_idle=True) is None
        assert watch.next_deadline() == 30.0
