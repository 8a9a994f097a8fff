"""The origin's figures on a wired session and hub, each with a number that is known."""

import json
from dataclasses import asdict, replace

from gapless.core.config import Config
from gapless.core.frames import Ack, Offered, Refused
from gapless.testing import Pair

from .by_hand import ClientByHand, started
from .test_figures import CONFIG, a_pair

OFFERED = Offered(1, "new", "P1", 0, 1_000_000)


def test_messages_a_second_of_both_directions_over_the_window() -> None:
    pair = a_pair()
    pair.peer.subscribe("news", "earliest")
    pair.run(1.0)
    for number in range(30):
        pair.publish("news", f"{number:04}")
    for _ in range(10):
        pair.peer.publish("orders", b"12345")
    pair.run(1.0)
    client = pair.client.metrics(now=pair.clock.now)
    assert (client.received.messages, client.received.bytes) == (30, 120)
    assert (client.sent.messages, client.sent.bytes) == (10, 50)
    assert abs(client.messages_per_second - 40 / client.uptime) < 0.5
    hub = pair.hub.metrics(now=pair.clock.now)
    assert (hub.received.messages, hub.sent.messages) == (10, 30)


def test_the_error_rate_is_what_failed_by_all_there_was() -> None:
    """A link that was lost, and nineteen messages: one of twenty."""
    pair = a_pair()
    for _ in range(19):
        pair.peer.publish("orders", b"x")
    pair.run(0.5)
    pair.cut()
    metrics = pair.client.metrics(now=pair.clock.now)
    assert (metrics.errors, metrics.error_rate) == (1, 0.05)
    assert metrics.health.status == "healthy", "5 % is not above 5 %"
    assert pair.hub.metrics(now=pair.clock.now).errors == 1


def test_messages_that_are_lost_are_errors_at_both_ends() -> None:
    pair = Pair(seed=1, client_config=CONFIG, hub_config=replace(CONFIG, history_messages=10))
    started(pair)
    reader = pair.peer.subscribe("news", "earliest")
    pair.run(0.5)
    pair.hub.handle_timeout(now=pair.clock.now)
    pair.publish("news", "m")
    pair.run(0.5)
    pair.peer.take_all(reader)
    pair.run(0.5)
    pair.cut()
    for _ in range(15):
        pair.clock.advance_to(pair.clock.now + 5.0)
        pair.publish("news", "m")
    pair.run(10.0)
    errors = pair.client.metrics(now=pair.clock.now).errors
    assert errors == 1 + pair.client.stats().lost > 1


def test_memory_by_message_is_what_is_held_by_what_is_waiting() -> None:
    pair = a_pair()
    for _ in range(4):
        pair.client.publish("orders", b"x" * 100, False, now=pair.clock.now)
    metrics = pair.client.metrics(now=pair.clock.now)
    assert metrics.gauges.messages_held == 4
    assert metrics.memory_per_message == pair.client.memory().held / 4


def test_latency_is_from_publish_to_accepted_at_the_publishers_clock() -> None:
    desk = ClientByHand(config=CONFIG)
    desk.connect()
    from_offer(desk)
    for seconds in (0.1, 0.2, 0.9):
        number = desk.client.publish("orders", b"x", False, now=desk.now)
        desk.hear()
        desk.now += seconds
        desk.say(Ack(1, number or 0, 1_000_000))
    latency = desk.client.metrics(now=desk.now).latency
    assert latency is not None
    assert latency.count == 4, "the first was accepted at once"
    assert latency.min == 0.0
    assert abs(latency.max - 0.9) < 1e-9
    assert abs(latency.average - 0.3) < 1e-9
    assert abs(latency.p95 - 0.9) < 0.9 / 32


def test_latency_of_a_reader_is_the_round_trip_of_a_ping() -> None:
    pair = Pair(seed=1, client_config=replace(CONFIG, heartbeat=5.0))
    started(pair)
    pair.run(12.0)
    latency = pair.client.metrics(now=pair.clock.now).latency
    assert latency is not None
    assert latency.count >= 1
    assert latency.max == pair.client.round_trip or latency.count > 1


def test_alerts_come_and_go_and_health_has_its_reasons() -> None:
    desk = ClientByHand(config=CONFIG)
    desk.connect()
    from_offer(desk)
    desk.client.publish("orders", b"x", False, now=desk.now)
    desk.hear()
    desk.say(Refused(1, 2, 2, "full", None))
    health = desk.client.health(now=desk.now)
    assert (health.status, [reason.kind for reason in health.reasons]) == (
        "critical",
        ["error_rate"],
    )
    seen: list[tuple[str, str]] = []
    for _ in range(40):
        deadline = desk.client.next_deadline()
        assert deadline is not None
        desk.now = max(desk.now, deadline)
        desk.client.handle_timeout(now=desk.now)
        desk.hear()
        while (alert := desk.client.next_alert()) is not None:
            seen.append((alert.kind, alert.status))
        if len(seen) == 2:
            break
    assert seen == [("error_rate", "critical"), ("error_rate", "healthy")]
    assert desk.client.health(now=desk.now).status == "healthy"


def test_memory_above_the_warning_is_a_reason() -> None:
    config = replace(CONFIG, memory_warning=2_500, memory_cleanup=5_000)
    pair = Pair(seed=1, client_config=config)
    started(pair)
    pair.peer.subscribe("news", "earliest")
    assert pair.client.health(now=pair.clock.now).status == "healthy"
    pair.peer.subscribe("more", "earliest")
    assert pair.client.health(now=pair.clock.now).status == "warning"


def test_stale_connections_above_the_threshold_are_an_alert_of_the_hub() -> None:
    pair = Pair(seed=1, client_config=CONFIG, hub_config=CONFIG)
    started(pair)
    for _ in range(3):
        pair.add_client().start()
    pair.run(59.0)
    assert pair.hub.health(now=pair.clock.now).status == "warning"
    pair.run(20.0)
    alert = pair.hub.next_alert()
    assert alert is not None
    assert (alert.kind, alert.value, alert.threshold) == ("stale", 4, 3)


def test_all_figures_are_plain_data_fit_for_json() -> None:
    """The origin exports its metrics to outside systems."""
    pair = a_pair()
    for machine in (pair.client, pair.hub):
        exported = json.loads(json.dumps(asdict(machine.metrics(now=pair.clock.now))))
        assert exported["gauges"]["total"] == 1
        assert exported["health"]["status"] == "healthy"


def test_i20_a_closed_session_looks_for_no_more_alerts() -> None:
    pair = a_pair()
    pair.peer.close()
    pair.run(20.0)
    assert pair.client.next_deadline() is None
    assert pair.client.next_alert() is None


def test_the_defaults_are_the_origins() -> None:
    config = Config.production()
    assert (config.metrics_interval, config.alert_error_rate) == (60.0, 0.05)
    assert (config.alert_latency, config.alert_stale) == (2.0, 3)


def from_offer(desk: ClientByHand) -> None:
    """Have the client's offer for `orders` answered; message 1 is settled by it."""
    desk.client.publish("orders", b"first", False, now=desk.now)
    desk.hear()
    desk.say(OFFERED)
    desk.hear()
    desk.say(Ack(1, 1, 1_000_000))
