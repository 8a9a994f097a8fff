"""What a review found in a hub's sessions, links, pins and turns, as behaviour that holds.

Letters are the review's. See `test_hub_store_regressions.py` for hubs with a store.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gapless.core.authorize import Grant
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.events import CloseLink
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Hello,
    Offer,
    Offered,
    PinTerms,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
)
from gapless.core.hub import Hub
from gapless.testing import Checker, Pair
from gapless.transports.endpoint import Endpoint
from gapless.transports.memory import MemoryWire

from .by_hand import DurableHubByHand, HubByHand, started
from .parts import calls, inside

HUB = Config.production("hub")
FULL = replace(HUB, history_messages=1)
PATIENT = replace(FULL, patience=86_400.0)
LIMIT = 1 << 20


def ready(desk: HubByHand) -> list[object]:
    """What the hub says about its own publishers and readers."""
    return list(iter(desk.hub.next_ready, None))


def waited_for() -> HubByHand:
    """A full channel that the server's own reader holds back, and a client whose message waits."""
    desk = HubByHand(config=PATIENT)
    assert desk.hub.subscribe("news", "earliest", now=desk.now) is not None
    assert desk.hub.publish("news", b"m1", now=desk.now) is not None
    desk.greet(1)
    desk.say(1, Offer(1, "news", None, 1))
    assert [type(frame) for frame in desk.hear(1)] == [Offered]
    desk.say(1, Data(1, 1, [b"m2"], False))
    return desk


class TestReadersThatEnd:
    """A: readers that ended were kept until the wire took something."""

    def test_a_readers_that_end_unanswered_are_kept_nowhere(self) -> None:
        """P3: a peer that doesn't read makes the hub hold nothing but its subscriptions."""
        desk = HubByHand()
        desk.greet(1)
        session = inside(desk.hub, "_links")[1]
        for request in range(1, 101):
            desk.say(1, Subscribe(request, "news", "latest", LIMIT), Unsubscribe(request))
        assert list(inside(session, "_speaking")) == []
        assert list(inside(session, "_sending")) == []
        assert desk.hear(1) == []

    def test_a_reader_that_was_answered_still_hears_its_end(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Subscribe(1, "news", "latest", LIMIT))
        desk.hear(1)
        desk.say(1, Unsubscribe(1))
        assert [type(frame).__name__ for frame in desk.hear(1)] == ["Ended"]


class Server:
    """A hub behind an endpoint; its driver closes sockets when told, and says no more of them."""

    def __init__(self) -> None:
        self.now = 100.0
        desk = HubByHand()
        self.hub: Hub = desk.hub
        self.endpoint = Endpoint(self.hub, lambda now: MemoryWire(from_client=True))
        self.closed: list[int] = []

    def connect(self, token: str | None = None) -> int:
        link = self.endpoint.accept_link(now=self.now)
        self.say(link, Hello(1, token, None, LIMIT))
        return link

    def say(self, link: int, frame: Hello | Ack) -> None:
        wire = MemoryWire()
        wire.send_frame(frame, now=self.now)
        self.endpoint.receive_data(link, wire.data_to_send(), now=self.now)
        self.pump()

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.endpoint.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.endpoint.handle_timeout(now=self.now)
            self.pump()
        self.now = end

    def pump(self) -> None:
        while (link := self.endpoint.next_writable()) is not None:
            while self.endpoint.data_to_send(link, LIMIT, now=self.now):
                pass
        while (command := self.endpoint.poll_command(now=self.now)) is not None:
            assert isinstance(command, CloseLink)
            self.closed.append(command.link)


def violate(server: Server) -> None:
    server.say(server.connect(), Ack(77, 1, 1))


def take_over(server: Server) -> None:
    server.connect()
    server.connect("token-1")


def fall_silent(server: Server) -> None:
    server.connect()
    server.pass_time(HUB.heartbeat * 2 + HUB.heartbeat_timeout * 2)


def drain(server: Server) -> None:
    server.connect()
    server.hub.drain(now=server.now, timeout=0.0)
    server.pump()


class TestLinksThatAreOver:
    """B: links that the hub closed itself were remembered for ever."""

    @pytest.mark.parametrize("end", [violate, take_over, fall_silent, drain])
    def test_b_a_link_that_the_hub_closes_is_forgotten(self, end: Callable[[Server], None]) -> None:
        """P3: the driver closes the socket and never mentions the link again."""
        server = Server()
        end(server)
        server.pass_time(60.0)
        assert server.closed[0] == 1
        assert 1 not in inside(server.hub, "_links")

    def test_b_a_session_that_is_over_keeps_no_link(self) -> None:
        """P3: a violation, then the lease: nothing is left."""
        server = Server()
        violate(server)
        server.pass_time(HUB.lease + 1)
        assert server.hub.sessions == []
        assert not inside(server.hub, "_links")


