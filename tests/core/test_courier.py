"""Courier: what is new is passed on once, when outputs are asked for, and to all it concerns."""

from dataclasses import replace

from gapless.core.channel import Channel
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.courier import REHOUSE_EVERY
from gapless.core.frames import Ack, Close, Data, Ended, Offer, Offered, Subscribe, Subscribed
from gapless.core.store import HistoryRead

from .by_hand import DurableHubByHand, HubByHand, numbered

HUB = replace(Config.production("hub"), heartbeat=1e6)


class TestMoved:
    def test_many_publishes_wake_each_reader_once(self) -> None:
        desk = HubByHand(config=HUB)
        reader = desk.hub.subscribe("news", now=desk.now)
        desk.greet(1, None, Subscribe(1, "news", "latest", 1_000_000))
        desk.hear(1)
        list(iter(desk.hub.next_ready, None))
        for payload in numbered(1, 5):
            desk.hub.publish("news", payload, now=desk.now)
        assert desk.hub.has_output
        assert list(iter(desk.hub.next_ready, None)) == [reader]
        assert list(iter(desk.hub.next_writable, None)) == [1]
        heard = [frame.payloads for frame in desk.hear(1) if isinstance(frame, Data)]
        assert heard == [numbered(1, 5)]
        assert not desk.hub.has_output

    def test_a_message_with_an_age_is_dropped_in_its_time(self) -> None:
        desk = HubByHand(config=replace(HUB, history_age=5.0))
        desk.hub.publish("news", b"m", now=desk.now)
        assert desk.hub.next_writable() is None
        assert desk.hub.next_deadline() == desk.now + 5.0
        desk.now += 5.0
        desk.hub.handle_timeout(now=desk.now)
        assert desk.entries("news") == []

    def test_a_publisher_is_told_what_was_accepted_unless_it_has_gone(self) -> None:
        desk = DurableHubByHand(config=HUB)
        desk.greet(1, None, Offer(1, "orders", None, 1))
        desk.serve()
        assert any(isinstance(frame, Offered) for frame in desk.hear(1))
        desk.say(1, Data(1, 1, [b"m"], False))
        desk.serve()
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)] == [1]
        desk.say(1, Data(1, 2, [b"m"], False))
        (append,) = desk.asked()
        desk.say(1, Close(Code.DONE, "", None))
        assert desk.hub.sessions == []
        desk.answer(append)
        assert desk.hub.next_writable() in (1, None)


class TestOpened:
    def test_who_waited_for_a_channel_is_answered_once_the_store_has_opened_it(self) -> None:
        desk = DurableHubByHand(config=HUB)
        desk.greet(1, None, Subscribe(1, "news", "latest", 1000))
        assert not any(isinstance(frame, Subscribed) for frame in desk.hear(1))
        desk.serve()
        assert any(isinstance(frame, Subscribed) for frame in desk.hear(1))

    def test_readers_of_a_numbering_that_was_left_are_told_at_once(self) -> None:
        desk = DurableHubByHand(config=HUB)
        desk.hub.configure("news", now=desk.now, history_messages=1)
        desk.fill("news", *numbered(1, 3))
        local = desk.hub.subscribe("news", now=desk.now)
        desk.greet(1, None, Subscribe(1, "news", "earliest", 1000))
        desk.hear(1)
        list(iter(desk.hub.next_ready, None))
        (read,) = desk.asked()
        desk.hub.handle_history(HistoryRead(read.request, "another", 1, 0), now=desk.now)
        assert any(isinstance(frame, Ended) for frame in desk.hear(1))
        assert local in list(iter(desk.hub.next_ready, None))


class TestForgotten:
    def test_p3_no_timer_keeps_a_private_channel_whose_session_is_over(self) -> None:
        desk = HubByHand(config=replace(HUB, history_age=1e5, lease=1.0))
        number = desk.greet(1).session
        desk.hub.publish(number, b"m" * 1000, now=desk.now)
        desk.hear(1)
        due = desk.hub.next_deadline()
        assert due is not None
        desk.lose(1)
        desk.now += 1.0
        desk.hub.handle_timeout(now=desk.now)
        assert desk.hub.sessions == []
        assert desk.hub.has_output, "what is forgotten is news, too"
        assert desk.hub.next_writable() is None
        assert desk.hub.next_deadline() is None

    def test_p3_nor_does_one_that_moved_before_it_was_forgotten(self) -> None:
        desk = HubByHand(config=replace(HUB, history_age=1e5))
        number = desk.greet(1).session
        desk.hear(1)
        desk.hub.publish(number, b"m" * 1000, now=desk.now)
        desk.say(1, Close(Code.DONE, "", None))
        assert desk.hub.sessions == []
        assert desk.hub.next_writable() is None
        assert desk.hub.next_deadline() is None


class TestWaiting:
    def test_p4_who_found_no_place_is_tried_again_every_second(self) -> None:
        desk = HubByHand(config=replace(HUB, max_hub_channels=1))
        desk.hub.publish("full", b"m", now=desk.now)
        desk.greet(1, None, Offer(1, "orders", None, 1))
        desk.hear(1)
        due = desk.hub.next_deadline()
        assert due is not None
        assert due <= desk.now + REHOUSE_EVERY
        desk.hub.channels.forget("full")
        desk.now = due
        desk.hub.handle_timeout(now=desk.now)
        assert any(isinstance(frame, Offered) for frame in desk.hear(1))

    def test_i9_a_hub_without_a_place_looks_for_one_once_for_all_who_wait(self) -> None:
        desk = HubByHand(config=replace(HUB, max_hub_channels=1))
        desk.hub.publish("full", b"m", now=desk.now)
        looked_at: list[str] = []

        def look_at(channel: Channel) -> None:
            looked_at.append(channel.name)

        desk.hub.channels.forget_idle = look_at  # type: ignore[method-assign]  # counts
        desk.greet(1, None, *(Offer(number, f"o{number}", None, 1) for number in range(1, 101)))
        for number in range(1, 101):
            desk.say(1, Subscribe(number, f"s{number}", "latest", 1000))
        desk.hear(1)
        assert len(desk.hub.channels.openings.homeless) == 200
        desk.now += REHOUSE_EVERY
        desk.hub.handle_timeout(now=desk.now)
        assert len(looked_at) == 2

    def test_p4_a_lapse_that_is_due_already_serves_who_waits_for_it(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1.0))
        assert desk.hub.subscribe("news", now=desk.now) is not None
        desk.hub.publish("news", b"m", now=desk.now)
        desk.now += 0.5
        assert desk.hub.publish("news", b"m", now=desk.now) is None
        desk.hub.next_writable()
        due = desk.hub.next_deadline()
        assert due == desk.now + 0.5
        desk.now += 2.0
        desk.hub.handle_timeout(now=desk.now)
        assert "news" in list(iter(desk.hub.next_ready, None))
        assert desk.hub.publish("news", b"m", now=desk.now) is not None

    def test_p4_a_pin_that_lapsed_before_anybody_looked_keeps_nobody_waiting(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1.0))
        desk.greet(1, None, Offer(1, "news", None, 1))
        desk.hear(1)
        assert desk.hub.subscribe("news", now=desk.now) is not None
        desk.hub.publish("news", b"m", now=desk.now)
        desk.say(1, Data(1, 1, [b"waits"], False))
        desk.now += 2.0
        desk.hub.receive_bytes(1, now=desk.now)
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)] == [1]
