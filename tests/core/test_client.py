"""ClientSession: what is common to its channels — memory, and what becomes of an inbox."""

import pytest

from gapless.core.config import KIB, Config
from gapless.testing import Checker, Pair

from .by_hand import names, numbered, publish, shown, started, taking


@pytest.mark.parametrize("limit", [64, 100])
def test_p4_a_memory_limit_of_one_window_leaves_something_to_take(limit: int) -> None:
    config = Config(window=64 * KIB, memory_limit=limit * KIB, max_message=20_000)
    pair = Pair(seed=1, client_config=config)
    checker = Checker(pair)
    started(pair)
    news = pair.peer.subscribe("news", "earliest")
    pair.settle()
    publish(pair, "news", *numbered(1, 20, 9_000))
    events = [word for more in taking(pair, news, seconds=30.0) for word in shown(more)]
    assert events == names(1, 20)
    checker.finish()


def test_i20_an_unsubscribed_inbox_is_dropped() -> None:
    pair = Pair(seed=1)
    started(pair)
    news = pair.peer.subscribe("news", "earliest")
    pair.settle()
    publish(pair, "news", *numbered(1, 5))
    pair.settle()
    assert news.held_bytes > 0
    pair.peer.unsubscribe(news)
    assert news.held_bytes == pair.client.held_bytes == 0
    assert pair.client.next_message(news, now=pair.clock.now) is None
    assert pair.client.stats().received == 5
