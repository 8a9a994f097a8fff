"""Endpoint: a client's and a hub's, joined by bytes handed over by hand, in virtual time."""

from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from gapless.core.authorize import Grant, Verifier, allow_anyone
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import Authorize, CloseLink, Command, LinkDown, Message, OpenLink
from gapless.core.frames import Close, Data, Frame
from gapless.core.hub import Hub
from gapless.core.states import SessionState
from gapless.core.subscription import Subscription
from gapless.transports import (
    Limits,
    MemoryWire,
    MsgpackCodec,
    WebSocketClient,
    WebSocketServer,
    Wire,
    default_codecs,
)
from gapless.transports.endpoint import Endpoint

from .support import BINARY, bytewise, close_frame, request, ws

CODECS = default_codecs()
LOST = Ending(Code.LOST, "connection reset")
PIECE = 1 << 16
WIRES = pytest.mark.parametrize("wire", ["websocket", "memory"])


def client_wire(wire: str) -> Callable[[float], Wire]:
    if wire == "memory":
        return lambda now: MemoryWire()
    return lambda now: WebSocketClient("example.com", "/", CODECS, now=now)


def server_wire(wire: str) -> Callable[[float], Wire]:
    if wire == "memory":
        return lambda now: MemoryWire(from_client=True)
    return lambda now: WebSocketServer(CODECS, now=now)


def counted_tokens() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"token-{next(numbers)}"


def memory(frame: Frame) -> bytes:
    """A frame as a memory wire carries it."""
    body = MsgpackCodec().encode(frame)
    return len(body).to_bytes(4, "big") + body


def commands(endpoint: Endpoint[ClientSession] | Endpoint[Hub], now: float) -> list[Command]:
    return list(iter(lambda: endpoint.poll_command(now=now), None))


def said(endpoint: Endpoint[ClientSession] | Endpoint[Hub], link: int, now: float) -> bytes:
    """All a link has to write now."""
    return b"".join(iter(lambda: endpoint.data_to_send(link, PIECE, now=now), b""))


class Joined:
    """A client's endpoint and a hub's, and the bytes between them.

    Attributes:
        cut_bytes: how the bytes are cut into pieces before they are handed over.
    """

    def __init__(
        self,
        wire: str = "websocket",
        *,
        config: Config | None = None,
        hub_config: Config | None = None,
        verify: Verifier | None = allow_anyone,
        credentials: str | None = None,
    ) -> None:
        self.now = 100.0
        self.session = ClientSession(
            config or Config(), rng=Random(1), credentials=credentials, wait=60.0
        )
        self.hub = Hub(
            hub_config or Config.production("hub"),
            rng=Random(2),
            new_token=counted_tokens(),
            verify=verify,
        )
        self.client = Endpoint(self.session, client_wire(wire))
        self.server = Endpoint(self.hub, server_wire(wire))
        self.client_commands: list[Command] = []
        self.server_commands: list[Command] = []
        self.client_link = self.server_link = 0
        self.cut_bytes: Callable[[bytes], list[bytes]] = lambda data: [data]

    def connect(self) -> None:
        """Dial when the client asks for it, and exchange all there is."""
        if self.session.state is SessionState.NEW:
            self.session.start(now=self.now)
        self.dial()
        self.exchange()

    def dial(self) -> None:
        for _ in range(10):
            asked = [one for one in commands(self.client, self.now) if isinstance(one, OpenLink)]
            deadline = self.client.next_deadline()
            if asked or deadline is None:
                break
            self.now = max(self.now, deadline)
            self.client.handle_timeout(now=self.now)
        self.client_link = asked[-1].link
        self.server_link = self.server.accept_link(now=self.now)
        self.client.open_link(self.client_link, now=self.now)

    def up(self) -> bytes:
        return said(self.client, self.client_link, self.now)

    def down(self) -> bytes:
        return said(self.server, self.server_link, self.now)

    def deliver_up(self, data: bytes) -> None:
        for piece in self.cut_bytes(data) if data else ():
            self.server.receive_data(self.server_link, piece, now=self.now)

    def deliver_down(self, data: bytes) -> None:
        for piece in self.cut_bytes(data) if data else ():
            self.client.receive_data(self.client_link, piece, now=self.now)

    def hang_up(self) -> None:
        """The client's socket ends, without a word."""
        self.server.receive_data(self.server_link, b"", now=self.now)

    def poll(self) -> None:
        self.client_commands += commands(self.client, self.now)
        self.server_commands += commands(self.server, self.now)

    def exchange(self) -> None:
        """Hand over all bytes both ways until nobody has any."""
        for _ in range(1000):
            self.poll()
            while self.server.next_writable() is not None or self.client.next_writable():
                pass
            up, down = self.up(), self.down()
            if not up and not down:
                self.poll()
                return
            self.deliver_up(up)
            self.deliver_down(down)
        raise AssertionError("the two ends never fall silent")

    def subscribe(self, channel: str = "news") -> Subscription:
        subscription = self.session.subscribe(channel, "earliest", now=self.now)
        self.exchange()
        return subscription

    def taken(self, subscription: Subscription) -> list[bytes]:
        """Take all that is there; the payloads."""
        events = iter(lambda: self.session.next_message(subscription, now=self.now), None)
        return [event.payload for event in events if isinstance(event, Message)]


