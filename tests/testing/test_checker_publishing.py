"""The checker sees what a publisher must not be told, and what must not be applied: P6, broken."""

import pytest

from gapless.core.events import Settled, SettledOutcome
from gapless.core.frames import Welcome
from gapless.testing import Checker, Pair
from tests.core.list_store import ListStore

from .plants import a_line, caught


class Publisher:
    """C1 publishes to channel b of a hub that a checker watches; nothing moves by itself."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.checker = Checker(self.pair)
        welcome = Welcome("@one", "token", False, 1, 1, 1, 1)
        self.checker.on_frame(a_line(), True, welcome)
        self.published = 0

    def publish(self, *payloads: bytes) -> None:
        """The application publishes."""
        number = self.published + 1
        self.published += len(payloads)
        self.checker.on_published(self.pair.peer, "b", list(payloads), number)

    def apply(self, *payloads: bytes, session: str | None = "@one") -> None:
        """The hub appends."""
        channel = self.pair.hub.channels.open("b", now=self.pair.clock.now)
        assert channel is not None
        channel.append(list(payloads), False, session, now=self.pair.clock.now)
        self.pair.hub.books.stir(channel)
        self.checker.on_step()

    def settle(self, first: int, last: int, outcome: SettledOutcome) -> None:
        """The application is told."""
        settled = Settled("b", first, last, outcome, "P", first)
        self.checker.on_settled(self.pair.peer, settled)


def test_an_honest_story_is_let_pass() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")
    publisher.publish(b"p3", b"p4", b"p5")
    publisher.apply(b"p1", b"p2")
    publisher.settle(1, 1, "accepted")
    publisher.settle(2, 2, "unknown")
    publisher.settle(3, 3, "refused")
    publisher.apply(b"p4")
    publisher.settle(4, 4, "accepted")
    publisher.settle(5, 5, "unsent")

    publisher.pair.peer.settled("b")


def test_p6_a_message_that_is_applied_twice() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")
    publisher.apply(b"p1")

    with caught("P6", "applied twice, late, or unpublished"):
        publisher.apply(b"p1")


def test_p6_two_messages_that_say_the_same_are_two() -> None:
    publisher = Publisher()
    publisher.publish(b"same", b"same")
    publisher.apply(b"same", b"same")

    with caught("P6", "applied twice"):
        publisher.apply(b"same")


def test_p6_a_message_that_overtakes_and_the_one_it_overtook() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")
    publisher.apply(b"p2")

    with caught("P6", "applied twice, late, or unpublished"):
        publisher.apply(b"p1")


def test_p6_a_message_nobody_published() -> None:
    publisher = Publisher()
    publisher.publish(b"p1")

    with caught("P6", "unpublished"):
        publisher.apply(b"invented")


def test_p7_a_message_in_anothers_name() -> None:
    publisher = Publisher()
    publisher.publish(b"p1")

    with caught("P6", "unpublished"):
        publisher.apply(b"p1", session="@other")


def test_p6_what_the_server_itself_publishes_is_applied_once() -> None:
    publisher = Publisher()
    publisher.pair.publish("b", "s1")

    with caught("P6", "applied twice"):
        publisher.apply(b"s1", session=None)


@pytest.mark.parametrize("outcome", ["refused", "unsent"])
def test_p6_a_message_that_is_applied_and_told_otherwise(outcome: SettledOutcome) -> None:
    publisher = Publisher()
    publisher.publish(b"p1")
    publisher.apply(b"p1")

    with caught("P6", "but 1 is applied"):
        publisher.settle(1, 1, outcome)


@pytest.mark.parametrize("outcome", ["refused", "unsent"])
def test_p6_a_message_that_is_told_otherwise_and_applied_later(outcome: SettledOutcome) -> None:
    publisher = Publisher()
    publisher.publish(b"p1")
    publisher.settle(1, 1, outcome)

    with caught("P6", f"1 was {outcome}, and is applied"):
        publisher.apply(b"p1")


def test_p6_a_message_that_is_accepted_and_not_applied() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")
    publisher.apply(b"p1")

    with caught("P6", "but 2 is not applied"):
        publisher.settle(1, 2, "accepted")


def test_p6_an_outcome_that_is_told_twice() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")
    publisher.settle(1, 1, "unknown")

    with caught("P6", "after 1, of 2"):
        publisher.settle(1, 1, "unknown")


def test_p6_an_outcome_that_skips_a_message() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")

    with caught("P6", "after 0, of 2"):
        publisher.settle(2, 2, "unknown")


def test_p6_an_outcome_of_what_was_never_published() -> None:
    publisher = Publisher()
    publisher.publish(b"p1")

    with caught("P6", "after 0, of 1"):
        publisher.settle(1, 2, "unknown")


def test_p6_numbers_of_publishes_are_dense() -> None:
    publisher = Publisher()
    publisher.publish(b"p1")

    with caught("P6", "number 3 is not the next"):
        publisher.checker.on_published(publisher.pair.peer, "b", [b"p3"], 3)


def test_p6_a_message_that_never_ends() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")
    publisher.settle(1, 1, "unknown")

    with caught("P6", "1 of 2 ended"):
        publisher.checker.finish()


def test_what_a_killed_client_published_need_not_end() -> None:
    publisher = Publisher()
    publisher.publish(b"p1", b"p2")
    publisher.checker.forget(publisher.pair.peer)

    publisher.checker.finish()
    publisher.apply(b"p1")


def test_i15_a_store_that_fell_back_and_gives_a_number_again() -> None:
    """A backup that is restored must be given a new epoch: this one was not."""
    store = ListStore()
    pair = Pair(store=store)
    Checker(pair)
    for text in ("m1", "m2"):
        while pair.publish("b", text) is None:
            pair.run(0.1)
        pair.run(0.1)
    store.fall_back("b", 1)
    pair.restart_server()
    assert pair.publish("b", "another m2") is None
    pair.run(0.1)
    assert pair.publish("b", "another m2") is not None

    with caught("I15", ":2 has two contents"):
        pair.run(0.1)
