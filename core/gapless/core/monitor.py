"""Monitor: what a session or a hub does, in figures, with a verdict and alerts. Pure data.

It is told what happened, once a batch, and what holds (`Gauges`) when it is asked for a report; it
reaches into nothing, keeps nothing that grows (P3) and knows no time but `now`. Rates and latencies
are those of the last `window` seconds, so what was bad once is forgotten.

A figure above its threshold is a warning, above twice its threshold critical; memory, which has
two thresholds, is critical above its second. Health is the worst of these, with all of them as
reasons. Alerts are changes of a verdict, looked for once every `interval`: raised by a look that
finds the figure above, cleared by the first that doesn't. There is no hysteresis: a kind changes at
most once an interval, and the window already smooths what is judged.

Which figure stands for which of the origin's: docs/topics/monitor.md.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from .errors import ConfigError
from .histogram import SlidingHistogram, Summary
from .window import Flow, Window

HUB_MEMORY_WARNING = 256_000_000
"""Bytes: what a hub sets for `memory_warning`."""
HUB_MEMORY_CLEANUP = 512_000_000
"""Bytes: what a hub sets for `memory_cleanup`."""

Kind = Literal["error_rate", "latency", "stale", "memory"]
"""What is judged."""
Status = Literal["healthy", "warning", "critical"]
"""A verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What holds at the time of a report.

    Attributes:
        active: connections, or a hub's sessions, with a link.
        stale: those of them that are stale.
        total: all, with and without a link.
        bytes_held: bytes of memory in use.
        messages_held: messages in histories, outboxes and inboxes.
        buffer_sizes: messages held by channel, where that is wanted; the monitor passes it on.
    """

    active: int
    stale: int
    total: int
    bytes_held: int
    messages_held: int
    buffer_sizes: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Traffic:
    """One direction: since the monitor began, and by the second within the window."""

    messages: int
    bytes: int
    messages_per_second: float
    bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure and its verdict.

    Attributes:
        kind: which figure.
        status: the verdict.
        value: a share of 1 for the error rate, seconds (95th percentile) for latency, a number of
            connections for stale, bytes for memory.
        threshold: what the value is above; if healthy, what it isn't above.
    """

    kind: Kind
    status: Status
    value: float
    threshold: float

    def __str__(self) -> str:
        name, scale, unit = _WORDS[self.kind]
        relation = "not above" if self.status == "healthy" else "above"
        value, threshold = self.value * scale, self.threshold * scale
        return f"{name} {value:,.4g}{unit}, {relation} {threshold:,.4g}{unit}"


@dataclass(frozen=True, slots=True)
class Health:
    """The worst verdict, and every reading that is not healthy, worst first."""

    status: Status
    reasons: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Alert(Reading):
    """A verdict that changed: to warning or critical it is raised, to healthy it is cleared.

    Attributes:
        at: when that was seen, in seconds.
        count: changes of this kind since the last alert taken; this one is the newest.
    """

    at: float
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """A report.

    Attributes:
        at: when, in seconds of the clock the monitor is given.
        uptime: seconds since the monitor began.
        gauges: what held.
        received, sent: the traffic.
        messages_per_second: of both directions.
        errors: since the monitor began.
        error_rate: errors by errors and messages within the window, 0 … 1.
        tried: errors and messages within the window: how much the rate weighs beside another's.
        latency: seconds, within the window; None without a sample.
        memory_per_message: bytes held by messages held; None if none is held.
        health: the verdict.
    """

    at: float
    uptime: float
    gauges: Gauges
    received: Traffic
    sent: Traffic
    messages_per_second: float
    errors: int
    error_rate: float
    tried: int
    latency: Summary | None
    memory_per_message: float | None
    health: Health


