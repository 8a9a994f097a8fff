"""The origin's table: each figure, threshold, default and habit of the service before this one.

Each row names what stands for it here, and the tests that show it: read by
`tests/test_origin_table.py`, which fails where one is missing, and printed by
`python -m tests.acceptance.origin_table`.
"""

from dataclasses import dataclass

from gapless.core.config import Config

FIGURES = "core/test_figures.py::test_"
WIRED = "core/test_figures_session.py::test_"
RELIEF = "core/test_relief.py::"
CLIENT = "core/test_memory_client.py::test_"
SERVICE = "adapters/test_service.py::test_"
THREADS = "adapters/test_service_threads.py::test_"
FIGURES_OF_ALL = "adapters/test_service_figures.py::test_"
LATER = "to come"


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of the origin.

    Attributes:
        section: of what kind.
        fact: in its words.
        here: what stands for it.
        tests: prefixes of the names of the tests that show it; none if it is to come.
        values: for a default, fields of `Config` and what they must be in the production profile.
    """

    section: str
    fact: str
    here: str
    tests: tuple[str, ...] = ()
    values: tuple[tuple[str, object], ...] = ()

    @property
    def is_later(self) -> bool:
        """Whether it belongs to a part that isn't there yet."""
        return self.here == LATER

    def differences(self) -> list[str]:
        """The values that are not what the origin says."""
        config = Config.production()
        found = [(name, getattr(config, name), wanted) for name, wanted in self.values]
        return [
            f"{name} is {is_!r}, not {wanted!r}" for name, is_, wanted in found if is_ != wanted
        ]


def _figure(fact: str, here: str, *tests: str) -> Row:
    return Row("figures", fact, here, tests)


def _default(fact: str, here: str, *tests: str, **values: object) -> Row:
    return Row("production configuration", fact, here, tests, tuple(values.items()))


def _habit(fact: str, here: str, *tests: str) -> Row:
    return Row("behaviour", fact, here, tests)


