"""What a review found in a client's session and its publishing, as behaviour that holds.

Letters are the review's.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from gapless.core.authorize import Grant
from gapless.core.client import ClientSession
from gapless.core.config import KIB, Config
from gapless.core.errors import ConfigError, TooManyChannels
from gapless.core.events import Authorize, Lost, Message
from gapless.core.frames import Ack, Data, Offered, Refused, Subscribe
from gapless.core.position import MAX_SEQ, Position
from gapless.core.subscription import Phase
from gapless.testing import Checker, Pair
from gapless.transports.codec import JsonCodec, MsgpackCodec
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire

from .by_hand import ClientByHand, publish, started
from .list_store import ListStore

HUB = Config.production("hub")
GIANT = 5000
LIMIT = 1 << 20


def outcomes(pair: Pair, channel: str) -> list[tuple[int, int, str, str]]:
    """What became of what was published to a channel."""
    return [(one.first, one.last, one.outcome, one.code) for one in pair.peer.settled(channel)]


def small_hub(now: float) -> Wire:
    """The wire of a server that takes a kilobyte at most."""
    return MemoryWire(MsgpackCodec(KIB), from_client=True)


class TestWhatTheServerWontTake:
    """G: one publish that the server can't take ended every link of the session."""

    def test_g_a_giant_published_before_the_first_welcome_is_refused_alone(self) -> None:
        """P4, P6, P7: its neighbours and the other channel are accepted, on the first link."""
        config = replace(HUB, max_message=KIB)
        pair = Pair(seed=1, hub_config=config, new_server_wire=small_hub)
        checker = Checker(pair)
        for payload in (b"m1", bytes(GIANT), b"m3", bytes(GIANT), bytes(GIANT), b"m6"):
            pair.peer.publish("a", payload)
        pair.peer.publish("b", b"m1")
        started(pair)
        pair.run(60.0)
        assert outcomes(pair, "a") == [
            (1, 1, "accepted", ""),
            (2, 2, "refused", "too large"),
            (3, 3, "accepted", ""),
            (4, 5, "refused", "too large"),
            (6, 6, "accepted", ""),
        ]
        assert outcomes(pair, "b") == [(1, 1, "accepted", "")]
        assert pair.client.links == 1
        checker.finish()

    @pytest.mark.parametrize("count", [1, 3])
    def test_g_nothing_but_giants_is_refused_and_the_session_goes_on(self, count: int) -> None:
        """P6: there is nobody before or behind them to settle first."""
        config = replace(HUB, max_message=KIB)
        pair = Pair(seed=1, hub_config=config, new_server_wire=small_hub)
        for _ in range(count):
            pair.peer.publish("a", bytes(GIANT))
        started(pair)
        assert outcomes(pair, "a") == [(1, count, "refused", "too large")]
        pair.peer.publish("a", b"next")
        pair.settle()
        assert outcomes(pair, "a") == [(count + 1, count + 1, "accepted", "")]
        assert pair.client.links == 1

    def test_g_a_giant_published_between_two_servers_is_refused_by_the_second(self) -> None:
        """P6, P7: the limits of the newest welcome hold, also for what is queued."""
        wires: list[Callable[[float], Wire]] = [lambda now: MemoryWire(from_client=True)]
        pair = Pair(seed=1, store=ListStore(), new_server_wire=lambda now: wires[-1](now))
        started(pair)
        pair.peer.publish("a", b"m1")
        pair.settle()
        pair.hub_config = replace(HUB, max_message=KIB)
        wires.append(small_hub)
        pair.restart_server()
        pair.peer.publish("a", bytes(GIANT))
        pair.peer.publish("a", b"m3")
        pair.run(60.0)
        assert [(first, outcome) for first, _, outcome, _ in outcomes(pair, "a")] == [
            (1, "accepted"),
            (2, "refused"),
            (3, "accepted"),
        ]
        assert pair.client.links == 2

    def test_g_channels_beyond_the_server_s_number_are_refused_alone(self) -> None:
        """P4, P6, P7: the first so many are published to."""
        pair = Pair(seed=1, hub_config=replace(HUB, max_channels=2))
        checker = Checker(pair)
        for channel in ("a", "b", "c", "d"):
            pair.peer.publish(channel, b"m1")
        started(pair)
        pair.run(60.0)
        for channel in ("a", "b"):
            assert outcomes(pair, channel) == [(1, 1, "accepted", "")]
        for channel in ("c", "d"):
            assert outcomes(pair, channel) == [(1, 1, "refused", "too many channels")]
        assert pair.client.links == 1
        with pytest.raises(TooManyChannels):
            pair.peer.publish("c", b"m2")
        checker.finish()

    def test_g_a_process_that_resumes_may_publish_elsewhere(self) -> None:
        """P4, P7: what the process before it published to is no reason to end its links."""
        pair = Pair(seed=1, hub_config=replace(HUB, max_channels=2))
        started(pair)
        for channel in ("a", "b"):
            pair.peer.publish(channel, b"m1")
        pair.settle()
        token = pair.client.token
        pair.kill_client(pair.peer)
        peer = pair.add_client(token=token)
        peer.start()
        pair.settle()
        for channel in ("b", "c"):
            peer.publish(channel, b"m2")
        pair.run(60.0)
        assert peer.session.is_settled
        assert [one.outcome for one in peer.settled("b")] == ["accepted"]
        assert peer.session.links == 1

    def test_g_a_full_hub_holds_up_the_channel_it_has_no_place_for(self) -> None:
        """P4, P7: that one alone, and until there is a place."""
        config = replace(HUB, max_hub_channels=2, history_age=30.0)
        pair = Pair(seed=1, hub_config=config)
        checker = Checker(pair)
        for channel in ("a", "b", "c"):
            pair.peer.publish(channel, b"m1")
        started(pair)
        pair.run(10.0)
        settled = [channel for channel in ("a", "b", "c") if outcomes(pair, channel)]
        assert len(settled) == 2
        (waiting,) = {"a", "b", "c"} - {*settled}
        assert pair.peer.publish(settled[0], b"m2") is not None
        pair.settle()
        assert outcomes(pair, settled[0]) == [(2, 2, "accepted", "")], "it goes on"
        pair.run(60.0)
        assert outcomes(pair, waiting) == [(1, 1, "accepted", "")]
        assert pair.client.links == 1
        checker.finish()