class Monitor:
    """Counts, measures and judges.

    Args:
        now: when it begins, in seconds.
        interval: seconds between two looks for alerts.
        window: seconds that rates, latencies and so the verdict look back; at least the interval,
            or what happens between two looks would go unseen.
        max_error_rate: share of 1 above which there is an alert; 0: any error is critical.
        max_latency: seconds above which the 95th percentile is an alert: a mean would be moved by
            a single message that waited offline.
        max_stale: stale connections above which there is an alert; 0: any is critical.
        memory_warning, memory_cleanup: bytes above which memory is a warning, and critical.

    Raises:
        ConfigError: a value is out of range; the message names it.
    """

    def __init__(
        self,
        *,
        now: float,
        interval: float = 60.0,
        window: float = 60.0,
        max_error_rate: float = 0.05,
        max_latency: float = 2.0,
        max_stale: int = 3,
        memory_warning: int = 15_000_000,
        memory_cleanup: int = 30_000_000,
    ) -> None:
        _check("interval", interval, 0.1, _LONGEST)
        _check("window", window, 1.0, _LONGEST)
        _check("max_error_rate", max_error_rate, 0.0, 1.0)
        _check("max_latency", max_latency, 0.001, _LONGEST)
        _check("max_stale", max_stale, 0, 2**31, whole=True)
        _check("memory_warning", memory_warning, 1, 2**50, whole=True)
        _check("memory_cleanup", memory_cleanup, 1, 2**50, whole=True)
        if window < interval:
            raise ConfigError("Monitor.window is below Monitor.interval")
        if memory_cleanup < memory_warning:
            raise ConfigError("Monitor.memory_cleanup is below Monitor.memory_warning")
        self._interval = interval
        self._thresholds: dict[Kind, tuple[float, float]] = {
            "error_rate": (max_error_rate, 2 * max_error_rate),
            "latency": (max_latency, 2 * max_latency),
            "stale": (max_stale, 2 * max_stale),
            "memory": (memory_warning, memory_cleanup),
        }
        self._start = self._now = now
        self._deadline = now + interval
        self._received = Flow(window, now=now)
        self._sent = Flow(window, now=now)
        self._errors = Window(window, now=now)
        self._latency = SlidingHistogram(window, now=now)
        self._statuses: dict[Kind, Status] = dict.fromkeys(self._thresholds, "healthy")
        self._alerts: dict[Kind, Alert] = {}

    def report(self, gauges: Gauges, *, now: float) -> Metrics:
        """Say all figures and the verdict."""
        now = max(self._now, now)
        received, sent = _traffic(self._received, now), _traffic(self._sent, now)
        held = gauges.messages_held
        latency = self._latency.summary(now=now)
        errors, tried = self._tries(now)
        error_rate = errors / tried if tried else 0.0
        return Metrics(
            at=now,
            uptime=now - self._start,
            gauges=gauges,
            received=received,
            sent=sent,
            messages_per_second=received.messages_per_second + sent.messages_per_second,
            errors=self._errors.total,
            error_rate=error_rate,
            tried=tried,
            latency=latency,
            memory_per_message=gauges.bytes_held / held if held else None,
            health=_health(self._read(gauges, error_rate, latency)),
        )

    def health(self, gauges: Gauges, *, now: float) -> Health:
        """Say how things stand, and why."""
        return self.report(gauges, now=now).health

    @property
    def is_alarmed(self) -> bool:
        """Whether an alert was raised and not cleared."""
        return any(status != "healthy" for status in self._statuses.values())

    def next_deadline(self) -> float:
        """When to look for alerts again."""
        return self._deadline

    def handle_received(self, messages: int, size: int, *, now: float) -> None:
        """Count messages that came in, `size` bytes together."""
        self._received.add(messages, size, now=self._advance(now))

    def handle_sent(self, messages: int, size: int, *, now: float) -> None:
        """Count messages that went out, `size` bytes together."""
        self._sent.add(messages, size, now=self._advance(now))

    def handle_errors(self, count: int, *, now: float) -> None:
        """Count what failed: tries to connect, links lost, publishes refused, messages lost."""
        self._errors.add(count, now=self._advance(now))

    def handle_latency(self, seconds: float, count: int = 1, *, now: float) -> None:
        """Take a latency that so many messages had. What can't be one is left out."""
        self._latency.add(seconds, count, now=self._advance(now))

    def handle_timeout(self, gauges: Gauges, *, now: float) -> None:
        """Let time pass; looks for alerts when due, once however late it is."""
        now = self._advance(now)
        if now < self._deadline:
            return
        self._deadline = now + self._interval
        errors, tried = self._tries(now)
        error_rate = errors / tried if tried else 0.0
        latency = self._latency.summary(now=now)
        for reading in self._read(gauges, error_rate, latency):
            if reading.status != self._statuses[reading.kind]:
                self._change(reading, now)

    def next_alert(self) -> Alert | None:
        """Take the next alert: one per kind waits, with the newest verdict; None if there is none.

        What was raised and cleared again in between is a cleared alert that counts two changes.
        """
        return self._alerts.pop(next(iter(self._alerts))) if self._alerts else None

    def _advance(self, now: float) -> float:
        if now > self._now:
            self._now = now
        return self._now

    def _tries(self, now: float) -> tuple[int, int]:
        """Count the errors within the window, and the errors and messages."""
        errors = self._errors.recent(now=now)
        flows = (self._received, self._sent)
        return errors, errors + sum(flow.recent(now=now)[0] for flow in flows)

    def _read(self, gauges: Gauges, error_rate: float, latency: Summary | None) -> list[Reading]:
        values: dict[Kind, float] = {
            "error_rate": error_rate,
            "latency": latency.p95 if latency else 0.0,
            "stale": gauges.stale,
            "memory": gauges.bytes_held,
        }
        return [_judge(kind, value, *self._thresholds[kind]) for kind, value in values.items()]

    def _change(self, reading: Reading, now: float) -> None:
        kind = reading.kind
        self._statuses[kind] = reading.status
        alert = Alert(kind, reading.status, reading.value, reading.threshold, now)
        waiting = self._alerts.get(kind)
        self._alerts[kind] = replace(alert, count=waiting.count + 1) if waiting else alert


def _traffic(flow: Flow, now: float) -> Traffic:
    messages_rate, bytes_rate = flow.rates(now=now)
    return Traffic(flow.messages, flow.bytes, messages_rate, bytes_rate)


def _judge(kind: Kind, value: float, warning: float, critical: float) -> Reading:
    if value > critical:
        return Reading(kind, "critical", value, critical)
    return Reading(kind, "warning" if value > warning else "healthy", value, warning)


def _health(readings: list[Reading]) -> Health:
    reasons = [reading for reading in readings if reading.status != "healthy"]
    reasons.sort(key=lambda reading: reading.status != "critical")
    return Health(reasons[0].status if reasons else "healthy", tuple(reasons))


def _check(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"Monitor.{name} is {value!r}; it must be {low:,} … {high:,}")
    if whole and not isinstance(value, int):
        raise ConfigError(f"Monitor.{name} is {value!r}; it must be a whole number")


_LONGEST = 86_400.0
_WORDS: dict[Kind, tuple[str, float, str]] = {
    "error_rate": ("error rate", 100.0, " %"),
    "latency": ("latency", 1.0, " s"),
    "stale": ("stale connections", 1.0, ""),
    "memory": ("memory", 1e-6, " MB"),
}
