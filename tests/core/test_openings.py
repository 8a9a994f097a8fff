"""Openings: who wants a channel there is no place or no memory for waits, and gets it (P4)."""

from dataclasses import replace

import pytest

from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.courier import REHOUSE_EVERY
from gapless.core.errors import TooManyChannels
from gapless.core.frames import (
    Close,
    Denied,
    Live,
    Offer,
    Offered,
    Recovered,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.testing import Checker, Pair
from gapless.testing.holdings import check_memory

from .by_hand import DurableHubByHand, HubByHand, numbered, shown, taking
from .parts import inside, lines

HUB = replace(Config.production("hub"), heartbeat=1e6)


class Full(HubByHand):
    """A hub with places for so many channels, all of them in use by the server itself."""

    def __init__(self, places: int = 1, **changes: object) -> None:
        config = replace(HUB, max_hub_channels=places, **changes)  # type: ignore[arg-type]  # checked by Config itself
        super().__init__(config=config)
        for number in range(places):
            self.hub.publish(f"full-{number}", b"m", now=self.now)

    @property
    def homeless(self) -> list[str]:
        return list(self.hub.channels.openings.homeless)

    def free(self, number: int = 0) -> None:
        """Let a place come free."""
        self.hub.channels.forget(f"full-{number}")

    def subscribe(self, link: int, request: int, name: str) -> None:
        self.say(link, Subscribe(request, name, "earliest", 1000))

    def answers(self, link: int) -> list[int]:
        """To which requests there was an answer; none of them a refusal."""
        answers = [frame for frame in self.hear(link) if isinstance(frame, Subscribed)]
        assert not any(isinstance(answer.outcome, Denied) for answer in answers)
        return [answer.request for answer in answers]


def test_p4_a_subscribe_in_a_full_hub_waits_and_is_answered_as_soon_as_there_is_a_place() -> None:
    """It was refused for good, where an offer waits."""
    desk = Full()
    desk.greet(1)
    desk.subscribe(1, 1, "news")
    assert desk.answers(1) == []
    due = desk.hub.next_deadline()
    assert due is not None
    assert due <= desk.now + REHOUSE_EVERY
    desk.free()
    assert desk.answers(1) == [1], "without waiting for that"
    desk.hub.publish("news", b"m", now=desk.now)
    assert len(desk.hear(1)) == 1
    check_memory("hub", desk.hub)


def test_p4_one_that_nobody_would_miss_makes_place_within_a_second() -> None:
    desk = Full()
    desk.greet(1)
    desk.subscribe(1, 1, "news")
    assert desk.answers(1) == []
    desk.hub.channels.named["full-0"].history.drop_through(1)
    desk.hub.books.stir(desk.hub.channels.named["full-0"])
    desk.now += REHOUSE_EVERY
    desk.hub.handle_timeout(now=desk.now)
    assert desk.answers(1) == [1]


def test_p4_a_subscribe_for_which_there_is_no_memory_waits_for_it() -> None:
    desk = HubByHand(config=replace(HUB, memory_limit=200_000, max_message=1000))
    desk.greet(1)
    for link, size in ((77, 90_000), (78, 100_000)):
        desk.hub.hold_bytes(link, size, now=desk.now)
    more = desk.hub.config.memory_limit - desk.hub.memory().held - 1500
    desk.hub.hold_bytes(78, 100_000 + more, now=desk.now)
    desk.say(1, Subscribe(1, "news", "latest", 1000))
    check_memory("hub", desk.hub)
    assert desk.hear(1) == []
    assert list(desk.hub.channels.openings.homeless) == ["news"]
    for link in (77, 78):
        desk.hub.hold_bytes(link, 0, now=desk.now)
    desk.now += REHOUSE_EVERY
    desk.hub.handle_timeout(now=desk.now)
    (answer,) = desk.hear(1)
    assert isinstance(answer, Subscribed)
    assert answer.outcome == Live()


def test_p4_places_go_to_those_who_waited_longest_and_no_newcomer_overtakes_them() -> None:
    desk = Full(places=2)
    for link in (1, 2, 3):
        desk.greet(link)
    desk.subscribe(1, 1, "a")
    desk.say(2, Offer(1, "b", None, 1))
    desk.subscribe(3, 1, "b")
    assert desk.homeless == ["a", "b"]
    desk.free(0)
    desk.subscribe(2, 7, "newer")
    assert (desk.answers(1), desk.answers(2), desk.answers(3)) == ([1], [], [])
    desk.free(1)
    assert desk.answers(3) == [1]
    assert any(isinstance(frame, Offered) for frame in desk.hear(2))
    assert desk.homeless == ["newer"]
    with pytest.raises(TooManyChannels):
        desk.hub.publish("mine", b"m", now=desk.now)


def test_who_wants_what_somebody_else_opens_has_it_with_them() -> None:
    """The server itself is told at once that there is no place; when there is, it need not wait."""
    desk = Full()
    for link in (1, 2):
        desk.greet(link)
        desk.subscribe(link, 1, "news")
    desk.hub.channels.catalog.forget("full-0")
    desk.hub.publish("news", b"m", now=desk.now)
    assert (desk.answers(1), desk.answers(2)) == ([1], [1])
    assert desk.homeless == []


class TestDropped:
    def test_p3_by_unsubscribe(self) -> None:
        desk = Full()
        desk.greet(1)
        desk.subscribe(1, 1, "news")
        desk.say(1, Unsubscribe(1))
        assert desk.homeless == []
        desk.free()
        assert desk.answers(1) == []
        check_memory("hub", desk.hub)

    def test_p3_by_a_newer_subscribe_which_keeps_its_turn(self) -> None:
        desk = Full()
        desk.greet(1)
        for request, name in ((1, "news"), (2, "other"), (3, "news")):
            desk.subscribe(1, request, name)
        assert desk.homeless == ["news", "other"]
        desk.free()
        assert desk.answers(1) == [3]

    def test_p3_by_the_end_of_the_link_and_of_the_session(self) -> None:
        desk = Full()
        for link in (1, 2):
            desk.greet(link)
            desk.subscribe(link, 1, "news")
            desk.say(link, Offer(1, "orders", None, 1))
        desk.lose(1)
        assert desk.homeless == ["news", "orders"]
        desk.say(2, Close(Code.DONE, "", None))
        assert desk.homeless == []
        assert inside(inside(desk.hub.channels.openings, "_parking"), "_waiting") == {}
        desk.now += REHOUSE_EVERY
        desk.hub.handle_timeout(now=desk.now)
        check_memory("hub", desk.hub)

    def test_p3_and_by_nothing_that_is_refused(self) -> None:
        """A session's id is no name for its own channel; it took the wait for `@me` along."""
        desk = Full()
        session = desk.greet(1).session
        desk.subscribe(1, 1, "@me")
        desk.subscribe(1, 2, session)
        denied = [frame for frame in desk.hear(1) if isinstance(frame, Subscribed)]
        assert [(one.request, one.outcome) for one in denied] == [(2, Denied("forbidden"))]
        check_memory("hub", desk.hub)
        desk.free()
        assert desk.answers(1) == [1]
        desk.say(1, Close(Code.DONE, "", None))
        assert inside(inside(desk.hub.channels.openings, "_parking"), "_waiting") == {}

    def test_p3_so_that_a_client_can_only_wait_for_as_many_as_it_may_read(self) -> None:
        desk = Full(max_channels=3)
        desk.greet(1)
        for number in range(4):
            desk.subscribe(1, number + 1, f"c{number}")
        denied = [frame for frame in desk.hear(1) if isinstance(frame, Subscribed)]
        assert [(one.request, one.outcome) for one in denied] == [(4, Denied("too many channels"))]
        assert desk.homeless == ["c0", "c1", "c2"]
        check_memory("hub", desk.hub)


def test_i9_looking_for_a_place_costs_no_more_the_more_wait_for_one() -> None:
    def cost(waiting: int) -> int:
        desk = Full(max_channels=1000)
        desk.greet(1)
        for number in range(waiting):
            desk.subscribe(1, number + 1, f"c{number}")
        desk.hear(1)
        return lines(lambda: desk.hub.channels.rehouse(now=desk.now))

    assert cost(5) == cost(500)


class TestStore:
    def test_a_channel_that_has_a_place_is_asked_of_the_store_and_answered_then(self) -> None:
        desk = DurableHubByHand(config=replace(HUB, max_hub_channels=1))
        desk.fill("full", b"m")
        desk.greet(1, None, Subscribe(1, "news", "latest", 1000))
        assert desk.asked() == []
        desk.hub.channels.forget("full")
        desk.hear(1)
        (read,) = desk.asked()
        desk.say(1, Subscribe(2, "news", "latest", 1000))
        assert desk.asked() == [], "asked for once"
        desk.answer(read)
        (answer,) = desk.hear(1)
        assert isinstance(answer, Subscribed)
        assert (answer.request, answer.outcome) == (2, Live())

    def test_what_is_being_opened_takes_a_place_already(self) -> None:
        desk = DurableHubByHand(config=replace(HUB, max_hub_channels=1))
        desk.greet(1, None, Subscribe(1, "a", "latest", 1000), Subscribe(2, "b", "latest", 1000))
        assert len(desk.asked()) == 1
        assert list(desk.hub.channels.openings.homeless) == ["b"]

    def test_an_answer_for_a_channel_that_is_not_wanted_any_more_opens_none(self) -> None:
        desk = DurableHubByHand(config=HUB)
        session = desk.greet(1, None, Subscribe(1, "@me", "latest", 1000)).session
        asked = desk.asked()
        desk.say(1, Close(Code.DONE, "", None))
        desk.answer(*asked)
        assert desk.hub.channels.find(session) is None
        assert desk.hub.next_ready() is None


def test_p4_a_client_reads_all_there_is_though_the_hub_had_no_place_when_it_asked() -> None:
    pair = Pair(seed=1, hub_config=replace(HUB, max_hub_channels=1, history_age=20.0))
    checker = Checker(pair)
    assert pair.publish("full", b"m") is not None
    pair.peer.start()
    news = pair.peer.subscribe("news", "earliest")
    pair.run(5.0)
    pair.cut(pair.peer)
    pair.run(25.0)
    for payload in numbered(1, 3):
        assert pair.publish("news", payload) is not None
    events = [word for more in taking(pair, news, seconds=2.0) for word in shown(more)]
    assert events == ["m1", "m2", "m3"]
    assert pair.client.links == 2
    checker.finish()


def test_a_position_is_resolved_when_the_channel_is_open() -> None:
    desk = Full()
    desk.greet(1)
    desk.subscribe(1, 1, "news")
    desk.hub.channels.catalog.forget("full-0")
    for payload in numbered(1, 3):
        desk.hub.publish("news", payload, now=desk.now)
    answer = desk.hear(1)[0]
    assert isinstance(answer, Subscribed)
    assert answer.outcome == Recovered(3)


def test_a_channel_that_is_open_or_being_opened_is_not_opened_again() -> None:
    desk = DurableHubByHand(config=HUB)
    openings = desk.hub.channels.openings
    assert openings.open("news", now=desk.now) is None
    assert openings.open("news", now=desk.now) is None
    (read,) = desk.asked()
    desk.answer(read)
    assert openings.open("news", now=desk.now) is desk.hub.channels.find("news") is not None
    assert desk.asked() == []