class TestLapses:
    """E: who waited for a pin to lapse was woken only if the hub was asked in time."""

    def test_e_a_lapse_that_passes_unseen_still_wakes_the_server_s_publisher(self) -> None:
        """P4: the pin has lapsed before the driver asks for output."""
        desk = HubByHand(config=FULL)
        assert desk.hub.subscribe("news", "earliest", now=desk.now) is not None
        assert desk.hub.publish("news", b"m1", now=desk.now) is not None
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        desk.now += 1.5
        desk.hub.receive_bytes(99, now=desk.now)
        assert "news" in ready(desk)
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None

    def test_e_a_lapse_that_passes_unseen_still_serves_a_client(self) -> None:
        """P4: and its publish is accepted, without any other word from it."""
        desk = HubByHand(config=FULL)
        assert desk.hub.subscribe("news", "earliest", now=desk.now) is not None
        assert desk.hub.publish("news", b"m1", now=desk.now) is not None
        desk.greet(1)
        desk.say(1, Offer(1, "news", None, 1))
        assert [type(frame) for frame in desk.hear(1)] == [Offered]
        desk.say(1, Data(1, 1, [b"m2"], False))
        desk.now += 1.5
        desk.hub.receive_bytes(99, now=desk.now)
        acks = [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)]
        assert acks == [1]
        assert desk.entries("news") == [b"m2"]

    def test_e_more_room_by_configure_wakes_who_waits(self) -> None:
        """P4: the server's publisher is told, the client's message is taken."""
        desk = waited_for()
        assert desk.hub.publish("news", b"m3", now=desk.now) is None
        ready(desk)
        desk.hub.configure("news", now=desk.now, history_messages=100)
        assert "news" in ready(desk)
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)] == [1]

    def test_e_less_patience_by_configure_comes_into_force(self) -> None:
        """P4: a wait of a day becomes one of a second."""
        desk = HubByHand(config=PATIENT)
        assert desk.hub.subscribe("news", "earliest", now=desk.now) is not None
        assert desk.hub.publish("news", b"m1", now=desk.now) is not None
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        ready(desk)
        desk.hub.configure("news", now=desk.now, patience=1.0)
        ready(desk)
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        assert "news" not in ready(desk)
        desk.now += 1.0
        assert desk.hub.next_deadline() == desk.now
        desk.hub.handle_timeout(now=desk.now)
        assert "news" in ready(desk)

    def test_e_less_patience_by_configure_comes_into_force_for_a_client_that_waits(self) -> None:
        """P4: it is served when the new patience is over, with nobody asking again."""
        desk = waited_for()
        assert desk.hear(1) == []
        desk.hub.configure("news", now=desk.now, patience=1.0)
        desk.now += 1.0
        assert desk.hub.next_deadline() == desk.now
        desk.hub.handle_timeout(now=desk.now)
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)] == [1]


class TestTakeovers:
    """M, O: what belongs to a link or a verdict, and not to the session."""

    @pytest.mark.parametrize("is_polled", [False, True])
    def test_m_a_drain_asks_the_link_that_carries_the_session(self, is_polled: bool) -> None:
        """Rule 8: the fenced link's end is its own; the new one is welcomed before it goes."""
        desk = HubByHand()
        token = desk.greet(1).token
        desk.say(1, Offer(1, "news", None, 1))
        desk.hear(1)
        desk.open(2)
        desk.say(2, Hello(1, token, None, LIMIT))
        if is_polled:
            desk.endings()
        desk.hub.drain(now=desk.now)
        assert [getattr(frame, "code", None) for frame in desk.hear(1)] == [Code.FENCED]
        assert desk.hear(1) == []
        heard = desk.hear(2)
        assert isinstance(heard[0], Welcome)
        assert isinstance(heard[-1], Close)
        assert heard[-1].code == Code.GOING_AWAY

    def test_o_a_verdict_of_a_resume_says_who_may_pin(self) -> None:
        """I14: the session goes on, with the rights of the newest verdict."""
        grants = [Grant("ann", may_pin=True), Grant("ann", may_pin=False), Grant("ann", True)]
        verdicts = iter(grants)
        desk = HubByHand(verify=lambda credentials: next(verdicts))
        token = desk.greet(1).token
        pins: list[PinTerms | None] = []
        for link in (2, 3):
            token = desk.greet(link, token).token
            desk.say(link, Subscribe(link, "news", "latest", LIMIT))
            pins += [frame.pin for frame in desk.hear(link) if isinstance(frame, Subscribed)]
        assert [pin is not None for pin in pins] == [False, True]

    def test_o_a_right_that_is_gone_holds_nothing_back(self) -> None:
        """P4: the pin of the link before ends with the verdict, and who waited is served."""
        verdicts = iter([Grant("ann", may_pin=True), Grant("ann", may_pin=False)])
        desk = HubByHand(config=PATIENT, verify=lambda credentials: next(verdicts))
        token = desk.greet(1).token
        desk.say(1, Subscribe(1, "news", "latest", LIMIT))
        desk.hear(1)
        assert desk.hub.publish("news", b"m1", now=desk.now) is not None
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        assert "news" not in ready(desk)
        assert desk.greet(2, token).resumed
        assert "news" in ready(desk)
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None


