"""Driving: time, bytes and commands between the ends; and what is said when they never rest."""

import pytest

from gapless.core.events import ChannelEvent, Message
from gapless.core.frames import Frame
from gapless.testing import Line, Observer, Pair, Weather, driving


def test_a_machine_that_spins_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that comes again and again would be for ever."""
    monkeypatch.setattr(driving, "MAX_STEPS", 20)
    pair = Pair()
    pair.peer.start()

    with pytest.raises(AssertionError, match="the machines are spinning"):
        pair.run(1e6)


def test_applications_that_never_rest_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "MAX_ROUNDS", 20)
    pair = Pair()

    def echo(event: ChannelEvent) -> None:
        pair.publish("a", "again")

    pair.follow("a", echo)
    with pytest.raises(AssertionError, match="20 rounds of output without time passing"):
        pair.run(1.0)


def test_who_finds_the_pipe_full_waits_until_something_has_arrived() -> None:
    pair = Pair(weather=Weather(latency=(0.5, 0.5), chunk=100, buffer=100))
    events: list[ChannelEvent] = []
    for number in range(60):
        pair.publish("a", f"m{number}".ljust(4000, "."))
    pair.peer.follow("a", events.append, since="earliest")
    pair.peer.start()
    pair.run(1.2)
    few = len([event for event in events if isinstance(event, Message)])
    (line,) = pair.lines()
    pair.run(60.0)

    assert 0 < few < 60
    assert line.to_client.has_room
    assert len([event for event in events if isinstance(event, Message)]) == 60


def test_who_closes_its_socket_hears_no_more_of_it_and_its_last_words_arrive() -> None:
    pair = Pair(record=True)
    pair.peer.start()
    assert pair.run_until(lambda: pair.client.link is not None)
    pair.peer.close()
    pair.settle()

    story = pair.transcript
    assert any(line.startswith("C1.1→S close") for line in story)
    assert story[-1] == "-- C1.1 ends"
    assert pair.hub.links == 0
    assert pair.client.next_deadline() is None


def test_a_connection_that_is_given_up_before_it_was_made_is_never_made() -> None:
    """As a driver cancels its dial: the server hears nothing of it."""
    pair = Pair(record=True)
    pair.peer.start()
    pair.run(0.0)
    pair.peer.close(0.0)
    pair.run(5.0)

    assert pair.client.ending is not None
    assert pair.transcript == ["-- C1 closes"]
    assert pair.hub.links == 0


def test_the_lines_of_a_server_that_was_taken_away_end_without_it() -> None:
    losses: list[list[tuple[bool, Frame]]] = []

    class Losses(Observer):
        def on_lost(self, line: Line, lost: list[tuple[bool, Frame]]) -> None:
            losses.append(lost)

    pair = Pair()
    pair.peer.start()
    assert pair.run_until(lambda: pair.client.link is not None)
    pair.add_server()
    pair.observers.append(Losses())
    del pair.hosts[0]
    pair.cut()
    pair.run(5.0)

    assert losses == [[]]
    assert [line.server for line in pair.lines()] == ["S2"]
