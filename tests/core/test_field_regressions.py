"""Other people's bugs, each as the story that showed it: testing.md 2.6, a row a test or a few.

The systems are SignalR, Socket.IO, Centrifugo, aioxmpp and Openfire; the issue is named in each
test. What is told here happens between a real client and a real server, judged by the `Checker`.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gapless.core.authorize import Grant, allow_anyone_unpinned
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.events import Append, Authorize, Closed, Message, ReadHistory
from gapless.core.frames import Ack, Data, Hello, Live, Ping, Pong, Subscribe, Subscribed, Welcome
from gapless.core.position import MAX_SEQ, Position
from gapless.core.store import Appended, HistoryRead
from gapless.testing import Checker, Pair
from gapless.transports import (
    JsonCodec,
    MemoryWire,
    WebSocketClient,
    WebSocketServer,
    Wire,
    default_codecs,
)

from .by_hand import HubByHand, Wiretap, names, numbered, publish, shown, started, taken_until
from .parts import LOST, Joined

HUB = Config.production("hub")
CODECS = default_codecs()
MakeWire = Callable[[float], Wire]

WIRES: dict[str, tuple[MakeWire, MakeWire]] = {
    "msgpack": (lambda now: MemoryWire(), lambda now: MemoryWire(from_client=True)),
    "json": (
        lambda now: MemoryWire(JsonCodec()),
        lambda now: MemoryWire(JsonCodec(), from_client=True),
    ),
    "websocket": (
        lambda now: WebSocketClient("example.com", "/", CODECS, now=now),
        lambda now: WebSocketServer(CODECS, now=now),
    ),
}


class TestCountsAgree:
    @pytest.mark.parametrize("wire", list(WIRES))
    def test_aspnetcore_55575_both_ends_count_the_same_frames(self, wire: str) -> None:
        """I16: over every way out - text, binary, encoded once for two readers, replayed, gone."""
        client_wire, server_wire = WIRES[wire]
        pair = Pair(
            seed=31,
            hub_config=replace(HUB, history_messages=4),
            verify=allow_anyone_unpinned,
            new_client_wire=client_wire,
            new_server_wire=server_wire,
        )
        checker, tap = Checker(pair), started(pair)
        second = pair.add_client()
        second.start()
        pair.settle()
        publish(pair, "news", *numbered(1, 9))
        readers = [(peer, peer.subscribe("news", "earliest")) for peer in (pair.peer, second)]
        pair.settle()
        publish(pair, "news", "m10", b"m11", "m12")
        pair.peer.publish("orders", b"one")
        pair.peer.publish("orders", "two")
        pair.settle()
        publish(pair, "news", *numbered(13, 30))
        pair.run(70.0)
        for peer, reader in readers:
            events = shown(peer.take_all(reader))
            assert events[0] == "m6"
            assert "m10" in events
            assert events[-1] == "m30"
            assert peer.session.round_trip is not None, "pings were answered"
        assert tap.codes() == [], "nobody diverged"
        assert len(tap.lines) == 2
        for line in tap.lines:
            for to_client in (True, False):
                sent = len(tap.said(Data, line=line, to_client=to_client))
                beats = tap.said(Ping, line=line, to_client=to_client)
                last = tap.said(Pong, line=line, to_client=to_client)[-1:] + beats[-1:]
                assert {beat.sent for beat in last} == {sent}
        assert [word.outcome for word in pair.peer.settled("orders")] == ["accepted"]
        checker.finish()

    def test_openfire_927_each_direction_has_its_own_count(self) -> None:
        """The counts differ both ways, and so do numbers and ids that happen to be the same."""
        pair = Pair(seed=32)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        for payload in numbered(1, 7):
            publish(pair, "news", payload)
            pair.settle()
            pair.peer.take_all(news)
        pair.peer.publish("orders", b"one")
        pair.run(70.0)
        down, up = tap.said(Data, to_client=True), tap.said(Data, to_client=False)
        assert (len(down), len(up)) == (7, 1)
        assert {frame.id for frame in down} == {frame.id for frame in up} == {1}
        assert tap.said(Ack, to_client=True)[-1].seq == 1
        assert tap.said(Ack, to_client=False)[-1].seq == 7
        assert [tap.said(Pong, to_client=way)[-1].sent for way in (True, False)] == [7, 1]
        assert tap.codes() == []
        assert [(word.first, word.last) for word in pair.peer.settled("orders")] == [(1, 1)]
        checker.finish()

    @pytest.mark.parametrize("head", [2**31 - 2, 2**32 - 2, 2**53 - 4])
    def test_aioxmpp_67_numbers_do_not_wrap(self, head: int) -> None:
        """A channel that goes over the edge of 31, 32 bits, and up to the last number there is."""
        joined = Joined(durable=True)
        joined.connect()
        news = joined.client.subscribe("news", "latest", now=joined.now)
        joined.exchange()
        request = joined.hub_commands[-1]
        assert isinstance(request, ReadHistory)
        answer = HistoryRead(request.request, "E1", head + 1, head)
        joined.hub.handle_history(answer, now=joined.now)
        joined.exchange()
        for payload in numbered(1, 3):
            assert joined.hub.publish("news", payload, now=joined.now) is not None
            joined.poll()
            append = joined.hub_commands[-1]
            assert isinstance(append, Append)
            stored = Appended(append.request, append.epoch, append.seq)
            joined.hub.handle_appended(stored, now=joined.now)
            joined.exchange()
        take = joined.client.next_message
        taken = list(iter(lambda: take(news, now=joined.now), None))
        numbers = [event.seq for event in taken if isinstance(event, Message)]
        assert numbers == [head + 1, head + 2, head + 3]
        joined.advance(0.2)
        joined.cut()
        joined.connect()
        assert joined.closed_for() == []
        assert news.position == news.received == Position("E1", head + 3)
        assert joined.client.stats().lost == 0

    def test_socketio_5539_only_a_position_is_a_position(self) -> None:
        """I16: payloads that look like one, acks, pings and losses consume and move nothing."""
        pair = Pair(seed=33)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        publish(pair, "news", "E9:999", b"E9:999", "999", '{"seq":999}')
        pair.run(100.0)
        assert shown(pair.peer.take_all(news)) == ["E9:999", "E9:999", "999", '{"seq":999}']
        pair.run(100.0)
        assert len(tap.said(Pong)) > 2
        channel = pair.hub.channels.find("news")
        assert channel is not None
        pair.cut()
        publish(pair, "news", "m5")
        assert taken_until(pair, news, "m5") == ["m5"]
        assert tap.said(Subscribe)[-1].since == Position(channel.epoch, 4)
        checker.finish()


class TestResuming:
    def test_aspnetcore_50409_what_comes_before_the_local_switch_is_not_dropped(self) -> None:
        """`subscribe` comes before the verdict; the whole answer comes in one read."""
        pair = Pair(seed=34, verify=None)
        checker, tap = Checker(pair), Wiretap(pair)
        pair.peer.start()
        assert pair.run_until(lambda: pair.commands)
        grant(pair)
        pair.settle()
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        publish(pair, "news", *numbered(1, 3))
        pair.cut()
        assert pair.run_until(lambda: pair.commands), "the verdict is asked for"
        pair.settle()
        assert tap.said(Subscribe, line=tap.lines[-1]), "and a subscribe waits behind it"
        publish(pair, "news", *numbered(4, 6))
        grant(pair)
        assert taken_until(pair, news, "m6") == names(1, 6)
        assert pair.client.stats().gaps == 0
        assert [welcome.resumed for welcome in tap.said(Welcome)] == [False, True]
        checker.finish()

    @pytest.mark.parametrize("since", ["latest", "earliest"])
    def test_socketio_5538_and_4888_no_message_yet_is_a_position_too(self, since: str) -> None:
        """Number 0 means before the first: it can be resumed from like any other."""
        pair = Pair(seed=35)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "latest" if since == "latest" else "earliest")
        pair.settle()
        pair.cut()
        publish(pair, "news", *numbered(1, 3))
        assert taken_until(pair, news, "m3") == names(1, 3)
        asked = tap.said(Subscribe)[-1].since
        assert isinstance(asked, Position)
        assert asked.seq == 0
        checker.finish()

    def test_socketio_5282_an_empty_history_is_no_loss_to_who_was_at_its_head(self) -> None:
        """All it had has aged out, and nothing was missed."""
        pair = Pair(seed=36, hub_config=replace(HUB, history_age=5.0), verify=allow_anyone_unpinned)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        publish(pair, "news", *numbered(1, 3))
        assert taken_until(pair, news, "m3") == names(1, 3)
        pair.network.is_reachable = False
        pair.cut()
        pair.run(60.0)
        channel = pair.hub.channels.find("news")
        assert channel is not None
        assert len(channel.history) == 0
        pair.network.is_reachable = True
        assert pair.run_until(lambda: news.is_live)
        assert tap.said(Subscribed)[-1].outcome == Live()
        publish(pair, "news", "m4")
        assert taken_until(pair, news, "m4") == ["m4"]
        assert pair.client.stats().lost == 0
        checker.finish()

    def test_socketio_4880_a_client_is_back_before_its_old_socket_is_dead(self) -> None:
        """I13: the newest link wins at once; what the old one still says changes nothing."""
        joined = Joined()
        joined.connect()
        session = joined.client.id
        joined.client.publish("orders", b"m1", False, now=joined.now)
        joined.exchange()
        old = joined.server_link
        joined.client.handle_link_lost(joined.client_link, LOST, now=joined.now)
        joined.connect()
        assert joined.client.id == session
        assert joined.client.resumes == 1
        assert joined.hub.links == 1
        assert [ending.code for ending in joined.closed_for()] == [Code.FENCED]
        joined.hub.receive_frame(old, Data(1, 2, [b"ghost"], False), size=50, now=joined.now)
        joined.hub.receive_frame(old, Subscribe(9, "news", "latest", 10), size=9, now=joined.now)
        joined.hub.handle_link_lost(old, LOST, now=joined.now)
        joined.client.publish("orders", b"m2", False, now=joined.now)
        joined.exchange()
        channel = joined.hub.channels.find("orders")
        assert channel is not None
        assert [channel.history.entry(seq)[0] for seq in (1, channel.head)] == [b"m1", b"m2"]
        assert joined.hub.channels.find("news") is None

    def test_aspnetcore_67311_nobody_resumes_another_one_s_session(self) -> None:
        """I14: with the right token and another principal, or another version, nothing happens."""
        desk = HubByHand(verify=lambda credentials: Grant(credentials or "nobody"))
        ann = desk.greet(1, credentials="ann")
        mallory = desk.greet(2, ann.token, credentials="mallory")
        assert not mallory.resumed
        assert mallory.session != ann.session
        assert 1 not in desk.endings(), "the live link is untouched"
        desk.open(3)
        desk.say(3, Hello(2, ann.token, "ann", 1024))
        assert desk.endings()[3].code == Code.VERSION
        assert 1 not in desk.endings()
        desk.lose(1)
        assert desk.greet(4, ann.token, credentials="ann").resumed, "the token was not used up"


class TestPositions:
    def test_centrifuge_go_160_an_old_number_with_a_new_epoch_is_not_recovered(self) -> None:
        """I15: nor a new number with an old epoch; both are told, and nothing is replayed of it."""
        desk = HubByHand()
        desk.greet(1)
        for payload in numbered(1, 5):
            desk.hub.publish("news", payload, now=desk.now)
        channel = desk.hub.channels.find("news")
        assert channel is not None
        asked = [
            (Position(channel.epoch, 9), "ahead", 6),
            (Position("E0", 3), "epoch", 1),
            (Position("E0", 0), "epoch", 1),
        ]
        for request, (since, reason, first) in enumerate(asked, 1):
            desk.say(1, Subscribe(request, "news", since, 1000))
            answer, *data = desk.hear(1)
            assert isinstance(answer, Subscribed)
            assert getattr(answer.outcome, "reason", None) == reason
            assert (answer.epoch, answer.next_seq) == (channel.epoch, first)
            assert [frame.first for frame in data if isinstance(frame, Data)] == (
                [1] if first == 1 else []
            )

    @pytest.mark.parametrize("is_taken", [True, False])
    def test_centrifuge_js_385_and_434_a_reset_replaces_the_whole_position(
        self, is_taken: bool
    ) -> None:
        """From then on it is asked for since the new epoch and its number, never half of each."""
        pair = Pair(seed=37)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        publish(pair, "news", *numbered(1, 5))
        pair.settle()
        pair.peer.take_all(news)
        pair.restart_server()
        assert pair.run_until(lambda: news.is_live)
        if is_taken:
            assert shown(pair.peer.take_all(news)) == ["reset epoch"]
        pair.cut()
        publish(pair, "news", "m6")
        events = taken_until(pair, news, "m6")
        assert events == (["m6"] if is_taken else ["reset epoch", "m6"])
        channel = pair.hub.channels.find("news")
        assert channel is not None
        assert tap.said(Subscribe)[-1].since == Position(channel.epoch, 0)
        checker.finish()

    def test_centrifuge_dart_142_subscribing_again_while_taking_delivers_once(self) -> None:
        """The application leaves and comes back in the middle of its own loop, again and again."""
        pair = Pair(seed=38)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        publish(pair, "news", *numbered(1, 12))
        pair.settle()
        events: list[str] = []
        for _ in range(200):
            event = pair.peer.take(news)
            if event is None:
                pair.run(0.01)
                continue
            events += shown([event])
            if isinstance(event, Message) and event.seq % 3 == 0:
                pair.peer.unsubscribe(news)
                news = pair.peer.subscribe("news", event.position)
        assert events == names(1, 12)
        assert pair.client.stats().gaps == 0
        assert len(tap.lines) == 1
        checker.finish()

    def test_aspnetcore_69283_a_number_out_of_range_makes_nothing_a_duplicate(self) -> None:
        """I5: the link ends with a reason, and the session goes on; it is not deaf and healthy.

        Numbers that are none (-1, -2**63, 2**63) never pass the codec: `TestRow8Integers`.
        """
        desk = HubByHand()
        first = desk.greet(1)
        desk.say(1, Subscribe(1, "news", "earliest", 1000))
        for payload in numbered(1, 2):
            desk.hub.publish("news", payload, now=desk.now)
        channel = desk.hub.channels.find("news")
        assert channel is not None
        assert [type(frame) for frame in desk.hear(1)] == [Subscribed, Data]
        desk.say(1, Ack(channel.id, 0, 1000))
        assert desk.endings() == {}, "0 is nothing new"
        desk.say(1, Ack(channel.id, MAX_SEQ, 1000))
        assert desk.endings()[1].code == Code.VIOLATION
        assert desk.greet(2, first.token).resumed
        desk.say(2, Subscribe(1, "news", Position(channel.epoch, 1), 1000))
        assert [frame.first for frame in desk.hear(2) if isinstance(frame, Data)] == [2]


class TestNothingSilent:
    def test_centrifuge_js_393_nothing_is_delivered_after_the_end(self) -> None:
        """I20, I21: recovered messages are on the way while the application leaves, then closes."""
        pair = Pair(seed=39)
        checker, tap = Checker(pair), started(pair)
        subscribe = pair.peer.subscribe
        live, news, other = (subscribe(name, "earliest") for name in ("live", "news", "other"))
        pair.settle()
        publish(pair, "live", *numbered(1, 50))
        assert pair.run_until(lambda: len(tap.said(Data, to_client=True)) == 1)
        pair.peer.unsubscribe(live)
        pair.settle()
        pair.cut()
        publish(pair, "news", *numbered(1, 50))
        publish(pair, "other", *numbered(1, 50))
        assert pair.run_until(lambda: len(tap.said(Data, to_client=True)) == 3)
        pair.peer.unsubscribe(news)
        pair.settle()
        assert live.held_bytes == news.held_bytes == 0
        assert taken_until(pair, other, "m50") == names(1, 50)
        publish(pair, "other", *numbered(51, 90))
        assert pair.run_until(lambda: len(tap.said(Data, to_client=True)) == 4)
        pair.peer.close(timeout=0.0)
        assert isinstance(pair.peer.events()[-1], Closed)
        pair.run(100.0)
        assert pair.peer.events() == []
        assert pair.client.next_deadline() is None
        assert pair.client.poll_command() is None
        assert other.held_bytes == 0
        checker.on_step()

    def test_aioxmpp_253_every_unacked_publish_ends_in_exactly_one_way(self) -> None:
        """Two accepted, two sent and unanswered, one never sent; the session can't be resumed."""
        pair = Pair(seed=40)
        checker, tap = Checker(pair), started(pair)
        for payload in ("m1", "m2"):
            pair.peer.publish("orders", payload)
        pair.settle()
        for payload in ("m3", "m4"):
            pair.peer.publish("orders", payload)
        assert pair.run_until(lambda: len(tap.said(Data, to_client=False)) == 2)
        pair.restart_server()
        pair.peer.publish("orders", "m5")
        pair.settle()
        pair.run(30.0)
        assert [welcome.resumed for welcome in tap.said(Welcome)] == [False, False]
        told = [(word.first, word.last, word.outcome) for word in pair.peer.settled("orders")]
        assert told == [(1, 2, "accepted"), (3, 4, "unknown"), (5, 5, "accepted")]
        checker.finish()

    def test_signalr_2991_what_is_overwritten_is_told(self) -> None:
        """I2: a ring that overwrites, on a link that is cut and on one that is slow."""
        pair = Pair(
            seed=41, hub_config=replace(HUB, history_messages=4), verify=allow_anyone_unpinned
        )
        checker = Checker(pair)
        started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        publish(pair, "news", "m1")
        pair.settle()
        pair.network.is_reachable = False
        pair.cut()
        publish(pair, "news", *numbered(2, 20))
        pair.network.is_reachable = True
        assert taken_until(pair, news, "m20") == ["m1", "lost 2..16", *names(17, 20)]
        publish(pair, "news", *numbered(21, 40))
        events = taken_until(pair, news, "m40")
        assert events == ["lost 21..38", "m39", "m40"], "at the middle, on a live link"
        assert pair.client.stats().lost == 15 + 18
        checker.finish()


def grant(pair: Pair) -> None:
    """Answer all verdicts that are asked for."""
    for command in pair.commands:
        assert isinstance(command, Authorize)
        pair.hub.handle_authorized(command.link, Grant("ann", may_pin=True), now=pair.clock.now)
    pair.commands.clear()
