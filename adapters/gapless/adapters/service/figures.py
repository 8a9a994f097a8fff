"""The origin's figures, over all sessions of a service: its fields in snake case, camelCase beside.

Sums, where a sum says it. The error rate is that of all together; the average latency is weighted
by how many were measured. The 95th percentile is the highest of any session's, which that of all
together is never above.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gapless.core.config import Config
from gapless.core.monitor import Gauges, Metrics, Monitor

HealthStatus = Literal["healthy", "warning", "critical"]
"""A verdict."""

_WORST_FIRST: tuple[HealthStatus, ...] = ("critical", "warning", "healthy")


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """How many connections there are.

    Attributes:
        active: connections that are up.
        stale: those of them without an application message for `Config.stale_age`.
        total: all, also those that are tried for, idle or closing.
    """

    active: int
    stale: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceMetrics:
    """What `WebSocketService.performance_metrics` says.

    Attributes:
        connection_health: how many connections there are.
        messages_per_second: in and out, over the last `Config.metrics_interval`.
        error_rate: errors by errors and messages, over the same time, 0 … 1.
        memory_efficiency: bytes held by messages held; None if none is held.
        average_latency, min_latency, max_latency, p95_latency: seconds, over the same time: the
            round trip of a ping. None before the first; `p95_latency` is the highest of any
            connection's.
    """

    connection_health: ConnectionHealth
    messages_per_second: float
    error_rate: float
    memory_efficiency: float | None
    average_latency: float | None
    min_latency: float | None
    max_latency: float | None
    p95_latency: float | None

    @property
    def connectionHealth(self) -> ConnectionHealth:
        return self.connection_health

    @property
    def messagesPerSecond(self) -> float:
        return self.messages_per_second

    @property
    def errorRate(self) -> float:
        return self.error_rate

    @property
    def memoryEfficiency(self) -> float | None:
        return self.memory_efficiency

    @property
    def averageLatency(self) -> float | None:
        return self.average_latency

    @property
    def minLatency(self) -> float | None:
        return self.min_latency

    @property
    def maxLatency(self) -> float | None:
        return self.max_latency

    @property
    def p95Latency(self) -> float | None:
        return self.p95_latency


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUsage:
    """What `WebSocketService.memory_usage` says.

    Attributes:
        total_connections: as in `ConnectionHealth.total`.
        estimated_memory_usage: bytes the sessions hold by their books, and of messages on their way
            to a callback.
        buffer_sizes: messages that wait, by channel.
    """

    total_connections: int
    estimated_memory_usage: int
    buffer_sizes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def totalConnections(self) -> int:
        return self.total_connections

    @property
    def estimatedMemoryUsage(self) -> int:
        return self.estimated_memory_usage

    @property
    def bufferSizes(self) -> dict[str, int]:
        return self.buffer_sizes


@dataclass(frozen=True, slots=True)
class Report:
    """What is summed up.

    Attributes:
        sessions: the metrics of each.
        links: connections of the pool, in whatever state.
        in_hand: messages on their way to callbacks, by channel, and their bytes.
    """

    sessions: Sequence[Metrics]
    links: int
    in_hand: dict[str, tuple[int, int]]

    def gauges(self) -> Gauges:
        """Sum up what holds."""
        gauges = [metrics.gauges for metrics in self.sessions]
        buffers: Counter[str] = Counter()
        for each in gauges:
            buffers.update(each.buffer_sizes)
        buffers.update({channel: count for channel, (count, _) in self.in_hand.items()})
        return Gauges(
            active=sum(each.active for each in gauges),
            stale=sum(each.stale for each in gauges),
            total=self.links,
            bytes_held=sum(each.bytes_held for each in gauges)
            + sum(size for _, size in self.in_hand.values()),
            messages_held=buffers.total(),
            buffer_sizes=dict(buffers),
        )

    def performance(self) -> PerformanceMetrics:
        """Sum everything up."""
        gauges = self.gauges()
        tried = sum(each.tried for each in self.sessions)
        errors = sum(each.error_rate * each.tried for each in self.sessions)
        latencies = [each.latency for each in self.sessions if each.latency is not None]
        count = sum(each.count for each in latencies)
        total = sum(each.average * each.count for each in latencies)
        held = gauges.messages_held
        return PerformanceMetrics(
            connection_health=ConnectionHealth(gauges.active, gauges.stale, gauges.total),
            messages_per_second=sum(each.messages_per_second for each in self.sessions),
            error_rate=errors / tried if tried else 0.0,
            memory_efficiency=gauges.bytes_held / held if held else None,
            average_latency=total / count if count else None,
            min_latency=min((each.min for each in latencies), default=None),
            max_latency=max((each.max for each in latencies), default=None),
            p95_latency=max((each.p95 for each in latencies), default=None),
        )

    def health(self, config: Config, *, now: float) -> HealthStatus:
        """Say the worst verdict: of a session, or of what all hold together."""
        together = Monitor(
            now=now,
            max_stale=config.alert_stale,
            memory_warning=config.warning_bytes,
            memory_cleanup=config.cleanup_bytes,
        ).health(self.gauges(), now=now)
        verdicts = {together.status, *(metrics.health.status for metrics in self.sessions)}
        return next(status for status in _WORST_FIRST if status in verdicts)

    def memory(self) -> MemoryUsage:
        """Sum up what is held."""
        gauges = self.gauges()
        return MemoryUsage(
            total_connections=gauges.total,
            estimated_memory_usage=gauges.bytes_held,
            buffer_sizes=gauges.buffer_sizes,
        )