@pytest.fixture(params=["websocket", "memory"])
def joined(request: pytest.FixtureRequest) -> Joined:
    both = Joined(request.param)
    both.connect()
    return both


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
        link = joined.server.next_writable()
        assert link == joined.server_link
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
        for cut_bytes in (lambda data: [data], bytewise):
            joined = Joined(wire)
            joined.cut_bytes = cut_bytes
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
        assert joined.session.ending == Ending(Code.UNAUTHORIZED, "the credentials were refused")
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


class TestClosing:
    def test_the_last_word_is_taken_before_the_socket_is_closed(self) -> None:
        joined = Joined("memory")
        joined.connect()
        joined.session.close(now=joined.now)
        assert commands(joined.client, joined.now) == [], "its close frame is not taken yet"
        assert joined.client.next_writable() == joined.client_link
        last = joined.up()
        assert MsgpackCodec().encode(Close(1000, "closed by the client", None)) in last
        (command,) = commands(joined.client, joined.now)
        assert command == CloseLink(1, Ending(Code.DONE, "closed by the client"))
        assert joined.client.links == 0
        joined.deliver_up(last)
        assert joined.hub.sessions == []

    def test_a_websocket_waits_for_the_peer_s_close(self) -> None:
        joined = Joined()
        joined.connect()
        joined.session.close(now=joined.now)
        assert commands(joined.client, joined.now) == []
        joined.deliver_up(joined.up())
        assert commands(joined.client, joined.now) == []
        joined.poll()
        joined.deliver_down(joined.down())
        assert [type(one) for one in commands(joined.client, joined.now)] == [CloseLink]
        assert [type(one) for one in commands(joined.server, joined.now)] == [CloseLink]
        assert joined.client.links == joined.server.links == 0

    @WIRES
    def test_a_peer_that_doesn_t_listen_is_not_waited_for(self, wire: str) -> None:
        joined = Joined(wire)
        joined.connect()
        joined.session.close(now=joined.now)
        assert commands(joined.client, joined.now) == []
        deadline = joined.client.next_deadline()
        assert deadline is not None
        assert deadline <= joined.now + Limits().close_timeout
        joined.now += Limits().close_timeout
        joined.client.handle_timeout(now=joined.now)
        assert [type(one) for one in commands(joined.client, joined.now)] == [CloseLink]
        assert joined.up() == b""
        assert joined.client.links == 0

    @WIRES
    def test_a_dead_link_is_dropped_at_once(self, wire: str) -> None:
        joined = Joined(wire)
        joined.connect()
        joined.poll()
        for _ in range(10):
            deadline = joined.client.next_deadline()
            assert deadline is not None
            joined.now = deadline
            joined.client.handle_timeout(now=joined.now)
            closing = commands(joined.client, joined.now)
            if closing:
                break
            joined.up()
        (command,) = closing
        assert isinstance(command, CloseLink)
        assert command.ending.code == Code.SILENT
        assert joined.client.links == 0
        assert joined.up() == b"", "no last word to who doesn't hear"

    def test_a_dial_that_is_given_up_is_closed(self) -> None:
        joined = Joined()
        joined.session.start(now=joined.now)
        assert [type(one) for one in commands(joined.client, joined.now)] == [OpenLink]
        joined.now += Config().connect_timeout
        joined.client.handle_timeout(now=joined.now)
        (command,) = [
            one for one in commands(joined.client, joined.now) if isinstance(one, CloseLink)
        ]
        assert (command.link, command.ending.code) == (1, Code.TIMEOUT)

    def test_the_close_of_a_link_that_is_gone(self) -> None:
        joined = Joined("memory")
        joined.connect()
        joined.session.close(now=joined.now)
        joined.client.handle_link_lost(joined.client_link, LOST, now=joined.now)
        assert [type(one) for one in commands(joined.client, joined.now)] == [CloseLink]
        assert joined.client.links == 0


