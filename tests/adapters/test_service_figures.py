"""The origin's figures: summed up over the sessions of a service, under its names and ours."""

import re
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from gapless.adapters.asyncio import Config, serve
from gapless.adapters.service import (
    ConnectionHealth,
    MemoryUsage,
    PerformanceMetrics,
    WebSocketService,
)
from gapless.adapters.service.figures import Report
from gapless.core.monitor import Gauges, Metrics, Monitor

from .service_support import Board, publish, read, small
from .support import run, until

CONFIG = Config.production()


def session(
    *,
    received: int = 0,
    errors: int = 0,
    latencies: tuple[float, ...] = (),
    is_stale: bool = False,
    held: int = 0,
    unread: int = 0,
) -> Metrics:
    """What a session's own monitor says of ten seconds."""
    monitor = Monitor(now=0.0)
    monitor.handle_received(received, 0, now=10.0)
    monitor.handle_errors(errors, now=10.0)
    for seconds in latencies:
        monitor.handle_latency(seconds, now=10.0)
    gauges = Gauges(
        active=1,
        stale=int(is_stale),
        total=1,
        bytes_held=held,
        messages_held=unread,
        buffer_sizes={"campaign/42": unread} if unread else {},
    )
    return monitor.report(gauges, now=10.0)


def report(*sessions: Metrics, in_hand: dict[str, tuple[int, int]] | None = None) -> Report:
    return Report(sessions=sessions, links=len(sessions), in_hand=in_hand or {})


def test_performance_is_summed_up_over_all_sessions() -> None:
    said = report(
        session(received=90, errors=10, latencies=(0.1, 0.1, 0.1), held=1000, unread=3),
        session(received=0, errors=100, latencies=(0.5,), is_stale=True, held=500, unread=2),
    ).performance()

    assert said.connection_health == ConnectionHealth(active=2, stale=1, total=2)
    assert said.messages_per_second == pytest.approx(9.0, rel=0.2)
    assert said.error_rate == pytest.approx(110 / 200)
    assert said.memory_efficiency == 300.0
    assert said.average_latency == pytest.approx(0.2)
    assert (said.min_latency, said.max_latency) == (0.1, 0.5)
    assert said.p95_latency == pytest.approx(0.5, rel=0.04)


def test_performance_is_summed_up_of_nothing_without_a_division() -> None:
    assert report().performance() == PerformanceMetrics(
        connection_health=ConnectionHealth(0, 0, 0),
        messages_per_second=0.0,
        error_rate=0.0,
        memory_efficiency=None,
        average_latency=None,
        min_latency=None,
        max_latency=None,
        p95_latency=None,
    )


@pytest.mark.parametrize(
    ("sessions", "verdict"),
    [
        ([], "healthy"),
        ([session(received=100)], "healthy"),
        ([session(received=100), session(received=94, errors=6)], "warning"),
        ([session(received=100), session(received=89, errors=11)], "critical"),
        ([session(latencies=(2.5,)), session()], "warning"),
        ([session(is_stale=True)] * 3, "healthy"),
        ([session(is_stale=True)] * 4, "warning"),
        ([session(is_stale=True)] * 7, "critical"),
        ([session(held=7_000_000)] * 2, "healthy"),
        ([session(held=8_000_000)] * 2, "warning"),
        ([session(held=8_000_000)] * 4, "critical"),
    ],
)
def test_health_is_the_worst_of_a_session_or_of_all_together(
    sessions: list[Metrics], verdict: str
) -> None:
    """With the origin's thresholds: 5 %, 2 s, three stale, 15 MB and 30 MB."""
    assert report(*sessions).health(CONFIG, now=10.0) == verdict


def test_memory_is_what_sessions_hold_and_what_is_on_its_way_to_callbacks() -> None:
    said = report(
        session(held=1000, unread=3), session(held=500), in_hand={"campaign/42": (2, 70)}
    ).memory()

    assert said == MemoryUsage(
        total_connections=2, estimated_memory_usage=1570, buffer_sizes={"campaign/42": 5}
    )


def test_the_origins_names_are_aliases_of_the_methods_and_of_each_field() -> None:
    for ours, theirs in (
        ("connect_to_campaign", "connectToCampaign"),
        ("performance_metrics", "getPerformanceMetrics"),
        ("health_status", "getHealthStatus"),
        ("memory_usage", "getMemoryUsage"),
    ):
        assert getattr(WebSocketService, ours) is getattr(WebSocketService, theirs)
    whole = report(session(received=1, latencies=(0.1,), held=10, unread=1))
    for said in (whole.performance(), whole.memory()):
        for field in fields(said):
            camel = re.sub(r"_(\w)", lambda letter: letter[1].upper(), field.name)
            assert getattr(said, camel) is getattr(said, field.name)
        with pytest.raises(FrozenInstanceError):
            setattr(said, fields(said)[0].name, 5)


def test_figures_are_those_of_the_pool() -> None:
    async def main() -> None:
        board = Board()
        config = replace(small(max_channels=1), heartbeat=0.02)
        async with serve() as server, WebSocketService(server.url, config=config) as service:
            assert service.health_status() == "healthy"
            for campaign in "abc":
                service.connect_to_campaign(campaign, board.on_message, board.on_error)
            await read(server, *"abc")
            for campaign in "abc":
                await publish(server, campaign, "x")
            await until(lambda: len(board.texts) == 3)
            await until(lambda: service.performance_metrics().max_latency is not None)
            said = service.performance_metrics()
            assert said.connection_health == ConnectionHealth(active=3, stale=0, total=3)
            assert said.messages_per_second > 0
            assert said.error_rate == 0.0
            usage = service.memory_usage()
            assert usage.total_connections == 3
            assert usage.estimated_memory_usage > 0
            assert set(usage.buffer_sizes) == {"campaign/a", "campaign/b", "campaign/c"}
            assert service.health_status() == "healthy"

    run(main())
