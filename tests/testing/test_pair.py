"""The pair: two ends in virtual time, on a network that does what the test says, always the same.

P8: the same seed gives the same bytes.
"""

import pytest

from gapless.core.authorize import Grant, allow_anyone_unpinned
from gapless.core.config import KIB, Config
from gapless.core.errors import InvalidState
from gapless.core.events import (
    Append,
    Authorize,
    ChannelEvent,
    LinkDown,
    LinkUp,
    Message,
    ReadHistory,
)
from gapless.core.position import Position
from gapless.core.subscription import Subscription
from gapless.testing import CALM, STORM, Host, Line, Observer, Pair, Peer
from gapless.transports import WebSocketClient, WebSocketServer, default_codecs
from tests.core.list_store import ListStore


class Bytes(Observer):
    """Everything that was written, and when."""

    def __init__(self) -> None:
        self.written: list[tuple[float, str, int, bool, bytes]] = []

    def on_bytes(self, line: Line, to_client: bool, data: bytes, *, now: float) -> None:
        self.written.append((now, line.client, line.client_link, to_client, data))


def connected(pair: Pair, peer: Peer | None = None) -> Subscription:
    """Start a client that reads a, and wait until it is live."""
    peer = peer or pair.peer
    reader = peer.subscribe("a", "earliest")
    peer.start()
    assert pair.run_until(lambda: reader.is_live)
    return reader


def texts(peer: Peer, reader: Subscription) -> list[str]:
    return [event.text for event in peer.take_all(reader) if isinstance(event, Message)]


def stormy(seed: int) -> tuple[list[tuple[float, str, int, bool, bytes]], list[str]]:
    """A minute in a storm, then calm: all that was written, and all that was taken."""
    pair = Pair(seed=seed, weather=STORM)
    written = Bytes()
    pair.observers.append(written)
    reader = pair.peer.subscribe("a", "earliest")
    pair.peer.start()
    for number in range(60):
        pair.publish("a", f"m{number}".ljust(1000, "."))
        pair.run(1.0)
    pair.network.weather = CALM
    pair.cut()
    pair.run(60.0)
    return written.written, texts(pair.peer, reader)


def test_p8_the_same_seed_gives_the_same_bytes_at_the_same_times() -> None:
    assert stormy(3)[0] == stormy(3)[0]
    assert stormy(3)[0] != stormy(4)[0]


def test_p4_a_storm_cuts_many_links_and_all_arrives_in_the_end() -> None:
    written, taken = stormy(3)

    assert len({link for _, _, link, _, _ in written}) > 3
    assert taken == [f"m{number}".ljust(1000, ".") for number in range(60)]


def test_time_passes_only_while_it_runs() -> None:
    pair = Pair()
    began = pair.clock.now
    pair.publish("a", "m1")
    assert pair.clock.now == began

    pair.run(5.0)
    assert pair.clock.now == began + 5.0


def test_run_until_stops_as_soon_as_the_condition_holds() -> None:
    pair = Pair()
    pair.peer.start()
    began = pair.clock.now

    assert pair.run_until(lambda: pair.client.link is not None)
    assert pair.clock.now < began + 0.1


def test_run_until_gives_up_after_its_timeout() -> None:
    pair = Pair()
    began = pair.clock.now

    assert not pair.run_until(lambda: False, timeout=7.0)
    assert pair.clock.now == began + 7.0


def test_what_an_application_publishes_is_applied_and_settled() -> None:
    pair = Pair()
    reader = connected(pair)

    assert pair.peer.publish("a", "p1") == 1
    assert pair.peer.publish("a", b"p2") == 2
    pair.settle()

    assert texts(pair.peer, reader) == ["p1", "p2"]
    assert [told.outcome for told in pair.peer.settled("a")] == ["accepted"]
    assert pair.peer.settled("a") == []


def test_the_servers_own_application_publishes_and_reads() -> None:
    pair = Pair()
    reader = pair.subscribe("a", "earliest")
    assert reader is not None
    ticket = pair.publish("a", "s1")
    assert ticket is not None

    taken = [pair.take(reader) for _ in range(3)]
    assert [event.text for event in taken if isinstance(event, Message)] == ["s1"]
    assert taken[-1] is None
    assert reader.position == Position(ticket.epoch, 1)


def test_observers_are_not_told_of_a_publish_that_found_no_room() -> None:
    class Publishes(Observer):
        count = 0

        def on_published(
            self, peer: Peer | None, channel: str, payloads: list[bytes], number: int | None
        ) -> None:
            self.count += len(payloads)

    pair = Pair(
        hub_config=Config(history_messages=2, patience=60.0),
        client_config=Config(history_messages=3),
    )
    publishes = Publishes()
    pair.observers.append(publishes)
    assert pair.subscribe("a", "earliest") is not None

    assert [pair.publish("a", "s") is None for _ in range(3)] == [False, False, True]
    assert [pair.peer.publish("b", "p") is None for _ in range(4)] == [False] * 3 + [True]
    assert publishes.count == 2 + 3


