"""Endpoint: a client's and a hub's, joined by bytes handed over by hand, in virtual time."""

from random import Random

import pytest

from gapless.core.authorize import Grant
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import Authorize, CloseLink, LinkDown, Message
from gapless.core.frames import Close, Data, Frame, Hello, Ping
from gapless.core.hub import Hub
from gapless.core.states import SessionState
from gapless.transports import MemoryWire
from gapless.transports.endpoint import Endpoint

from .joined import (
    LOST,
    PIECE,
    WIRES,
    Joined,
    client_wire,
    commands,
    counted_tokens,
    memory,
    said,
)
from .support import BINARY, bytewise, request, ws


class TestCarrying:
    def test_a_handshake_brings_both_ends_up(self, joined: Joined) -> None:
        assert joined.session.state is SessionState.UP
        assert joined.hub.sessions == [joined.session.id]
        assert joined.client.links == joined.server.links == 1
        assert not joined.client.has_output
        assert not joined.server.has_output

    def test_messages_pass_both_ways(self, joined: Joined) -> None:
        subscription = joined.subscribe()
        joined.hub.publish("news", b"down", now=joined.now)
        joined.session.publish("orders", b"up", False, now=joined.now)
        reader = joined.hub.subscribe("orders", "earliest", now=joined.now)
        joined.exchange()

        assert joined.taken(subscription) == [b"down"]
        assert reader is not None
        events = [joined.hub.next_message(reader, now=joined.now) for _ in range(3)]
        (message,) = [event for event in events if isinstance(event, Message)]
        assert (message.payload, message.publisher) == (b"up", joined.session.id)
        settled = joined.session.next_settled("orders")
        assert settled is not None
        assert settled.outcome == "accepted"

    def test_has_output_says_what_next_writable_will(self, joined: Joined) -> None:
        joined.subscribe()
        joined.hub.publish("news", b"x", now=joined.now)
        assert joined.server.has_output
        assert joined.server.next_writable() == joined.server_link
        assert joined.server.next_writable() is None
        assert not joined.server.has_output

    def test_bytes_are_built_when_they_can_be_written(self, joined: Joined) -> None:
        joined.subscribe()
        for number in range(300):
            joined.hub.publish("news", b"%d" % number, now=joined.now)
        link = joined.server_link
        assert joined.server.next_writable() == link
        pieces = list(iter(lambda: joined.server.data_to_send(link, 1, now=joined.now), b""))
        assert len(pieces) == 3, "a batch of 128 at a time"
        joined.deliver_down(b"".join(pieces))
        assert joined.session.stats().received == 300

    def test_a_session_goes_on_over_the_next_link(self, joined: Joined) -> None:
        subscription = joined.subscribe()
        joined.hub.publish("news", b"one", now=joined.now)
        joined.exchange()
        joined.hub.publish("news", b"two", now=joined.now)
        joined.down()
        joined.client.handle_link_lost(joined.client_link, LOST, now=joined.now)
        joined.server.handle_link_lost(joined.server_link, LOST, now=joined.now)
        joined.connect()

        assert joined.taken(subscription) == [b"one", b"two"]
        assert joined.session.resumes == 1
        assert (joined.client_link, joined.server_link) == (2, 2)

    @pytest.mark.parametrize("wire", ["websocket", "memory"])
    def test_p9_byte_by_byte_is_as_whole(self, wire: str) -> None:
        seen: list[object] = []
        for is_whole in (True, False):
            joined = Joined(wire)
            if not is_whole:
                joined.cut_bytes = bytewise
            joined.connect()
            subscription = joined.subscribe()
            for number in range(200):
                joined.hub.publish("news", b"%d" % number, now=joined.now)
                joined.session.publish("orders", b"%d" % number, False, now=joined.now)
            joined.exchange()
            payloads = joined.taken(subscription)
            joined.session.close(now=joined.now)
            joined.exchange()
            endings = [
                command.ending
                for command in joined.client_commands + joined.server_commands
                if isinstance(command, CloseLink)
            ]
            seen.append((payloads, joined.session.stats(), joined.hub.sessions, endings))
        assert seen[0] == seen[1]

    @pytest.mark.parametrize(
        ("wire", "key"), [("websocket", "ws:msgpack"), ("memory", "memory:msgpack")]
    )
    def test_a_batch_is_encoded_once_for_all_readers(self, wire: str, key: str) -> None:
        joined = Joined(wire)
        joined.connect()
        joined.subscribe()
        other = ClientSession(Config(), rng=Random(3))
        second = Endpoint(other, client_wire(wire))
        other.start(now=joined.now)
        other.subscribe("news", "earliest", now=joined.now)
        link = joined.server.accept_link(now=joined.now)
        second.open_link(1, now=joined.now)
        while not other.subscriptions[0].is_live:
            if up := said(second, 1, joined.now):
                joined.server.receive_data(link, up, now=joined.now)
            if down := said(joined.server, link, joined.now):
                second.receive_data(1, down, now=joined.now)
        joined.hub.publish("news", b"x" * 1000, now=joined.now)
        channel = joined.hub.channels.find("news")
        assert channel is not None
        named = set(iter(joined.server.next_writable, None))
        assert named == {joined.server_link, link}
        first = said(joined.server, joined.server_link, joined.now)
        batch = channel.batch(1)
        assert batch.encoded is not None
        assert set(batch.encoded) == {key}
        assert first == batch.encoded[key]
        assert joined.server.data_to_send(link, PIECE, now=joined.now) is batch.encoded[key]