TABLE = (
    Row(
        "api",
        "connectToCampaign(id, onMessage, onError) -> clean-up",
        "WebSocketService.connect_to_campaign, and connectToCampaign",
        (
            SERVICE + "a_campaign_is_told_in_order",
            SERVICE + "what_a_callback_raises",
            SERVICE + "a_callback_may_clean_up_connect",
            "adapters/test_service_links.py::test_over_cuts_and_a_restart",
            THREADS + "a_campaign_is_told_in_order",
            THREADS + "a_callback_that_blocks",
            THREADS + "any_thread_may_connect_and_clean_up",
        ),
    ),
    Row(
        "api",
        "getPerformanceMetrics(), camelCase",
        "WebSocketService.performance_metrics, and getPerformanceMetrics",
        (
            FIGURES_OF_ALL + "performance_is_summed_up",
            FIGURES_OF_ALL + "the_origins_names_are_aliases",
        ),
    ),
    Row(
        "api",
        "getHealthStatus(), camelCase",
        "WebSocketService.health_status, and getHealthStatus",
        (FIGURES_OF_ALL + "health_is", FIGURES_OF_ALL + "the_origins_names_are_aliases"),
    ),
    Row(
        "api",
        "getMemoryUsage(), camelCase",
        "WebSocketService.memory_usage, and getMemoryUsage",
        (FIGURES_OF_ALL + "memory_is", FIGURES_OF_ALL + "the_origins_names_are_aliases"),
    ),
    _figure("connectionHealth.active", "metrics().gauges.active", FIGURES + "a_client_is_active"),
    _figure("connectionHealth.stale", "metrics().gauges.stale", FIGURES + "a_client_is_active"),
    _figure(
        "connectionHealth.total",
        "metrics().gauges.total",
        FIGURES + "a_hub_has_its_sessions_and_what_its_channels_keep",
    ),
    _figure("messagesPerSecond", "metrics().messages_per_second", WIRED + "messages_a_second"),
    _figure(
        "errorRate",
        "metrics().error_rate",
        WIRED + "the_error_rate_is",
        WIRED + "messages_that_are_lost_are_errors",
    ),
    _figure("memoryEfficiency", "metrics().memory_per_message", WIRED + "memory_by_message"),
    _figure("latency average", "metrics().latency.average", WIRED + "latency_is_from_publish"),
    _figure("latency min", "metrics().latency.min", WIRED + "latency_is_from_publish"),
    _figure("latency max", "metrics().latency.max", WIRED + "latency_is_from_publish"),
    _figure(
        "latency 95th percentile",
        "metrics().latency.p95",
        WIRED + "latency_is_from_publish",
        WIRED + "latency_of_a_reader",
    ),
    _figure("health 'healthy'", "health().status", WIRED + "alerts_come_and_go"),
    _figure("health 'warning'", "health().status", WIRED + "memory_above_the_warning"),
    _figure("health 'critical'", "health().status", WIRED + "alerts_come_and_go"),
    _figure("totalConnections", "metrics().gauges.total", FIGURES + "a_hub_has_its_sessions"),
    _figure(
        "estimatedMemoryUsage, here exact",
        "memory().held",
        "core/test_accounts.py::TestAgainstASum",
        "core/test_memory_hub.py::test_p3",
        CLIENT + "p3",
    ),
    _figure(
        "bufferSizes",
        "metrics().gauges.buffer_sizes",
        FIGURES + "a_client_has_its_unread",
        FIGURES + "a_hub_has_its_sessions",
    ),
    _default(
        "max connections 15",
        "Config.max_connections",
        "core/test_pool.py::TestLimit",
        max_connections=15,
    ),
    _default(
        "message buffer 200 (50-500 by environment)",
        "Config.history_messages",
        "core/test_outbox.py",
        history_messages=200,
    ),
    _default(
        "max sequence gap 100", "Config.max_gap", "core/test_reorder.py::TestBounds", max_gap=100
    ),
    _default(
        "connection timeout 30,000 ms",
        "Config.connect_timeout",
        "core/test_link.py",
        "core/test_dialer.py::TestLosing",
        connect_timeout=30.0,
    ),
    _default("heartbeat 30,000 ms", "Config.heartbeat", "core/test_heartbeat.py", heartbeat=30.0),
    _default(
        "cleanup interval 45,000 ms",
        "Config.cleanup_interval",
        RELIEF + "TestCleanUps::test_i12_one_is_due_every_interval",
        "core/test_accounts.py::TestTime",
        cleanup_interval=45.0,
    ),
    _default(
        "memory warning 15 MB (log)",
        "Config.memory_warning: level, a reason of health(), an alert, no credit above a share",
        WIRED + "memory_above_the_warning_is_a_reason",
        CLIENT + "p4_credit_that_was_withheld",
        warning_bytes=15_000_000,
    ),
    _default(
        "memory cleanup 30 MB (aggressive clean-up)",
        "Config.memory_cleanup",
        RELIEF + "TestOrder::test_frames_go_before_history",
        cleanup_bytes=30_000_000,
    ),
    _default(
        "message age limit 5 min",
        "Config.stale_age",
        RELIEF + "TestCleanUps::test_stale_frames_go",
        FIGURES + "a_client_is_active_while",
        stale_age=300.0,
    ),
    _default(
        "2 min aggressive",
        "Config.aggressive_age",
        "core/test_budget.py::TestCleanUp::test_in_an_aggressive_clean_up_after_two_minutes",
        aggressive_age=120.0,
    ),
    _default(
        "metrics every 60 s",
        "Config.metrics_interval",
        "core/test_watch.py::TestAlerts",
        metrics_interval=60.0,
    ),
    _default(
        "alert: error rate > 5 %",
        "Config.alert_error_rate",
        "core/test_monitor.py::TestHealth::test_more_than_five_percent",
        WIRED + "alerts_come_and_go",
        alert_error_rate=0.05,
    ),
    _default(
        "alert: latency > 2,000 ms",
        "Config.alert_latency",
        "core/test_monitor.py::TestHealth::test_more_than_two_seconds",
        alert_latency=2.0,
    ),
    _default(
        "alert: more than 3 stale connections",
        "Config.alert_stale",
        WIRED + "stale_connections_above_the_threshold",
        alert_stale=3,
    ),
    Row(
        "profiles",
        "development: buffer 50",
        "Config.development()",
        ("test_origin_table.py::test_a_profile_has_its_buffer",),
    ),
    Row(
        "profiles",
        "production: buffer 200",
        "Config.production()",
        ("test_origin_table.py::test_a_profile_has_its_buffer",),
    ),
    Row(
        "profiles",
        "high performance: buffer 500",
        "Config.high_performance()",
        ("test_origin_table.py::test_a_profile_has_its_buffer",),
    ),
    _habit(
        "size-limited FIFO buffers that drop the oldest",
        "a channel's history rotates; who missed it is told",
        "core/test_history.py::TestBounds",
        "core/test_history.py::test_it_is_a_list_with_a_moving_start",
    ),
    _habit(
        "overflow degrades gracefully",
        "wait, reject or rotate; shedding in order",
        "core/test_channel_pins.py::TestPins",
        RELIEF + "TestOrder",
        RELIEF + "TestTold",
    ),
    _habit(
        "duplicates by sequence number removed",
        "Receiver",
        "core/test_receiver.py::TestDuplicatesAndGaps",
        "core/test_bad_frames.py::TestI6Duplicates",
    ),
    _habit(
        "gaps detected",
        "a gap subscribes again; `ReorderBuffer` holds and asks",
        "core/test_receiver.py::TestDuplicatesAndGaps",
        "core/test_reorder.py::TestAsking",
    ),
    _habit(
        "gaps never block for ever",
        "asked for again, then lost or reset",
        "core/test_reorder.py::TestAsking::test_it_is_asked_for_again_and_then_lost",
        "core/test_machine.py::TestStory",
    ),
    _habit(
        "exponential backoff",
        "Backoff",
        "core/test_backoff.py::test_ceilings_double_from_base_to_cap",
    ),
    _habit("with jitter", "Backoff", "core/test_backoff.py::test_jitter_is_full"),
    _habit(
        "reconnection state cleared after success",
        "Backoff, after 10 s of life",
        "core/test_backoff.py::test_life_clears_progress_halves",
        "core/test_reconnector.py::TestAfterwards::test_a_link_that_lived",
    ),
    _habit(
        "every timeout cleaned up",
        "one lazy heap; nothing is due once closed (I12, I20)",
        "core/test_timers.py",
        "core/test_dialer.py::TestClosing::test_i20",
        WIRED + "i20_a_closed_session_looks_for_no_more_alerts",
    ),
    _habit(
        "connections pooled", "Pool", "core/test_pool.py::TestSharing", "adapters/test_pooling.py"
    ),
    _habit("and reused", "Pool", "core/test_pool.py::TestSharing::test_an_idle_session_is_used"),
    _habit(
        "stale references removed",
        "what is over is counted no more, channels nobody would miss are forgotten",
        "core/test_memory_hub.py::test_p3_nothing_is_counted_once_everybody_has_gone",
        CLIENT + "p3_nothing_is_counted_of_what_is_left",
        RELIEF + "TestCleanUps::test_a_channel_nobody_would_miss",
    ),
    _habit(
        "metrics exported to outside systems",
        "plain data, fit for JSON",
        WIRED + "all_figures_are_plain_data",
    ),
)
