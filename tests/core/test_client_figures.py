"""ClientSession: what it says of itself, and what comes when it is too late or too much."""

from dataclasses import replace

import pytest

from gapless.core.budget import Shed
from gapless.core.config import Config
from gapless.core.errors import TooManyChannels
from gapless.core.frames import Data, Live, Offered, Ping, Pong, Subscribed
from gapless.core.session import MAX_IDS
from gapless.core.states import SessionState
from gapless.core.subscription import SUBSCRIPTION_BYTES

from .by_hand import WELCOME, ClientByHand, shown
from .parts import inside
from .shelf import Ballast


def test_how_it_is_and_that_it_tells_a_change() -> None:
    desk = ClientByHand(wait=3600.0)
    desk.connect()
    client, interval = desk.client, desk.client.config.metrics_interval
    assert client.health(now=desk.now).status == "healthy"
    assert client.metrics(now=desk.now).gauges.active == 1
    desk.lose()
    assert client.health(now=desk.now).status == "critical", "a link was lost, and no more"
    assert client.next_alert() is None, "it looks once a minute"
    client.handle_timeout(now=desk.now + interval)
    alert = client.next_alert()
    assert alert is not None
    assert (alert.kind, alert.status) == ("error_rate", "critical")


def test_p3_without_memory_no_more_channels_are_read() -> None:
    desk = ClientByHand()
    books = inside(desk.client, "_books")
    ballast = Ballast(desk.client.config.memory_limit - SUBSCRIPTION_BYTES + 1)
    books.open(ballast, Shed.NEVER, now=desk.now)
    with pytest.raises(TooManyChannels, match="no memory to read channel 'news'"):
        desk.client.subscribe("news", now=desk.now)
    assert desk.client.subscriptions == []
    books.close(ballast)
    desk.client.subscribe("news", now=desk.now)


def test_i6_a_duplicate_is_nothing_to_take() -> None:
    desk = ClientByHand()
    news = desk.client.subscribe("news", "earliest", now=desk.now)
    desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()), Data(7, 1, [b"m1"], False))
    assert shown(desk.take(news)) == ["m1"]
    list(iter(desk.client.next_ready, None))
    desk.say(Data(7, 1, [b"m1"], False))
    assert desk.client.next_ready() is None
    assert shown(desk.take(news)) == []


def test_i20_a_driver_that_is_late_looks_after_nothing_once_it_is_over() -> None:
    """The end, a clean-up and a look at the figures are all due in one call: the end is first."""
    desk = ClientByHand()
    desk.connect()
    desk.client.publish("news", b"m", False, now=desk.now)
    desk.client.close(now=desk.now, timeout=0.001)
    desk.client.handle_timeout(now=desk.now + 1000.0)
    assert desk.client.state is SessionState.CLOSED
    assert desk.client.next_deadline() is None


def test_p3_an_answer_for_an_id_that_nobody_can_remember_is_ignored() -> None:
    config = replace(Config(), max_message=1, history_bytes=1, max_channels=2 * MAX_IDS)
    desk = ClientByHand(config=config)
    desk.dial()
    desk.say(replace(WELCOME, max_channels=2 * MAX_IDS))
    for number in range(MAX_IDS):
        desk.client.publish(str(number), b"m", False, now=desk.now)
    desk.hear()
    desk.say(Offered(MAX_IDS + 1, "new", "P1", 0, 9), Ping(1, 0))
    assert (desk.hear(), desk.endings()) == ([Pong(1, 0)], [])
