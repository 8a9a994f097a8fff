"""LocalReaders: the server's own readers are opened, counted, woken and closed (P3)."""

from dataclasses import replace

from gapless.core.budget import Shed
from gapless.core.config import Config
from gapless.core.events import CaughtUp, Message, Reset
from gapless.core.local import LOCAL_BYTES
from gapless.core.pins import PIN_BYTES
from gapless.core.store import HistoryRead

from .by_hand import DurableHubByHand, HubByHand, numbered

HUB = replace(Config.production("hub"), heartbeat=1e6)


def test_one_reads_from_where_it_says_and_room_comes_up_as_it_takes() -> None:
    desk = HubByHand(config=replace(HUB, history_messages=2, patience=1e6))
    reader = desk.hub.subscribe("news", "earliest", now=desk.now)
    assert reader is not None
    assert isinstance(desk.hub.next_message(reader, now=desk.now), CaughtUp)
    assert desk.hub.next_message(reader, now=desk.now) is None
    for payload in numbered(1, 2):
        desk.hub.publish("news", payload, now=desk.now)
    assert desk.hub.publish("news", b"m3", now=desk.now) is None
    taken = desk.hub.next_message(reader, now=desk.now)
    assert isinstance(taken, Message)
    assert taken.payload == b"m1"
    assert "news" in list(iter(desk.hub.next_ready, None))
    assert desk.hub.publish("news", b"m3", now=desk.now) is not None


def test_p3_it_and_its_pin_are_counted_until_it_leaves() -> None:
    desk = HubByHand(config=HUB)
    desk.hub.publish("news", b"m", now=desk.now)
    before = desk.hub.memory().held
    reader = desk.hub.subscribe("news", now=desk.now)
    assert reader is not None
    assert desk.hub.memory().held == before + LOCAL_BYTES + PIN_BYTES
    desk.hub.unsubscribe(reader, now=desk.now)
    desk.hub.unsubscribe(reader, now=desk.now)
    assert desk.hub.memory().held == before


def test_one_waits_until_the_store_has_opened_its_channel() -> None:
    desk = DurableHubByHand(config=HUB)
    assert desk.hub.subscribe("news", now=desk.now) is None
    desk.serve()
    assert "news" in list(iter(desk.hub.next_ready, None))
    assert desk.hub.subscribe("news", now=desk.now) is not None


def test_what_the_history_no_longer_holds_is_read_from_the_store_and_counted() -> None:
    desk = DurableHubByHand(config=HUB)
    desk.hub.configure("news", now=desk.now, history_messages=1)
    desk.fill("news", *numbered(1, 5, 1000))
    reader = desk.hub.subscribe("news", "earliest", now=desk.now)
    assert reader is not None
    never = desk.hub.memory().kinds[Shed.NEVER].held
    assert desk.hub.next_message(reader, now=desk.now) is None
    desk.serve()
    assert reader in list(iter(desk.hub.next_ready, None))
    assert desk.hub.memory().kinds[Shed.NEVER].held >= never + 4000
    events = [desk.hub.next_message(reader, now=desk.now) for _ in range(5)]
    taken = [event.payload for event in events if isinstance(event, Message)]
    assert taken == numbered(1, 5, 1000)
    assert desk.hub.memory().kinds[Shed.NEVER].held == never


def test_p3_the_pin_it_has_in_a_new_numbering_is_counted() -> None:
    desk = DurableHubByHand(config=HUB)
    desk.hub.configure("news", now=desk.now, history_messages=1)
    desk.fill("news", *numbered(1, 3))
    reader = desk.hub.subscribe("news", "earliest", now=desk.now)
    assert reader is not None
    assert desk.hub.next_message(reader, now=desk.now) is None
    (read,) = desk.asked()
    desk.hub.handle_history(HistoryRead(read.request, "another", 1, 0), now=desk.now)
    assert desk.hub.memory().kinds[Shed.PIN].held == 0
    assert isinstance(desk.hub.next_message(reader, now=desk.now), Reset)
    assert desk.hub.memory().kinds[Shed.PIN].held == PIN_BYTES
