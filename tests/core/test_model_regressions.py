"""What broke the first version of the rules: what small models found, over the real core.

Each test is one of the ten items of the models' README, named by its number, and does what the
trace did: the same cut, restart, refusal or shed at the same moment. The `Checker` judges every
step (P1-P6, I1-I4, I15, I22); what is asserted besides is what went wrong then.
"""

from dataclasses import replace

import pytest

from gapless.core.authorize import Grant
from gapless.core.closing import Code, Ending
from gapless.core.config import KIB, Config
from gapless.core.credit import charge
from gapless.core.frames import (
    Ack,
    Data,
    Frame,
    Hello,
    Offer,
    Offered,
    Refused,
    Subscribe,
    Welcome,
)
from gapless.testing import Checker, Pair, Weather

from .by_hand import (
    HubByHand,
    Wiretap,
    names,
    numbered,
    publish,
    shown,
    started,
    taken_until,
)
from .list_store import ListStore
from .parts import Joined

HUB = Config.production("hub")
ANN = Grant("ann")
PATIENT = 1e6


def pinned(history: int, **changes: object) -> Config:
    """A hub whose readers hold back rotation for as long as they like."""
    return Config(history_messages=history, patience=PATIENT, lease=PATIENT, **changes)  # type: ignore[arg-type]  # checked by Config


def applied(pair: Pair, channel: str) -> list[bytes]:
    """What the present server holds of a channel."""
    history = pair.hub.channels.find(channel)
    assert history is not None
    log = history.history
    return [log.entry(seq)[0] for seq in range(log.first, log.head + 1)]


def outcomes(pair: Pair, channel: str) -> list[tuple[int, int, str]]:
    return [(word.first, word.last, word.outcome) for word in pair.peer.settled(channel)]


def cut_when(pair: Pair, tap: Wiretap, kind: type[Frame]) -> None:
    """Cut the line when the next frame of a kind is on its way: it is lost."""
    before = len(tap.said(kind))
    assert pair.run_until(lambda: len(tap.said(kind)) > before)
    pair.cut()


class TestItem1Tokens:
    def test_item_1_a_subscribe_behind_hello_does_not_confirm_a_welcome_that_is_cut(self) -> None:
        """Taken as confirmation, it voids the only token the client has: locked out."""
        pair = Pair(seed=11)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news")
        pair.settle()
        session = pair.client.id
        pair.cut()
        for _ in range(4):
            assert pair.run_until(lambda: pair.lines() and pair.lines()[0].to_client.in_flight)
            assert tap.said(Subscribe, line=pair.lines()[0]), "it comes behind hello"
            assert pair.client.link is None
            pair.cut_after(7)
            assert pair.run_until(lambda: not pair.lines())
        assert pair.run_until(lambda: pair.client.link is not None)
        assert pair.client.id == session
        assert [welcome.resumed for welcome in tap.said(Welcome)] == [False] + [True] * 5
        publish(pair, "news", "m1")
        assert taken_until(pair, news, "m1") == ["m1"]
        checker.finish()

    def test_item_1_what_is_said_before_the_welcome_is_read_moves_no_token(self) -> None:
        """The same by hand: every kind of frame a client may send behind `hello`."""
        desk = HubByHand()
        first = desk.greet(1)
        lost = desk.greet(2, first.token, Subscribe(1, "news", "earliest", 1000))
        desk.say(2, Offer(1, "orders", None, 1), Subscribe(2, "news", "earliest", 1000))
        desk.hear(2)
        desk.lose(2)
        again = desk.greet(3, first.token)
        assert again.resumed
        assert again.token == lost.token, "the same pending one, said again"

    def test_item_1_a_late_hello_mints_no_new_token(self) -> None:
        """A verdict for an abandoned link comes after the newer one's."""
        desk = HubByHand(verify=None)
        desk.open(1)
        desk.say(1, Hello(1, None, None, KIB))
        desk.hub.handle_authorized(1, ANN, now=desk.now)
        welcome = desk.hub.next_frame(1, now=desk.now)
        assert isinstance(welcome, Welcome)
        for link in (2, 3):
            desk.open(link)
            desk.say(link, Hello(1, welcome.token, None, KIB))
        desk.hub.handle_authorized(3, ANN, now=desk.now)
        newest = desk.hub.next_frame(3, now=desk.now)
        assert isinstance(newest, Welcome)
        assert newest.resumed
        desk.hub.handle_authorized(2, ANN, now=desk.now)
        assert not any(isinstance(frame, Welcome) for frame in desk.hear(2))
        assert desk.endings()[2].code == Code.FENCED
        assert 3 not in desk.endings(), "a late verdict fences no younger link"
        desk.open(4)
        desk.say(4, Hello(1, newest.token, None, KIB))
        desk.hub.handle_authorized(4, ANN, now=desk.now)
        last = desk.hub.next_frame(4, now=desk.now)
        assert isinstance(last, Welcome)
        assert last.resumed, "locked out"

    def test_item_1_an_early_hello_of_an_abandoned_link_mints_no_second_one(self) -> None:
        """The verdicts come in order; the client has only ever read the first welcome."""
        desk = HubByHand()
        token = desk.greet(1).token
        pending = [desk.greet(link, token).token for link in (2, 3, 4)]
        assert len(set(pending)) == 1
        assert desk.greet(5, pending[0]).resumed