class Noting(Hub):
    """A hub that notes what it is told of a link."""

    def __init__(self) -> None:
        config = Config.production("hub")
        super().__init__(config, rng=Random(1), new_token=counted_tokens(), verify=None)
        self.notes: list[str] = []

    def hold_bytes(self, link: int, size: int, *, now: float) -> None:
        self.notes.append(f"holds {size}")

    def receive_frame(self, link: int, frame: Frame, *, size: int = 0, now: float) -> None:
        self.notes.append(type(frame).__name__)


def test_p3_a_frame_is_not_counted_with_its_wire_once_the_machine_has_it() -> None:
    """Counted at both, a batch took twice its room, and a hub with little was never let have it."""
    hub = Noting()
    endpoint = Endpoint(hub, lambda now: MemoryWire(from_client=True))
    link = endpoint.accept_link(now=0.0)
    hello, ping = memory(Hello(1, None, None, 1000)), memory(Ping(1, 0))
    for data in (hello[:12], hello[12:] + ping[:3], ping[3:]):
        endpoint.receive_data(link, data, now=0.0)
    assert hub.notes == ["holds 12", "holds 3", "Hello", "holds 0", "Ping"]


class TestRefusing:
    def test_a_handshake_the_server_refuses(self) -> None:
        joined = Joined()
        joined.session.start(now=joined.now)
        joined.dial()
        joined.up()
        joined.deliver_up(request(without=["Sec-WebSocket-Version"]))
        answer = joined.down()
        assert answer.startswith(b"HTTP/1.1 ")
        assert joined.hub.links == 0
        joined.deliver_down(answer)
        joined.client.receive_data(joined.client_link, b"", now=joined.now)
        assert joined.session.link is None
        closing = [one for one in commands(joined.client, joined.now) if isinstance(one, CloseLink)]
        assert [one.link for one in closing] == [joined.client_link]
        assert joined.client.links == 0
        assert joined.server.links == 1, "it waits until its words were read"
        joined.hang_up()
        assert [type(one) for one in commands(joined.server, joined.now)] == [CloseLink]
        assert joined.server.links == 0

    @WIRES
    def test_credentials_that_are_refused(self, wire: str) -> None:
        joined = Joined(wire, verify=lambda shown: None, credentials="wrong")
        joined.connect()
        joined.poll()
        assert joined.session.state is SessionState.CLOSED
        assert joined.session.ending == Ending(
            Code.UNAUTHORIZED, "the credentials were refused; show others, or have them asked for"
        )
        assert joined.client.links == joined.server.links == 0
        assert joined.hub.sessions == []

    @WIRES
    def test_a_verdict_that_comes_later(self, wire: str) -> None:
        joined = Joined(wire, verify=None, credentials="word")
        joined.connect()
        assert joined.session.link is None
        (asked,) = joined.server_commands
        assert asked == Authorize(joined.server_link, "word")
        joined.hub.handle_authorized(joined.server_link, Grant("somebody"), now=joined.now)
        joined.exchange()
        assert joined.session.state is SessionState.UP

    def test_bytes_behind_a_failed_handshake_reach_nobody(self) -> None:
        joined = Joined()
        joined.server_link = joined.server.accept_link(now=joined.now)
        joined.deliver_up(b"GET / HTTP/1.1\r\n\r\n" + ws(BINARY, b"x"))
        assert joined.down().startswith(b"HTTP/1.1 4")
        joined.deliver_up(ws(BINARY, b"x"))
        assert joined.down() == b""
        assert joined.hub.links == 0

    def test_a_frame_that_is_none_ends_the_link_with_a_reason(self) -> None:
        joined = Joined()
        joined.connect()
        joined.deliver_up(ws(BINARY, b"\xc1"))
        assert joined.hub.links == 0
        last = joined.down()
        assert last[2:4] == int(Code.INVALID_DATA).to_bytes(2, "big")
        joined.deliver_down(last)
        assert joined.session.link is None
        assert commands(joined.server, joined.now) == [], "it waits until its words were read"
        joined.hang_up()
        (command,) = commands(joined.server, joined.now)
        assert isinstance(command, CloseLink)
        assert command.ending.code == Code.INVALID_DATA

    def test_a_violation_is_told_and_what_follows_it_is_not_heard(self) -> None:
        joined = Joined("memory")
        joined.connect()
        subscription = joined.subscribe()
        joined.deliver_up(memory(Data(99, 1, [b"x"], False)) + memory(Close(1000, "", None)))
        assert len(joined.hub.sessions) == 1, "a close behind a violation ends no session"
        joined.exchange()
        (command,) = joined.server_commands
        assert isinstance(command, CloseLink)
        assert command.ending.code == Code.VIOLATION
        event = joined.session.next_event()
        while event is not None and not isinstance(event, LinkDown):
            event = joined.session.next_event()
        assert event is not None
        assert event.ending == command.ending
        joined.connect()
        assert subscription.is_live


class TestManyThatClose:
    def test_i9_links_that_are_closing_are_not_asked_at_every_command(self) -> None:
        """Each is looked at when something has happened to it, however many there are."""
        asked = 0

        class Asked(MemoryWire):
            @property
            def is_finished(self) -> bool:
                nonlocal asked
                asked += 1
                return super().is_finished

        hub = Hub(Config.production("hub"), rng=Random(1), new_token=counted_tokens())
        endpoint = Endpoint(hub, lambda now: Asked(from_client=True))
        for _ in range(200):
            endpoint.accept_link(now=0.0)
        endpoint.handle_timeout(now=60.0)
        before = asked
        assert commands(endpoint, 60.0) == [], "their last words have not been taken yet"
        for link in range(1, 201):
            assert endpoint.data_to_send(link, PIECE, now=60.0)
            assert len(commands(endpoint, 60.0)) == 1
        assert endpoint.links == 0
        assert asked - before <= 400
