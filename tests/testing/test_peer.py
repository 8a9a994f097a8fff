"""A client's application: what it does by hand, and what it follows while the pair runs."""

import pytest

from gapless.core.config import Config
from gapless.core.errors import InvalidState
from gapless.core.events import CaughtUp, ChannelEvent, LinkUp, Message, Reset, Settled
from gapless.core.subscription import Phase
from gapless.testing import Checker, Pair


def texts(events: list[ChannelEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Message)]


def test_what_is_followed_is_given_as_soon_as_it_is_there() -> None:
    pair = Pair()
    events: list[ChannelEvent] = []
    when: list[float] = []

    def handle(event: ChannelEvent) -> None:
        events.append(event)
        when.append(pair.clock.now)

    reader = pair.peer.follow("a", handle, since="earliest")
    pair.peer.start()
    began = pair.clock.now
    pair.publish("a", "m1")
    pair.run(5.0)
    pair.publish("a", "m2")
    pair.run(5.0)

    assert texts(events) == ["m1", "m2"]
    assert isinstance(events[0], CaughtUp | Message)
    assert when[0] < began + 0.1
    assert began + 5.0 <= when[-1] < began + 5.1
    assert reader.channel == "a"
    assert pair.peer.take(reader) is None


def test_an_application_may_publish_while_it_is_given_something() -> None:
    pair = Pair()
    checker = Checker(pair)

    def answer(event: ChannelEvent) -> None:
        if isinstance(event, Message):
            pair.peer.publish("answers", event.text.upper())

    told: list[Settled] = []
    answers: list[ChannelEvent] = []
    pair.peer.follow("questions", answer, since="earliest")
    pair.peer.follow_settled("answers", told.append)
    pair.follow("answers", answers.append)
    pair.peer.start()
    for text in ("why", "when"):
        pair.publish("questions", text)
    pair.settle()

    assert texts(answers) == ["WHY", "WHEN"]
    assert sum(one.last - one.first + 1 for one in told) == 2
    assert {one.outcome for one in told} == {"accepted"}
    assert pair.peer.settled("answers") == []
    checker.finish()


def test_a_long_backlog_is_handed_over_in_turns() -> None:
    pair = Pair()
    first: list[ChannelEvent] = []
    for number in range(1000):
        pair.publish("a", f"m{number}")
        pair.publish("b", f"m{number}")
    pair.peer.follow("a", first.append, since="earliest")
    pair.peer.follow("b", first.append, since="earliest")
    pair.peer.start()
    pair.settle()

    assert len(texts(first)) == 2000


def test_who_follows_is_told_of_a_reset_and_goes_on() -> None:
    pair = Pair()
    events: list[ChannelEvent] = []
    pair.peer.follow("a", events.append, since="earliest")
    pair.peer.start()
    pair.publish("a", "before")
    pair.run(1.0)
    pair.restart_server()
    pair.publish("a", "after")
    pair.run(10.0)

    assert texts(events) == ["before", "after"]
    assert [event.reason for event in events if isinstance(event, Reset)] == ["epoch"]


def test_who_has_stopped_reading_is_given_nothing_more() -> None:
    pair = Pair()
    events: list[ChannelEvent] = []
    reader = pair.peer.follow("a", events.append, since="earliest")
    pair.peer.start()
    pair.run(1.0)
    pair.peer.unsubscribe(reader)
    pair.publish("a", "m1")
    pair.run(1.0)

    assert texts(events) == []
    assert reader.phase is Phase.ENDED


def test_a_peer_is_known_by_its_name_and_told_what_happens_to_its_session() -> None:
    pair = Pair(record=True)
    peer = pair.add_client()
    assert (repr(peer), repr(pair.hosts[0])) == ("<C2>", "<S>")

    peer.start()
    assert pair.run_until(lambda: peer.session.link is not None)
    assert [type(event) for event in peer.events()] == [LinkUp]
    assert peer.events() == []
    with pytest.raises(InvalidState):
        peer.start()
    peer.close()
    pair.settle()
    assert "-- C2 closes" in pair.transcript
    assert "-- C2 is told Closed" not in pair.transcript
    assert [type(event).__name__ for event in peer.events()] == ["Closed"]
    assert "-- C2 is told Closed" in pair.transcript


def test_what_an_application_does_by_hand_is_seen_by_the_observers() -> None:
    pair = Pair(record=True, client_config=Config(history_messages=1))
    reader = pair.peer.subscribe("a", "earliest")
    pair.peer.start()
    assert pair.peer.publish("a", "m1") == 1
    assert pair.peer.publish("a", "m2") is None
    pair.settle()
    taken = pair.peer.take_all(reader, at_most=1) + pair.peer.take_all(reader)
    pair.peer.unsubscribe(reader)

    assert texts(taken) == ["m1"]
    story = pair.transcript
    assert '-- C1 publishes to a: "m1" as its 1' in story
    assert not [line for line in story if '"m2"' in line]
    assert '-- C1 takes a 1 "m1"' in story
    assert story[-1] == "-- C1 unsubscribes from a"