def test_a_cut_loses_what_is_in_flight_and_both_ends_notice() -> None:
    pair = Pair(record=True)
    reader = connected(pair)
    pair.publish("a", "m1")
    pair.run(0.0)
    pair.cut()

    assert pair.lines() == []
    assert pair.hub.links == 0
    assert pair.client.link is None
    assert "-- C1.1 ends; lost on the way: C1.1→S ack, S→C1.1 text" in pair.transcript
    assert pair.run_until(lambda: reader.is_live)
    pair.settle()
    assert texts(pair.peer, reader) == ["m1"]


def test_a_line_can_be_cut_in_the_middle_of_a_frame() -> None:
    pair = Pair(record=True)
    reader = connected(pair)
    pair.settle()
    pair.cut_after(7)
    pair.publish("a", "m1")
    assert pair.run_until(lambda: not pair.lines())

    assert pair.transcript[-1] == "-- C1.1 ends; lost on the way: S→C1.1 text"
    pair.run(5.0)
    assert texts(pair.peer, reader) == ["m1"]


def test_a_held_direction_is_silence_that_nobody_notices_at_once() -> None:
    pair = Pair()
    reader = connected(pair)
    pair.hold(True, to_client=True)
    pair.publish("a", "m1")
    pair.run(5.0)

    assert texts(pair.peer, reader) == []
    assert pair.client.link == 1
    pair.hold(False, to_client=True)
    pair.settle()
    assert texts(pair.peer, reader) == ["m1"]
    assert pair.client.link == 1


def test_a_network_out_of_reach_refuses_until_it_is_back() -> None:
    pair = Pair(record=True)
    pair.network.is_reachable = False
    reader = pair.peer.subscribe("a")
    pair.peer.start()
    pair.run(60.0)
    assert not reader.is_live
    assert "-- C1 can't connect" in pair.transcript
    (down,) = pair.peer.events()
    assert isinstance(down, LinkDown)
    assert down.count > 1

    pair.network.is_reachable = True
    assert pair.run_until(lambda: reader.is_live, timeout=30.0)
    assert any(isinstance(event, LinkUp) for event in pair.peer.events())


def test_a_server_that_restarts_has_forgotten_all_that_no_store_keeps() -> None:
    pair = Pair()
    reader = connected(pair)
    pair.publish("a", "m1")
    pair.settle()
    texts(pair.peer, reader)
    old, sessions = pair.hub, pair.hub.sessions
    pair.restart_server()

    assert pair.hub is not old
    assert pair.run_until(lambda: reader.is_live)
    assert pair.hub.sessions != sessions
    assert pair.client.resumes == 0
    assert pair.hub.channels.find("a") is not None
    assert pair.hub.channels.catalog.held_bytes == 0


def test_a_server_that_restarts_over_a_store_goes_on_where_it_was() -> None:
    pair = Pair(store=ListStore())
    reader = connected(pair)
    pair.publish("a", "m1")
    pair.settle()
    pair.restart_server()
    assert pair.publish("a", "m2") is None
    pair.settle()
    ticket = pair.publish("a", "m2")
    assert ticket is not None
    assert ticket.is_pending
    pair.settle()

    assert ticket.position == reader.received
    assert texts(pair.peer, reader) == ["m1", "m2"]


def test_a_store_answers_after_its_delay() -> None:
    pair = Pair(store=ListStore(), store_delay=(2.0, 2.0))
    began = pair.clock.now
    assert pair.publish("a", "m1") is None

    assert pair.run_until(lambda: pair.hub.channels.find("a"))
    assert pair.clock.now == pytest.approx(began + 2.0)
    ticket = pair.publish("a", "m1")
    assert ticket is not None
    assert pair.run_until(lambda: not ticket.is_pending)
    assert pair.clock.now == pytest.approx(began + 4.0)


def test_i17_a_reader_that_needs_the_store_is_served_without_anything_else_happening() -> None:
    """What is asked of the store while writing must not wait for the next timer."""
    pair = Pair(
        store=ListStore(),
        hub_config=Config(history_messages=2, heartbeat=3600.0),
        client_config=Config(window=KIB, heartbeat=3600.0),
        verify=allow_anyone_unpinned,
    )
    for number in range(7):
        while pair.publish("a", f"m{number}".ljust(20_000, ".")) is None:
            pair.run(0.1)
        pair.run(0.1)
    pair.restart_server()
    reader = connected(pair)
    taken: list[int] = []
    for _ in range(4):
        pair.run(1.0)
        taken.append(len(texts(pair.peer, reader)))

    assert taken == [3, 3, 1, 0], "a batch of the store each time, with the credit of an ack"


