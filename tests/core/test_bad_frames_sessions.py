"""Bad peers over whole sessions: testing.md 3.2, rows 11-14, 16, 17, 30, 33, 34, and I13-I20.

Tokens that are guessed, stolen or brought along; two clients that fight over one; servers that
choose when they are dialled; clocks that jump; and an application that calls at the wrong moment.
"""

from dataclasses import replace

import pytest

from gapless.core.authorize import Grant
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.errors import InvalidState
from gapless.core.events import Closed, LinkDown, OpenLink, SessionEvent
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Denied,
    Ended,
    Frame,
    Goaway,
    Gone,
    Hello,
    Live,
    Offer,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
)
from gapless.core.position import MAX_SEQ
from gapless.core.states import SessionState
from gapless.testing import Checker, Pair

from .by_hand import WELCOME, ClientByHand, HubByHand, names, numbered, publish, shown, started
from .parts import LOST

HUB = Config.production("hub")


def by_name(credentials: str | None) -> Grant | None:
    """Everybody is who they say; who says nothing is refused."""
    return None if credentials is None else Grant(credentials, may_pin=True)


def told(desk: ClientByHand) -> list[SessionEvent]:
    return list(iter(desk.client.next_event, None))


class TestRow11Guessing:
    def test_row_11_unknown_expired_used_and_wrong_look_the_same(self) -> None:
        """I14: one answer for all of them, a new session, in as many frames."""
        desk = HubByHand(config=replace(HUB, lease=10.0))
        expired = desk.greet(1).token
        desk.lose(1)
        desk.now += 10.0
        desk.hub.handle_timeout(now=desk.now)
        used = desk.greet(2).token
        current = desk.greet(3, used).token
        pending = desk.greet(4, current).token
        guesses = [None, "x", expired, used, "\ud800", "x" * 512, pending[:-1], pending + "0"]
        answers: list[Frame] = []
        for link, guess in enumerate(guesses, 10):
            welcome = desk.greet(link, guess)
            assert desk.hear(link) == []
            answers.append(replace(welcome, session="", token=""))
        assert answers == [answers[0]] * len(guesses)
        assert len(desk.hub.sessions) == 1 + len(guesses)
        assert 4 not in desk.endings(), "the session that was guessed at goes on"

    def test_row_11_a_session_s_id_is_no_token(self) -> None:
        desk = HubByHand()
        welcome = desk.greet(1)
        for guess in (welcome.session, welcome.session[1:], welcome.token.upper()):
            assert not desk.greet(2, guess).resumed
            desk.lose(2)


class TestRow12To14Resuming:
    def test_row_12_another_principal_gets_nothing_of_the_session(self) -> None:
        """I14, P7: a stolen token is no use, and its use takes nothing from its owner."""
        desk = HubByHand(verify=by_name)
        ann = desk.greet(1, credentials="ann")
        desk.say(1, Subscribe(1, "@me", "earliest", 1000), Offer(1, "orders", None, 1))
        desk.hear(1)
        eve = desk.greet(2, ann.token, credentials="eve")
        assert not eve.resumed
        assert eve.session != ann.session
        assert eve.token != ann.token
        desk.say(2, Subscribe(1, "@me", "earliest", 1000))
        desk.say(2, Subscribe(2, ann.session, "earliest", 1000))
        desk.hub.publish(ann.session, b"for ann", now=desk.now)
        heard = desk.hear(2)
        assert [frame for frame in heard if isinstance(frame, Data)] == []
        outcomes = [frame.outcome for frame in heard if isinstance(frame, Subscribed)]
        assert outcomes.count(Denied("forbidden")) == 1
        assert [type(frame) for frame in desk.hear(1)] == [Data]
        assert 1 not in desk.endings()
        assert desk.greet(3, ann.token, credentials="ann").resumed

    def test_row_12_a_refused_resume_leaves_the_live_session_alone(self) -> None:
        desk = HubByHand(verify=by_name)
        ann = desk.greet(1, credentials="ann")
        desk.open(2)
        desk.say(2, Hello(1, ann.token, None, 1024))
        assert desk.endings()[2].code == Code.UNAUTHORIZED
        assert 1 not in desk.endings()
        assert desk.hub.sessions == [ann.session]
        assert desk.greet(3, ann.token, credentials="ann").resumed

    @pytest.mark.parametrize("chosen", ["chosen", "token-3", "@chosen", "x" * 512])
    def test_row_13_a_client_chooses_no_session_and_no_token(self, chosen: str) -> None:
        """Fixation: who plants a token must not find a session under it later."""
        desk = HubByHand(new_token=iter([f"secret-{n}" for n in range(99)]).__next__)
        victim = desk.greet(1, chosen)
        assert chosen not in (victim.session, victim.token)
        thief = desk.greet(2, chosen)
        assert not thief.resumed
        assert thief.session != victim.session

    @pytest.mark.parametrize("version", [0, 2, MAX_SEQ])
    def test_row_14_another_version_resumes_nothing(self, version: int) -> None:
        desk = HubByHand()
        first = desk.greet(1)
        desk.open(2)
        desk.say(2, Hello(version, first.token, None, 1024))
        assert desk.endings()[2].code == Code.VERSION
        assert 1 not in desk.endings()
        desk.lose(1)
        assert desk.greet(3, first.token).resumed