class TestSecrets:
    """H: what no `hello` can carry was tried for ever."""

    @pytest.mark.parametrize(
        ("credentials", "token"),
        [
            ("x" * 4097, None),
            ("é" * 4096, None),
            ('"' * 4000, None),
            ("\x01" * 2000, None),
            (None, "t" * 513),
            (None, ""),
        ],
        ids=["long", "wide", "quotes", "controls", "token", "empty token"],
    )
    def test_h_what_cannot_be_sent_is_refused_when_the_session_is_made(
        self, credentials: str | None, token: str | None
    ) -> None:
        """P4: the server's answer would be 1007 or 1009, and the next try no better."""
        with pytest.raises(ConfigError):
            ClientSession(Config(), rng=Random(1), credentials=credentials, token=token)

    @pytest.mark.parametrize("credentials", ["x" * 4096, "é" * 3072, '"' * 3072, "\x01" * 1024])
    @pytest.mark.parametrize("token", [None, "t" * 512])
    @pytest.mark.parametrize("codec", [JsonCodec, MsgpackCodec])
    def test_h_what_is_not_refused_arrives(
        self, credentials: str, token: str | None, codec: type[JsonCodec] | type[MsgpackCodec]
    ) -> None:
        """P4: the first link is welcomed."""
        pair = Pair(
            seed=1,
            new_client_wire=lambda now: MemoryWire(codec()),
            new_server_wire=lambda now: MemoryWire(codec(), from_client=True),
        )
        peer = pair.add_client(credentials=credentials, token=token)
        peer.start()
        pair.settle()
        assert peer.session.links == 1


class TestSetBack:
    """I: a reader that had been set back took without a word, and its pin lapsed."""

    def test_i_who_takes_steadily_loses_nothing(self) -> None:
        """Rule 4, I3: memory is short, the reader slow, the publisher in a hurry."""
        pair = Pair(
            seed=1,
            client_config=Config(memory_limit=64 * KIB, max_message=20_000),
            hub_config=replace(HUB, history_messages=2000),
        )
        checker = Checker(pair, lossless=["news"])
        started(pair)
        subscription = pair.peer.subscribe("news", "earliest")
        pair.settle()
        pair.peer.take_all(subscription)
        publish(pair, "news", *[bytes(100)] * 1500)
        pair.run(0.5)
        assert subscription.phase is Phase.SET_BACK
        taken = 0
        for _ in range(300):
            taken += isinstance(pair.peer.take(subscription), Message)
            for _ in range(20):
                pair.publish("news", bytes(100))
            pair.run(0.05)
        assert taken == 300
        while events := pair.peer.take_all(subscription):
            assert not [event for event in events if isinstance(event, Lost)]
            pair.settle()
        checker.finish()

    def test_i_what_is_taken_is_acked_and_nothing_is_credited(self) -> None:
        """Rule 4: the limit of the ack is the one that was told before."""
        pair = Pair(seed=1, client_config=Config(memory_limit=64 * KIB, max_message=20_000))
        tap = started(pair)
        subscription = pair.peer.subscribe("news", "earliest")
        pair.settle()
        pair.peer.take_all(subscription)
        publish(pair, "news", *[bytes(100)] * 900)
        pair.settle()
        assert subscription.phase is Phase.SET_BACK
        before = tap.said(Ack, to_client=False)[-1]
        assert len(pair.peer.take_all(subscription, at_most=5)) == 5
        pair.settle()
        assert subscription.phase is Phase.SET_BACK
        ack = tap.said(Ack, to_client=False)[-1]
        assert (ack.seq, ack.limit) == (before.seq + 5, before.limit)