class TestEndings:
    @WIRES
    def test_row_35_the_end_of_the_stream(self, wire: str) -> None:
        joined = Joined(wire)
        joined.connect()
        joined.hang_up()
        assert joined.hub.links == 0
        assert len(joined.hub.sessions) == 1, "the session waits for its lease"
        (command,) = commands(joined.server, joined.now)
        assert command == CloseLink(1, Ending(Code.LOST, "the connection was lost"))
        assert joined.server.links == 0

    @WIRES
    def test_row_35_the_end_in_the_middle_of_a_message(self, wire: str) -> None:
        joined = Joined(wire)
        joined.connect()
        joined.session.publish("orders", bytes(1000), False, now=joined.now)
        joined.exchange()
        joined.session.publish("orders", bytes(1000), False, now=joined.now)
        joined.deliver_up(joined.up()[:500])
        joined.hang_up()
        (command,) = commands(joined.server, joined.now)
        assert isinstance(command, CloseLink)
        assert "in the middle of a" in command.ending.reason
        channel = joined.hub.channels.find("orders")
        assert channel is not None
        assert channel.head == 1

    @WIRES
    def test_a_lost_socket_takes_all_of_its_link_along(self, wire: str) -> None:
        joined = Joined(wire)
        joined.connect()
        joined.hub.publish(joined.hub.sessions[0], b"x", now=joined.now)
        joined.server.handle_link_lost(joined.server_link, LOST, now=joined.now)
        joined.server.handle_link_lost(joined.server_link, LOST, now=joined.now)
        assert joined.server.links == 0
        assert joined.server.next_writable() is None
        assert joined.down() == b""
        assert commands(joined.server, joined.now) == []
        lease = joined.server.next_deadline()
        assert lease is not None

    def test_a_peer_s_close_is_answered_and_then_closed(self) -> None:
        joined = Joined()
        joined.connect()
        joined.deliver_up(close_frame(1001, b"bye"))
        assert commands(joined.server, joined.now) == [], "the answer is not written"
        assert joined.server.next_writable() == joined.server_link
        assert joined.down() == close_frame(1001, masked=False)
        (command,) = commands(joined.server, joined.now)
        assert command == CloseLink(1, Ending(1001, "bye"))

    @WIRES
    def test_i13_what_names_an_older_link_is_ignored(self, wire: str) -> None:
        joined = Joined(wire)
        joined.connect()
        subscription = joined.subscribe()
        old_client, old_server = joined.client_link, joined.server_link
        joined.hub.publish("news", b"late", now=joined.now)
        late = joined.down()
        joined.client.handle_link_lost(old_client, LOST, now=joined.now)
        joined.connect()
        before = joined.session.stats()
        joined.client.receive_data(old_client, late, now=joined.now)
        joined.client.receive_data(old_client, b"", now=joined.now)
        joined.client.handle_link_lost(old_client, LOST, now=joined.now)
        joined.server.receive_data(old_server, b"\xff", now=joined.now)
        joined.server.handle_link_lost(old_server, LOST, now=joined.now)
        assert joined.client.data_to_send(old_client, PIECE, now=joined.now) == b""
        assert joined.session.stats() == before
        assert joined.session.link == joined.client_link
        assert joined.taken(subscription) == [b"late"], "once, over the new link"


class TestTime:
    def test_nothing_to_wait_for(self) -> None:
        session = ClientSession(Config(), rng=Random(1))
        endpoint = Endpoint(session, client_wire("memory"))
        assert endpoint.next_deadline() is None
        endpoint.handle_timeout(now=1e9)
        assert endpoint.poll_command(now=1e9) is None

    def test_the_earlier_of_core_s_and_the_wire_s_counts(self) -> None:
        joined = Joined(hub_config=Config(connect_timeout=3.0, history_messages=1000))
        joined.server_link = joined.server.accept_link(now=100.0)
        assert joined.server.next_deadline() == 110.0, "the wire's handshake: core has no link yet"
        joined.deliver_up(request())
        assert joined.server.next_deadline() == 103.0, "core's: the welcome"

    def test_a_handshake_that_never_ends(self) -> None:
        joined = Joined()
        joined.server_link = joined.server.accept_link(now=100.0)
        joined.deliver_up(request()[:-2])
        joined.server.handle_timeout(now=109.9)
        assert joined.server.links == 1
        joined.server.handle_timeout(now=110.0)
        joined.now = 112.0
        joined.down()
        joined.server.handle_timeout(now=112.0)
        assert [type(one) for one in commands(joined.server, 112.0)] == [CloseLink]
        assert joined.server.links == 0
        assert joined.server.next_deadline() is None

    @WIRES
    def test_row_3_a_message_that_never_ends(self, wire: str) -> None:
        joined = Joined(wire)
        joined.connect()
        joined.session.publish("orders", bytes(1000), False, now=joined.now)
        joined.exchange()
        joined.session.publish("orders", bytes(1000), False, now=joined.now)
        begun = joined.now
        joined.deliver_up(joined.up()[:100])
        # Core would ask for a sign of life first: feed it one.
        for _ in range(20):
            deadline = joined.server.next_deadline()
            assert deadline is not None
            joined.now = deadline
            joined.server.handle_timeout(now=joined.now)
            if not joined.hub.links:
                break
        assert 29.0 < joined.now - begun < 32.0
        assert joined.down()

    def test_i12_no_timer_survives_its_link(self) -> None:
        joined = Joined(hub_config=Config(lease=0.0, history_messages=1000))
        joined.connect()
        joined.session.close(now=joined.now)
        joined.exchange()
        assert joined.client.next_deadline() is None
        assert joined.server.next_deadline() is None
