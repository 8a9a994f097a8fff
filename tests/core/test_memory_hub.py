"""A hub keeps to its memory limit at every step, says what it shed, and all goes on (P2, P3, P4).

`Crowd` is random; its checker adds up what is there after every step, and holds it against the
books and the limit. More seeds: `python -m tests.core.test_memory_hub FIRST LAST`.
"""

import sys
from collections import Counter
from dataclasses import replace

import pytest

from gapless.core.budget import Shed
from gapless.core.config import BESIDE_MESSAGES, KIB, MIB, Config
from gapless.core.errors import ConfigError
from gapless.core.events import Message
from gapless.core.frames import Ack, Data, Offer, Subscribe
from gapless.testing import Pair
from gapless.testing.holdings import check_memory
from gapless.transports import JsonCodec, MemoryWire

from .by_hand import DurableHubByHand, HubByHand, numbered
from .crowd import Crowd

SMALL = Config(memory_limit=256 * KIB, max_message=20_000, lease=5.0, heartbeat=1000.0)


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_p3_and_p4_whatever_happens_the_limit_holds_and_all_settles(seed: int) -> None:
    Crowd(seed).run(50)


def test_p3_nothing_is_counted_once_everybody_has_gone() -> None:
    desk = HubByHand(config=SMALL)
    for link in range(1, 6):
        desk.greet(link)
        desk.say(link, Subscribe(1, "news", "latest", 1000), Offer(1, "orders", None, 1))
        desk.hear(link)
        desk.say(link, Data(1, 1, numbered(1, 3, 10), False))
        assert any(isinstance(frame, Ack) for frame in desk.hear(link))
    reader = desk.hub.subscribe("news", now=desk.now)
    assert reader is not None
    check_memory("hub", desk.hub)
    for link in range(1, 6):
        desk.lose(link)
    desk.hub.unsubscribe(reader, now=desk.now)
    for _ in range(20):
        desk.now += 30.0
        desk.hub.handle_timeout(now=desk.now)
        deadline = desk.hub.next_deadline()
        assert deadline is None or deadline > desk.now, "I12"
    kinds = desk.hub.memory().kinds
    assert [kinds[kind].holders for kind in (Shed.INBOX, Shed.SESSION, Shed.NEVER)] == [0, 0, 0]
    check_memory("hub", desk.hub)


def test_p3_what_the_store_has_read_for_a_reader_is_counted() -> None:
    desk = DurableHubByHand(config=SMALL)
    desk.hub.configure("news", now=desk.now, history_messages=2, history_bytes=20_000)
    desk.fill("news", *numbered(1, 20, 1000))
    desk.greet(1, None, Subscribe(1, "news", "earliest", 1_000_000))
    desk.serve()
    desk.hear(1)
    before = desk.hub.memory().kinds[Shed.NEVER].held
    desk.serve()
    assert desk.hub.memory().kinds[Shed.NEVER].held >= before + 18_000
    check_memory("hub", desk.hub)
    desk.hear(1)
    assert desk.hub.memory().kinds[Shed.NEVER].held <= before + 1000
    check_memory("hub", desk.hub)


@pytest.mark.parametrize("largest", [1000, 20_000, MIB])
def test_p4_with_the_least_memory_a_hub_takes_what_one_client_publishes(largest: int) -> None:
    """With less it asked for the same batch again every second, for ever."""
    config = Config(max_message=largest)
    pair = Pair(seed=1, hub_config=replace(config, memory_limit=config.least_hub_memory))
    pair.peer.start()
    for number in range(100):
        pair.peer.publish("orders", f"{number}".ljust(min(largest, 10_000)))
    assert pair.run_until(lambda: pair.client.is_settled, timeout=10.0)
    check_memory("hub", pair.hub)


def test_p4_a_batch_that_there_is_no_memory_for_as_a_whole_is_taken_in_parts() -> None:
    """Ten sessions leave less than a batch takes: one was refused every second, for ever."""
    config = Config(max_message=20_000)
    small = replace(config, memory_limit=config.least_hub_memory, history_messages=100)
    pair = Pair(seed=1, hub_config=small, client_config=config)
    peers = [pair.peer, *(pair.add_client() for _ in range(9))]
    for peer in peers:
        peer.start()
        peer.subscribe("news", "latest")
        for _ in range(100):
            peer.publish("orders", bytes(1000))
    assert pair.run_until(lambda: all(peer.session.is_settled for peer in peers), timeout=30.0)
    check_memory("hub", pair.hub)


def test_p3_what_text_takes_once_it_is_encoded_counts_at_once() -> None:
    """In JSON a control character takes six bytes: a hub held three times what it may."""
    pair = Pair(
        seed=1,
        hub_config=Config(memory_limit=2_000_000, max_message=60_000),
        new_client_wire=lambda _: MemoryWire(JsonCodec(MIB)),
        new_server_wire=lambda _: MemoryWire(JsonCodec(MIB), from_client=True),
    )
    pair.peer.start()
    names = [f"c{number}" for number in range(20)]
    subscriptions = [pair.peer.subscribe(name, "earliest") for name in names]
    pair.settle()
    taken: list[object] = []
    for name in names * 2:
        assert pair.publish(name, "\x01" * 60_000) is not None
        pair.run(0.01)
        check_memory("hub", pair.hub)
        taken += [event for one in subscriptions for event in pair.peer.take_all(one)]
    assert sum(isinstance(event, Message) for event in taken) == 40


def test_p4_a_hub_that_could_take_no_batch_is_not_made() -> None:
    with pytest.raises(ConfigError, match=r"Config\.memory_limit is 131072; at a hub .* 163840"):
        HubByHand(config=replace(SMALL, memory_limit=128 * KIB))


def test_p4_with_the_least_memory_a_session_publishes_and_reads_its_largest_message() -> None:
    pair = Pair(seed=1, client_config=Config(max_message=MIB, memory_limit=MIB + BESIDE_MESSAGES))
    pair.peer.start()
    subscription = pair.peer.subscribe("news", "earliest")
    pair.run(1.0)
    pair.peer.publish("news", bytes(MIB))
    assert pair.run_until(lambda: pair.client.is_settled, timeout=10.0)
    pair.peer.settled("news")
    assert pair.run_until(
        lambda: any(isinstance(event, Message) for event in pair.peer.take_all(subscription)),
        timeout=30.0,
    )


if __name__ == "__main__":
    seen: Counter[str] = Counter()
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        crowd = Crowd(number, is_slow=number % 2 == 0)
        crowd.run(80)
        seen += crowd.counts
    print(dict(seen))


def test_p3_what_is_appended_is_booked_though_all_was_settled_just_before() -> None:
    config = Config(max_message=1000, history_bytes=64 * KIB, history_messages=2)
    desk = HubByHand(config=replace(config, memory_limit=config.least_hub_memory))
    for _ in range(400):
        desk.hub.publish_many("news", [bytes(900)], now=desk.now)
        check_memory("S", desk.hub)