class TestOfferIds:
    """P: an offer took away an id that meant another channel on the new link."""

    def test_p_ids_of_an_older_link_mean_nothing_on_this_one(self) -> None:
        """P4, P6: a process that starts again with its token offers in another order."""
        desk = HubByHand()
        token = desk.greet(1).token
        desk.say(1, Offer(1, "a", None, 1), Offer(2, "b", None, 1))
        desk.hear(1)
        desk.say(1, Data(1, 1, [b"a1"], False), Data(2, 1, [b"b1"], False))
        desk.hear(1)
        desk.lose(1)
        assert desk.greet(2, token).resumed
        desk.say(2, Offer(1, "b", None, 1), Offer(2, "a", None, 1))
        desk.hear(2)
        desk.say(2, Data(1, 1, [b"b2"], False), Data(2, 1, [b"a2"], False))
        assert {frame.id for frame in desk.hear(2) if isinstance(frame, Ack)} == {1, 2}
        assert desk.entries("a") == [b"a1", b"a2"]
        assert desk.entries("b") == [b"b1", b"b2"]

    def test_p_a_client_process_that_resumes_publishes_to_all_its_channels(self) -> None:
        """P4, P6: the same with real clients."""
        pair = Pair(seed=1)
        checker = Checker(pair)
        started(pair)
        for channel in ("a", "b"):
            pair.peer.publish(channel, "before")
            pair.run(0.5)
            pair.peer.settled(channel)
        token = pair.client.token
        pair.kill_client(pair.peer)
        peer = pair.add_client(token=token)
        peer.start()
        pair.run(0.5)
        for channel in ("b", "a", "b"):
            peer.publish(channel, "after")
            pair.run(0.5)
        assert peer.session.is_settled
        for channel in ("a", "b"):
            assert {one.outcome for one in peer.settled(channel)} == {"accepted"}
        assert peer.session.links == 1
        checker.finish()


class Crowd:
    """A full channel: readers that pin it on links from 1, publishers that wait on the next."""

    def __init__(self, readers: int, publishers: int) -> None:
        self.desk = desk = HubByHand(config=replace(HUB, history_messages=4, patience=1000.0))
        self.readers = range(1, readers + 1)
        self.publishers = range(readers + 1, readers + publishers + 1)
        for link in self.readers:
            desk.greet(link)
            desk.say(link, Subscribe(1, "news", "latest", LIMIT))
        heard = [frame for link in self.readers for frame in desk.hear(link)]
        (self.number,) = {frame.id for frame in heard if isinstance(frame, Subscribed)}
        for _ in range(4):
            assert desk.hub.publish("news", b"m", now=desk.now) is not None
        for link in self.readers:
            desk.hear(link)
        for link in self.publishers:
            desk.greet(link)
            desk.say(link, Offer(1, "news", None, 1))
            desk.hear(link)
            desk.say(link, Data(1, 1, [b"p"], False))
            assert desk.hear(link) == []

    def ack(self, link: int, seq: int) -> None:
        self.desk.say(link, Ack(self.number, seq, LIMIT))

    def accepted(self) -> int:
        """How many publishers have heard of their message."""
        heard = [self.desk.hear(link) for link in self.publishers]
        return sum(isinstance(frame, Ack) for frames in heard for frame in frames)


class TestTheWorkOfAnAck:
    """V: one ack cost all pins times all publishers that wait."""

    @pytest.mark.parametrize("seq", [1, 4])
    def test_v_it_does_not_grow_with_the_publishers_that_wait(self, seq: int) -> None:
        """I9, P7: while others hold the oldest message, one at most is asked."""
        few, many = Crowd(10, 5), Crowd(10, 50)
        assert calls(lambda: few.ack(1, seq)) == calls(lambda: many.ack(1, seq))

    def test_v_it_grows_no_faster_than_the_readers_that_pin(self) -> None:
        """I9: ten times the readers are at most ten times the work."""
        few, many = Crowd(10, 10), Crowd(100, 100)
        assert calls(lambda: many.ack(1, 1)) <= 10 * calls(lambda: few.ack(1, 1))

    def test_v_the_last_ack_serves_as_many_as_there_is_room_for(self) -> None:
        """P4: nobody is forgotten for the others' sake."""
        crowd = Crowd(3, 6)
        served: list[int] = []
        for seq in (1, 4, 6):
            for link in crowd.readers:
                crowd.ack(link, min(seq, 4) if not served else seq)
            for link in crowd.readers:
                crowd.desk.hear(link)
            served.append(crowd.accepted())
        assert served == [1, 3, 2]
        assert crowd.desk.entries("news") == [b"p"] * 4


def test_p3_a_session_that_ends_while_its_own_channel_is_opened_is_forgotten() -> None:
    """Found by the simulator, seed 174: it stayed among those who wait for a channel, for ever."""
    desk = DurableHubByHand(config=replace(HUB, lease=10.0))
    session = desk.greet(1).session
    desk.say(1, Subscribe(1, "@me", "earliest", 1000))
    asked = desk.asked()
    desk.lose(1)
    desk.now += 10.0
    desk.hub.handle_timeout(now=desk.now)
    desk.answer(*asked)

    assert desk.hub.sessions == []
    parking = inside(desk.hub.channels.openings, "_parking")
    assert session not in parking