def test_without_a_verifier_the_test_answers_the_command_to_authorize() -> None:
    pair = Pair(verify=None)
    pair.peer.start()
    pair.run(1.0)
    assert pair.client.link is None
    (asked,) = pair.commands
    assert isinstance(asked, Authorize)

    pair.hub.handle_authorized(asked.link, Grant("one"), now=pair.clock.now)
    pair.settle()
    assert pair.client.link == 1


def test_a_second_server_takes_all_new_connections_and_the_first_keeps_its_own() -> None:
    pair = Pair()
    connected(pair)
    first = pair.hosts[0]
    second = pair.add_server()
    other = pair.add_client()
    connected(pair, other)

    assert [line.server for line in pair.lines()] == [first.name] == ["S"]
    assert [line.server for line in pair.lines(other)] == [second.name] == ["S2"]
    assert (first.hub.links, second.hub.links) == (1, 1)
    assert pair.hub is second.hub
    assert pair.server is second.endpoint


def test_a_client_that_is_killed_says_nothing_and_its_server_notices() -> None:
    pair = Pair(record=True)
    connected(pair)
    pair.settle()
    frames = len([line for line in pair.transcript if not line.startswith("--")])
    pair.kill_client(pair.peer)
    pair.run(5.0)

    assert pair.peers == []
    assert pair.hub.links == 0
    assert len(pair.hub.sessions) == 1
    assert len([line for line in pair.transcript if not line.startswith("--")]) == frames


def test_a_client_with_the_token_of_another_takes_its_session_over() -> None:
    pair = Pair()
    connected(pair)
    other = pair.add_client(token=pair.client.token)
    connected(pair, other)

    assert other.session.id == pair.client.id
    assert other.session.resumes == 1


def test_credentials_are_shown_to_the_verifier() -> None:
    shown: list[str | None] = []

    def verify(credentials: str | None) -> Grant | None:
        shown.append(credentials)
        return Grant("one")

    pair = Pair(verify=verify)
    connected(pair, pair.add_client(credentials="user:secret"))

    assert shown == ["user:secret"]


def test_a_verdict_can_take_its_time() -> None:
    pair = Pair(verify=lambda credentials: Grant("one"), verdict_delay=(2.0, 2.0))
    pair.peer.start()

    pair.run(1.9)
    assert pair.client.link is None
    pair.run(0.2)
    assert pair.client.link is not None


def test_the_wires_can_be_any() -> None:
    pair = Pair(
        record=True,
        new_client_wire=lambda now: WebSocketClient("h", "/", default_codecs(), now=now),
        new_server_wire=lambda now: WebSocketServer(default_codecs(), now=now),
    )
    reader = connected(pair)
    pair.publish("a", "m1")
    pair.settle()

    assert texts(pair.peer, reader) == ["m1"]


def test_misuse_raises_as_it_does_in_an_application() -> None:
    pair = Pair()
    pair.peer.start()

    with pytest.raises(InvalidState):
        pair.peer.start()


def test_names_tell_who_is_who() -> None:
    pair = Pair()
    pair.add_client()
    pair.add_server()

    assert [repr(peer) for peer in pair.peers] == ["<C1>", "<C2>"]
    assert [repr(host) for host in pair.hosts] == ["<S>", "<S2>"]


def test_commands_that_a_driver_would_carry_out_are_carried_out_for_a_store_only() -> None:
    pair = Pair(store=ListStore())
    pair.publish("a", "m1")
    pair.settle()
    pair.publish("a", "m1")
    pair.settle()

    assert not any(isinstance(command, Append | ReadHistory) for command in pair.commands)
    assert isinstance(pair.hosts[0], Host)


def test_the_servers_application_follows_across_a_restart() -> None:
    pair = Pair()
    events: list[ChannelEvent] = []
    pair.follow("a", events.append)
    pair.publish("a", "before")
    pair.run(0.1)
    pair.restart_server()
    pair.publish("a", "after")
    pair.run(0.1)

    assert [event.text for event in events if isinstance(event, Message)] == ["before", "after"]


def test_the_servers_application_waits_for_a_store_that_opens_the_channel() -> None:
    pair = Pair(store=ListStore(), store_delay=(0.5, 0.5))
    events: list[ChannelEvent] = []
    pair.follow("a", events.append)
    pair.run(0.1)
    assert events == []
    pair.run(1.0)
    pair.publish("a", "m1")
    pair.run(3.0)

    assert [event.text for event in events if isinstance(event, Message)] == ["m1"]


def test_the_transcript_tells_what_the_servers_application_takes() -> None:
    pair = Pair(record=True)
    pair.follow("a", lambda event: None)
    pair.publish("a", "m1")
    pair.run(0.1)

    assert '-- S takes a 1 "m1"' in pair.transcript
