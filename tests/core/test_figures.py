"""Figures: what holds at a session and at a hub, with known numbers, on the wired machines."""

from dataclasses import replace

from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.frames import Ping, Pong
from gapless.testing import Pair

from .by_hand import HubByHand, started

CONFIG = Config(heartbeat=1000.0, stale_age=50.0, aggressive_age=50.0, metrics_interval=10.0)
PAIR_HUB = replace(CONFIG, history_messages=1000, memory_limit=1_024_000_000)


def a_pair() -> Pair:
    pair = Pair(seed=1, client_config=CONFIG, hub_config=PAIR_HUB)
    started(pair)
    return pair


def test_a_client_has_its_unread_and_unsettled_messages_by_channel() -> None:
    pair = a_pair()
    pair.peer.subscribe("news", "earliest")
    pair.run(0.5)
    for number in range(3):
        pair.publish("news", f"s{number}")
    pair.run(0.5)
    pair.hold(True, to_client=True)
    pair.peer.publish("news", b"p1")
    pair.peer.publish("orders", b"p2")
    gauges = pair.client.metrics(now=pair.clock.now).gauges
    assert gauges.buffer_sizes == {"news": 4, "orders": 1}
    assert (gauges.messages_held, gauges.total) == (5, 1)
    assert gauges.bytes_held == pair.client.memory().held > 0


def test_a_client_is_active_while_a_link_carries_it_and_stale_when_nothing_passes() -> None:
    pair = a_pair()

    def connections() -> tuple[int, int, int]:
        gauges = pair.client.metrics(now=pair.clock.now).gauges
        return gauges.active, gauges.stale, gauges.total

    assert connections() == (1, 0, 1)
    pair.run(60.0)
    assert connections() == (1, 1, 1)
    pair.peer.publish("news", b"p")
    pair.run(1.0)
    assert connections() == (1, 0, 1)
    pair.run(60.0)
    pair.cut()
    assert connections() == (0, 0, 1), "who has no link is not stale"


def test_a_hub_has_its_sessions_and_what_its_channels_keep() -> None:
    pair = a_pair()
    other = pair.add_client()
    other.start()
    pair.run(1.0)
    pair.hub.handle_link_opened(99, now=pair.clock.now)
    for name, count in (("news", 3), ("orders", 2)):
        for _ in range(count):
            pair.publish(name, "m")
    pair.peer.subscribe("news", "earliest")
    pair.run(40.0)
    pair.publish("news", "m")
    pair.run(20.0)
    gauges = pair.hub.metrics(now=pair.clock.now).gauges
    assert (gauges.active, gauges.stale, gauges.total) == (2, 1, 2)
    assert gauges.buffer_sizes == {"news": 4, "orders": 2}
    assert gauges.messages_held == 6
    assert gauges.bytes_held == pair.hub.memory().held
    pair.kill_client(other)
    pair.run(1.0)
    gauges = pair.hub.metrics(now=pair.clock.now).gauges
    assert (gauges.active, gauges.stale, gauges.total) == (1, 0, 2)


def test_a_hub_counts_what_has_gone_through_it() -> None:
    pair = a_pair()
    reader = pair.peer.subscribe("news", "earliest")
    pair.run(0.5)
    for _ in range(3):
        pair.publish("news", "m")
    pair.peer.publish("orders", b"p")
    pair.run(0.5)
    pair.peer.take_all(reader)
    stats = pair.hub.stats(now=pair.clock.now)
    assert (stats.sessions, stats.links, stats.channels, stats.messages) == (1, 1, 2, 4)
    assert (stats.received, stats.sent, stats.errors) == (1, 3, 0)
    pair.cut()
    pair.hub.handle_timeout(now=pair.clock.now)
    stats = pair.hub.stats(now=pair.clock.now)
    assert (stats.sessions, stats.links, stats.errors) == (1, 0, 1)


def test_a_refused_http_handshake_is_an_error_at_a_hub_and_one_that_hung_up_is_none() -> None:
    """Also before the first link; it sets no timer (I12)."""
    desk = HubByHand(config=CONFIG)
    lost = Ending(Code.LOST, "the client hung up during the handshake")
    desk.hub.handle_link_lost(1, lost, now=desk.now)
    assert desk.hub.stats(now=desk.now).errors == 0
    desk.hub.handle_link_lost(2, Ending(Code.REJECTED, "no", status=403), now=desk.now)
    desk.hub.handle_link_lost(2, lost, now=desk.now)
    assert desk.hub.stats(now=desk.now).errors == 1
    assert desk.hub.next_deadline() is None


def test_a_pong_that_comes_again_is_no_other_latency() -> None:
    """Else one client could make the hub's figures, and its alerts."""
    desk = HubByHand(config=replace(CONFIG, heartbeat=1.0, heartbeat_timeout=100.0))
    desk.greet(1)
    desk.now += 5.0
    desk.hub.handle_timeout(now=desk.now)
    (ping,) = desk.hear(1)
    assert isinstance(ping, Ping)
    desk.now += 3.0
    desk.say(1, *[Pong(ping.number, 0)] * 100)
    latency = desk.hub.metrics(now=desk.now).latency
    assert latency is not None
    assert (latency.count, latency.max) == (1, 3.0)