class TestItem2OfferedNewLost:
    def test_item_2_a_lost_offered_new_applies_no_message_twice(self) -> None:
        """A cursor made from the offer itself would be `known` at 0 on the next link."""
        pair = Pair(seed=12)
        checker, tap = Checker(pair), started(pair)
        assert pair.peer.publish("orders", "m1") == 1
        assert pair.run_until(lambda: tap.said(Ack, to_client=True))
        pair.restart_server()
        assert pair.peer.publish("orders", "m2") == 2
        for _ in range(3):
            cut_when(pair, tap, Offered)
        pair.run(30.0)
        assert [offered.kind for offered in tap.said(Offered)] == ["new"] * 5
        assert outcomes(pair, "orders") == [(1, 1, "unknown"), (2, 2, "accepted")]
        assert applied(pair, "orders") == [b"m2"], "m1 was applied before the restart"
        checker.finish()

    def test_item_2_a_store_that_remembers_makes_nothing_unknown(self) -> None:
        store = ListStore()
        pair = Pair(seed=13, store=store)
        checker, tap = Checker(pair), started(pair)
        assert pair.peer.publish("orders", "m1") == 1
        assert pair.run_until(lambda: tap.said(Ack, to_client=True))
        pair.restart_server()
        assert pair.peer.publish("orders", "m2") == 2
        for _ in range(3):
            cut_when(pair, tap, Offered)
        pair.run(30.0)
        assert [offered.kind for offered in tap.said(Offered)] == ["new"] + ["known"] * 4
        assert outcomes(pair, "orders") == [(1, 2, "accepted")]
        assert store.logs["orders"].messages == [(b"m1", True), (b"m2", True)]
        checker.finish()


class TestItem3RefusedLost:
    @pytest.mark.parametrize("after", [None, 0.3], ids=["final", "for now"])
    def test_item_3_a_lost_refusal_is_asked_again(self, after: float | None) -> None:
        """Later data that was applied would make the refused one look accepted."""
        store = ListStore()
        pair = Pair(seed=14, store=store)
        checker, tap = Checker(pair), started(pair)
        store.refusals.append(("full", after))
        for payload in ("m1", b"m2", "m3"):
            pair.peer.publish("orders", payload)
        cut_when(pair, tap, Refused)
        assert store.logs["orders"].messages == [], "what follows a refusal is discarded"
        pair.run(30.0)
        assert outcomes(pair, "orders") == [(1, 3, "accepted")]
        assert [payload for payload, _ in store.logs["orders"].messages] == [b"m1", b"m2", b"m3"]
        checker.finish()

    def test_item_3_a_refusal_that_arrives_at_last_skips_only_its_message(self) -> None:
        store = ListStore()
        pair = Pair(seed=15, store=store)
        checker, tap = Checker(pair), started(pair)
        store.refusals += [("full", None)] * 2
        for payload in ("m1", b"m2", "m3"):
            pair.peer.publish("orders", payload)
        cut_when(pair, tap, Refused)
        pair.run(30.0)
        assert outcomes(pair, "orders") == [(1, 1, "refused"), (2, 3, "accepted")]
        assert [payload for payload, _ in store.logs["orders"].messages] == [b"m2", b"m3"]
        checker.finish()


class TestItem4Credit:
    def test_item_4_refusals_do_not_use_up_the_credit(self) -> None:
        """A limit that grows by what is accepted leaves both ends waiting for ever."""
        store = ListStore()
        slow = Weather(latency=(0.001, 0.01), chunk=150)
        pair = Pair(seed=16, store=store, hub_config=replace(HUB, window=KIB), weather=slow)
        checker, tap = Checker(pair), started(pair)
        store.refusals += [("busy", 0.05)] * 20
        for number, payload in enumerate(numbered(1, 8, 100)):
            # Text and binary in turn: a batch each, so that some is behind the refused one.
            data = payload.decode() if number % 2 else payload
            assert pair.peer.publish("orders", data) is not None
        pair.run(20.0)
        assert len(tap.said(Refused)) == 20
        sent = sum(charge(data.payloads) for data in tap.said(Data, to_client=False))
        assert sent > 10 * KIB, "credit was needed again and again, on one link"
        assert len(tap.lines) == 1
        assert outcomes(pair, "orders") == [(1, 8, "accepted")]
        checker.finish()

    def test_item_4_cuts_do_not_add_up_to_more_credit(self) -> None:
        """Every `subscribe` asks for the window less what is held, whatever came before."""
        window, size = 64 * KIB, 20 * KIB
        pair = Pair(seed=17, client_config=Config(window=window))
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        held: list[int] = []
        for turn in range(12):
            publish(pair, "news", *numbered(3 * turn + 1, 3 * turn + 3, size))
            pair.settle()
            held.append(news.held_bytes)
            pair.cut()
            assert pair.run_until(lambda: news.is_live)
        batch = 3 * (size + 32)
        assert window <= max(held) <= window + batch
        assert tap.said(Subscribe)[-1].limit == 0
        assert taken_until(pair, news, "m36") == names(1, 36)
        checker.finish()


