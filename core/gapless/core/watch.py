"""Watch: a `Monitor` in a machine. It begins when the machine does, and ends with it.

Before it begins nothing is counted and nothing is due: a machine that was made and never used has
no timer (I12).
"""

from collections.abc import Callable

from .config import Config
from .monitor import Alert, Gauges, Health, Metrics, Monitor


class Watch:
    """Figures, health and alerts of a session or a hub.

    Args:
        config: thresholds and times.
        gauges: says what holds now; takes the time.
    """

    __slots__ = ("_config", "_gauges", "_monitor")

    def __init__(self, config: Config, gauges: Callable[[float], Gauges]) -> None:
        self._config = config
        self._gauges = gauges
        self._monitor: Monitor | None = None

    def metrics(self, *, now: float) -> Metrics:
        """Say all figures, and how things stand."""
        monitor = self._monitor or self._begin(now)
        return monitor.report(self._gauges(now), now=now)

    def next_deadline(self, *, is_idle: bool = False) -> float | None:
        """When to look for alerts again; None where there is nothing to look at, or to clear."""
        monitor = self._monitor
        if monitor is None or (is_idle and not monitor.is_alarmed):
            return None
        return monitor.next_deadline()

    # inputs

    def start(self, *, now: float) -> None:
        """Begin, unless it has."""
        if self._monitor is None:
            self._monitor = self._begin(now)

    def stop(self) -> None:
        """End: nothing is due any more. What was counted is forgotten."""
        self._monitor = None

    def handle_received(self, messages: int, size: int, *, now: float) -> None:
        """Count messages that came in, `size` bytes together."""
        if self._monitor is not None:
            self._monitor.handle_received(messages, size, now=now)

    def handle_sent(self, messages: int, size: int, *, now: float) -> None:
        """Count messages that went out, `size` bytes together."""
        if self._monitor is not None:
            self._monitor.handle_sent(messages, size, now=now)

    def handle_errors(self, count: int, *, now: float) -> None:
        """Count what failed: tries to connect, links lost, publishes refused, messages lost."""
        if self._monitor is not None and count:
            self._monitor.handle_errors(count, now=now)

    def handle_latency(self, seconds: float | None, count: int = 1, *, now: float) -> None:
        """Take a latency that so many messages had; None: it isn't known."""
        if self._monitor is not None and seconds is not None and count:
            self._monitor.handle_latency(seconds, count, now=now)

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass; looks for alerts when due."""
        if self._monitor is not None and now >= self._monitor.next_deadline():
            self._monitor.handle_timeout(self._gauges(now), now=now)

    def next_alert(self) -> Alert | None:
        """Take the next alert: a verdict that has changed."""
        return None if self._monitor is None else self._monitor.next_alert()

    def health(self, *, now: float) -> Health:
        """Say how things stand, and why."""
        return self.metrics(now=now).health

    def _begin(self, now: float) -> Monitor:
        config = self._config
        return Monitor(
            now=now,
            interval=config.metrics_interval,
            window=config.metrics_interval,
            max_error_rate=config.alert_error_rate,
            max_latency=config.alert_latency,
            max_stale=config.alert_stale,
            memory_warning=config.warning_bytes,
            memory_cleanup=config.cleanup_bytes,
        )