class TestRow16TakeoverWar:
    def test_row_16_two_clients_with_one_token_are_damped(self) -> None:
        """The newest wins, once each; being fenced is a failed try, and the waits grow."""
        pair = Pair(seed=51)
        tap = started(pair)
        pair.add_client(token=pair.client.token).start()
        pair.run(10.0)
        early = len(tap.lines)
        pair.run(600.0)
        assert set(tap.codes()) == {Code.FENCED}
        assert len(pair.hub.sessions) == 1
        assert pair.hub.links <= 1
        assert 3 < early < 20
        assert len(tap.lines) - early < 250, "less than one every two seconds"


class TestRow17Parking:
    def test_row_17_who_is_refused_leaves_nothing(self) -> None:
        desk = HubByHand(verify=by_name)
        for link in range(1, 50):
            desk.open(link)
            desk.say(link, Hello(1, "x", None, 1024), Subscribe(1, "news", "latest", 10))
            assert [type(frame) for frame in desk.hear(link)] == [Close]
            desk.lose(link)
        assert desk.hub.sessions == []
        assert len(desk.hub.channels) == 0
        assert desk.hub.next_deadline() is None

    def test_row_17_sessions_are_bounded_and_expire(self) -> None:
        """Nobody is evicted for a stranger; without a link a session stays for its lease."""
        desk = HubByHand(config=replace(HUB, max_sessions=2, lease=10.0, patience=1e6))
        kept = desk.greet(1)
        desk.greet(2)
        desk.say(2, Subscribe(1, "news", "latest", 10), Offer(1, "orders", None, 1))
        desk.hear(2)
        desk.lose(2)
        desk.open(3)
        desk.say(3, Hello(1, None, None, 1024))
        assert desk.endings()[3].code == Code.TRY_LATER
        assert desk.endings()[3].retry_after is not None
        assert desk.greet(4, kept.token).resumed, "resuming needs no room"
        channel = desk.hub.channels.find("news")
        assert channel is not None
        pins = channel.pins
        assert len(pins) == 1, "it is pinned by one without a link"
        desk.now += 10.0
        desk.hub.handle_timeout(now=desk.now)
        assert desk.hub.sessions == [kept.session]
        assert not pins
        desk.greet(5)


