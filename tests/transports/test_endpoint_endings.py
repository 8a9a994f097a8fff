"""Endpoint: closing, endings and time, in bytes handed over by hand, in virtual time."""

from random import Random

from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import CloseLink, Command, OpenLink
from gapless.core.frames import Close
from gapless.transports import (
    Limits,
    MsgpackCodec,
)
from gapless.transports.endpoint import Endpoint

from .joined import LOST, PIECE, WIRES, Joined, client_wire, commands
from .support import close_frame, request


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
        closing: list[Command] = []
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