class TestItem5OldExport:
    @pytest.mark.parametrize("is_early", [True, False])
    def test_item_5_what_an_old_copy_publishes_does_not_vanish(self, is_early: bool) -> None:
        """The hub's cursor is beyond the copy's: its next number was used by another message."""
        joined = Joined()
        joined.connect()
        for payload in (b"m1", b"m2"):
            joined.client.publish("orders", payload, False, now=joined.now)
        joined.build_up()
        joined.deliver_up()
        joined.build_down()
        joined.deliver_down()
        joined.build_up()
        joined.deliver_up()
        joined.cut()
        self._live_on_elsewhere(joined)
        if is_early:
            joined.client.publish("orders", b"m6", False, now=joined.now)
        joined.connect()
        if not is_early:
            joined.client.publish("orders", b"m6", False, now=joined.now)
        joined.exchange()
        channel = joined.hub.channels.find("orders")
        assert channel is not None
        log = [channel.history.entry(seq)[0] for seq in range(1, channel.head + 1)]
        assert log == [b"m1", b"m2", b"m3", b"m4", b"m5", b"m6"]
        settled = [joined.client.next_settled("orders") for _ in range(2)]
        assert [word and (word.first, word.last, word.outcome) for word in settled] == [
            (1, 2, "accepted"),
            (3, 3, "accepted"),
        ]
        assert settled[0] is not None
        assert settled[1] is not None
        assert settled[0].epoch != settled[1].epoch

    def _live_on_elsewhere(self, joined: Joined) -> None:
        """The process that the copy was made of goes on: 3, 4 and 5 of the same numbering."""
        outbox = joined.client.outboxes[0]
        assert outbox.epoch is not None
        link, now, hub = 50, joined.now, joined.hub
        hub.handle_link_opened(link, now=now)
        for frame in (
            Hello(1, joined.client.token, None, KIB),
            Offer(1, "orders", outbox.epoch, 3),
        ):
            hub.receive_frame(link, frame, size=50, now=now)
            assert hub.next_writable() == link
            assert isinstance(hub.next_frame(link, now=now), Welcome | Offered)
        hub.receive_frame(link, Data(1, 3, [b"m3", b"m4", b"m5"], False), size=50, now=now)
        hub.handle_link_lost(link, Ending(Code.LOST, "gone"), now=now)
        joined.server_link = link


class TestItem6Resets:
    def test_item_6_acks_of_an_old_inbox_close_no_link(self) -> None:
        """Taken one by one after a reset, old numbers are far beyond the new head."""
        pair = Pair(seed=18, hub_config=pinned(40))
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        publish(pair, "news", *numbered(1, 30))
        pair.settle()
        pair.restart_server()
        assert pair.run_until(lambda: news.is_live)
        publish(pair, "news", "m31")
        events: list[str] = []
        while "m31" not in events:
            event = pair.peer.take(news)
            assert event is not None, events
            events += shown([event])
            pair.run(0.2)
        assert events == [*names(1, 30), "reset epoch", "m31"]
        assert len(tap.lines) == 2
        assert tap.codes() == []
        acks = tap.said(Ack, to_client=False, line=tap.lines[1])
        assert {ack.seq for ack in acks[:-1]} == {0}, "until the reset is taken"
        checker.finish()

    def test_item_6_a_store_that_fell_back_under_a_running_server_is_told(self) -> None:
        """Numbers are given a second time: under the old epoch that is a silent loss."""
        store = ListStore()
        pair = Pair(seed=19, store=store)
        checker = Checker(pair)
        started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        for payload in numbered(1, 5):
            publish(pair, "news", payload)
            pair.settle()
        assert shown(pair.peer.take_all(news)) == names(1, 5)
        before = news.position
        store.fall_back("news", 2)
        publish(pair, "news", "m6")
        assert taken_until(pair, news, "m6") == ["reset epoch", "m6"]
        assert before is not None
        assert news.position is not None
        assert news.position.epoch != before.epoch
        checker.finish()

    @pytest.mark.parametrize("since", ["ahead", "renamed"])
    def test_item_6_a_reader_of_a_restored_store_is_told(self, since: str) -> None:
        """Across a restart: the head is below the position, or the store has a new name."""
        store = ListStore()
        pair = Pair(seed=20, store=store)
        started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        for payload in numbered(1, 5):
            publish(pair, "news", payload)
            pair.settle()
        assert shown(pair.peer.take_all(news)) == names(1, 5)
        store.fall_back("news", 2)
        if since == "renamed":
            store.logs["news"].epoch = "restored"
            store.logs["news"].messages += [(payload, False) for payload in numbered(6, 9)]
        pair.restart_server()
        assert pair.run_until(lambda: news.is_live)
        publish(pair, "news", "m10")
        events = taken_until(pair, news, "m10")
        told = {"ahead": ["reset ahead"], "renamed": ["reset epoch", *names(1, 3), *names(6, 9)]}
        assert events == [*told[since], "m10"]