class TestRow30Storms:
    @pytest.mark.parametrize("retry", [0, 1, None])
    @pytest.mark.parametrize("code", [Code.TRY_LATER, Code.RESTART, Code.GOING_AWAY, 4999, 0])
    @pytest.mark.parametrize("is_welcomed", [True, False])
    def test_row_30_a_server_that_accepts_and_closes_is_not_stormed(
        self, code: int, retry: int | None, is_welcomed: bool
    ) -> None:
        """I18: a mere open clears nothing, whatever the server asks for."""
        desk = ClientByHand(seed=52)
        for _ in range(100):
            desk.dial()
            desk.say(*([WELCOME] if is_welcomed else []), Close(code, "again", retry))
        assert desk.now - 100.0 > 100 * 3.0
        assert desk.now - 100.0 < 100 * 10.0

    def test_row_30_a_wait_of_285_000_years_is_an_hour(self) -> None:
        desk = ClientByHand()
        desk.connect(Close(Code.TRY_LATER, "later", MAX_SEQ))
        down = told(desk)[-1]
        assert isinstance(down, LinkDown)
        assert 3600.0 <= down.retry_at - desk.now <= 3610.0
        assert desk.client.state is SessionState.DOWN

    @pytest.mark.parametrize(
        "code", [Code.DONE, Code.UNAUTHORIZED, Code.VERSION, Code.NOT_GAPLESS, Code.REJECTED]
    )
    def test_row_30_no_dialling_after_a_code_that_is_final(self, code: int) -> None:
        """I18, I20: one last event, no timer, no command."""
        desk = ClientByHand()
        news = desk.client.subscribe("news", "latest", now=desk.now)
        desk.connect(Close(code, "no", 0))
        closed = told(desk)[-1]
        assert isinstance(closed, Closed)
        assert (closed.ending.code, closed.ending.reason[:2]) == (code, "no")
        assert desk.client.next_deadline() is None
        assert news.is_ready, "its application is told"
        commands = desk.polled()
        assert not any(isinstance(command, OpenLink) for command in commands)
        desk.client.handle_network_back(now=desk.now)
        desk.client.handle_timeout(now=desk.now + 1e9)
        assert desk.polled() == []
        assert told(desk) == []

    def test_i18_attempts_end_if_they_are_limited(self) -> None:
        desk = ClientByHand(config=Config(max_attempts=3))
        desk.connect()
        desk.now += 60.0
        desk.lose()
        for _ in range(3):
            assert isinstance(told(desk)[-1], LinkDown)
            desk.dial()
            desk.lose()
        assert isinstance(told(desk)[-1], Closed)
        assert desk.client.next_deadline() is None

    def test_row_30_a_move_is_spread(self) -> None:
        """A server that drains again and again is left at a random time, within what it says."""
        desk = ClientByHand()
        desk.connect()
        for _ in range(20):
            desk.say(Goaway(10_000, 10_000))
            assert not [one for one in desk.polled() if isinstance(one, OpenLink)]
            desk.connect()
        assert desk.client.links == 21
        assert 20 * 2.0 < desk.now - 100.0 < 20 * 10.0