class TestBeforeTheWelcome:
    """N: subscribes before a slow verdict could be more than a server listens to."""

    def test_n_what_is_said_before_the_welcome_is_within_its_bound(self) -> None:
        """P4, P7: 64 KiB as JSON, with the longest positions."""
        desk = ClientByHand(config=Config(max_channels=1000))
        for number in range(1000):
            since = Position("e" * 64, MAX_SEQ)
            desk.client.subscribe(f"c{number}", since, now=desk.now)
        frames = desk.dial()
        size = sum(len(JsonCodec().encode(frame)) for frame in frames)
        assert sum(isinstance(frame, Subscribe) for frame in frames) > 50
        assert size < 64 * KIB

    def test_n_a_slow_verdict_costs_no_link(self) -> None:
        """P4: the rest follows the welcome."""
        config = replace(HUB, max_channels=1000)
        pair = Pair(
            seed=1,
            verify=None,
            client_config=Config(max_channels=1000),
            hub_config=config,
            new_client_wire=lambda now: MemoryWire(JsonCodec()),
            new_server_wire=lambda now: MemoryWire(JsonCodec(), from_client=True),
        )
        for number in range(500):
            pair.peer.subscribe(f"c{number}", Position("e" * 64, MAX_SEQ))
        pair.peer.start()
        pair.run(5.0)
        (asked,) = pair.commands
        assert isinstance(asked, Authorize)
        pair.hub.handle_authorized(asked.link, Grant("ann"), now=pair.clock.now)
        pair.settle()
        assert pair.client.links == 1
        assert all(one.is_confirmed for one in pair.client.subscriptions)


class TestRefusalsInPart:
    """R: a batch was refused whole, though part of it would have fitted."""

    def test_r_what_there_is_room_for_is_accepted(self) -> None:
        """P6: a history of 100 that rejects has room for 20 of 25."""
        config = replace(HUB, history_messages=100, overflow="reject", patience=1000.0)
        pair = Pair(seed=1, hub_config=config)
        checker = Checker(pair)
        started(pair)
        assert pair.subscribe("news", "earliest") is not None
        publish(pair, "news", *[b"x"] * 80)
        for _ in range(25):
            pair.peer.publish("news", b"y")
        pair.settle()
        assert outcomes(pair, "news") == [(1, 20, "accepted", ""), (21, 25, "refused", "full")]
        checker.finish()

    def test_r_bytes_count_as_well(self) -> None:
        """P6: a history of 1000 bytes that rejects has room for two messages of 100."""
        config = replace(
            HUB, history_bytes=1000, max_message=1000, overflow="reject", patience=1000.0
        )
        pair = Pair(seed=1, hub_config=config)
        started(pair)
        assert pair.subscribe("news", "earliest") is not None
        publish(pair, "news", *[bytes(100)] * 8)
        for size in (100, 100, 50, 1):
            pair.peer.publish("news", bytes(size))
        pair.settle()
        accepted = [one for one in outcomes(pair, "news") if one[2] == "accepted"]
        assert accepted == [(1, 2, "accepted", "")]


class TestComingAgain:
    """S: a server said how soon, or how late, a message is sent again, whatever it said."""

    def test_s_it_is_not_sent_again_at_once(self) -> None:
        """I9: a hint of 0 is no invitation to spin."""
        desk = ClientByHand()
        desk.client.publish("news", b"m1", False, now=desk.now)
        desk.connect()
        desk.say(Offered(1, "new", "P", 0, LIMIT))
        assert [type(frame) for frame in desk.hear()] == [Data]
        desk.say(Refused(1, 1, 1, "busy", 0))
        desk.client.handle_timeout(now=desk.now)
        assert desk.hear() == []
        desk.now += 1.0
        desk.client.handle_timeout(now=desk.now)
        assert [frame.first for frame in desk.hear() if isinstance(frame, Data)] == [1]

    @pytest.mark.parametrize("hint", [0.0, 0.001])
    def test_s_a_store_that_refuses_is_asked_a_few_times_a_second(self, hint: float) -> None:
        """I9, P4: and the message is accepted once the store takes it."""
        store = ListStore()
        pair = Pair(seed=1, store=store)
        started(pair)
        store.refusals = [("busy", hint)] * 1000
        pair.peer.publish("news", b"m1")
        pair.run(10.0)
        assert 10 <= 1000 - len(store.refusals) <= 101
        store.refusals.clear()
        pair.settle()
        assert outcomes(pair, "news") == [(1, 1, "accepted", "")]

    @pytest.mark.parametrize("hint", [1e6, 9e12])
    def test_s_a_hint_of_ages_is_an_hour_at_most(self, hint: float) -> None:
        """P4."""
        store = ListStore()
        pair = Pair(seed=1, store=store)
        started(pair)
        store.refusals = [("busy", hint)]
        pair.peer.publish("news", b"m1")
        pair.run(3000.0)
        assert outcomes(pair, "news") == []
        pair.run(1000.0)
        assert outcomes(pair, "news") == [(1, 1, "accepted", "")]
        assert pair.client.links == 1