class TestRow33Clocks:
    def test_row_33_a_clock_that_runs_back_moves_nothing(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
        deadline = desk.client.next_deadline()
        for now in (desk.now - 1.0, 0.0, -1e12):
            desk.client.receive_bytes(desk.link, now=now)
            desk.client.receive_frame(desk.link, Data(7, 1, [b"m1"], False), now=now)
            desk.client.handle_timeout(now=now)
            assert desk.client.next_deadline() == deadline
        assert shown(desk.take(news)) == ["m1"]
        assert desk.endings() == []

    @pytest.mark.parametrize("slept", [41.0, 5000.0, 1e7])
    def test_row_33_a_host_that_slept_keeps_a_healthy_link(self, slept: float) -> None:
        """I19: one probe before the verdict; and I12, judged by the pair at every step."""
        pair = Pair(seed=53)
        checker, tap = Checker(pair), started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.run(20.0)
        pair.clock.advance(slept)
        pair.run(1.0)
        assert [len(tap.said(Ping, to_client=way)) for way in (True, False)] == [1, 1]
        pair.run(100.0)
        assert len(tap.lines) == 1
        publish(pair, "news", "m1")
        pair.settle()
        assert shown(pair.peer.take_all(news)) == ["m1"]
        checker.finish()

    @pytest.mark.parametrize("slept", [0.0, 5000.0])
    def test_i19_a_dead_peer_is_found_even_after_a_sleep(self, slept: float) -> None:
        """Silence for longer than heartbeat + timeout ends the link, at both ends, in time."""
        pair = Pair(seed=54)
        tap = started(pair)
        pair.hold(True, to_client=True)
        pair.hold(True, to_client=False)
        pair.clock.advance(slept)
        since = pair.clock.now
        assert pair.run_until(lambda: pair.client.link is None)
        assert pair.clock.now - since <= 40.1
        assert pair.run_until(lambda: len(tap.lines) == 2, timeout=30.0)
        assert pair.client.link is not None or pair.run_until(lambda: pair.client.link is not None)


class TestRow34Applications:
    def test_row_34_a_verifier_that_raises_harms_nobody_else(self) -> None:
        def verify(credentials: str | None) -> Grant | None:
            if credentials == "bad":
                raise RuntimeError("the database is away")
            return Grant("anyone")

        desk = HubByHand(verify=verify)
        good = desk.greet(1)
        with pytest.raises(RuntimeError, match="away"):
            desk.greet(2, credentials="bad")
        desk.say(1, Subscribe(1, "news", "latest", 1000))
        assert [type(frame) for frame in desk.hear(1)] == [Subscribed]
        assert desk.hub.sessions == [good.session]
        desk.now += 30.0
        desk.hub.handle_timeout(now=desk.now)
        assert desk.endings()[2].code == Code.TIMEOUT, "nobody waits for ever"

    def test_row_34_an_application_that_fails_has_taken_what_it_was_given(self) -> None:
        """The commit point is the step that returns the message: none twice, none left out."""
        pair = Pair(seed=55)
        checker = Checker(pair)
        started(pair)
        news = pair.peer.subscribe("news", "earliest")
        publish(pair, "news", *numbered(1, 5))
        pair.settle()
        seen: list[str] = []

        def handle() -> None:
            event = pair.peer.take(news)
            assert event is not None
            seen.extend(shown([event]))
            if seen == ["m1", "m2"]:
                pair.cut()
                raise ValueError("a bug of the application")

        handle()
        with pytest.raises(ValueError, match="a bug"):
            handle()
        pair.run(30.0)
        for _ in range(3):
            handle()
        assert seen == names(1, 5)
        checker.finish()

    @pytest.mark.parametrize("state", ["new", "dialling", "greeting", "up", "down", "leaving"])
    def test_i20_closing_twice_from_any_state_is_closing_once(self, state: str) -> None:
        desk = ClientByHand()
        client = desk.client
        if state == "dialling":
            client.start(now=desk.now)
        elif state == "greeting":
            desk.dial()
        elif state == "leaving":
            client.publish("orders", b"x", False, now=desk.now)
        if state in ("up", "down", "leaving"):
            desk.connect()
        if state == "down":
            desk.lose()
        if state == "leaving":
            client.close(now=desk.now)
            assert client.state is SessionState.LEAVING
        for _ in range(3):
            client.close(now=desk.now, timeout=0.0)
        events = told(desk)
        assert [type(event) for event in events].count(Closed) == 1
        assert isinstance(events[-1], Closed)
        assert client.next_deadline() is None
        desk.hear()
        desk.say(WELCOME, Data(1, 1, [b"x"], False), Close(1000, "", None))
        desk.lose()
        client.handle_link_opened(desk.link, now=desk.now)
        client.handle_timeout(now=desk.now + 1e6)
        assert (told(desk), desk.hear(), client.next_deadline()) == ([], [], None)
        for call in (
            lambda: client.publish("orders", b"x", False, now=desk.now),
            lambda: client.subscribe("late", now=desk.now),
            lambda: client.start(now=desk.now),
        ):
            with pytest.raises(InvalidState):
                call()


class TestI13OldLinks:
    FRAMES: tuple[Frame, ...] = (
        WELCOME,
        Subscribed(1, 7, "E9", 1, 0, None, Live()),
        Data(7, 2, [b"ghost"], False),
        Gone(7, 2, 9, "rotated"),
        Ack(1, 1, 9),
        Ended(7, "epoch", True),
        Ping(3, 9),
        Pong(1, 9),
        Goaway(0, 0),
        Close(1000, "bye", None),
        Hello(1, None, None, 1),
    )

    @pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
    def test_i13_a_frame_of_an_older_link_changes_nothing(self, frame: Frame) -> None:
        desk = ClientByHand()
        client = desk.client
        news = client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()), Data(7, 1, [b"m1"], False))
        old = desk.link
        desk.lose()
        desk.connect()
        told(desk)
        seen = (client.token, client.link, client.links, client.next_deadline(), news.phase)
        client.receive_bytes(old, now=desk.now)
        client.receive_frame(old, frame, size=9, now=desk.now)
        client.handle_link_opened(old, now=desk.now)
        client.handle_link_lost(old, LOST, now=desk.now)
        after = (client.token, client.link, client.links, client.next_deadline(), news.phase)
        assert after == seen
        assert (told(desk), desk.hear(), desk.polled()) == ([], [], [])
        assert client.next_frame(old, now=desk.now) is None
        assert shown(desk.take(news)) == ["m1"]

    def test_i13_a_verdict_for_a_link_that_is_gone_or_has_one_is_ignored(self) -> None:
        desk = HubByHand(verify=None)
        for link in (1, 2):
            desk.open(link)
            desk.say(link, Hello(1, None, None, 1024))
        desk.lose(1)
        for link in (1, 2, 2, 3):
            desk.hub.handle_authorized(link, Grant("ann"), now=desk.now)
        assert len(desk.hub.sessions) == 1
        assert len(desk.hear(2)) == 1
        desk.hub.handle_authorized(2, None, now=desk.now)
        assert desk.endings() == {}


@pytest.mark.parametrize("within", [0, 1])
def test_row_30_goaway_on_every_link_is_no_dial_storm(within: int) -> None:
    """I18: a server that sends its clients away doesn't choose how often it is dialled."""
    desk = ClientByHand()
    for _ in range(200):
        desk.connect(Goaway(within, within))
    assert desk.now - 100.0 > 100.0, "200 links"
